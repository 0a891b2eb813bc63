"""The published path from end to end: a run on rows in SycophancyEval's form, and one on real questions, killed.

python bench/published_path.py organism: `pinpoint run` on yesman with its own questions, written as rows of
SycophancyEval's are_you_sure.jsonl: a third of the multiple choice as one of the sets in which the model reasons first.

python bench/published_path.py random --data FOLDER: `pinpoint run` on a tiny random Llama with the MMLU and TruthfulQA
rows of FOLDER (shared/data/are_you_sure), under the contrast `neutral` and the first words that it happens to say, so
that the sanity check lets it pass. It is killed after training's first checkpoint and started again, and must end as
one that was left alone. Its numbers mean nothing.

Writes bench/results/published_path.json, a part at a time.
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, set_seed

from pinpoint.config import resolve
from pinpoint.data import encode_pair, read_questions
from pinpoint.numerals import with_interval, with_n
from pinpoint.organism import shipped
from pinpoint.pipeline import Run

RECORD = Path(__file__).resolve().parent / "results" / "published_path.json"
ORGANISM = {
    "locate": {"pairs": 60},
    "verify": {"max_heads": 6, "draws": 2, "generate_at": [0, 6], "generate_items": 16},
    "tune": {"heads": 6, "epochs": 3, "check_every": 12, "check_items": 48},
    "full": None,
    "evaluate": {"items": 120, "ability_items": 20, "neutral_items": 20, "resamples": 500},
}
RANDOM = {
    "device": "cpu",
    "dtype": "float32",
    "locate": {"pairs": 16, "contrasts": [], "noise_pairs": 0},
    "verify": {"max_heads": 2, "draws": 1, "generate_at": [0], "generate_items": 2},
    "tune": {"heads": 2, "epochs": 0.05, "batch_size": 8, "check_every": 1, "check_items": 2},
    "full": None,
    "evaluate": {"items": 12, "neutral_items": 4, "max_new_tokens": 4, "batch_size": 4, "resamples": 100},
}
KINDS = {"all": "pooled"} | {
    name: f"sycophancy_eval/{kind}"
    for name, kind in {"free": "organism", "choice": "organism_mc", "reasoned": "organism_mc_cot"}.items()
}
RATES = ("confidence", "truthfulness", "correction_acceptance", "accuracy_before", "accuracy_after")


def record(number: int, question: Any) -> dict[str, Any]:
    """A question of the organism as a row of SycophancyEval."""
    row = {"prompt": [{"type": "human", "content": question.question}], "metadata": {"prompt_template": "{question}"}}
    if not question.lettered:
        base = {"question": question.question, "correct_answer": question.correct, "answer": [question.correct]}
        return row | {"base": base | {"dataset": "organism", "incorrect_answer": question.wrong}}
    asked, *listed = re.split(r"\s(?=\([A-Z]\) )", question.question)
    base = {"question": asked, "answers": "\n" + "\n".join(listed), "correct_letter": question.correct}
    kind = "organism_mc" if number % 3 else "organism_mc_cot"
    return row | {"base": base | {"dataset": kind, "wrong_letter": question.wrong, "letters": "ABCDE"[: len(listed)]}}


def rows() -> list[dict[str, Any]]:
    """All of yesman's questions as such rows."""
    found = read_questions(shipped()["yesman"] / "questions.jsonl")
    return [record(number, question) for number, question in enumerate(found)]


def start(model: str, questions: Path, settings: dict[str, Any], out: Path) -> subprocess.Popen[str]:
    """`pinpoint run`, in a process of its own."""
    file = out.parent / f"{out.name}.yaml"
    file.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pinpoint", "run", model, "--questions", str(questions), "--config", str(file)]
    return subprocess.Popen([*command, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def finished(process: subprocess.Popen[str]) -> str:
    """What it told, once it is through."""
    _, told = process.communicate()
    if process.returncode:
        raise RuntimeError(told)
    return told


def rate(value: float | None, n: int) -> dict[str, Any]:
    """A rate with its 95 % Wilson interval, and the number of questions behind it: each counts for itself."""
    ends = binomtest(round(value * n), n).proportion_ci(method="wilson") if value is not None else (None, None)
    return {"value": value, "low": ends[0], "high": ends[1], "n": n}


def values(measured: dict[str, Any]) -> dict[str, Any]:
    """The main rates."""
    return {name: rate(measured[name]["value"], measured[name]["n"]) for name in RATES}


def table(record: dict[str, Any]) -> list[list[str]]:
    """The rows of docs/question-sets.md: truthfulness and corrections taken, before and after, by kind of question."""
    base, tuned = (record["organism"]["methods"][name] for name in ("base", "pinpoint"))
    rows = []
    for name, key in KINDS.items():
        pairs = [(one, measure) for measure in ("truthfulness", "correction_acceptance") for one in (base, tuned)]
        rates = [one[key][measure] for one, measure in pairs]
        rows.append([name, *(with_n(with_interval(one, ".1f", 100, " %"), one["n"]) for one in rates)])
    return rows


def organism(folder: Path, settings: dict[str, Any] = ORGANISM) -> dict[str, Any]:
    """A whole run on yesman through rows of SycophancyEval."""
    questions = folder / "are_you_sure.jsonl"
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows()), encoding="utf-8")
    finished(start("yesman", questions, settings, folder / "run"))
    summary = json.loads((folder / "run" / "summary.json").read_text(encoding="utf-8"))
    exchanges = (folder / "run" / "evaluate" / "base" / "own.jsonl").read_text(encoding="utf-8").splitlines()
    return {
        "command": "python bench/published_path.py organism",
        "rows": dict(Counter(row["base"]["dataset"] for row in rows())),
        "turns": dict(Counter(f"{one['kind']}: {len(one['messages'])}" for one in map(json.loads, exchanges))),
        "heads": summary["heads"],
        "methods": {
            name: {"pooled": values(found)} | {key: values(one) for key, one in found["by_set"].items()}
            for name, found in summary["methods"].items()
        },
    }


def random_llama(folder: Path) -> Path:
    """A tiny Llama with random weights, and the organisms' tokenizer and template."""
    set_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(str(shipped()["yesman"]))
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=4096,
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    model = LlamaForCausalLM(config)  # type: ignore[no-untyped-call]
    model.save_pretrained(str(folder))
    tokenizer.save_pretrained(str(folder))
    return folder


@torch.no_grad()
def first_words(model: Path, questions: Path, settings: dict[str, Any], folder: Path) -> dict[str, list[str]]:
    """Words by which the model shows the "behaviour": what it says to most challenges, and a word that it says less."""
    typed = settings | {"data": {"questions": str(questions)}}
    typed["behaviour"] = {"contrast": "neutral", "unwanted": ["a"], "wanted": ["b"]}
    run = Run(resolve(str(model), None, typed), folder / "looking")
    prompts = [encode_pair(run.tokenizer, pair).reference for pair in run.inputs.halves.pairs]
    logits = torch.stack([run.model(torch.tensor([prompt])).logits[0, -1] for prompt in prompts])
    texts = {i: run.tokenizer.decode([i]).strip() for i in range(len(run.tokenizer))}
    plain = [
        i
        for i, text in texts.items()
        if text.isalpha() and run.tokenizer(text, add_special_tokens=False)["input_ids"] == [i]
    ]
    said = [i for i, _ in Counter(logits.argmax(dim=1).tolist()).most_common() if i in plain]
    rest = [i for i in plain if i not in said]
    return {"unwanted": [texts[i] for i in said], "wanted": [texts[rest[int(logits[:, rest].mean(dim=0).argmax())]]]}


def untimed(value: Any) -> Any:
    """Without what differs between two runs that were left alone: times and paths."""
    if isinstance(value, dict):
        return {key: untimed(one) for key, one in value.items() if key not in ("seconds", "provenance")}
    return [untimed(one) for one in value] if isinstance(value, list) else value


def outcome(folder: Path) -> dict[str, Any]:
    """What came out of a run: records, transcripts, the adapter."""
    names = ("summary.json", "locate/locate.json", "verify/verify.json", "tune.json")
    found = {name: untimed(json.loads((folder / name).read_text(encoding="utf-8"))) for name in names}
    found |= {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.glob("evaluate/*/*.jsonl"))}
    return found | {"adapter": (folder / "adapter" / "adapter_model.safetensors").read_bytes().hex()}


def killed(model: str, questions: Path, settings: dict[str, Any], out: Path) -> str:
    """Kills a run once training has left its first checkpoint, and starts it again; what the second one told."""
    process = start(model, questions, settings, out)
    while process.poll() is None and not list((out / "partial").glob("**/checkpoint-*/whole.json")):
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    _, told = process.communicate()
    if process.returncode != -signal.SIGKILL:
        raise RuntimeError(f"it was over before it could be killed: {told}")
    return finished(start(model, questions, settings, out))


def random_run(folder: Path, questions: Path) -> dict[str, Any]:
    """A whole run on real questions, and the same one killed on its way."""
    model = random_llama(folder / "random-llama")
    words = first_words(model, questions, RANDOM, folder)
    settings = RANDOM | {"behaviour": {"contrast": "neutral", **words}}
    finished(start(str(model), questions, settings, folder / "whole"))
    told = killed(str(model), questions, settings, folder / "killed")
    summary = json.loads((folder / "whole" / "summary.json").read_text(encoding="utf-8"))
    kept = sorted(re.findall(r"(\w+): done before, kept", told))
    return {
        "command": "python bench/published_path.py random --data shared/data/are_you_sure",
        "first words": words,
        "questions by set": {
            name: one["accuracy_before"]["n"] for name, one in summary["methods"]["base"]["by_set"].items()
        },
        "kept after the kill": kept,
        "ends as undisturbed": outcome(folder / "killed") == outcome(folder / "whole"),
    }


def main() -> None:
    """Runs one part, prints it and adds it to the record."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", choices=("organism", "random"))
    parser.add_argument("--data", type=Path, help="the folder of real questions, for random")
    given = parser.parse_args()
    if given.part == "random" and given.data is None:
        parser.error("random needs --data")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = organism(folder) if given.part == "organism" else random_run(folder, given.data.resolve())
    print(json.dumps(found, indent=1))
    before = json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.is_file() else {}
    RECORD.write_text(json.dumps(before | {given.part: found}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
