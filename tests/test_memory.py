"""Out of memory: half the batch, one line, the same results, and work that is done stays done."""

import os
import subprocess
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint import cli, memory
from pinpoint.artifacts import Journal, Workspace
from pinpoint.data import ContrastPair, Dialogue, assistant, user
from pinpoint.errors import OutOfMemory, PinpointWarning
from pinpoint.heads import Head
from pinpoint.locate import _dealt
from pinpoint.measure import Chat, head_means, next_token_kl
from pinpoint.memory import (
    BatchSize,
    Gauge,
    _left_in_container,
    free,
    hand_back,
    out_of_memory,
    told_when_out_of_memory,
)
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.verify import Prompts
from tests.families import tiny
from tests.scarce import scarce

PAIRS = [ContrastPair([3, 4, 5 + i, 9, 8], [3, 4, 6 + i, 9], 5, 7, group=str(i)) for i in range(6)]
TALKS = [[user(f"Copy this list: {word} milk.")] for word in ("horse", "apple", "bread", "fish", "snow")]
NEUTRAL = [Dialogue(id=str(i), messages=[*talk, assistant("milk.")]) for i, talk in enumerate(TALKS)]


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    return pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu").model


def told(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    return [str(one.message) for one in caught]


@pytest.mark.parametrize("kind", ["cpu", "cuda", "mps"])
def test_each_backend_s_error_is_told_from_others(kind: str) -> None:
    with scarce(torch.nn.Identity(), 0, kind) as _, pytest.raises(RuntimeError) as caught:
        module = torch.nn.Identity()
        with scarce(module, 0, kind):
            module(torch.zeros(1))
    assert out_of_memory(caught.value)
    assert out_of_memory(MemoryError())
    assert not out_of_memory(RuntimeError("The size of tensor a (3) must match")) and not out_of_memory(ValueError("x"))


def test_a_batch_that_does_not_fit_is_halved_and_nothing_is_done_twice_or_left_out() -> None:
    done: list[int] = []

    def work(some: Sequence[int]) -> int:
        if len(some) > 3:
            raise MemoryError
        done.extend(some)
        return sum(some)

    size = BatchSize(8, "x.batch_size")
    with pytest.warns(PinpointWarning) as caught:
        found = [(list(some), result) for some, result in size.over(range(9), work)]
    assert done == list(range(9))
    assert [len(some) for some, _ in found] == [2, 2, 2, 2, 1] and sum(result for _, result in found) == 36
    assert told(caught) == [
        "memory ran out with 8 at once (x.batch_size); going on with 4.",
        "memory ran out with 4 at once (x.batch_size); going on with 2.",
    ]
    assert (size.asked, size.now) == (8, 2)


class Card:
    """Stands in for a GPU: its tensors hold so many bytes an item of a batch, and there is so much memory."""

    def __init__(self, size: int, an_item: int, monkeypatch: pytest.MonkeyPatch) -> None:
        self.size, self.an_item, self.most, self.batches = size, an_item, 0, list[int]()
        monkeypatch.setattr(memory, "gauges", self.gauges)

    def gauges(self, *, anew: bool = False) -> list[Gauge]:
        self.most = 0 if anew else self.most
        return [Gauge(held=100, most=100 + self.most, left=self.size)]

    def work(self, some: Sequence[int]) -> list[int]:
        if len(some) * self.an_item > self.size:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        self.most = len(some) * self.an_item
        self.batches.append(len(some))
        return list(some)


def test_a_batch_grows_while_the_card_has_room_for_twice_as_much_and_to_four_times_at_the_most(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    card, size = Card(1 << 20, 1, monkeypatch), BatchSize(4)
    done = [item for _, items in size.over(range(50), card.work) for item in items]
    assert done == list(range(50)) and card.batches == [4, 8, 16, 16, 6]
    assert size.now == 4, "other work with the same size begins with what was asked for"
    # Half of 40 bytes takes 10 items: 8, but not 16.
    card = Card(40, 2, monkeypatch)
    assert len(list(BatchSize(4).over(range(30), card.work))) == 5 and card.batches == [4, 8, 8, 8, 2]
    # What an item counts for is what the memory is divided by.
    card = Card(40, 2, monkeypatch)
    list(BatchSize(8).over(range(14), card.work, weigh=lambda item: 2))
    assert card.batches == [4, 8, 2]
    # Two items of weight 3 took 10 bytes: 16 at once would take 27, more than half of 52.
    card = Card(52, 5, monkeypatch)
    list(BatchSize(8).over(range(6), card.work, weigh=lambda item: 3))
    assert card.batches == [2, 2, 2]


def test_after_memory_has_run_out_nothing_grows_back(monkeypatch: pytest.MonkeyPatch) -> None:
    card, size = Card(6, 1, monkeypatch), BatchSize(4, "x.batch_size")
    # What was measured was wrong: fragments, or another process.
    monkeypatch.setattr(memory, "gauges", lambda *, anew=False: [Gauge(100, 100, 1 << 20)])
    with pytest.warns(PinpointWarning) as caught:
        done = [item for _, items in size.over(range(18), card.work) for item in items]
    assert told(caught) == ["memory ran out with 8 at once (x.batch_size); going on with 4."]
    assert done == list(range(18)) and card.batches == [4, 4, 4, 4, 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        list(size.over(range(8), card.work))


def test_a_chat_that_goes_on_meets_the_batches_that_were_kept_whatever_memory_is_left(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "whole"
    monkeypatch.setattr(memory, "gauges", lambda *, anew=False: [Gauge(100, 100, 1 << 20)])
    whole = Chat(model, tokenizer, 1, 4, journal=Journal(path)).replies(TALKS)
    lines = path.read_bytes().splitlines(keepends=True)
    batches = [line for line in lines if b"after " not in line]
    assert len(batches) == 3 and len(lines) == 5, "one, two and the last two, and what came after the first two"
    # Stopped after the second batch, and gone on with where nothing may grow.
    for kept in (4, 3):
        monkeypatch.setattr(memory, "gauges", lambda *, anew=False: [])
        again = tmp_path / f"again-{kept}"
        again.write_bytes(b"".join(lines[:kept]))
        with scarce(model.get_input_embeddings(), 1 << 30) as seen:
            assert Chat(model, tokenizer, 1, 4, journal=Journal(again)).replies(TALKS) == whole
        assert set(seen.rows) == {2} and set(batches) <= set(again.read_bytes().splitlines(keepends=True))


def test_a_knockout_curve_makes_its_batches_once_while_they_grow(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama-gqa")
    view = headed(model)
    means = torch.rand(view.n_layers, view.n_heads, view.head_dim)
    expected = Prompts(view, None, PAIRS, "resample", means, 6).log_odds([Head(0, 0)])
    monkeypatch.setattr(memory, "gauges", lambda *, anew=False: [Gauge(100, 100, 1 << 20)])
    prompts = Prompts(view, None, PAIRS, "resample", means, 1)
    first = prompts.log_odds([Head(0, 0)])
    with scarce(model.get_input_embeddings(), 1 << 30) as seen:
        assert prompts.log_odds([Head(0, 0)]) == first
    assert seen.rows == [1, 2, 3], "no pass for what resampled heads take"
    assert first == pytest.approx(expected, abs=1e-4)


def test_other_errors_pass_through_and_one_item_too_many_says_what_to_do() -> None:
    with pytest.raises(ValueError, match="mine"):
        list(BatchSize(4).over([1, 2], lambda some: (_ for _ in ()).throw(ValueError("mine"))))

    def never(some: Sequence[int]) -> None:
        raise MemoryError

    with (
        pytest.warns(PinpointWarning),
        pytest.raises(OutOfMemory, match=r"ran out with x\.batch_size at 1\. Use a dev"),
    ):
        list(BatchSize(2, "x.batch_size").over([1, 2], never))
    assert OutOfMemory("").exit_code == 1


@pytest.mark.parametrize(("method", "kind"), [("path", "cpu"), ("attribution", "cuda"), ("probe", "mps")])
def test_locating_goes_on_with_fewer_pairs_and_scores_the_same(method: str, kind: str, tmp_path: Path) -> None:
    model = tiny("llama-gqa")
    ask: dict[str, Any] = {"method": method, "batch_size": 6}
    whole = pinpoint.locate(model, None, PAIRS, **ask)
    space = Workspace(tmp_path)
    with scarce(model.get_input_embeddings(), 5, kind) as seen, pytest.warns(PinpointWarning) as caught:
        short = pinpoint.locate(model, None, PAIRS, workspace=space, **ask)
    assert seen.refused >= 1
    assert told(caught)[0].startswith("memory ran out with 6 at once (locate.batch_size); going on with 3.")
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)
    if method == "probe":
        return
    # What was kept needs no memory any more.
    with scarce(model.get_input_embeddings(), 0), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        again = pinpoint.locate(model, None, PAIRS, workspace=space, **ask)
    assert torch.equal(again.effects, short.effects)


def test_the_rows_of_a_block_s_call_get_fewer_as_the_pairs_do() -> None:
    model = tiny("llama-gqa")
    whole = pinpoint.locate(model, None, PAIRS, batch_size=4)
    with scarce(model.model.layers[-1].mlp, 40), pytest.warns(PinpointWarning):
        short = pinpoint.locate(model, None, PAIRS, batch_size=4, rows_per_chunk=80)
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)


def test_rows_are_as_many_as_half_of_the_free_memory_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny("llama-gqa")
    with scarce(model.model.layers[-1].mlp, 1 << 30) as seen:
        whole = pinpoint.locate(model, None, PAIRS)
    # 6 pairs with the references' row and one of each of 18 heads, 48 wide; a block holds 6 x 48 + 5 x 80 for a row.
    flying, a_row = 6 * 19 * 48 * 4, (6 * 48 + 5 * 80) * 4
    assert max(seen.rows) == 6 * 19, "there is room enough for these"
    monkeypatch.setattr(_dealt, "free", lambda _device: 2 * (flying + 50 * a_row))
    with scarce(model.model.layers[-1].mlp, 1 << 30) as seen, warnings.catch_warnings():
        warnings.simplefilter("error")
        short = pinpoint.locate(model, None, PAIRS)
    assert max(seen.rows) == 6 * 7, "one layer of heads, since 50 rows do not take two, and the references"
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)
    monkeypatch.setattr(_dealt, "free", lambda _device: None)
    assert torch.equal(pinpoint.locate(model, None, PAIRS).effects, whole.effects)


def test_what_is_free_is_the_machine_s_or_what_a_container_leaves(tmp_path: Path) -> None:
    assert 0 < (free(torch.device("cpu")) or 0) <= psutil.virtual_memory().total
    assert free(torch.device("meta")) is None
    assert not list(_left_in_container(tmp_path)), "there is no container"
    for name, text in (("max", "max\n"), ("current", "700\n"), ("stat", "anon 400\ninactive_file 250\n")):
        (tmp_path / f"memory.{name}").write_text(text)
    assert not list(_left_in_container(tmp_path)), "a container without a limit"
    (tmp_path / "memory.max").write_text("1000\n")
    assert list(_left_in_container(tmp_path)) == [550]


def test_what_torch_keeps_to_hand_out_again_is_free_on_a_mac(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("recommended_max", 1000), ("driver_allocated", 900), ("current_allocated", 300)):
        monkeypatch.setattr(torch.mps, f"{name}_memory", lambda value=value: value)
    assert free(torch.device("mps")) == 700


def test_activation_patching_takes_fewer_heads_at_once() -> None:
    model = tiny("llama-gqa")
    whole = pinpoint.locate(model, None, PAIRS[:2], method="activation", batch_size=16)
    with scarce(model.model.layers[0].self_attn.o_proj, 6) as seen, pytest.warns(PinpointWarning) as caught:
        short = pinpoint.locate(model, None, PAIRS[:2], method="activation", batch_size=16)
    assert seen.refused == 2 and len(caught) == 2, "the second pair goes on with what fitted the first"
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)


def test_knockout_takes_fewer_heads_at_once() -> None:
    model = tiny("llama-gqa")
    asked = {"method": "knockout", "means": torch.full((3, 6, headed(model).head_dim), 0.1)}
    whole = pinpoint.locate(model, None, PAIRS[:2], **asked)
    with scarce(model.model.layers[2].mlp, 4) as seen, pytest.warns(PinpointWarning) as caught:
        short = pinpoint.locate(model, None, PAIRS[:2], **asked)
    assert seen.refused == 1 and len(caught) == 1, "other layers and the second pair go on with what fitted the first"
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)


def test_one_pair_that_does_not_fit_is_one_error_and_leaves_no_hook() -> None:
    model = tiny("llama-gqa")
    whole = pinpoint.locate(model, None, PAIRS[:2])
    with scarce(model.model.layers[1].mlp, 0), pytest.warns(PinpointWarning), pytest.raises(OutOfMemory) as caught:
        pinpoint.locate(model, None, PAIRS[:2])
    assert "locate.batch_size at 1, locate.rows_per_chunk at 6." in str(caught.value)
    assert "pinpoint check" in str(caught.value)
    assert torch.equal(pinpoint.locate(model, None, PAIRS[:2]).effects, whole.effects)


def test_a_pair_of_more_answers_than_the_batch_size_goes_on_with_fewer_rows() -> None:
    model = tiny("llama-gqa")
    pairs = [ContrastPair([3, 4, 5 + i, 8], [3, 4, 6 + i], [[5, 6, 8], [9, 2]], [[5, 7]], group=str(i)) for i in (0, 1)]
    ask: dict[str, Any] = {"metric": "logprob_diff", "batch_size": 4}
    whole = pinpoint.locate(model, None, pairs, **ask)
    with scarce(model.model.layers[-1].mlp, 70), pytest.warns(PinpointWarning) as caught:
        short = pinpoint.locate(model, None, pairs, **ask)
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)
    # 7 tokens of answers, of each of 18 heads; the second pair goes on with what fitted the first.
    assert told(caught) == ["memory ran out with 126 at once (locate.rows_per_chunk); going on with 63."]
    with scarce(model.model.layers[-1].mlp, 20), pytest.warns(PinpointWarning), pytest.raises(OutOfMemory) as failed:
        pinpoint.locate(model, None, pairs, **ask)
    assert str(failed.value).startswith(
        "memory ran out on a single pair, locate.batch_size at 4, locate.rows_per_chunk at 42. Use a device"
    )


def test_paths_to_receivers_take_fewer_senders_at_once() -> None:
    model = tiny("llama-gqa")
    ask: dict[str, Any] = {"receivers": [Head(2, 1)], "through": "q", "batch_size": 16}
    whole = pinpoint.locate_paths(model, None, PAIRS[:2], **ask)
    with scarce(model.model.layers[0].self_attn.o_proj, 8) as seen, pytest.warns(PinpointWarning) as caught:
        short = pinpoint.locate_paths(model, None, PAIRS[:2], **ask)
    assert seen.refused == 1 and told(caught)[0].startswith("memory ran out with 7 at once (locate.batch_size)")
    assert torch.allclose(short.effects, whole.effects, atol=1e-5)


def test_a_search_for_a_set_remembers_what_fits() -> None:
    model = tiny("llama-gqa")
    whole = pinpoint.greedy_set(model, None, PAIRS, 3)
    with scarce(model.get_input_embeddings(), 5) as seen, pytest.warns(PinpointWarning) as caught:
        short = pinpoint.greedy_set(model, None, PAIRS, 3)
    assert [step.heads for step in short] == [step.heads for step in whole] and len(whole) > 1
    assert seen.refused == len(caught)
    assert told(caught)[0].startswith("memory ran out with 6 at once") and len(caught) <= 2


@pytest.mark.parametrize("mode", ["mean", "resample"])
def test_the_knockout_curve_is_the_same_where_memory_runs_out_in_the_middle(mode: str) -> None:
    model = tiny("llama-gqa")
    view, heads = headed(model), [Head(0, 0), Head(2, 1)]
    means = torch.rand(view.n_layers, view.n_heads, view.head_dim)
    whole = Prompts(view, None, PAIRS, mode, means, 4)
    expected = [whole.log_odds(heads[:count]) for count in range(3)]
    prompts = Prompts(view, None, PAIRS, mode, means, 4)
    found = [prompts.log_odds([])]
    with scarce(model.get_input_embeddings(), 2), pytest.warns(PinpointWarning, match=r"verify\.batch_size"):
        found += [prompts.log_odds(heads[:count]) for count in (1, 2)]
    assert found == [pytest.approx(values, abs=1e-4) for values in expected]


def test_replies_divergence_and_means_are_the_same(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    view = headed(model)
    other = tiny("llama-gqa", vocab_size=len(tokenizer))
    replies = Chat(model, tokenizer, 4, 8).replies(TALKS)
    divergence = next_token_kl(model, other, tokenizer, NEUTRAL, 4)
    means = head_means(view, tokenizer, NEUTRAL, 4)
    with scarce(model.get_input_embeddings(), 2), pytest.warns(PinpointWarning) as caught:
        assert Chat(model, tokenizer, 4, 8, journal=Journal(tmp_path / "j")).replies(TALKS) == replies
        assert next_token_kl(model, other, tokenizer, NEUTRAL, 4) == pytest.approx(divergence, rel=1e-4)
        assert torch.allclose(head_means(view, tokenizer, NEUTRAL, 4), means, atol=1e-5)
    assert len(caught) == 3
    with scarce(model.get_input_embeddings(), 0):
        # The replies of the halved batches were kept under what they are.
        assert Chat(model, tokenizer, 2, 8, journal=Journal(tmp_path / "j")).replies(TALKS) == replies


def test_anywhere_else_it_is_one_error_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = pytest.raises(OutOfMemory, match=r"^memory ran out loading\. Do this\. Use a device")
    with expected, told_when_out_of_memory("loading", "Do this."):
        torch.empty(1 << 60, dtype=torch.uint8)
    monkeypatch.setattr(cli, "app", lambda: torch.empty(1 << 60, dtype=torch.uint8))
    monkeypatch.setattr(sys, "argv", ["pinpoint"])
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 1
    assert capsys.readouterr().err.startswith("error: memory ran out. Use a device with more memory")


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone hands memory back on request")
def test_freed_memory_goes_back_to_the_system() -> None:
    def resident() -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024

    blocks = [torch.ones(16384) for _ in range(4000)]  # 250 MiB in pieces too small to be mapped one by one
    last, full = blocks[-1], resident()
    del blocks
    hand_back()
    assert full - resident() > 200
    assert float(last.sum()) == 16384


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone is told how to keep memory")
def test_large_tensors_go_back_as_they_are_freed() -> None:
    source = """
import contextlib, sys
from pathlib import Path
import numpy
from pinpoint.memory import handing_back

def resident():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("RssAnon")) // 1024

with handing_back() if sys.argv[1] == "back" else contextlib.nullcontext():
    numpy.ones(1 << 20).sum()  # freed: glibc keeps what is no larger from now on
    before = resident()
    blocks = [numpy.ones(1 << 17) for _ in range(200)]  # 200 MiB
    last = blocks[-1]
    del blocks
    print(resident() - before)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}

    def left(how: str) -> int:
        command = [sys.executable, "-c", source, how]
        return int(subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout)

    assert left("kept") > 150, "or there is nothing to hand back"
    assert left("back") < 20
