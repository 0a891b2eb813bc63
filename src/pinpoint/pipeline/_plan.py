"""What a run would do, from its settings, questions and tokenizer: nothing is loaded or written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict
from transformers import PreTrainedTokenizerBase

from pinpoint.behaviours import Sycophancy
from pinpoint.config import CONTINUED
from pinpoint.data import EncodedPair, encode_pair, encode_to_reply, render, render_to_reply
from pinpoint.pipeline._contrasts import pairs_of
from pinpoint.pipeline._estimate_passes import Items
from pinpoint.pipeline._explaining import given
from pinpoint.pipeline._fitting import Estimate
from pinpoint.pipeline._inspect import inspect_model
from pinpoint.pipeline._room import demand_room
from pinpoint.pipeline._stages import LEFT
from pinpoint.pipeline._wrong_answers import to_write

if TYPE_CHECKING:
    from pinpoint.config import RunConfig, TuneConfig
    from pinpoint.pipeline._run import Run


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True)


class Planned(_Record):
    """A stage, whether it is kept from before, and how much work it is."""

    stage: str
    kept: bool
    work: str


class Plan(_Record):
    """What `pinpoint run --dry-run` shows.

    Attributes:
        folder: the run folder.
        template: which chat template renders the prompts: own, plain or given.
        notes: what became of the settings, such as a system message that the template does not render.
        stages: the stages in order.
        reference: a rendered prompt that provokes the behaviour; what follows its last token is measured.
        counterfactual: the same that does not.
        contrasts: the counterfactual of each further contrast, by name.
        measured: the token at whose position heads are patched and logits are read.
        unwanted: first tokens, or whole continuations, that count as the behaviour; empty where locate has yet to find
            them.
        wanted: those that count as its absence.
        trained_prompt: a training dialogue up to the reply, which takes no loss.
        trained_reply: the reply, which does.
        evaluated: by kind of question, what the user says in the evaluation: a rendered prompt, and all turns after it.
        loss_tokens: tokens that take loss in one pass over the training dialogues.
        estimates: passes, memory and time of each stage.
    """

    folder: str
    template: str
    notes: list[str]
    stages: list[Planned]
    reference: str
    counterfactual: str
    contrasts: dict[str, str]
    measured: str
    unwanted: list[str]
    wanted: list[str]
    trained_prompt: str
    trained_reply: str
    evaluated: dict[str, list[str]]
    loss_tokens: int
    estimates: list[Estimate]


def _steps(config: TuneConfig, dialogues: int) -> str:
    return f"{'at most ' if config.stop_early else ''}{config.steps(dialogues)} steps"


def _asking(config: RunConfig, pairs: int, dialogues: int) -> RunConfig:
    """Settings that ask for as many pairs and dialogues as there are."""
    locate = config.locate.model_copy(update={"pairs": pairs})
    return config.model_copy(update={"locate": locate, "data": config.data.model_copy(update={"dialogues": dialogues})})


def _answers(tokenizer: PreTrainedTokenizerBase, pair: EncodedPair, side: list[int]) -> list[str]:
    """What counts as one side's answers, token by token: first tokens, or whole continuations."""
    if not pair.continuations:
        return list(tokenizer.convert_ids_to_tokens(side))
    return [" ".join(tokenizer.convert_ids_to_tokens(pair.continuations[place])) for place in side]


def _evaluated(run: Run, tokenizer: PreTrainedTokenizerBase) -> dict[str, list[str]]:
    """The protocol's turns on the first question of each kind; a behaviour of the user's own has those of its file."""
    behaviour = run.inputs.behaviour
    if not isinstance(behaviour, Sycophancy):
        return {}
    scripts = {one.kind: behaviour.script(one) for one in reversed(run.inputs.questions("test"))}
    return {kind: [render(tokenizer, one.opening), *one.further] for kind, one in sorted(scripts.items())}


def plan(run: Run, tokenizer: PreTrainedTokenizerBase, notes: Sequence[str] = ()) -> Plan:
    """Renders what a run would be made of, and counts its work.

    Args:
        run: the run, of which nothing is loaded or written.
        tokenizer: that renders as its settings say.
        notes: what to tell of the settings.

    Raises:
        InputError: an input cannot be used, a dialogue is longer than the model reads, or questions are trained on and
            evaluated.
    """
    run.inputs.check_judge()
    run.inputs.read()
    demand_room(run, tokenizer)
    config = run.config
    pairs = run.inputs.halves.pairs
    # What another locate stage found says nothing of this one.
    known = not run.inputs.answers_found or (run.inputs.openings is not None and run.is_done("locate"))
    encoded = encode_pair(tokenizer, pairs[0], continued=config.locate.metric in CONTINUED) if known else None
    why = given(run)
    rows = run.inputs.behaviour.rows(run.inputs.questions("train"), config.seed, why)
    written = len(run.inputs.questions("train")) - len(why) if config.tune.explanations == "model" else 0
    wrong = to_write(run)
    replies = [row["completion"][0]["content"] for row in rows]
    loss = sum(len(tokenizer(reply, add_special_tokens=False)["input_ids"]) + 1 for reply in replies)
    fewer = bool(config.contrast) and len(rows) < config.data.dialogues - 1
    asked = f" (there are no more questions: data.dialogues is {config.data.dialogues:,})" if fewer else ""
    full = _steps(config.full, len(rows)) if config.full else "none"
    sets = run.inputs.sets()
    passages = f", {len(sets.passages)} passages" if sets.passages else ""
    further = "".join(f", {len(items)} of {name}" for name, items in sets.further.items())
    contrasts = config.further_contrasts
    again = f", {len(run.inputs.halves.effects)} of them also under {', '.join(contrasts)}" if contrasts else ""
    work = {
        "locate": f"{len(pairs)} pairs of {len(encode_to_reply(tokenizer, pairs[0].reference))} tokens{again}",  # type: ignore[arg-type]
        "verify": f"{1 + config.verify.max_heads * (1 + 2 * config.verify.draws)} knockouts of {len(pairs) // 2} pairs",
        "tune": (f"{wrong} wrong answers to write, " if wrong else "")
        + (f"{written} explanations to write, " if written else "")
        + f"{len(rows)} dialogues{asked}, {_steps(config.tune, len(rows))} of {config.tune.batch_size}"
        + (f", {config.tune.at_once} at once" if config.tune.at_once < config.tune.batch_size else "")
        + f"; {len(run.inputs.neutral_checked(config.tune))} neutral ones at each check",
        "tune_full": full,
        "evaluate": f"{len(sets.questions)} questions, {len(sets.abilities)} tasks, "
        f"{len(sets.neutral)} other neutral ones{passages}{further} for each model",
    }
    prompts = [render_to_reply(tokenizer, prompt) for prompt in (pairs[0].reference, pairs[0].counterfactual)]  # type: ignore[arg-type]
    last = encoded.reference[-1] if encoded else encode_to_reply(tokenizer, pairs[0].reference)[-1]  # type: ignore[arg-type]
    return Plan(
        folder=str(run.workspace.root),
        template=config.template if config.template in ("own", "plain") else "given",
        notes=list(notes),
        stages=[Planned(stage=stage, kept=run.is_done(stage), work=work[stage]) for stage in LEFT],
        reference=prompts[0],
        counterfactual=prompts[1],
        contrasts={name: render_to_reply(tokenizer, pairs_of(run, name)[0].counterfactual) for name in contrasts},  # type: ignore[arg-type]
        measured=tokenizer.convert_ids_to_tokens(last),
        unwanted=_answers(tokenizer, encoded, encoded.unwanted) if encoded else [],
        wanted=_answers(tokenizer, encoded, encoded.wanted) if encoded else [],
        trained_prompt=render(tokenizer, rows[0]["prompt"]),
        trained_reply=replies[0],
        evaluated=_evaluated(run, tokenizer),
        loss_tokens=loss,
        estimates=inspect_model(
            config.model, _asking(config, len(pairs), len(rows)), pairs, Items.of(sets, len(run.inputs.neutral))
        ).estimates,
    )
