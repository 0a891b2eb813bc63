"""What the frozen blocks below the lowest tuned head put out, computed once for every row that is trained on.

It is kept in a file that is mapped into memory, so that the system holds as much of it as there is room for. Rows are
known by their tokens, whatever batch they come in: of a causal model that is all that their states depend on.
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from peft import PeftModel
from torch import Tensor
from transformers import PreTrainedModel

from pinpoint.data import pad
from pinpoint.errors import CheckFailed, ConfigError, StorageError
from pinpoint.interventions import Below
from pinpoint.measure import under
from pinpoint.memory import BatchSize
from pinpoint.models import HeadedModel, headed
from pinpoint.progress import Progress
from pinpoint.storage import storing

_SAME = 1e-3
"""Relative difference up to which two passes over one batch count as one; dropout's is far larger."""
_MEND = "Train without tune.cache_prefix."


def lowest_trained(view: HeadedModel) -> int:
    """The lowest block of which something trains.

    Raises:
        ConfigError: something trains that is in no block.
    """
    blocks = {id(weight): layer for layer, block in enumerate(view.layers) for weight in block.parameters()}
    layers = [blocks.get(id(weight), -1) for weight in view.model.parameters() if weight.requires_grad]
    if min(layers) < 0:
        raise ConfigError(
            "embeddings train too: there is nothing below the tuned heads that stays as it is.",
            where="tune.cache_prefix",
            mend="Set it for head slices alone.",
        )
    return min(layers)


class Prefix:
    """States by row, of the blocks below `layer`.

    Args:
        view: the model.
        layer: the lowest block that trains, at least 1.
        folder: where the states are written to.
        routers: keep the logits of the routers below too, for a loss over all of them.
    """

    def __init__(self, view: HeadedModel, layer: int, folder: Path, *, routers: bool) -> None:
        self._view, self._below, self._folder = view, Below(view, layer), folder
        self._more = {"output_router_logits": True} if routers else {}
        self._places: dict[tuple[int, ...], slice] = {}
        self._stores: list[Tensor] = []

    @property
    def bytes(self) -> int:
        """Size of what is kept."""
        return sum(store.nbytes for store in self._stores)

    def fill(self, rows: Iterable[Sequence[int]], batch_size: int) -> None:
        """Runs the blocks below on rows of token ids, in an order that is theirs alone.

        Raises:
            StorageError: the disk has no room for the states.
            OutOfMemory: one row does not fit.
            CheckFailed: the model's layers are not the same at every pass.
        """
        # The longest first: what does not fit the memory is seen at once.
        found = sorted({tuple(row) for row in rows}, key=lambda row: (-len(row), row))
        start = 0
        for row in found:
            self._places[row] = slice(start, start + len(row))
            start += len(row)
        with _mode(self._view.model, training=False):
            if self._more:
                # transformers looks for routers to watch once, at the first pass that asks: no block may be skipped.
                ids, mask = _padded([found[0][:1]], self._view.device)
                with torch.no_grad():
                    self._view.backbone(input_ids=ids, attention_mask=mask, use_cache=False, **self._more)
            at_once = BatchSize(batch_size, "tuning's batch_size")
            for some, _ in at_once.over(found, lambda some: self._run(some, start)):
                if some[0] == found[0]:
                    self._check(some)

    def _run(self, rows: Sequence[tuple[int, ...]], tokens: int) -> None:
        ids, mask = _padded(rows, self._view.device)
        states, routers = self._below.run(input_ids=ids, attention_mask=mask, **self._more)
        kept = [states]
        if routers:
            # [row position router*expert]
            kept.append(torch.cat([logits.reshape(*ids.shape, -1) for logits in routers], dim=-1))
        self._routers = len(routers)
        if not self._stores:
            self._stores = self._reserved(tokens, kept)
        for store, values in zip(self._stores, kept, strict=True):
            for row, value in zip(rows, values, strict=True):
                store[self._places[row]] = value[: len(row)].cpu()

    def _reserved(self, tokens: int, like: Sequence[Tensor]) -> list[Tensor]:
        size = sum(tokens * one.shape[-1] * one.dtype.itemsize for one in like)
        self._folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(self._folder).free
        if size > free:
            raise StorageError(
                f"the states of {tokens:,} tokens take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} GiB are free.",
                where=str(self._folder),
                mend=f"Free space there. {_MEND}",
            )
        return [
            _mapped(self._folder / f"prefix-{i}.bin", tokens, one.shape[-1], one.dtype) for i, one in enumerate(like)
        ]

    @torch.no_grad()
    def _check(self, rows: Sequence[tuple[int, ...]]) -> None:
        """Passes of training, with these blocks and without them, come to the same on a batch."""
        ids, mask = _padded(rows, self._view.device)
        inputs = {"input_ids": ids, "attention_mask": mask, "use_cache": False}
        with _mode(self._view.model, training=True):
            whole = self._view.backbone(**inputs).last_hidden_state[mask.bool()]
            with self.supplied(ids, mask):
                part = self._view.backbone(**inputs).last_hidden_state[mask.bool()]
        if not (part - whole).abs().max() <= _SAME * whole.abs().max():
            raise CheckFailed(
                "the layers below the tuned heads do not put out the same at every pass of training, so that they "
                "cannot be computed once: they have dropout or other noise.",
                where="tune.cache_prefix",
                mend=f"Set the dropouts of the model's config.json to 0. {_MEND}",
            )

    @contextmanager
    def supplied(self, ids: Tensor, mask: Tensor) -> Iterator[None]:
        """Skips the blocks below while the model runs on rows that `fill` was given."""
        found = [ids.new_zeros(*ids.shape, store.shape[-1], dtype=store.dtype) for store in self._stores]
        for i, (row, real) in enumerate(zip(ids, mask.bool(), strict=True)):
            place = self._places[tuple(row[real].tolist())]
            for padded, store in zip(found, self._stores, strict=True):
                padded[i, real] = store[place].to(padded.device)
        states, *routers = found
        logits = [one.flatten(0, 1) for stacked in routers for one in stacked.chunk(self._routers, dim=-1)]
        with self._below.skipped(states, logits):
            yield

    def close(self) -> None:
        """Deletes the files."""
        count = len(self._stores)
        self._stores = []  # some systems delete no file that is mapped
        for i in range(count):
            (self._folder / f"prefix-{i}.bin").unlink(missing_ok=True)


@contextmanager
def cached_prefix(
    model: PreTrainedModel | PeftModel,
    rows: Iterable[Sequence[int]],
    batch_size: int,
    folder: Path,
    progress: Progress,
    *,
    routers: bool,
) -> Iterator[Prefix | None]:
    """The states that enter the lowest block that trains, of all rows, for the length of the block.

    Args:
        model: what is trained.
        rows: token ids of every row that it will be run on.
        batch_size: rows at a time.
        folder: where the states are written to.
        progress: told what they take.
        routers: the loss has a term over the routers of all layers.

    Returns:
        None where the lowest layer trains.

    Raises:
        ConfigError: embeddings train too, or the model's position embeddings depend on the longest row of a batch.
        StorageError: the disk has no room for the states.
        CheckFailed: the model's layers are not the same at every pass.
    """
    view = headed(under(model))
    layer = lowest_trained(view)
    if view.positions_by_length:
        raise ConfigError(
            "this model's position embeddings depend on the longest row of a batch: no row's states can be kept.",
            where="tune.cache_prefix",
            mend=_MEND,
        )
    if layer == 0:
        progress.say("the lowest layer is tuned: no layer can be computed once for all epochs")
        yield None
        return
    prefix = Prefix(view, layer, folder, routers=routers)
    try:
        prefix.fill(rows, batch_size)
        progress.say(f"layers 0..{layer - 1} computed once for all epochs: {prefix.bytes / 2**20:.0f} MiB on disk")
        yield prefix
    finally:
        prefix.close()


@contextmanager
def _mode(model: PreTrainedModel, *, training: bool) -> Iterator[None]:
    before = model.training
    model.train(training)
    try:
        yield
    finally:
        model.train(before)


def _padded(rows: Sequence[Sequence[int]], device: torch.device) -> tuple[Tensor, Tensor]:
    batch = pad(rows, "right", device)
    return batch.input_ids, batch.attention_mask


def _mapped(path: Path, tokens: int, width: int, dtype: torch.dtype) -> Tensor:
    """Room for numbers of each token, in a file."""
    size = tokens * width * dtype.itemsize
    with storing(path), path.open("wb") as file:
        # Where the room is only promised, a disk that fills up meanwhile would end the process.
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return torch.from_file(str(path), shared=True, size=tokens * width, dtype=dtype).view(tokens, width)
