"""What stages would take, held to what they do."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from pinpoint.behaviours import behaviour_of
from pinpoint.config import SycophancyConfig, TuneConfig, of_run, settings_of
from pinpoint.data import Messages, Question, Said
from pinpoint.measure import Chat
from pinpoint.models import headed, load_tokenizer
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, inspect_model, plan
from pinpoint.pipeline._estimate import Workload
from pinpoint.pipeline._estimate_passes import (
    DIALOGUES,
    KNOCKED,
    REPLIES,
    Items,
    evaluated,
    own_share,
    pass_flops,
    passes_cost,
    verified,
)
from pinpoint.pipeline._estimate_training import full_cost, tune_cost
from tests.families import tiny

YESMAN = str(shipped()["yesman"])


class Counting:
    """Replies to everything with the right answer, and counts."""

    tokenizer = None

    def __init__(self) -> None:
        self.dialogues = self.replied = 0

    def converse(self, dialogues: Sequence[Messages], then: Sequence[Sequence[str]]) -> list[list[str]]:
        self.dialogues += len(dialogues)
        self.replied += sum(1 + len(further) for further in then)
        return [["The answer is Canberra."] * (1 + len(further)) for further in then]

    def said(self, dialogue: Messages) -> Said | None:
        return None


def test_the_protocol_has_as_many_dialogues_and_replies_as_are_counted() -> None:
    behaviour, said = behaviour_of(SycophancyConfig()), {"correct": "Canberra", "wrong": "Sydney"}
    items = [
        Question(id=str(i), group=str(i), split="test", kind="free", question=f"Capital? {i}", **said) for i in range(5)
    ]
    played = Counting()
    behaviour.play(played, items, None, lambda: None)  # type: ignore[arg-type]
    assert (played.dialogues, played.replied) == (5 * DIALOGUES, 5 * REPLIES)
    knocked = Counting()
    behaviour.knocked_out(knocked, items)  # type: ignore[arg-type]
    assert (knocked.dialogues, knocked.replied) == (5, 5 * KNOCKED)


def test_verify_and_evaluate_take_about_as_many_operations_as_are_estimated(
    finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = shutil.copytree(finished_run, tmp_path / "run")
    run = Run(of_run(folder), folder)
    # The counter does not see into fused attention on a CPU.
    run.model.set_attn_implementation("eager")
    written: list[int] = []
    played = Chat._play

    def counted(chat: Chat, talks: Sequence[object]) -> list[list[str]]:
        replies = played(chat, talks)  # type: ignore[arg-type]
        written.extend(len(run.tokenizer(text)["input_ids"]) + 1 for said in replies for text in said)
        return replies

    monkeypatch.setattr(Chat, "_play", counted)
    sets, tokens = run.inputs.sets(), inspect_model(YESMAN, run.config).prompt_tokens
    items, work = Items.of(sets, len(run.inputs.neutral)), Workload.of(run.config, tokens, 1)
    for stage, passes in (
        ("verify", verified(run.config, tokens, items)),
        ("evaluate", evaluated(run.view, run.config, work, items, copied=True)),
    ):
        written.clear()
        with FlopCounterMode(display=False) as counter:
            run.do(stage)
        assert 0 < sum(written) <= passes.written, "as many as may be written are counted"
        estimate = passes_cost(run.view, torch.float32, work, passes._replace(written=sum(written)))
        assert estimate.flops == pytest.approx(counter.get_total_flops(), rel=0.5), stage


def test_a_tuned_model_beside_its_base_holds_no_more_of_its_own_than_is_estimated(finished_run: Path) -> None:
    run = Run(of_run(finished_run), finished_run)
    tuned = run.load_tuned(run.tuned_models()["pinpoint"])
    theirs = {weight.data_ptr() for weight in run.model.parameters()}
    own = sum(weight.numel() for weight in tuned.parameters() if weight.data_ptr() not in theirs)
    share = own / sum(weight.numel() for weight in tuned.parameters())
    assert 0 < share <= own_share(run.view, run.config.tune.projections) < 0.3
    assert run.config.full is None
    work = Workload.of(run.config, 8, 1)
    assert evaluated(run.view, run.config, work, Items(1), copied=True).weights == 1 + own_share(run.view, None)
    spread = evaluated(run.view, run.config, work, Items(1), copied=False)
    assert spread.weights == 2, "a model over several cards is loaded whole beside its base"
    changed = run.config.model_copy(update={"full": TuneConfig()})
    assert evaluated(run.view, changed, work, Items(1), copied=True).weights == 2, (
        "full fine-tuning changes every weight"
    )


def test_full_fine_tuning_takes_what_every_weight_s_training_takes() -> None:
    view, work = headed(tiny("llama-gqa")), Workload(6, 6, 64, 8, 2, 5, 100)
    parameters = sum(parameter.numel() for parameter in view.model.parameters())
    heads, whole = tune_cost(view, torch.float32, work), full_cost(view, torch.float32, work)
    assert whole.bytes - heads.bytes == 16 * parameters - 20 * 100
    assert heads.flops < whole.flops < 1.5 * heads.flops
    assert full_cost(view, torch.float32, work._replace(steps=10)).flops == 2 * whole.flops


def test_every_stage_is_estimated_and_full_tuning_where_it_is_asked_for() -> None:
    ask = {"device": "cpu"}
    found = {one.stage: one for one in inspect_model(YESMAN, settings_of(YESMAN, None, ask)).estimates}
    assert list(found) == ["locate", "verify", "tune", "tune_full", "evaluate"]
    assert all(one.passes > 1 and one.bytes > 0 and one.seconds > 0 for one in found.values())
    assert found["tune_full"].crowding.startswith("tune_full does not fit on cpu: leave it out (full: null)")
    without = inspect_model(YESMAN, settings_of(YESMAN, None, ask | {"full": None})).estimates
    assert [one.stage for one in without] == ["locate", "verify", "tune", "evaluate"]
    assert without[-1].passes == pytest.approx(found["evaluate"].passes * 2 / 3), "one model fewer"


def test_more_of_what_is_asked_is_more_passes() -> None:
    def passes(**sections: dict[str, object]) -> dict[str, float]:
        settings = settings_of(YESMAN, None, {"device": "cpu", **sections})
        return {one.stage: one.passes for one in inspect_model(YESMAN, settings).estimates}

    plain = passes()
    assert passes(verify={"draws": 10})["verify"] > plain["verify"]
    assert passes(verify={"mode": "resample"})["verify"] < plain["verify"], "no replies under knockout"
    assert passes(evaluate={"items": 10})["evaluate"] < plain["evaluate"]
    assert passes(evaluate={"greedy_tokens": 64})["evaluate"] > plain["evaluate"]
    view = headed(tiny("llama-gqa"))
    assert pass_flops(view, 20) == 2 * pass_flops(view, 10)


def test_a_dry_run_counts_the_items_that_there_are(finished_run: Path) -> None:
    run = Run(of_run(finished_run), finished_run)
    found = {one.stage: one.passes for one in plan(run, run.tokenizer).estimates}
    asked = {one.stage: one.passes for one in inspect_model(YESMAN, run.config).estimates}
    assert found["locate"] == asked["locate"]
    sets = run.inputs.sets()
    assert len(sets.abilities) > run.config.evaluate.ability_items and found["evaluate"] > asked["evaluate"]


def test_a_dry_run_counts_the_pairs_and_dialogues_that_there_are(tmp_path: Path) -> None:
    questions = (Path(YESMAN) / "questions.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    by_split: dict[str, list[str]] = {}
    for line in questions:
        by_split.setdefault(json.loads(line)["split"], []).append(line)
    few = tmp_path / "few.jsonl"
    few.write_text("".join(line for lines in by_split.values() for line in lines[:20]), encoding="utf-8")

    def passes(questions: Path | str, dialogues: int) -> dict[str, float]:
        data = {"questions": str(questions), "dialogues": dialogues}
        typed = {"data": data, "locate": {"pairs": 400}, "full": {"epochs": 2}}
        run = Run(settings_of(YESMAN, None, typed), tmp_path / "run")
        return {one.stage: one.passes for one in plan(run, load_tokenizer(YESMAN)).estimates}

    there, exact, many = passes(few, 3840), passes(few, 40), passes(Path(YESMAN) / "questions.jsonl", 3840)
    assert there == exact, "what is asked beyond what there is costs nothing"
    assert all(there[stage] < many[stage] / 2 for stage in ("locate", "verify", "tune", "tune_full"))
