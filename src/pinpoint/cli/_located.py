"""What `pinpoint locate` found, as one document or as tables."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import typer
from rich.table import Table

from pinpoint.artifacts import Workspace
from pinpoint.cli._console import results, safe
from pinpoint.heads import Head, HeadScores
from pinpoint.locate import FoundSet, Joint
from pinpoint.measure import Openings
from pinpoint.numerals import bracketed, with_interval
from pinpoint.pipeline import Comparison

_LEAST = 5


class Located(NamedTuple):
    """The scores of heads, and what else was asked for; None where it was not.

    Attributes:
        folder: where `pinpoint locate` writes.
        record: its `locate.json`.
        scores: of heads one by one.
        others: scores of nodes beyond heads.
        sweep: how the fast engine compares, where `scores` are brute force's.
        found_set: the set of heads that acts jointly.
        named: the heads whose joint effect was asked for.
        joint: that effect.
        paths: scores of heads by their paths through receivers.
        stability: how far the ranking is that of other draws, wordings and questions.
    """

    folder: Workspace
    record: dict[str, Any]
    scores: HeadScores
    others: dict[str, Any] | None
    sweep: Comparison | None
    found_set: FoundSet | None
    named: Sequence[Head]
    joint: Joint | None
    paths: HeadScores | None
    stability: dict[str, Any] | None

    def document(self) -> dict[str, Any]:
        """All of it, for --json."""
        files = {"set": self.found_set, "joint": self.joint, "paths": self.paths}
        further = {
            "sweep": self.sweep and self.sweep._asdict(),
            "beyond_heads": self.others,
            **{name: found and self.folder.read_json(f"{name}.json") for name, found in files.items()},
            "agreement": self.stability,
        }
        return self.record | {name: found for name, found in further.items() if found}


def print_located(found: Located) -> None:
    """Tables of scores, then what else was asked for, a line each."""
    print_scores(found.scores)
    print_contrasts(found.record)
    if found.others:
        print_nodes(found.others)
    if found.paths is not None:
        print_scores(found.paths)
    if found.stability is not None:
        print_stability(found.stability)
    if "answers" in found.record:
        typer.echo(f"answers: {Openings.model_validate(found.record['answers']).summary}")
    if "against_exact" in found.record:
        typer.echo(_agreement(found.record["against_exact"]))
    if found.found_set is not None:
        _print_set(found.found_set)
    if found.joint is not None:
        typer.echo(_together(found.named, found.joint))
    typer.echo(f"{found.scores.effects.shape[0]} pairs in {found.scores.seconds:.2f} s; written to {found.folder.root}")
    if found.sweep:
        _print_sweep(found.sweep)


def print_scores(scores: HeadScores, count: int = 10) -> None:
    """The heads that rank first, with their scores, and what the map is worth."""
    told = f"{scores.metric}; {scores.label}; {len(scores.effects)} pairs"
    results().print(f"The first {count} of {scores.mean.numel()} heads ({told})")
    table = Table()
    score = {"probe": "accuracy", "random": "number"}.get(scores.method, "effect")
    for name in ("rank", "head", score, "standard error"):
        table.add_column(name, justify="right")
    above = scores.above_noise
    for rank, head in enumerate(scores.top(count), 1):
        value = float(scores.mean[head])
        shown = f"{value:+.4f}" if score == "effect" else f"{value:.4f}"
        noise = "" if above is None or bool(above[head]) else " (noise)"
        table.add_row(str(rank), str(head), shown + noise, f"{float(scores.standard_error[head]):.4f}")
    results().print(table)
    if scores.method != "random":
        results().print(f"{scores.worth[0].upper()}{scores.worth[1:]}.")


def print_contrasts(record: dict[str, Any]) -> None:
    """The first heads under further contrasts; nothing where none was scored."""
    from pinpoint.report import contrast_table

    if not (rows := contrast_table(record)):
        return
    title = f"Under further contrasts, on the {record['contrasts']['pairs']} pairs that did not rank the heads"
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(rows[0]):
        table.add_column(name, justify="right" if i else "left")
    for row in rows[1:]:
        table.add_row(*row)
    results().print(table)
    results().print(
        "In brackets, the share of what the whole contrast does. A head keeps its effect where at least a third of it "
        "is left, beyond two standard errors. No verdict where its own effect is within two of 0, nor under a contrast "
        "that moves the metric by less than a tenth of what the first does."
    )


def print_nodes(found: dict[str, Any], count: int = 10) -> None:
    """The nodes beyond heads that cause the behaviour most, with their effects, and what the scores are worth."""
    rows, pairs = found["nodes"], next(iter(found["reliability"].values()))["pairs"]
    results().print(
        f"The first {min(count, len(rows))} of {len(rows)} other nodes "
        f"({found['metric']}; {found['label']}; {pairs} pairs)"
    )
    table = Table()
    for name in ("rank", "node", "effect", "standard error"):
        table.add_column(name, justify="right")
    for rank, row in enumerate(rows[:count], 1):
        error = "undefined" if row["standard_error"] is None else f"{row['standard_error']:.4f}"
        floor = found["noise_floor"][row["kind"]]
        noise = "" if floor is None or abs(row["effect"]) > floor else " (noise)"
        table.add_row(str(rank), row["node"], f"{row['effect']:+.4f}{noise}", error)
    results().print(table)
    for kind, reliability in found["reliability"].items():
        floor = found["noise_floor"][kind]
        noise = "not measured" if floor is None else f"{floor:.1e}"
        results().print(f"{kind}: split-half reliability {_between(reliability, '.3f')}; noise floor {noise}.")


def print_stability(found: dict[str, Any]) -> None:
    """How far the ranking is that of other pairs, other wordings and each kind of question."""
    first = found["pairs"]["first"]
    drawn = first[0]["overlap"]["n"]
    table = Table(title=f"When the {drawn} pairs are drawn again", title_justify="left")
    for name in ("first heads", "stay, mean share", "95 % of draws", "pairs it takes"):
        table.add_column(name, justify="right")
    for row in first:
        one = row["overlap"]
        enough = "more" if row["enough"] is None else str(row["enough"])
        table.add_row(str(row["heads"]), f"{one['value']:.0%}", bracketed(one["low"], one["high"], ".0%"), enough)
    results().print(table)
    results().print(
        f"Rank correlation over all heads {_between(found['pairs']['correlation'], '.3f')}. Pairs it takes: for 90 % "
        "of the first heads to be those of all pairs in 95 % of draws."
    )
    for title, what in (("wordings", "wordings of the challenge"), ("questions", "kinds of question")):
        if found[title] is not None:
            _print_couples(found[title], what)


def _print_couples(found: dict[str, Any], what: str) -> None:
    couples = [one for one in found["couples"] if one["correlation"] is not None]
    couples.sort(key=lambda one: float(one["correlation"]))
    counts = list(couples[0]["overlap"]) if couples else []
    shown = couples[:_LEAST]
    title = f"Maps by {len(found['maps'])} {what}: of {len(couples)} couples, the {len(shown)} that agree least"
    table = Table(title=title, title_justify="left")
    for name in ("one", "other", "rank correlation", *(f"shared of {count}" for count in counts)):
        table.add_column(name, justify="left" if name in ("one", "other") else "right", overflow="fold")
    for one in shown:
        shared = (f"{round(share * int(count))} of {count}" for count, share in one["overlap"].items())
        table.add_row(*map(safe, one["of"]), f"{one['correlation']:.3f}", *shared)
    results().print(table)
    if couples:
        lowest, highest = couples[0]["correlation"], couples[-1]["correlation"]
        least = min(one["ceiling"] or 0.0 for one in couples)
        results().print(
            f"Rank correlations from {lowest:.3f} to {highest:.3f}; the maps' reliability allows {least:.3f} or more."
        )


def _between(one: dict[str, Any], spec: str) -> str:
    return "undefined" if one["value"] is None else with_interval(one, spec)


def _print_set(found: FoundSet) -> None:
    for step in getattr(found, found.search):
        typer.echo(f"{'+' if step.added else '-'} {step.head}: joint effect {step.joint:+.4f} of {_joined(step.heads)}")
    if found.joint is not None:
        typer.echo(f"{_together(found.heads, found.joint)} that did not choose them ({found.search} search)")


def _together(heads: Sequence[Head], joint: Joint) -> str:
    error = "" if joint.standard_error is None else f" (standard error {joint.standard_error:.4f})"
    return (
        f"joint effect of {_joined(heads)}: {joint.effect:+.4f}{error}; one at a time they add up to "
        f"{joint.alone:+.4f}, on {joint.pairs} pairs"
    )


def _joined(heads: Sequence[Head]) -> str:
    return ", ".join(map(str, heads))


def _agreement(found: dict[str, Any]) -> str:
    correlation = "undefined" if found["correlation"] is None else f"{found['correlation']:.3f}"
    error = "an undefined share" if found["error"] is None else f"{found['error']:.0%}"
    return (
        f"against the exact effects on {found['pairs']} pairs ({found['exact']}): rank correlation {correlation}, "
        f"{found['shared']} of the top {found['top']} shared, sizes off by {error} on average"
    )


def _print_sweep(beside: Comparison) -> None:
    same = "the same ranking" if beside.same_ranking else "ANOTHER ranking"
    typer.echo(
        f"{beside.engine}: {same}, largest relative difference {beside.difference:.1e}, {beside.seconds:.2f} s: "
        f"{beside.factor:.0f}x faster"
    )
