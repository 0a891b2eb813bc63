"""How pairs are dealt: in batches, over processes, and in parts where the memory is short."""

import hashlib
import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Protocol

import torch

from pinpoint.artifacts import Workspace
from pinpoint.data import EncodedPair
from pinpoint.errors import OutOfMemory
from pinpoint.interventions import computing_dtype
from pinpoint.locate._protocol import Effects
from pinpoint.locate._waiting import waiting_room
from pinpoint.measure import site_counts
from pinpoint.memory import MEND, BatchSize, free, out_of_memory, release
from pinpoint.models import HeadedModel, held_per_token, residual_size
from pinpoint.nodes import Node
from pinpoint.processes import Processes
from pinpoint.progress import Progress

SETTING = "locate.batch_size"
ROWS = "locate.rows_per_chunk"


class Work(Protocol):
    """Scores some pairs, so many patched rows running through a block at once."""

    def __call__(self, some: Sequence[EncodedPair], rows: int, /) -> Effects: ...


def _sites(pair: EncodedPair) -> int:
    return site_counts([pair])[0]


def rows_with_room(view: HeadedModel, nodes: Sequence[Node], sharing: int, positions: int) -> int:
    """Patched rows that may run through a block at once: half of the memory that is free takes them.

    A CPU does not fail where its memory runs out: the system ends the process. So what is left is looked at before. The
    other half is for the prompts' own passes, and for what others take meanwhile. Rows that wait between blocks take
    their part of it where they wait.

    Args:
        view: the model.
        nodes: of which there is a row for each measured position.
        sharing: processes that do the same on this machine, each on a card of its own if there are cards.
        positions: measured positions of the pairs of a pass.
    """
    places = {parameter.device for block in view.layers for parameter in block.parameters()} | {view.device}
    size = computing_dtype(view.model).itemsize
    residual = residual_size(view, size)
    flying = positions * (1 + len(nodes)) * int(view.config.hidden_size) * residual
    waits = waiting_room(view.device, flying).type
    left = [
        found // (2 if place.type == "cuda" else 2 * sharing) - flying * (place.type == waits)
        for place in places
        if (found := free(place)) is not None
    ]
    return max(1, min(left) // held_per_token(view, size, residual)) if left else sys.maxsize


def halving(
    pairs_at_once: BatchSize,
    rows: BatchSize,
    nodes: Sequence[Node],
    work: Work,
    room: Callable[[int], int] | None,
) -> Callable[[Sequence[EncodedPair]], Effects]:
    """Does a batch in parts where the whole does not fit the memory, and then a pair in fewer rows.

    Args:
        pairs_at_once: measured positions of the pairs of a part, at the most.
        rows: rows that run through a block at once, at the most.
        nodes: what rows are of: those of a layer enter together.
        work: what is done.
        room: rows that the memory has room for, of so many measured positions; None where rows play no part.
    """
    together = max((sum(node.layer == layer for node in nodes) for layer in {node.layer for node in nodes}), default=1)

    def part(some: Sequence[EncodedPair]) -> Effects:
        while True:
            # What does not fit may be the rows of a block's call: they get fewer as the pairs do.
            now = max(1, min(rows.now, rows.asked * pairs_at_once.now // pairs_at_once.asked))
            now = min(now, room(sum(map(_sites, some)))) if room else now
            try:
                return work(some, now)
            except Exception as error:
                if not out_of_memory(error) or len(some) > 1:
                    raise
                least = _sites(some[0]) * together
                tried = min(now, _sites(some[0]) * len(nodes))
                if room is None or tried <= least:
                    told = f", {rows.setting} at {max(now, least)}" if room else ""
                    raise OutOfMemory(
                        f"memory ran out on a single pair, {pairs_at_once.setting} at {pairs_at_once.now}{told}.",
                        mend=MEND,
                    ) from error
                rows.halve(error, tried)
            release()

    def fitting(some: Sequence[EncodedPair]) -> Effects:
        parts = pairs_at_once.over(some, part, _sites)
        return Effects.joined([found for _, found in parts])

    return fitting


def batches(encoded: list[EncodedPair], most: int, processes: int, *, one_by_one: bool) -> list[list[EncodedPair]]:
    """As many pairs at once as have `most` measured positions, or each process's share; one at the least."""
    if one_by_one:
        return [[pair] for pair in encoded]
    counts = site_counts(encoded)
    most = min(most, math.ceil(sum(counts) / processes))
    found: list[list[EncodedPair]] = []
    room = 0
    for pair, count in zip(encoded, counts, strict=True):
        if not found or count > room:
            found.append([])
            room = most
        found[-1].append(pair)
        room -= count
    return found


def by_batch(
    dealt: list[list[EncodedPair]],
    names: tuple[object, ...],
    work: Callable[[list[EncodedPair]], Effects],
    nodes: int,
    progress: Progress,
    workspace: Workspace | None,
    processes: Processes,
) -> Effects:
    """Scores as many batches at a time as there are processes; the first process keeps each.

    Args:
        dealt: the batches.
        names: what the effects on a pair depend on, beside the pair and the model.
        work: scores one batch.
        nodes: how many nodes it scores.
        progress: told of each batch.
        workspace: where batches are kept.
        processes: those that share the work.
    """
    space = workspace if processes.first else None
    parts = [f"{_named(some, *names)}.safetensors" for some in dealt]
    kept = processes.from_first([space is not None and space.has(part) for part in parts])
    found: dict[int, Effects] = {}
    for number in (number for number, there in enumerate(kept) if there):
        own = _read(space, parts[number]) if space is not None else None
        found[number] = _exchanged(own, len(dealt[number]), nodes, 0, processes)
        progress.advance(len(dealt[number]))
    left = [number for number, there in enumerate(kept) if not there]
    for start in range(0, len(left), processes.count):
        at_once = left[start : start + processes.count]
        ours = work(dealt[at_once[processes.rank]]) if processes.rank < len(at_once) else None
        for owner, number in enumerate(at_once):
            own = ours if owner == processes.rank else None
            found[number] = _exchanged(own, len(dealt[number]), nodes, owner, processes)
            if space is not None:
                space.write_tensors(parts[number], found[number]._asdict(), {})
            progress.advance(len(dealt[number]))
    return Effects.joined([found[number] for number in range(len(dealt))])


def _named(pairs: list[EncodedPair], *more: object) -> str:
    """A name that only equal work has, on one model."""
    return hashlib.sha256(json.dumps([pairs, *more], default=str).encode()).hexdigest()[:24]


def _read(space: Workspace, part: str) -> Effects:
    tensors = space.read_tensors(part)[0]
    return Effects(tensors["effects"], tensors["reference"], tensors.get("routing"))


def _exchanged(own: Effects | None, pairs: int, nodes: int, owner: int, processes: Processes) -> Effects:
    """The effects that process `owner` has of a batch."""
    if own is None:
        own = Effects(torch.empty(pairs, nodes), torch.empty(pairs))
    return Effects(*(processes.from_process(owner, tensor.contiguous()) for tensor in own.whole()))
