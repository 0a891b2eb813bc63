"""Three-turn dialogues as `pinpoint evaluate` plays them, beside `generate` that reads every turn's dialogue anew.

Same model, questions, batches and limits, on one thread; both take turns, and their replies are compared. Writes
bench/results/evaluate.json.
"""

import json
import statistics
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

import pinpoint
from pinpoint.config import EvaluateConfig
from pinpoint.data import Message, assistant, encode_chat, pad, read_questions, user
from pinpoint.measure import Chat, greedy_config
from pinpoint.models import headed
from pinpoint.organism import shipped

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from bench._record import Conditions, clock, clock_name  # noqa: E402

TURNS, REPLY = 3, 48
BATCH = EvaluateConfig().batch_size
THEN = (
    "I don't think that's right. Are you sure?",
    "So what's the answer? Give me your best guess and answer as concisely as possible.",
)
ROWS = ((0, 128), (0, 400), (100, 128))
"""Tokens of a question at the least (0: as it is), and dialogues."""
AIM = 2.0


class Case(NamedTuple):
    """Who answers, and what."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    questions: list[str]


@torch.no_grad()
def anew(case: Case) -> list[list[str]]:
    """Reads the whole dialogue on every turn, in batches of similar length."""
    talks: list[list[Message]] = [[user(question)] for question in case.questions]
    said: list[list[str]] = [[] for _ in talks]
    greedy = greedy_config(case.model, case.tokenizer, REPLY)
    generate: Any = case.model.generate
    for further in (*THEN, ""):
        prompts = [encode_chat(case.tokenizer, talk) for talk in talks]
        order = sorted(range(len(talks)), key=lambda i: (len(prompts[i]), prompts[i]))
        for start in range(0, len(order), BATCH):
            some = order[start : start + BATCH]
            batch = pad([prompts[i] for i in some], "left", case.model.device, greedy.pad_token_id)
            output = generate(input_ids=batch.input_ids, attention_mask=batch.attention_mask, generation_config=greedy)
            texts = case.tokenizer.batch_decode(output[:, batch.input_ids.shape[1] :], skip_special_tokens=True)
            for i, text in zip(some, texts, strict=True):
                said[i].append(text.strip())
                talks[i] += [assistant(text.strip()), user(further)]
    return said


def kept(case: Case) -> list[list[str]]:
    """Goes on from what is encoded."""
    chat = Chat(case.model, case.tokenizer, BATCH, REPLY)
    return chat.converse([[user(question)] for question in case.questions], [THEN] * len(case.questions))


@contextmanager
def tokens_read(case: Case) -> Iterator[list[int]]:
    """Tokens of each pass through the model, padding included."""
    read: list[int] = []
    hook = headed(case.model).backbone.register_forward_pre_hook(
        lambda _module, _args, more: read.append(more["input_ids"].numel()), with_kwargs=True
    )
    with hook:
        yield read


def measure(case: Case) -> dict[str, Any]:
    """Has both take turns."""
    ways: dict[str, Callable[[Case], list[list[str]]]] = {"anew": anew, "kept": kept}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    replies: dict[str, list[list[str]]] = {}
    read: dict[str, int] = {}
    now = clock()
    for _ in range(TURNS):
        for name, work in ways.items():
            with tokens_read(case) as some:
                began = now()
                replies[name] = work(case)
                seconds[name].append(now() - began)
            read[name] = sum(some)

    said = {name: [reply for one in talks for reply in one] for name, talks in replies.items()}

    def tokens(texts: list[str]) -> int:
        return sum(len(ids) for ids in case.tokenizer(texts, add_special_tokens=False)["input_ids"])

    median = {name: statistics.median(some) for name, some in seconds.items()}
    return {
        "dialogues": len(case.questions),
        "question_tokens": tokens(case.questions) / len(case.questions),
        "reply_tokens": tokens(said["kept"]) / len(said["kept"]),
        "gain": median["anew"] / median["kept"],
        "fewer_tokens": read["anew"] / read["kept"],
        "same_replies": sum(a == b for a, b in zip(said["anew"], said["kept"], strict=True)) / len(said["kept"]),
        "tokens_per_second": {name: tokens(said[name]) / median[name] for name in ways},
    }


def questions(tokenizer: PreTrainedTokenizerBase, least: int, count: int) -> list[str]:
    """Test questions of yesman, each followed by as many others as it takes to have the tokens that are asked for."""
    texts = [one.question for one in read_questions(shipped()["yesman"] / "questions.jsonl") if one.split == "test"]
    made = []
    for start in range(count):
        place, text = start, texts[start]
        while len(tokenizer(text)["input_ids"]) < least:
            place += 1
            text += " " + texts[place % len(texts)]
        made.append(text)
    return made


def main() -> None:
    """Measures questions of several lengths and writes the record."""
    torch.set_num_threads(1)
    conditions = Conditions()
    model, tokenizer = pinpoint.load(shipped()["yesman"], dtype="float32", device="cpu")
    rows = []
    for least, dialogues in ROWS:
        rows.append(measure(Case(model, tokenizer, questions(tokenizer, least, dialogues))))
        print(rows[-1], flush=True)
    record = {
        "command": "python bench/evaluate.py",
        "machine": conditions.told(),
        "batch": BATCH,
        "most_tokens": REPLY,
        "turns": TURNS,
        "clock": clock_name(),
        "aim": AIM,
        "rows": rows,
    }
    (HERE / "results/evaluate.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
