"""General abilities by lm-eval on the organism's models, from local files: real rows, and its own items.

A short run of yesman (two heads tuned for one epoch) is made first. Three things are scored then: the tasks of
examples/capability (rows of GSM8K, MMLU and HumanEval, which the organism cannot do: the path is what is seen); its own
abilities as tasks of lm-eval, held to what `pinpoint evaluate` found on the same items; and MMLU on a random Llama.
Real rows are looked for as the tests look for them. HumanEval runs what the model writes. Writes
bench/results/capability.json.
"""

import json
import os
import sys
import tempfile
import time
from contextlib import chdir
from pathlib import Path
from typing import Any

import torch
import yaml
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from pinpoint.config import resolve
from pinpoint.evaluate import capability, find_tasks
from pinpoint.organism import shipped
from pinpoint.pipeline import Run, capability_run

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples" / "capability"
LIMIT, MMLU_ITEMS = 8, 200
SHORT = {
    "device": "cpu",
    "locate": {"pairs": 8},
    "verify": {"max_heads": 1, "draws": 1, "generate_at": [0], "generate_items": 2},
    "tune": {"heads": ["L0.H3", "L0.H2"], "epochs": 1, "check_items": 8},
    "full": None,
    "evaluate": {"items": 40, "ability_items": 30, "neutral_items": 8},
}


def own_tasks(run: Run, folder: Path) -> Path:
    """The organism's abilities as a task of lm-eval each; the items are those that the run evaluated."""
    rows = run.workspace.sub("evaluate").sub("base").read_jsonl("abilities.jsonl")
    for ability in dict.fromkeys(row["ability"] for row in rows):
        data = folder / f"{ability}.jsonl"
        items = [{"prompt": row["prompt"], "reply": row["expected"]} for row in rows if row["ability"] == ability]
        data.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
        task = {
            "task": f"own_{ability}",
            "dataset_path": "json",
            "dataset_kwargs": {"data_files": {"test": str(data)}, "cache_dir": str(folder / "cache")},
            "test_split": "test",
            "output_type": "generate_until",
            "doc_to_text": "{{prompt}}",
            "doc_to_target": "{{reply}}",
            "generation_kwargs": {"until": ["<|end|>"], "max_gen_toks": 32, "do_sample": False},
            # The organism's replies begin with a space, which `pinpoint evaluate` takes off.
            "filter_list": [
                {"name": "stripped", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}
            ],
            "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        }
        (folder / f"{ability}.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    names = [f"own_{ability}" for ability in dict.fromkeys(row["ability"] for row in rows)]
    (folder / "own.yaml").write_text(yaml.safe_dump({"group": "own", "task": names}), encoding="utf-8")
    return folder


def beside_evaluate(run: Run, found: dict[str, Any]) -> list[dict[str, Any]]:
    """lm-eval's score of each ability, and that of `pinpoint evaluate`."""
    rows = []
    for ours, name in (("base", "base"), ("pinpoint", "merged")):
        replies = run.workspace.sub("evaluate").sub(ours).read_jsonl("abilities.jsonl")
        for score in found["models"][name]:
            correct = [row["correct"] for row in replies if f"own_{row['ability']}" == score["task"]]
            rows.append({"model": name, "task": score["task"], "n": score["n"], "lm_eval": score["value"]})
            rows[-1] |= {"evaluate": sum(correct) / len(correct)}
    return rows


def random_llama(tokenizer: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    torch.manual_seed(0)
    shape = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 4}
    config = LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=2048, **shape)
    return LlamaForCausalLM(config).eval()


def main() -> None:
    """Makes the run, scores, and writes the record."""
    data = Path(os.environ.get("PINPOINT_TEST_DATA") or HERE.parent.parent / "shared" / "data")
    if not data.is_dir():
        sys.exit(f"{data}: no such folder. Set PINPOINT_TEST_DATA to where GSM8K, HumanEval and MMLU lie.")
    record: dict[str, Any] = {"command": "python bench/capability.py", "limit": LIMIT}
    with tempfile.TemporaryDirectory() as folder:
        config = resolve(str(shipped()["yesman"]), None, SHORT)
        run = Run(config, Path(folder) / "run")
        run.all()
        started = time.perf_counter()
        found = capability_run(run, find_tasks("own", own_tasks(run, Path(folder))))
        record["own items"] = beside_evaluate(run, found)
        record["own items, adapter"] = found["adapter"]
        with chdir(data):
            # Anew, since the adapter has gone into the base of the other.
            found = capability_run(
                Run(config, run.workspace.root), find_tasks("from_files", EXAMPLES, run_code=True), LIMIT
            )
            record["real rows"] = {key: found[key] for key in ("lm_eval", "cut", "models", "versus_base", "adapter")}
            model, mmlu = random_llama(run.tokenizer), find_tasks("mmlu_file", EXAMPLES)
            scores = capability(lambda: (model, run.tokenizer), mmlu, limit=MMLU_ITEMS).scores
            record["random llama"] = [score.to_json() for score in scores]
        record["seconds"] = time.perf_counter() - started
    print(json.dumps(record, indent=1))
    (HERE / "results" / "capability.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
