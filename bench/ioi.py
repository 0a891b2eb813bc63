"""Three locators on GPT-2 small's indirect-object task, against the 26 heads that Wang et al. 2022 published.

    python bench/ioi.py --model openai-community/gpt2      where the weights can be had; writes bench/results/ioi.json
    python bench/ioi.py --stand-in                         a random model of that shape: checks the script, not GPT-2

"When Mary and John went to the store, John gave a drink to" should end in " Mary". The counterfactual has three other
names in the places of the three (the paper's ABC distribution), so that nothing says whom the drink went to. A head's
effect is the change of logit(indirect object) - logit(subject): negative where the head helps the answer, positive
where it writes against it. Every class of published heads is looked for by what the paper found it by, or what comes
nearest: direct effects on the logits, paths into the name movers' queries, or total effects.
"""

import argparse
import copy
import json
import platform
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from scipy.stats import mannwhitneyu
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

import pinpoint
from pinpoint.heads import Head, HeadScores
from pinpoint.models import headed

HERE = Path(__file__).resolve().parent


class Class(NamedTuple):
    """Published heads of one kind: which, by which map they should be found, and the sign of their effects there."""

    heads: tuple[str, ...]
    by: str
    sign: int


DIRECT, FREED, QUERIES, TOTAL = "direct", "direct, without name movers", "name movers' queries", "total"
# Wang et al. 2022 (arXiv 2211.00593), figure 2 and section 3: 26 heads of seven classes. Backup name movers are found
# there, as here, with the name movers knocked out, S-inhibition heads by paths into the name movers' queries. The
# others act through those, and before the last position: by total effects here.
PUBLISHED = {
    "name movers": Class(("L9.H9", "L10.H0", "L9.H6"), DIRECT, -1),
    "negative name movers": Class(("L10.H7", "L11.H10"), DIRECT, +1),
    "backup name movers": Class(
        ("L9.H0", "L9.H7", "L10.H1", "L10.H2", "L10.H6", "L10.H10", "L11.H2", "L11.H9"), FREED, -1
    ),
    "S-inhibition heads": Class(("L7.H3", "L7.H9", "L8.H6", "L8.H10"), QUERIES, -1),
    "induction heads": Class(("L5.H5", "L5.H8", "L5.H9", "L6.H9"), TOTAL, -1),
    "duplicate token heads": Class(("L0.H1", "L0.H10", "L3.H0"), TOTAL, -1),
    "previous token heads": Class(("L2.H2", "L4.H11"), TOTAL, -1),
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


def silenced(model: GPT2LMHeadModel, heads: Sequence[Head]) -> GPT2LMHeadModel:
    """A copy in which heads put out 0."""
    found = copy.deepcopy(model)
    view = headed(found)
    with torch.no_grad():
        for head in heads:
            module, indices = view.projection_slice(head.layer, "o", head.head)
            found.get_submodule(module).weight[list(indices)] = 0  # Conv1D: inputs are rows
    return found


def maps(model: Any, tokenizer: Any, some: Sequence[pinpoint.ContrastPair]) -> dict[str, HeadScores]:
    """The effects of every head, by the name of the map."""
    movers = [Head.parse(head) for head in PUBLISHED["name movers"].heads]
    return {
        DIRECT: pinpoint.locate(model, tokenizer, some),
        FREED: pinpoint.locate(silenced(model, movers), tokenizer, some),
        QUERIES: pinpoint.locate_paths(model, tokenizer, some, movers, through="q"),
        TOTAL: pinpoint.locate(model, tokenizer, some, method="activation", positions="all"),
    }


def agreement(kind: Class, effects: Mapping[str, float]) -> dict[str, float]:
    """How well effects of the published sign tell a class from all heads that are in no class.

    Args:
        kind: the class.
        effects: mean effect of every head, by name.

    Returns:
        The area under the ROC curve; precision at the number of heads in the class; that number; how many heads they
        are told from; and how many of the class have the published sign.
    """
    known = {head for one in PUBLISHED.values() for head in one.heads}
    inside = [kind.sign * effects[head] for head in kind.heads]
    outside = [kind.sign * effect for head, effect in effects.items() if head not in known]
    # Of equal effects, those of the others come first.
    first = sorted([*((-value, True) for value in inside), *((-value, False) for value in outside)])
    return {
        "auroc": float(mannwhitneyu(inside, outside).statistic) / (len(inside) * len(outside)),
        "precision_at_k": sum(right for _, right in first[: len(inside)]) / len(inside),
        "heads": len(inside),
        "others": len(outside),
        "published_sign": sum(value > 0 for value in inside),
    }


def _class(kind: Class, scores: HeadScores) -> dict[str, Any]:
    """Where the heads of a class come, by effects of its sign, and how well they are told from heads of no class."""
    table = scores.to_pandas().set_index("head")
    effects = {str(head): float(value) for head, value in table.effect.items()}
    order = sorted(effects, key=lambda head: -kind.sign * effects[head])
    heads = {
        head: {
            "rank": order.index(head) + 1,
            "effect": effects[head],
            "standard_error": float(table.standard_error[head]),
        }
        for head in kind.heads
    }
    return {"by": kind.by, "sign": kind.sign, "agreement": agreement(kind, effects), "heads": heads}


def _mean(values: torch.Tensor) -> dict[str, float]:
    """A mean over pairs, and its standard error."""
    return {"mean": float(values.mean()), "standard_error": float(values.std()) / len(values) ** 0.5}


def _told(marks: dict[str, float]) -> str:
    heads = marks["heads"]
    signs = f"{marks['published_sign']} of {heads} have the published sign"
    precision = f"precision at {heads} {marks['precision_at_k']:.2f}"
    return f"AUROC {marks['auroc']:.2f}, {precision}, against {marks['others']} heads of no class; {signs}"


def main() -> None:
    """Locates, and says where the published heads came."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--model", help="GPT-2 small: a Hub id or a folder")
    which.add_argument("--stand-in", action="store_true", help="a random model; nothing is written")
    parser.add_argument("--pairs", type=int, default=100)
    arguments = parser.parse_args()
    model, tokenizer = stand_in() if arguments.stand_in else pinpoint.load(arguments.model, dtype="float32")
    found = maps(model, tokenizer, pairs(tokenizer, arguments.pairs))
    record = {
        "command": "python bench/ioi.py --model openai-community/gpt2",
        "machine": f"{platform.machine()}, {model.device.type}",
        "pairs": arguments.pairs,
        "maps": {name: {"of": one.worth, "first": list(map(str, one.ranking()[:10]))} for name, one in found.items()},
        "logit_difference": _mean(found[DIRECT].reference),
        "published": {name: _class(kind, found[kind.by]) for name, kind in PUBLISHED.items()},
    }
    print(json.dumps(record, indent=1))
    for name, one in record["published"].items():
        print(f"{name} by {one['by']}: {_told(one['agreement'])}")
    if arguments.stand_in:
        print("a random stand-in: these ranks say nothing about GPT-2, and are not kept")
        return
    (HERE / "results" / "ioi.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
