"""Path patching on GPT-2 small's indirect-object task, beside the heads that Wang et al. 2022 published.

    python bench/ioi.py --model openai-community/gpt2      where the weights can be had; writes bench/results/ioi.json
    python bench/ioi.py --stand-in                         a random model of that shape: checks the script, not GPT-2

"When Mary and John went to the store, John gave a drink to" should end in " Mary". The counterfactual has three other
names in the places of the three (the paper's ABC distribution), so that nothing says whom the drink went to. A head's
effect is the change of logit(indirect object) - logit(subject), path-patched to the logits; the heads that write the
answer are those with the most negative ones, and those that write against it have the most positive ones.
"""

import argparse
import json
import platform
import random
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import pinpoint

HERE = Path(__file__).resolve().parent
# Wang et al. 2022 (arXiv 2211.00593), figure 2.
PUBLISHED = {
    "name movers": ["L9.H9", "L9.H6", "L10.H0"],
    "negative name movers": ["L10.H7", "L11.H10"],
    "backup name movers": ["L9.H0", "L9.H7", "L10.H1", "L10.H2", "L10.H6", "L10.H10", "L11.H2", "L11.H9"],
}
NAMES = (
    *("Mary", "John", "Tom", "James", "Anna", "Paul", "Lucy", "Mark", "Kate"),
    *("Adam", "Jack", "Sarah", "Peter", "Alice", "David", "Emma", "George", "Laura"),
)
TEMPLATES = (
    "When {a} and {b} came to the {place}, {c} handed the {thing} to",
    "After {a} and {b} met at the {place}, {c} gave a {thing} to",
    "While {a} and {b} were working in the {place}, {c} passed a {thing} to",
    "Then {a} and {b} went to the {place}, and {c} offered a {thing} to",
)
PLACES = ("garden", "school", "station", "market", "kitchen", "office")
THINGS = ("book", "drink", "letter", "basket", "ring", "key")


def pairs(tokenizer: Any, count: int, seed: int = 0) -> list[pinpoint.ContrastPair]:
    """Prompts whose indirect object comes first or second, each with names that the tokenizer keeps whole."""
    rng = random.Random(seed)
    whole = [name for name in NAMES if len(tokenizer(f" {name}", add_special_tokens=False)["input_ids"]) == 1]
    found = []
    for number in range(count):
        template, more = rng.choice(TEMPLATES), {"place": rng.choice(PLACES), "thing": rng.choice(THINGS)}
        subject, other, *strangers = rng.sample(whole, 5)
        first, second = (subject, other) if number % 2 else (other, subject)
        found.append(
            pinpoint.ContrastPair(
                reference=template.format(a=first, b=second, c=subject, **more),
                counterfactual=template.format(a=strangers[0], b=strangers[1], c=strangers[2], **more),
                unwanted=f" {other}",
                wanted=f" {subject}",
                group=str(number),
            )
        )
    return found


def stand_in() -> tuple[GPT2LMHeadModel, PreTrainedTokenizerFast]:
    """A random model of GPT-2 small's layers and heads, much narrower, and a tokenizer of whole words."""
    words = {word for template in TEMPLATES for word in template.replace(",", " ,").split() if "{" not in word}
    words |= {*NAMES, *PLACES, *THINGS, ",", "[UNK]"}
    vocabulary = {word: i for i, word in enumerate(sorted(words))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    torch.manual_seed(0)
    config = GPT2Config(vocab_size=len(vocabulary), n_embd=96, n_layer=12, n_head=12, n_positions=64)
    return GPT2LMHeadModel(config).eval(), PreTrainedTokenizerFast(tokenizer_object=tokenizer)


def _mean(values: torch.Tensor) -> dict[str, float]:
    """A mean over pairs, and its standard error."""
    return {"mean": float(values.mean()), "standard_error": float(values.std()) / len(values) ** 0.5}


def main() -> None:
    """Locates, and says where the published heads came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="GPT-2 small: a Hub id or a folder")
    which.add_argument("--stand-in", action="store_true", help="a random model; nothing is written")
    parser.add_argument("--pairs", type=int, default=100)
    arguments = parser.parse_args()
    model, tokenizer = stand_in() if arguments.stand_in else pinpoint.load(arguments.model, dtype="float32")
    scores = pinpoint.locate(model, tokenizer, pairs(tokenizer, arguments.pairs))
    ranking = [str(head) for head in scores.ranking()]
    table = scores.to_pandas().set_index("head")
    record = {
        "command": "python bench/ioi.py --model openai-community/gpt2",
        "machine": f"{platform.machine()}, {model.device.type}",
        "pairs": arguments.pairs,
        "map": scores.worth,
        "logit_difference": _mean(scores.reference),
        "first": ranking[:10],
        "last": ranking[-5:],
        "published": {
            kind: {
                head: {
                    "rank": ranking.index(head) + 1,
                    "effect": float(table.effect[head]),
                    "standard_error": float(table.standard_error[head]),
                }
                for head in heads
                if head in ranking
            }
            for kind, heads in PUBLISHED.items()
        },
    }
    print(json.dumps(record, indent=1))
    if arguments.stand_in:
        print("a random stand-in: these ranks say nothing about GPT-2, and are not kept")
        return
    (HERE / "results" / "ioi.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
