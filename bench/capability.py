"""General abilities by lm-eval on the organism's models, from local files: real rows, and its own items.

python bench/capability.py RUN, RUN being a finished run of yesman. Three things are run: the tasks of
examples/capability (rows of GSM8K, MMLU and HumanEval, which the organism cannot do: the path is what is seen); its own
abilities as an lm-eval task, held to what `pinpoint evaluate` found on the same items; and MMLU on a random Llama. Real
rows are looked for as the tests look for them. HumanEval runs what the model writes. Writes
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

from pinpoint.evaluate import capability, find_tasks
from pinpoint.pipeline import Run, capability_run, of_run

HERE = Path(__file__).resolve().parent
EXAMPLES = HERE.parent / "examples" / "capability"
LIMIT, MMLU_ITEMS = 16, 400


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
    """Runs the three and writes the record."""
    run = Run(of_run(Path(sys.argv[1])), Path(sys.argv[1]).absolute())
    data = Path(os.environ.get("PINPOINT_TEST_DATA") or HERE.parent.parent / "shared" / "data")
    record: dict[str, Any] = {"command": "python bench/capability.py RUN", "limit": LIMIT}
    started = time.perf_counter()
    with chdir(data):
        found = capability_run(run, find_tasks("from_files", EXAMPLES, run_code=True), LIMIT)
        record["real rows"] = {key: found[key] for key in ("lm_eval", "cut", "models", "versus_base", "adapter")}
        mmlu = capability(
            random_llama(run.tokenizer), run.tokenizer, find_tasks("mmlu_file", EXAMPLES), limit=MMLU_ITEMS
        )
        record["random llama"] = [score.to_json() for score in mmlu.scores]
    again = Run(of_run(Path(sys.argv[1])), Path(sys.argv[1]).absolute())
    with tempfile.TemporaryDirectory() as folder:
        found = capability_run(again, find_tasks("own", own_tasks(again, Path(folder))))
    record["own items"] = beside_evaluate(again, found)
    record["adapter"] = found["adapter"]
    record["seconds"] = time.perf_counter() - started
    print(json.dumps(record, indent=1))
    (HERE / "results" / "capability.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
