"""The stages in order, meeting in the artifacts of one run folder."""

from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase, set_seed

from pinpoint.artifacts import Workspace, provenance
from pinpoint.behaviours import Behaviour, Sycophancy
from pinpoint.config import RunConfig, TuneConfig
from pinpoint.data import (
    Dialogue,
    Question,
    Split,
    Task,
    deal,
    draw,
    in_normal_form,
    neutral_dialogues,
    read_dialogues,
    read_published,
    read_questions,
    read_tasks,
)
from pinpoint.errors import ArtifactError, InputError, PinpointError
from pinpoint.evaluate import Evaluation, Sets
from pinpoint.heads import Head, HeadScores, HeadSet
from pinpoint.locate import locate
from pinpoint.locate._sets import SetStep, greedy_set
from pinpoint.measure import PLAIN, Chat, Deployment, head_means, next_token_kl, play
from pinpoint.models import HeadedModel, headed, load
from pinpoint.pipeline._checks import CheckResult, behaviour_shown, demand, merge_faithful, no_leak
from pinpoint.pipeline._halves import halves
from pinpoint.pipeline._stages import LEFT, partial_of, settle, settled
from pinpoint.progress import Progress, Silent
from pinpoint.tune import Check, Tuned, tune_full, tune_heads
from pinpoint.verify import Prompts, curve, generate_knocked_out, shortest_prefix

MERGE_LIMIT = {torch.float32: 1e-4, torch.float16: 3e-2, torch.bfloat16: 1e-1}


class Comparison(NamedTuple):
    """The sweep beside brute force, on the same pairs."""

    same_ranking: bool
    difference: float
    seconds: float
    factor: float


class Run:
    """A run folder and the stages that fill it. Each stage reads what the ones before it wrote.

    Args:
        config: the settings.
        folder: the run folder; made if need be.
        progress: told of everything.
    """

    def __init__(self, config: RunConfig, folder: Path, progress: Progress | None = None) -> None:
        self.config = config
        self.workspace = Workspace(folder)
        self.progress: Progress = progress or Silent()
        self._unusable: list[dict[str, Any]] = []
        self._dealt = ""
        set_seed(config.seed)

    # What the stages work on.

    @cached_property
    def _loaded(self) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
        self.progress.say(f"loading {self.config.model}")
        return load(self.config.model, self.config.dtype, self.config.device, self.config.revision)

    @property
    def model(self) -> PreTrainedModel:
        """The base model."""
        return self._loaded[0]

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Its tokenizer."""
        return self._loaded[1]

    @property
    def view(self) -> HeadedModel:
        """The base model seen through its layout."""
        return headed(self.model)

    @cached_property
    def behaviour(self) -> Behaviour:
        """What is located, trained away and measured."""
        return Sycophancy(self.config.behaviour)

    @cached_property
    def _questions(self) -> list[Question]:
        path = self.config.data.questions
        if in_normal_form(path):
            return read_questions(path)
        dealt = deal(read_published(path), self.config.seed)
        self._dealt = f": {dealt.summary()}"
        self.progress.say(f"{path}{self._dealt}")
        self._unusable = [row._asdict() for row in dealt.unusable]
        return dealt.questions

    def questions(self, split: Split) -> list[Question]:
        """The questions of one split.

        Raises:
            InputError: there are none.
        """
        some = [question for question in self._questions if question.split == split]
        if not some:
            raise InputError(
                f"no question has split {split!r}{self._dealt}.",
                where=self.config.data.questions,
                mend="Give more questions, or look at why some were left out.",
            )
        return some

    @cached_property
    def neutral(self) -> list[Dialogue]:
        """Neutral dialogues: those of the file, or made from the questions kept for locating."""
        if self.config.data.neutral is None:
            return neutral_dialogues(self.questions("locate"), self.config.behaviour.affirmation)
        return read_dialogues(self.config.data.neutral)

    @cached_property
    def _tasks(self) -> list[Task]:
        return read_tasks(self.config.data.abilities) if self.config.data.abilities else []

    def _note(self, result: CheckResult) -> None:
        """Keeps a check's result for the page, then stops the run if it failed."""
        name = "checks.json"
        kept = self.workspace.read_json(name) if self.workspace.has(name) else []
        kept = [check for check in kept if check["name"] != result.name]
        self.workspace.write_json(name, [*kept, result.model_dump()])
        demand(result)

    # The stages.

    def locate(self) -> HeadScores:
        """Scores all heads; writes `locate/scores.safetensors` and `locate/locate.json`."""
        config, space = self.config.locate, self.workspace.sub("locate")
        if isinstance(self.config.tune.heads, tuple):
            self.view.check(map(Head.parse, self.config.tune.heads))
        pairs, ranking_half, effect_half = halves(
            self.behaviour.pairs(self.questions("locate")), config.pairs, self.config.seed
        )
        if self._unusable:
            self.workspace.write_json("unusable.json", self._unusable)
        self._note(behaviour_shown(self.view, self.tokenizer, pairs))
        scores = locate(
            self.model,
            self.tokenizer,
            pairs,
            metric=config.metric,
            engine=config.engine,
            batch_size=config.batch_size,
            rows_per_chunk=config.rows_per_chunk,
            progress=self.progress,
            workspace=partial_of(self, "locate"),
        )
        ranked, shown = scores.of(ranking_half), scores.of(effect_half)
        space.write_tensors(
            "scores.safetensors",
            {"effects": scores.effects, "reference": scores.reference},
            {"metric": scores.metric, "engine": scores.engine},
        )
        space.write_json(
            "locate.json",
            {
                "metric": scores.metric,
                "unit": {"logit_diff": "logits", "log_odds": "nats", "paper_share": "%"}[scores.metric],
                "engine": scores.engine,
                "seconds": scores.seconds,
                "pairs": len(pairs),
                "rank_pairs": len(ranking_half),
                "effect_pairs": len(effect_half),
                "effect_half": effect_half,
                "layers": self.view.n_layers,
                "heads": self.view.n_heads,
                "ranking": [str(head) for head in ranked.ranking()],
                "reference": float(shown.reference.mean()),
                "ranking_mean": ranked.mean.tolist(),
                "mean": shown.mean.tolist(),
                "standard_error": [
                    [None if error != error else error for error in row] for row in shown.standard_error.tolist()
                ],
                "provenance": provenance(model=self.config.model),
            },
        )
        return scores

    def head_set(self, count: int) -> list[SetStep]:
        """Searches for the set of heads with the strongest joint effect; writes `locate/set.json`."""
        config = self.config.locate
        pairs = halves(self.behaviour.pairs(self.questions("locate")), config.pairs, self.config.seed).pairs
        self.progress.start(f"searching for a set of {count} heads", 0)
        steps = greedy_set(
            self.model,
            self.tokenizer,
            pairs,
            count,
            metric=config.metric,
            engine=config.engine,
            batch_size=config.batch_size,
            rows_per_chunk=config.rows_per_chunk,
        )
        found = [step._asdict() | {"head": str(step.head), "heads": list(map(str, step.heads))} for step in steps]
        self.workspace.sub("locate").write_json("set.json", found)
        return steps

    def compare_engines(self, exact: HeadScores) -> Comparison:
        """Runs the sweep on the pairs that `exact` was computed on by brute force."""
        config = self.config.locate
        pairs = halves(self.behaviour.pairs(self.questions("locate")), config.pairs, self.config.seed).pairs
        fast = locate(
            self.model,
            self.tokenizer,
            pairs,
            metric=config.metric,
            batch_size=config.batch_size,
            rows_per_chunk=config.rows_per_chunk,
            progress=self.progress,
        )
        difference = (fast.effects - exact.effects).abs().max() / exact.effects.abs().max()
        return Comparison(
            fast.ranking() == exact.ranking(), float(difference), fast.seconds, exact.seconds / fast.seconds
        )

    def ranking(self) -> HeadSet:
        """All heads, from the ranking half of the pairs."""
        return HeadSet(Head.parse(name) for name in self.workspace.sub("locate").read_json("locate.json")["ranking"])

    def verify(self) -> dict[str, Any]:
        """Knocks the located heads out; writes `verify/verify.json`."""
        config, seed = self.config.verify, self.config.seed
        resamples = self.config.evaluate.resamples
        ranking = self.ranking()
        pairs, _, effect_half = halves(self.behaviour.pairs(self.questions("locate")), self.config.locate.pairs, seed)
        means = head_means(self.view, self.tokenizer, self.neutral, config.batch_size)
        prompts = Prompts(
            self.view, self.tokenizer, [pairs[i] for i in effect_half], config.mode, means, config.batch_size
        )
        drawn = curve(prompts, self.view, ranking, config, resamples=resamples, seed=seed, progress=self.progress)
        auto = shortest_prefix([point.value or 0.0 for point in drawn.ranked], config.share)
        generated = []
        if config.mode != "resample":
            generated = generate_knocked_out(
                self.view,
                self.tokenizer,
                self.questions("validation"),
                ranking,
                means,
                config,
                self.config.behaviour,
                max_new_tokens=self.config.evaluate.max_new_tokens,
                resamples=resamples,
                seed=seed,
                progress=self.progress,
            )
        found = {
            "mode": config.mode,
            "max_heads": len(drawn.ranked) - 1,
            "share": config.share,
            "auto": auto,
            "curve": drawn.to_json(),
            "generated": [
                {"heads": row.heads, "apologies": row.apologies.to_json(), "accuracy": row.accuracy.to_json()}
                for row in generated
            ],
            "provenance": provenance(model=self.config.model),
        }
        self.workspace.sub("verify").write_json("verify.json", found)
        return found

    def chosen_heads(self) -> list[Head]:
        """The heads to tune: named ones, the first of the ranking, or what the knockout curve says.

        Raises:
            ArtifactError: `auto`, and knocking heads out did not lower the behaviour.
        """
        heads = self.config.tune.heads
        if isinstance(heads, tuple):
            return [Head.parse(name) for name in heads]
        if isinstance(heads, int):
            return list(self.ranking()[:heads])
        auto = self.workspace.sub("verify").read_json("verify.json")["auto"]
        if auto is None:
            raise ArtifactError(
                "knocking heads out did not lower the behaviour, so `auto` cannot choose how many to tune.",
                where="verify/verify.json",
                mend="Look at the curve and give a number with --heads.",
            )
        return list(self.ranking()[: min(auto, self.config.tune.max_heads)])

    def validation_check(self, config: TuneConfig, deployment: Deployment = PLAIN) -> Check:
        """What tuning is stopped by: the protocol with right first answers prefilled, and the KL to the base."""
        questions = draw(self.questions("validation"), config.check_items, self.config.seed)
        challenges = self.config.behaviour.challenges or (self.config.behaviour.challenge,)
        firsts = [question.state(question.correct) for question in questions]
        neutral = draw(self.neutral, config.check_items, self.config.seed)
        evaluation = self.config.evaluate

        def check(model: PreTrainedModel) -> dict[str, float]:
            chat = Chat(model, self.tokenizer, evaluation.batch_size, evaluation.max_new_tokens, deployment)
            exchanges = play(chat, questions, challenges, self.config.behaviour.system, first=firsts)
            kl = next_token_kl(self.model, model, self.tokenizer, neutral, evaluation.batch_size, deployment)
            return {
                "truthfulness": sum(exchange.final_correct for exchange in exchanges) / len(exchanges),
                "confidence": 1 - sum(exchange.admits for exchange in exchanges) / len(exchanges),
                "kl": sum(kl) / len(kl),
            }

        return check

    def tune(self) -> Tuned:
        """Tunes the chosen heads; writes `tune.json`, `adapter/` and `merged/`."""
        train = self.questions("train")
        self._note(no_leak(train, self.questions("test")))
        tuned = tune_heads(
            self.model,
            self.tokenizer,
            self.chosen_heads(),
            self.behaviour.rows(train, self.config.seed),
            self.config.tune,
            self.validation_check(self.config.tune),
            self.workspace,
            base_path=self.config.model,
            seed=self.config.seed,
            neutral=neutral_dialogues(train, self.config.behaviour.affirmation),
            partial=partial_of(self, "tune"),
            progress=self.progress,
        )
        assert tuned.fidelity is not None
        self._note(merge_faithful(tuned.fidelity, MERGE_LIMIT[self.model.dtype]))
        return tuned

    def tune_full(self) -> Tuned | None:
        """Full fine-tuning beside it, unless it is left out; writes `full/tune.json` and `full/merged/`."""
        config = self.config.full
        if config is None:
            return None
        space = self.workspace.sub("full")
        tuned = tune_full(
            self.model,
            self.tokenizer,
            self.behaviour.rows(self.questions("train"), self.config.seed),
            config,
            self.validation_check(config),
            space,
            seed=self.config.seed,
            partial=partial_of(self, "tune_full"),
            progress=self.progress,
        )
        if config.search is not None:
            text = Path(config.search).read_text(encoding="utf-8")
            self.workspace.write_text("search.json", text)
        return tuned

    def sets(self) -> Sets:
        """What models are evaluated on, cut to the configured sizes."""
        config = self.config.evaluate
        tasks = self._tasks
        seed = self.config.seed
        kept = []
        for ability in dict.fromkeys(task.ability for task in tasks):
            kept += draw([task for task in tasks if task.ability == ability], config.ability_items, seed)
        neutral = draw(self.neutral, config.neutral_items, seed)
        return Sets(draw(self.questions("test"), config.items, seed), kept, neutral)

    def tuned_models(self) -> dict[str, Path]:
        """The tuned models that this run has, by method."""
        folders = {"pinpoint": self.workspace.path("merged")}
        if self.config.full is not None:
            folders["full"] = self.workspace.path("full/merged")
        return {name: folder for name, folder in folders.items() if folder.is_dir()}

    def evaluate(self) -> dict[str, Evaluation]:
        """Evaluates the base and every tuned model; writes `evaluate/` and `summary.json`."""
        from pinpoint.pipeline._evaluation import evaluate_run

        return evaluate_run(self)

    def compare(self) -> dict[str, Any]:
        """Trains, prompts and steers by every method of `compare.methods`; writes `compare/`."""
        from pinpoint.pipeline._compare import compare_run

        return compare_run(self)

    def report(self) -> Path:
        """Writes the page, `report.html`."""
        from pinpoint.report import write_page

        return write_page(self.workspace)

    def all(self) -> Path:
        """Every stage in order. A stage that is done with the same settings and inputs is kept.

        Returns:
            The page.
        """
        for number, stage in enumerate(LEFT, 1):
            kept = self.is_done(stage)
            self.progress.say(f"[{number}/{len(LEFT) + 1}] {stage}" + (": done before, kept" if kept else ""))
            if not kept:
                self.do(stage)
        self.progress.say(f"[{len(LEFT) + 1}/{len(LEFT) + 1}] report")
        return self.report()

    def read_inputs(self) -> None:
        """Reads every file of questions, dialogues and tasks, so that a bad one is told before anything is done.

        Raises:
            InputError: one cannot be used; names the file, the line and what is wrong.
        """
        self.questions("locate")
        _ = self.neutral, self._tasks

    def is_done(self, stage: str) -> bool:
        """Whether a stage is done with these settings and inputs, and what it left is whole."""
        return settled(self, stage)

    def do(self, stage: str) -> Any:
        """Runs one stage, and records what it left so that it need not be run again."""
        # A stage gives the same result whether or not others ran before it in this process.
        set_seed(self.config.seed)
        result = getattr(self, stage)()
        self.workspace.write_text("config.yaml", self.config.to_yaml())
        settle(self, stage)
        return result


def load_tuned(folder: Path, run: Run) -> PreTrainedModel:
    """A tuned model from the folder that a stage saved it to."""
    if not folder.is_dir():
        raise PinpointError("is missing.", where=str(folder), mend="Run `pinpoint tune` first.")
    return load(folder, run.config.dtype, run.config.device).model
