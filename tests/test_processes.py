"""Two processes of one command give what one gives, and neither waits for one that is gone."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from typer.testing import CliRunner

from pinpoint import processes
from pinpoint.cli import app
from pinpoint.errors import ConfigError
from pinpoint.processes import Processes, join, launched, tell_once
from tests.conftest import ROOT
from tests.together import located, scored, tuned

SETTINGS = """\
behaviour: {unwanted: auto, wanted: auto}
locate: {pairs: 24, batch_size: 4}
verify: {max_heads: 2, draws: 1, generate_at: [0], generate_items: 4}
tune: {heads: 2, epochs: 0.3, check_every: 2, check_items: 4, batch_size: 16, anchor: 0.1}
full: null
evaluate: {items: 8, ability_items: 2, neutral_items: 4, batch_size: 8, resamples: 100}
"""
BEYOND = ("--joint", "L0.H2,L0.H3", "--receivers", "L2.H1,L3.H5", "--through", "q")
TOGETHER = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2")
SPLIT = (
    *("-m", "accelerate.commands.launch", "--use_fsdp", "--fsdp_version", "2", "--num_processes", "2"),
    *("--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"),
    *("--fsdp_auto_wrap_policy", "TRANSFORMER_BASED_WRAP"),
)

pytestmark = pytest.mark.timeout(900)


def start(*arguments: str, together: bool = True) -> subprocess.Popen[str]:
    command = [sys.executable, *(TOGETHER if together else ()), "-m", "pinpoint", *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def done(*arguments: str, together: bool = True) -> str:
    process = start(*arguments, together=together)
    out, told = process.communicate(timeout=240)
    assert process.returncode == 0, told
    return out


def ours(told: str) -> list[str]:
    return [line for line in told.splitlines() if line.startswith("error: ")]


def tracebacks(told: str) -> list[str]:
    """What was shown of the code, but for the launcher's own: it ends so wherever a process failed."""
    return [part for part in told.split("Traceback (most recent call last)")[1:] if "ChildFailedError" not in part]


def scores(folder: Path) -> dict[str, object]:
    return {name: value for name, value in load_file(str(folder / "locate" / "scores.safetensors")).items()}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("settings") / "settings.yaml"
    path.write_text(SETTINGS)
    return path


@pytest.fixture(scope="module")
def alone(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one process, located and tuned."""
    folder = tmp_path_factory.mktemp("alone") / "run"
    done("locate", "yesman", "--config", str(settings), "--out", str(folder), *BEYOND, together=False)
    done("tune", str(folder), together=False)
    return folder


@pytest.fixture(scope="module")
def shared(settings: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same of two, and what they printed."""
    folder = tmp_path_factory.mktemp("shared") / "run"
    out = done("locate", "yesman", "--config", str(settings), "--out", str(folder), *BEYOND, "--json")
    done("tune", str(folder))
    return folder, out


def test_a_process_is_alone_without_a_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert launched() == 1
    assert join() == Processes(0, 1) and join().first
    told: list[str] = []
    tell_once("what went wrong", told.append)
    assert told == ["what went wrong"]
    assert Processes().from_first({"heads": [1]}) == {"heads": [1]}


def test_what_does_not_come_out_even_is_refused() -> None:
    assert Processes(1, 4).share_of(32, "batch_size") == 8
    with pytest.raises(
        ConfigError, match=r"batch_size: 32 cannot be dealt evenly to 3 processes. Give a multiple of 3"
    ):
        Processes(0, 3).share_of(32, "batch_size")


def test_a_command_for_one_process_refuses_several(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    result = CliRunner().invoke(app, ["config", "yesman"])
    assert isinstance(result.exception, ConfigError)
    assert "pinpoint config: runs in one process, and 2 were started. Start it without torchrun" in str(
        result.exception
    )


FSDP = {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "RANK": "0", "WORLD_SIZE": "2"}


@pytest.mark.parametrize(
    ("settings", "cards", "told"),
    [
        (
            {"ACCELERATE_USE_DEEPSPEED": "true"},
            True,
            r"_DEEPSPEED\): DeepSpeed is not supported: .* Launch with",
        ),
        (FSDP | {"FSDP_VERSION": "1"}, True, r"_FSDP\): version 1 of FSDP is not supported\. Set --fsdp_version 2"),
        (FSDP, False, r"_FSDP\): without CUDA devices, accelerate leaves FSDP out and does not say so\. Launch with"),
        (FSDP | {"WORLD_SIZE": "1"}, True, r"_FSDP\): FSDP splits a model over processes, and one was started\. Start"),
        (
            FSDP | {"ACCELERATE_MIXED_PRECISION": "bf16"},
            True,
            r"\(ACCELERATE_MIXED_PRECISION\): 'bf16' is not supported with FSDP\. Set it to 'no', or launch",
        ),
        (FSDP | {"FSDP_OFFLOAD_PARAMS": "true"}, True, r"\(FSDP_OFFLOAD_PARAMS\): 'true' is not .* Set it to 'false'"),
    ],
)
def test_a_launcher_that_splits_a_model_in_another_way_than_fsdp2_on_cards_is_refused(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], cards: bool, told: str
) -> None:
    monkeypatch.setattr(processes, "_has_cards", lambda: cards)
    for variable, value in settings.items():
        monkeypatch.setenv(variable, value)
    result = CliRunner().invoke(app, ["run", "yesman"])
    assert isinstance(result.exception, ConfigError)
    assert re.search(told, str(result.exception)), result.exception
    with pytest.raises(ConfigError):
        join()


def test_fsdp2_over_several_processes_on_cards_is_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not processes.splits()
    monkeypatch.setattr(processes, "_has_cards", lambda: True)
    for variable, value in FSDP.items():
        monkeypatch.setenv(variable, value)
    assert processes.splits()


@pytest.mark.slow
def test_two_processes_give_the_scores_of_one_and_one_document(alone: Path, shared: tuple[Path, str]) -> None:
    folder, out = shared
    one, two = scores(alone), scores(folder)
    assert all(float((one[name] - two[name]).abs().max()) <= 1e-6 for name in one)
    told, found = json.loads((alone / "locate" / "locate.json").read_text()), json.loads(out)
    assert found["ranking"] == told["ranking"]
    ours, theirs = (torch.tensor(one["contrasts"]["maps"]["neutral"]["effects"]["mean"]) for one in (told, found))
    assert float((ours - theirs).abs().max()) <= 1e-6
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.iterdir())


@pytest.mark.slow
def test_what_is_asked_beyond_the_scores_the_first_of_two_processes_finds_alone(
    alone: Path, shared: tuple[Path, str]
) -> None:
    one, two = (
        [json.loads((folder / "locate" / f"{name}.json").read_text()) for name in ("joint", "paths")]
        for folder in (alone, shared[0])
    )
    assert one == two and one[0]["effect"] != 0


@pytest.mark.slow
def test_two_processes_tune_as_one_does(alone: Path, shared: tuple[Path, str]) -> None:
    one, two = (json.loads((folder / "tune.json").read_text()) for folder in (alone, shared[0]))
    assert [row["step"] for row in one["history"]] == [row["step"] for row in two["history"]]
    assert two["losses"] == pytest.approx(one["losses"], rel=1e-3)
    left, right = (load_file(str(folder / "adapter" / "adapter_model.safetensors")) for folder in (alone, shared[0]))
    for name, weight in left.items():
        # AdamW's first steps are of one size whatever the gradient's: where that is near 0, rounding decides its sign.
        assert float((weight - right[name]).norm()) <= 2e-2 * float(weight.norm()), name


@pytest.mark.slow
def test_two_processes_that_split_what_is_tuned_give_the_scores_and_the_adapter_of_one(
    settings: Path, alone: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    for command in (("locate", "yesman", "--config", str(settings), "--out", str(folder)), ("tune", str(folder))):
        launched = [sys.executable, *SPLIT, "-m", "tests.split", "pinpoint", *command]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
        done = subprocess.run(launched, capture_output=True, text=True, timeout=240, env=environment, cwd=ROOT)
        assert done.returncode == 0, done.stderr
    one, two = scores(alone), scores(folder)
    assert all(float((one[name] - two[name]).abs().max()) <= 1e-6 for name in one)
    left, right = (load_file(str(path / "adapter" / "adapter_model.safetensors")) for path in (alone, folder))
    for name, weight in left.items():
        assert float((weight - right[name]).norm()) <= 2e-2 * float(weight.norm()), name
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in alone.iterdir())


# Either process of either stage: all four in `make torture`; in the suite the first, which writes, while it tunes.
KILLED = [("tune", 0), *([("locate", 0), ("locate", 1), ("tune", 1)] if "TORTURE_KILLS" in os.environ else [])]


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "rank"), KILLED)
def test_a_process_that_is_killed_stops_the_other_and_nothing_is_lost(
    stage: str, rank: int, settings: Path, alone: Path, shared: tuple[Path, str], tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    locate = ("locate", "yesman", "--config", str(settings), "--out", str(folder))
    if stage == "tune":
        done(*locate, together=False)
    command = locate if stage == "locate" else ("tune", str(folder))
    stopped_by_a_kill(command, rank, folder, BEGUN[stage])
    done(*command)
    one, two = scores(alone), scores(folder)
    assert all(float((one[name] - two[name]).abs().max()) <= 1e-6 for name in one)
    if stage == "tune":
        there, here = (load_file(str(path / "adapter" / "adapter_model.safetensors")) for path in (shared[0], folder))
        assert all(float((there[name] - here[name]).abs().max()) <= 1e-6 for name in there)


BEGUN = {"locate": "locate-*/*.safetensors", "tune": "tune-*/trainer/checkpoint-*/trainer_state.json"}
"""What lies among the partial results once a stage has begun."""


def stopped_by_a_kill(command: Sequence[str], rank: int, folder: Path, begun: str) -> None:
    """Kills one of two processes once `begun` is there: the other stops of itself, with one clear error."""
    process = start(*command)
    killed: list[int] = []

    def kill_when_begun() -> None:
        while process.poll() is None and not killed:
            if list((folder / "partial").glob(begun)):
                killed.append(process_of(process.pid, rank))
                os.kill(killed[0], signal.SIGKILL)
            time.sleep(0.01)

    watcher = threading.Thread(target=kill_when_begun)
    watcher.start()
    _, told = process.communicate(timeout=240)
    watcher.join()
    assert killed and process.returncode != 0, told
    assert ours(told) == [
        "error: another of the 2 processes of this command failed or was killed. What came before this tells why; the "
        "same command goes on from what is finished."
    ], told
    assert not tracebacks(told), told


def test_of_two_processes_that_locate_one_stops_when_the_other_is_killed(tmp_path: Path) -> None:
    settings = tmp_path / "settings.yaml"
    settings.write_text("locate: {pairs: 24, batch_size: 1, noise_pairs: 0}\n")
    command = ("locate", "yesman", "--config", str(settings), "--out", str(tmp_path / "run"))
    stopped_by_a_kill(command, 1, tmp_path / "run", BEGUN["locate"])


def test_a_traceback_is_seen_beside_the_launcher_s_own() -> None:
    head, own = "Traceback (most recent call last):\n  File x\n", "torch...ChildFailedError: pinpoint FAILED\n"
    assert not tracebacks(f"error: x\n{head}{own}")
    assert tracebacks(f"{head}KeyError: 1\nerror: x\n{head}{own}") and tracebacks(f"{head}{own}{head}KeyError: 1\n")


@pytest.mark.slow
def test_an_error_is_told_once(settings: Path, tmp_path: Path) -> None:
    process = start("locate", "yesman", "--config", str(settings), "--out", str(tmp_path), "--metric", "logits")
    _, told = process.communicate(timeout=120)
    assert process.returncode != 0
    assert len(ours(told)) == 1 and "locate.metric" in ours(told)[0], told


@pytest.mark.slow
def test_rows_that_come_out_uneven_are_trained_on_once_and_short_memory_is_each_process_s_own(tmp_path: Path) -> None:
    command = [sys.executable, *TOGETHER, "-m", "tests.together", str(tmp_path)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=240, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "trainer").glob("checkpoint-*"))) == 1
    trained, effects = tuned(None, tmp_path / "alone"), {"effects": located(None, None)} | scored(None)
    for rank in range(2):
        both = load_file(str(tmp_path / f"{rank}.safetensors"))
        assert both["losses"].shape == (6,)
        assert both["losses"].tolist() == pytest.approx(trained["losses"].tolist(), rel=1e-5)
        for name, expected in trained.items():
            # AdamW's first steps are of one size whatever the gradient's: rounding shows in them.
            assert float((both[name] - expected).norm()) <= 1e-3 * float(expected.norm()), name
        for name, expected in effects.items():
            # Two processes cut the batches smaller, and rounding adds up over the many passes of a knockout.
            limit = 4e-6 if name.startswith("knockout") else 1e-6
            assert float((both[name] - expected).abs().max()) <= limit * float(expected.abs().max()), name


def process_of(launcher: int, rank: int) -> int:
    """The process of a rank that a launcher started; the first, of rank 0, writes."""
    for name in Path("/proc").iterdir():
        if not name.name.isdigit():
            continue
        try:
            parent = int((name / "stat").read_text().rsplit(")", 1)[1].split()[1])
            environment = (name / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if parent == launcher and f"RANK={rank}".encode() in environment:
            return int(name.name)
    raise AssertionError(f"there is no process of rank {rank}")
