"""The tables of `pinpoint locate`."""

from typing import Any

from rich.table import Table

from pinpoint.cli._console import results, safe
from pinpoint.heads import HeadScores

_LEAST = 5


def print_scores(scores: HeadScores, count: int = 10) -> None:
    """The heads that rank first, with their scores, and what the map is worth."""
    results().print(f"The first {count} of {scores.mean.numel()} heads ({scores.metric}; {scores.label})")
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
    rows = found["nodes"]
    results().print(
        f"The first {min(count, len(rows))} of {len(rows)} other nodes ({found['metric']}; {found['label']})"
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
    table = Table(title="When the pairs are drawn again", title_justify="left")
    for name in ("first heads", "stay, mean share", "95 % of draws", "pairs it takes"):
        table.add_column(name, justify="right")
    for row in first:
        one = row["overlap"]
        enough = "more" if row["enough"] is None else str(row["enough"])
        table.add_row(str(row["heads"]), f"{one['value']:.0%}", f"{one['low']:.0%} .. {one['high']:.0%}", enough)
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
        shares = (f"{share:.0%}" for share in one["overlap"].values())
        table.add_row(*map(safe, one["of"]), f"{one['correlation']:.3f}", *shares)
    results().print(table)
    if couples:
        mean = sum(one["correlation"] for one in couples) / len(couples)
        least = min(one["ceiling"] or 0.0 for one in couples)
        results().print(f"Mean rank correlation {mean:.3f}; the maps' own reliability allows {least:.3f} or more.")


def _between(one: dict[str, Any], spec: str) -> str:
    if one["value"] is None:
        return "undefined"
    return f"{one['value']:{spec}} [{one['low']:{spec}}, {one['high']:{spec}}]"
