"""A step of pinpoint tuning beside full fine-tuning and LoRA: same model, dialogues, batch and dtype, taking turns.

Each is run in a process of its own, and in another, untimed, for its peak memory. Of F operations of a forward pass,
full fine-tuning takes 3 F a step; pinpoint tuning takes F and the activations' gradients of the layers from the lowest
head on, so that with a fraction f of the layers there the gain is at most 3 / (1 + f), and 3 / (2 f) where what the
layers below put out was computed before (tune.cache_prefix; that pass is no part of a step). Writes
bench/results/tune.json.
"""

import argparse
import json
import resource
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from pinpoint.behaviours import TrainingRow
from pinpoint.config import TuneConfig, resolve
from pinpoint.data import encode_chat
from pinpoint.heads import Head
from pinpoint.models import headed
from pinpoint.organism import shipped
from pinpoint.pipeline import Run
from pinpoint.progress import Silent
from pinpoint.tune import attach, fit, head_slices

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._asked import HANDING_BACK, Asked  # noqa: E402
from bench._record import Conditions  # noqa: E402

LAYERS, HEADS, BATCH, STEPS, TURNS = 8, 12, 8, 2, 3
METHODS = {
    "inference": "forward passes alone",
    "kept_top": "forward passes that keep what a backward pass through the upper half of the layers needs",
    "kept_quarter": "the same through the upper quarter",
    "kept_all": "the same through all layers",
    "pinpoint_top": "6 heads of the upper half of the layers, q and o",
    "pinpoint_cached": "the same, the layers below computed once",
    "pinpoint_quarter": "6 heads of the upper quarter of the layers, q and o",
    "pinpoint_all": "6 heads, the lowest in the first layer, q and o",
    "lora": "LoRA r = 16 on all linear layers",
    "full": "all parameters",
}
LOWEST = {
    "pinpoint_top": LAYERS // 2,
    "pinpoint_cached": LAYERS // 2,
    "pinpoint_quarter": 3 * LAYERS // 4,
    "pinpoint_all": 0,
}
KEPT = {"kept_top": "pinpoint_top", "kept_quarter": "pinpoint_quarter", "kept_all": "pinpoint_all"}
UNTRAINED = ("inference", *KEPT)
MEMORY_OVER = {trained: kept for kept, trained in KEPT.items()} | {"pinpoint_cached": "kept_top"}
"""Inference plus activations: what a step's memory is held to."""


def _model(vocabulary: int) -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=768,
        intermediate_size=2048,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        num_key_value_heads=HEADS,
    )
    return LlamaForCausalLM(config)


def tuned(method: str) -> list[Head]:
    """Six heads, spread over the layers from the method's lowest on."""
    low = LOWEST[method]
    return [Head(low + i * (LAYERS - low) // 6, i) for i in range(6)]


def _trainable(method: str, model: PreTrainedModel) -> Any:
    if method == "full":
        return model.requires_grad_(True)
    if method == "lora":
        # get_peft_model is not generic over what it wraps.
        return get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear"))
    view = headed(model)
    return attach(view, head_slices(view, tuned(method), "q,o"))


def _train(method: str, model: Any, tokenizer: Any, rows: list[TrainingRow]) -> float:
    """Seconds of all steps but the first, which has the trainer's making in it."""
    cached = method == "pinpoint_cached"
    config = TuneConfig(learning_rate=1e-5, batch_size=BATCH, epochs=1.0, check_every=1, cache_prefix=cached)
    with tempfile.TemporaryDirectory() as out:
        fitted = fit(
            model,
            tokenizer,
            rows,
            config,
            lambda _: {"truthfulness": 0.0, "confidence": 0.0, "kl": 0.0},
            seed=0,
            out=Path(out),
            progress=Silent(),
            what=method,
        )
    return fitted.history[-1].seconds - fitted.history[0].seconds


def _forward(method: str, model: PreTrainedModel, tokenizer: Any, rows: list[TrainingRow]) -> None:
    """Forward passes over batches; of all methods but inference, with what a backward pass needs kept to their end."""
    attached = _trainable(KEPT[method], model) if method in KEPT else model
    with torch.set_grad_enabled(method in KEPT):
        for start in range(0, len(rows), BATCH):
            some = rows[start : start + BATCH]
            batch = [encode_chat(tokenizer, [*row["prompt"], *row["completion"]]) for row in some]
            width = max(map(len, batch))
            ids = torch.tensor([one + [0] * (width - len(one)) for one in batch])
            attached(input_ids=ids, use_cache=False, logits_to_keep=1)


def child(method: str) -> None:
    """Trains by one method each time that it is asked to, and answers with seconds, tokens and peak memory."""
    with tempfile.TemporaryDirectory() as scratch:
        run = Run(resolve(str(shipped()["yesman"]), None, {}), Path(scratch))
        rows = run.inputs.behaviour.rows(run.inputs.questions("train"), 0)
    tokenizer = run.tokenizer
    model = _model(len(tokenizer))
    trainable = None if method in UNTRAINED else _trainable(method, model)
    print(json.dumps({"ready": method}), flush=True)
    for line in sys.stdin:
        seconds, some = 0.0, rows[: (1 + json.loads(line)["steps"]) * BATCH]
        if trainable is None:
            _forward(method, model, tokenizer, some)
        else:
            seconds = _train(method, trainable, tokenizer, some)
        lengths = [len(encode_chat(tokenizer, [*row["prompt"], *row["completion"]])) for row in some]
        # Rows are dealt at random: the mean stands for those of the timed steps.
        tokens = statistics.mean(lengths) * (len(some) - BATCH)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "tokens": tokens, "peak_bytes": peak}), flush=True)


def _command(method: str) -> list[str]:
    return [sys.executable, __file__, "--method", method]


def _peak(method: str) -> int:
    """The most bytes that a process of its own holds."""
    process = Asked(_command(method), HANDING_BACK)
    process.answer()
    found: int = process.ask(steps=1)["peak_bytes"]
    process.close()
    return found


class Timed(NamedTuple):
    """What a step of each method takes.

    Attributes:
        seconds: of every turn's steps, by method.
        tokens: of those steps, padding not counted; the same for all.
    """

    seconds: dict[str, list[float]]
    tokens: float


def timed(turns: int) -> Timed:
    """Has the methods take turns."""
    processes = {name: Asked(_command(name)) for name in METHODS if name not in UNTRAINED}
    for process in processes.values():
        process.answer()  # none may still be loading when the first is timed
    seconds: dict[str, list[float]] = {name: [] for name in processes}
    tokens = 0.0
    for turn in range(turns):
        for name, process in processes.items():
            answer = process.ask(steps=STEPS)
            seconds[name].append(answer["seconds"])
            tokens = answer["tokens"]
            print(turn + 1, name, seconds[name][-1], file=sys.stderr)
    for process in processes.values():
        process.close()
    return Timed(seconds, tokens)


def summary(memory: dict[str, int], found: Timed) -> dict[str, dict[str, Any]]:
    """A row a method: its speed, its memory, and what both are held to."""
    median = {name: statistics.median(several) for name, several in found.seconds.items()}
    rows = {}
    for name, what in METHODS.items():
        row: dict[str, Any] = {"what": what, "peak_bytes": memory[name]}
        row["memory_over_inference"] = memory[name] / memory["inference"]
        if name in MEMORY_OVER:
            row["memory_over_kept"] = memory[name] / memory[MEMORY_OVER[name]]
        if name not in UNTRAINED:
            row["tokens_a_second"] = found.tokens / median[name]
            row |= {"gain_over_full": median["full"] / median[name], "gain_over_lora": median["lora"] / median[name]}
        if name in LOWEST:
            above = (LAYERS - LOWEST[name]) / LAYERS
            row["bound"] = 3 / (2 * above) if name == "pinpoint_cached" else 3 / (1 + above)
            row["of_bound"] = row["gain_over_full"] / row["bound"]
        rows[name] = row
    return rows


def main() -> None:
    """Has the methods take turns and writes the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", choices=METHODS)
    parser.add_argument("--turns", type=int, default=TURNS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.method:
        child(arguments.method)
        return
    conditions = Conditions()
    with ThreadPoolExecutor(max_workers=2) as two:  # memory is not timed
        memory = dict(zip(METHODS, two.map(_peak, METHODS), strict=True))
    print(memory, file=sys.stderr)
    found = timed(arguments.turns)
    record = {
        "command": f"python bench/tune.py --turns {arguments.turns}",
        "machine": conditions.told(),
        "model": f"Llama layout, {LAYERS} x {HEADS} heads, d = 768, random weights",
        "batch": BATCH,
        "steps": STEPS,
        "turns": arguments.turns,
        "methods": summary(memory, found),
    }
    (HERE / "results/tune.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(record, indent=1))


if __name__ == "__main__":
    main()
