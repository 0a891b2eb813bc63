"""Models of real shapes with random weights on one GPU: seconds to locate among all heads, and a training step.

Each model is run in a process of its own. Locating: 100 dialogues of 200 tokens, of which a pair shares 180; the time
of hooked transformers, which takes a forward pass a head, is extrapolated from that of a few heads, whose scores are
compared. Training: batches of 8 dialogues of 200 tokens, the last 24 with a loss, weights in bfloat16 but for full
fine-tuning, which trains in float32; a method that does not fit is said so. A step of head slices takes a forward pass
and the activations' gradients of the layers from the lowest head on, or both of those layers alone where what those
below put out was computed before (tune.cache_prefix): its bound is the speed of as many forward passes. Writes
bench/results/gpu.json after every cell. `--device cpu --models tiny` runs the same code on a small model.
"""

import argparse
import gc
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from torch import Tensor
from transformers import PreTrainedModel

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent), str(HERE / "peers")]

from hooked_transformers import scorer  # noqa: E402

import pinpoint  # noqa: E402
from bench._shapes import BATCH as PAIRS  # noqa: E402
from bench._shapes import Shape, forward_flops, make_model, make_pairs, sweep_flops  # noqa: E402
from pinpoint.heads import Head  # noqa: E402
from pinpoint.interventions import only_at  # noqa: E402
from pinpoint.memory import forget_most, most_on, out_of_memory  # noqa: E402
from pinpoint.models import headed  # noqa: E402
from pinpoint.progress import Silent  # noqa: E402
from pinpoint.tune import attach, head_slices  # noqa: E402
from pinpoint.tune._prefix import cached_prefix  # noqa: E402

RESULTS = HERE / "results/gpu.json"
MODELS = {
    "Llama-2-7B": Shape(32, 32, 32, 128, 11008, 32000, 100, 180, 20),
    "Llama-2-13B": Shape(40, 40, 40, 128, 13824, 32000, 100, 180, 20),
    "Mistral-7B": Shape(32, 32, 8, 128, 14336, 32000, 100, 180, 20),
    "Qwen2.5-32B": Shape(64, 40, 8, 128, 27648, 152064, 100, 180, 20),
    "tiny": Shape(4, 4, 2, 16, 96, 512, 6, 18, 6),
}
AIMS = {"Llama-2-7B": 5.0, "Mistral-7B": 5.0, "Llama-2-13B": 10.0}
"""Seconds to locate in, on an H200."""
STEPPED = {
    "inference": "forward passes alone",
    "kept_top": "the same, keeping what a backward pass through the upper half needs",
    "kept_all": "the same through all layers",
    "pinpoint_top": "heads of the upper half of the layers",
    "pinpoint_cached": "the same, the layers below computed once",
    "pinpoint_all": "heads of all layers",
    "lora": "LoRA r = 16",
    "full": "all parameters",
}
UNTRAINED = ("inference", "kept_top", "kept_all")
KEPT = {"pinpoint_top": "kept_top", "pinpoint_cached": "kept_top", "pinpoint_all": "kept_all"}
"""What memory is held to."""
PASSES = {"pinpoint_top": 1.5, "pinpoint_cached": 1.0, "pinpoint_all": 2.0}
"""Forward passes whose operations a step takes."""
SIDES = ("reference", "counterfactual")
TURNS, SAMPLE, BATCH, STEPS, REPLY, COMPARED = 3, 4, 8, 5, 24, 4


def _seconds(device: str, work: Callable[[], object]) -> float:
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    wait()
    began = time.perf_counter()
    work()
    wait()
    return time.perf_counter() - began


def _peak(device: str) -> int | None:
    # Not torch's own: batches reset that, as they look for room.
    return most_on(torch.device("cuda")) if device == "cuda" else None


def locate(shape: Shape, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """All heads by our sweep, a sample by hooks, and a plain pass over the references, taking turns."""
    model, pairs = make_model(shape, dtype=dtype, device=device), make_pairs(shape)
    reference, counterfactual = (torch.tensor([getattr(pair, side) for pair in pairs], device=device) for side in SIDES)
    every = [(layer, head) for layer in range(shape.layers) for head in range(shape.heads)]
    sample = every[:: max(1, len(every) // SAMPLE)][:SAMPLE]
    # What hooks freeze is kept whole: of all pairs at once, a large model's would not fit.
    hooked = [scorer(model, *some) for some in zip(reference.split(PAIRS), counterfactual.split(PAIRS), strict=True)]

    @torch.no_grad()
    def by_hooks() -> None:
        for part in hooked:
            part()(sample)

    def by_sweep() -> None:
        pinpoint.locate(model, None, pairs)

    @torch.no_grad()
    def forward() -> None:
        model(input_ids=reference, logits_to_keep=1, use_cache=False)

    works = {"forward": forward, "sweep": by_sweep, "hooked": by_hooks}
    peaks = {}
    for name, work in works.items():  # warms up
        if device == "cuda":
            forget_most(torch.device("cuda"))
        work()
        peaks[name] = _peak(device)
    times = {name: [_seconds(device, work) for _ in range(TURNS)] for name, work in works.items()}
    median = {name: statistics.median(several) for name, several in times.items()}
    # Beside the sample it runs both prompts for what it freezes, and the unpatched reference.
    a_pass = median["hooked"] / (len(sample) + 3)
    return {
        "heads": len(every),
        "seconds": median["sweep"],
        "tflops": sweep_flops(shape) / median["sweep"] / 1e12,
        "forward_tflops": forward_flops(shape) / median["forward"] / 1e12,
        "hooked_seconds": a_pass * (len(every) + 3),
        "hooked_sample": len(sample),
        "difference": difference(model, shape, sample),
        "peak_bytes": peaks["sweep"],
        "forward_peak_bytes": peaks["forward"],
    }


@torch.no_grad()
def difference(model: PreTrainedModel, shape: Shape, sample: list[tuple[int, int]]) -> float | None:
    """The largest difference between both scores of some heads, over the largest; None where float32 does not fit.

    In float32, on few pairs: in bfloat16, hooks round the sums that the sweep keeps in float32.
    """
    pairs = make_pairs(shape._replace(pairs=COMPARED))
    try:
        model.float()
        sides = (torch.tensor([getattr(pair, side) for pair in pairs], device=model.device) for side in SIDES)
        theirs, ours = scorer(model, *sides)()(sample), pinpoint.locate(model, None, pairs).mean
    except Exception as error:
        if not out_of_memory(error):
            raise
        return None
    apart = max(abs(float(ours[at]) - value) for at, value in zip(sample, theirs, strict=True))
    return apart / max(abs(float(value)) for value in theirs)


def _stepped(method: str, shape: Shape, device: str, dtype: torch.dtype) -> Any:
    if method == "full":
        return make_model(shape, dtype=torch.float32, device=device).requires_grad_(True)
    model = make_model(shape, dtype=dtype, device=device).requires_grad_(False)
    if method == "inference":
        return model
    if method == "lora":
        # get_peft_model is not generic over what it wraps.
        return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear"))  # type: ignore[arg-type]
    low = 0 if method.endswith("_all") else shape.layers // 2
    some = max(1, shape.layers * shape.heads // 25)  # the paper's share: about 4 % of the heads
    every = [Head(layer, head) for layer in range(low, shape.layers) for head in range(shape.heads)]
    chosen = [every[i * len(every) // some] for i in range(some)]
    return attach(headed(model), head_slices(headed(model), chosen, "q,o"))


class Batch(NamedTuple):
    """Dialogues of a step: tokens, which positions have a loss, both [row position], and the tokens after those."""

    ids: Tensor
    scored: Tensor
    labels: Tensor


def batch_of(shape: Shape, device: str) -> Batch:
    """Random dialogues, the ends of which have a loss."""
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(3, shape.vocabulary, (BATCH, shape.tokens), generator=generator).to(device)
    reply = min(REPLY, shape.tokens // 2)
    scored = torch.zeros_like(ids, dtype=torch.bool)
    scored[:, -reply - 1 : -1] = True
    return Batch(ids, scored, ids[:, -reply:].reshape(-1))


Below = Callable[[], AbstractContextManager[None]]
"""What skips, in a pass, the layers that were computed before."""


@contextmanager
def _below(method: str, model: Any, batch: Batch) -> Iterator[Below]:
    """Computes the layers below once where that is the method; else none is skipped."""
    if method != "pinpoint_cached":
        yield nullcontext
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        cached_prefix(model, batch.ids.tolist(), BATCH, Path(folder), Silent(), routers=False) as prefix,
    ):
        assert prefix is not None  # the lowest layer has none of the heads
        yield partial(prefix.supplied, batch.ids, torch.ones_like(batch.ids))


def step_of(method: str, model: Any, batch: Batch, below: Below) -> Callable[[], None]:
    """A forward pass with logits where there is a loss; of what trains, a backward pass and AdamW's step too."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    # As `pinpoint tune` has it.
    optimiser = None if method in UNTRAINED else torch.optim.AdamW(trained, lr=1e-5, fused=True)

    def step() -> None:
        with torch.set_grad_enabled(method != "inference"), below(), only_at(base, batch.scored):
            logits: Tensor = model(input_ids=batch.ids, use_cache=False).logits[0]
        if optimiser is not None:
            torch.nn.functional.cross_entropy(logits.float(), batch.labels).backward()
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)

    return step


def train(method: str, shape: Shape, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Tokens a second and peak memory of one method."""
    try:
        model, batch = _stepped(method, shape, device, dtype).train(), batch_of(shape, device)
        with _below(method, model, batch) as below:
            step = step_of(method, model, batch, below)
            step()
            seconds = [_seconds(device, step) for _ in range(STEPS)]
    except Exception as error:
        if not out_of_memory(error):
            raise
        return {"fits": False}
    tokens = BATCH * shape.tokens / statistics.median(seconds)
    return {"fits": True, "tokens_a_second": tokens, "peak_bytes": _peak(device)}


def held(method: str, cells: dict[str, Any]) -> dict[str, Any]:
    """What a method's speed and memory are held to, as far as it and that were measured."""
    own, passes, kept = (cells[name] for name in (method, "inference", KEPT.get(method, method)))
    found: dict[str, Any] = {"what": STEPPED[method]}
    if method not in PASSES or not own["fits"]:
        return found
    if passes["fits"]:
        found["bound"] = passes["tokens_a_second"] / PASSES[method]
        found["of_bound"] = own["tokens_a_second"] / found["bound"]
    if kept["fits"] and own["peak_bytes"] is not None:
        found["memory_over_kept"] = own["peak_bytes"] / kept["peak_bytes"]
    return found


def child(name: str, what: str, device: str, dtype: torch.dtype) -> None:
    """One cell, printed."""
    shape = MODELS[name]
    told = locate(shape, device, dtype) if what == "locate" else train(what, shape, device, dtype)
    gc.collect()
    print(json.dumps(told))


def apart(name: str, what: str, device: str) -> dict[str, Any]:
    """One cell of a process that has measured nothing before."""
    command = [sys.executable, __file__, "--device", device, "--cell", name, what]
    told: dict[str, Any] = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    return told


def main() -> None:
    """Every cell in a process of its own; the record is written after each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="*", choices=MODELS, default=[name for name in MODELS if name != "tiny"])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--cell", nargs=2, metavar=("MODEL", "WHAT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    dtype = torch.bfloat16 if arguments.device == "cuda" else torch.float32
    if arguments.device == "cuda" and not torch.cuda.is_available():
        parser.error("no CUDA device is here; --device cpu --models tiny tries the script out")
    if arguments.cell:
        child(*arguments.cell, arguments.device, dtype)
        return
    record = {
        "command": "python bench/gpu.py",
        "machine": torch.cuda.get_device_name() if arguments.device == "cuda" else platform.machine(),
        "dtype": str(dtype).removeprefix("torch."),
        "torch": torch.__version__,
        "models": {},
    }
    for name in arguments.models:
        cells = record["models"].setdefault(name, {"shape": MODELS[name]._asdict()})
        # Tuning is measured at the shapes that the paper tunes.
        for what in ("locate", *(STEPPED if name != "Qwen2.5-32B" else ())):
            cells[what] = apart(name, what, arguments.device)
            cells[what] |= {"aim": AIMS.get(name)} if what == "locate" else held(what, cells)
            print(name, what, cells[what], file=sys.stderr, flush=True)
            arguments.out.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
