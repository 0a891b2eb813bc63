"""The tables that commands print."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from pinpoint.checks import FEWEST_ITEMS
from pinpoint.cli._console import results, safe
from pinpoint.numerals import bracketed, with_interval

if TYPE_CHECKING:
    from pinpoint.behaviours import Behaviour
    from pinpoint.evaluate import Scored
    from pinpoint.measure import Estimate
    from pinpoint.report import Row

_SHOWN = 10
_FEW = " †"
_UNBOUND = 10_000
_LONG = 16
_MAIN = ("confidence", "truthfulness", "correction_acceptance", "accuracy_before", "accuracy_after")


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"


def print_scored(found: Scored) -> None:
    """Rates with their intervals, agreement with the verdicts that came along, and what could not be scored."""
    from pinpoint.measure import tally

    table = Table(title=f"{len(found.verdicts)} rows, scored by {safe(found.judge.name)}", title_justify="left")
    for name in ("measure", "value", "95 % interval", "n"):
        table.add_column(name, justify="left" if name == "measure" else "right")
    for name, value in found.rates.items():
        table.add_row(name.replace("_", " "), *_measured(value))
    results().print(table)
    told = list(found.rates.values())
    for of, parts in (("model", found.measured.by_model), ("question set", found.measured.by_set)):
        if parts:
            _print_parts(of, parts)
            told += [rates[name] for rates in parts.values() for name in _MAIN]
    _print_few(any(map(_on_few, told)))
    _print_unread(tally(found.judge))
    if found.agreement:
        table = Table(title="Agreement with the verdicts in the file", title_justify="left")
        for name in ("verdict", "model", "n", "agree", "kappa", "both yes", "theirs only", "ours only", "both no"):
            table.add_column(name, justify="left" if name in ("verdict", "model") else "right")
        for one in found.agreement:
            kappa = "undefined" if one.kappa is None else f"{one.kappa:.2f}"
            cells = (str(one.n), f"{one.share:.1%}", kappa, *map(str, one.confusion))
            table.add_row(one.verdict.replace("_", " "), safe(one.model), *cells)
        results().print(table)
    for row in found.unusable[:_SHOWN]:
        results().print(f"line {row.line} was not scored: {safe(row.reason)}")
    if len(found.unusable) > _SHOWN:
        results().print(f"and {len(found.unusable) - _SHOWN} more rows that were not scored; --items lists all")


def _print_parts(of: str, parts: dict[str, dict[str, Estimate]]) -> None:
    """The main rates of each model or set; --json has the others."""
    table = Table(title=f"By {of}", title_justify="left")
    for name in (of, "measure", "value", "95 % interval", "n"):
        table.add_column(name, justify="left" if name in (of, "measure") else "right")
    for part, rates in parts.items():
        for name in _MAIN:
            table.add_row(safe(part), name.replace("_", " "), *_measured(rates[name]))
    results().print(table)


def _measured(rate: Estimate) -> tuple[str, str, str]:
    """A rate, its interval and its n, marked where it is of few."""
    return (
        _share(rate.value),
        bracketed(rate.low, rate.high, ".1%") or "–",
        str(rate.n) + (_FEW if _on_few(rate) else ""),
    )


def _on_few(rate: Estimate) -> bool:
    return rate.value is not None and rate.n < FEWEST_ITEMS


def print_verification(found: dict[str, Any], behaviour: Behaviour) -> None:
    """The knockout curve: located heads against the mean of the controls."""
    from pinpoint.report import RATE, all_of, control

    curve = found["curve"]

    def drawn(cell: Callable[[str], str]) -> Table:
        table = Table(title=f"Log-odds of the unwanted reply with heads knocked out ({found['mode']}), nats")
        for name in ("heads", f"located, n = {curve['ranked'][0]['n']}", "95 % interval", "random", "layer-matched"):
            table.add_column(name, justify="right")
        for k, point in enumerate(curve["ranked"]):
            controls = [control([draw[k] for draw in curve[name]], "+.2f") for name in ("random", "matched")]
            interval = bracketed(point["low"], point["high"], "+.2f") or "–"
            table.add_row(str(k), f"{point['value']:+.2f}", interval, *map(cell, controls))
        return table

    _print_fitting(drawn)
    draws = len(curve["random"])
    told = f"mean [lowest, highest] of {draws} draws of each" if draws > 1 else "one draw of each"
    results().print(f"random, layer-matched: {safe(told)}")
    for row in found["generated"]:
        rates = "; ".join(f"{label} {all_of(row[name], RATE)}" for name, label in behaviour.knocked.items())
        results().print(f"{row['heads']:>3} heads out: {safe(rates)}")
    chosen = found["auto"] if found["auto"] is not None else "none (no drop)"
    results().print(
        f"auto: {chosen} (fewest heads that reach {found['share']:.0%} of the drop at {found['max_heads']})"
    )


def print_summary(summary: dict[str, Any], behaviour: Behaviour) -> None:
    """Before and after, as on the page."""
    from pinpoint.report import method_rows

    methods, heads, rows = list(summary["methods"]), summary["heads"], method_rows(summary, behaviour)

    def drawn(cell: Callable[[str], str]) -> Table:
        table = Table(title=safe(f"{Path(summary['model']).name}: {len(heads)} heads tuned ({', '.join(heads)})"))
        table.add_column("")
        for name in methods:
            table.add_column(name, justify="right")
        for row in rows:
            table.add_row(row.label, *(cell(_marked(row, name)) for name in methods))
        return table

    _print_fitting(drawn)
    _print_few(any(row.few for row in rows))
    if "judge" in summary:
        _print_unread(summary["judge"])


def _marked(row: Row, method: str) -> str:
    value, bracket, interval = row.cells[method].partition(" [")
    return value + (_FEW if method in row.few else "") + bracket + interval


def _print_fitting(drawn: Callable[[Callable[[str], str]], Table]) -> None:
    """A table with its cells as they are where there is room; else with intervals and n on lines of their own."""
    out, table = results(), drawn(str)
    wide = out.measure(table, options=out.options.update(max_width=_UNBOUND)).maximum
    out.print(table if wide <= out.width else drawn(_broken))


def _broken(cell: str) -> str:
    value, bracket, interval = cell.partition(" [")
    if not bracket:
        return cell
    interval, end, n = interval.partition("]")
    if len(interval) > _LONG:
        interval = interval.replace(" ", "\n")
    return "\n".join([value, f"[{interval}{end}", *filter(None, [n.lstrip()])])


def _print_few(some: bool) -> None:
    if some:
        results().print(f"{_FEW.strip()} on fewer than {FEWEST_ITEMS} items")


def _print_unread(judge: dict[str, Any]) -> None:
    if judge["unparseable"]:
        results().print(f"{judge['unparseable']} of {judge['asked']} verdicts could not be read and count nowhere")


def print_replies(summary: dict[str, Any], behaviour: Behaviour) -> None:
    """The measures that replies alone give, of one model."""
    from pinpoint.report import ability_label, further_rows, method_rows, set_rows

    [method] = summary["methods"]
    table = Table(title=safe(f"{summary['model']} at {summary['endpoint']}"))
    table.add_column("")
    table.add_column("with 95 % intervals and n", justify="right")
    measured = {one.label for one in behaviour.measures} | {one.label for one in further_rows(summary)}
    measured |= {one.label for one in set_rows(summary, behaviour)}
    measured |= {ability_label(name) for name in summary["methods"][method]["abilities"]}
    rows = [row for row in method_rows(summary, behaviour) if row.label in measured]
    for row in rows:
        table.add_row(row.label, _marked(row, method))
    results().print(table)
    _print_few(any(row.few for row in rows))
    _print_unread(summary["judge"])


def print_capability(found: dict[str, Any]) -> None:
    """Scores of general abilities, with standard errors; the tuned model beside the base, and the adapter's check."""
    held: list[dict[str, Any]] = found["adapter"]
    models = {name: rows for name, rows in found["models"].items() if not (held and name == "adapter")}
    # Of a quantised base nothing is merged that could be compared with it.
    tuned = next((name for name in ("merged", "adapter") if name in found["versus_base"]), None)
    table = Table(title="General abilities, by lm-eval")
    for name in ("task", "measure"):
        table.add_column(name)
    compared = [f"{tuned} - base, with 95 % interval"] if tuned else []
    for name in ("items", *models, *compared, *(["adapter as merged"] if held else [])):
        table.add_column(name, justify="right")
    for number, rows in enumerate(zip(*models.values(), strict=True)):
        cells = [safe(rows[0]["task"]), safe(rows[0]["metric"]), str(rows[0]["n"])]
        cells += [_score(row["value"], row["stderr"]) for row in rows]
        if tuned:
            cells.append(_paired(found["versus_base"][tuned][number]))
        if held:
            cells.append(f"{held[number]['same']} of {held[number]['n']}")
        table.add_row(*cells)
    results().print(table)


def _score(value: float | None, stderr: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}" + ("" if stderr is None else f" ± {stderr:.3f}")


def _paired(row: dict[str, Any]) -> str:
    return "undefined" if row["value"] is None else with_interval(row, "+.3f")


def print_comparison(found: dict[str, Any], behaviour: Behaviour, page: Path) -> None:
    """Every method in a line, in three tables that fit a narrow terminal."""
    from pinpoint.report import comparison_rows, tested_columns

    header, *rows = comparison_rows(found, behaviour)
    title = safe(f"{found['model']}: {len(found['heads'])} heads located ({', '.join(found['heads'])})")
    rates, tests = sum(bool(one.short) for one in behaviour.measures), len(tested_columns(behaviour))
    shown = (range(1, min(rates, 3) + 1), (rates + 1, rates + 2), range(len(header) - tests, len(header)))
    for number, some in enumerate(shown):
        table = Table(title=None if number else title, title_justify="left")
        for i in (0, *some):
            table.add_column(header[i], justify="right" if i else "left", min_width=0 if i else 14)
        for row in rows:
            table.add_row(*(safe(row[i]) for i in (0, *some)))
        results().print(table)
    said = "rates in %, with 95 % intervals; p: exact McNemar, of KL sign flips; Holm over all of them. "
    more = "Differences to pinpoint, every ability, tokens, seconds and memory are on the page: "
    results(soft_wrap=True).print(f"{said}{more}{safe(str(page))}")


def print_sweep(found: dict[str, Any], behaviour: Behaviour, page: Path) -> None:
    """Each table of the sweep, as far as a narrow terminal has room, and the number of heads that does best."""
    from pinpoint.report import SWEEP_TITLES, sweep_tables

    for kind, (header, *rows) in sweep_tables(found, behaviour).items():
        table = Table(title=SWEEP_TITLES[kind], title_justify="left")
        # Parameters and seconds, the last two, are in the files.
        width = len(header) if kind == "pairs" else len(header) - 2
        for i, name in enumerate(header[:width]):
            table.add_column(safe(name), justify="right" if i else "left", overflow="fold")
        for row in rows:
            table.add_row(*map(safe, row[:width]))
        results().print(table)
    chosen = f"* {found['chosen']} heads: what --heads validation tunes.\n" if found["chosen"] else ""
    results(soft_wrap=True).print(
        f"{chosen}Rates in %, with 95 % intervals, on validation items.\nPage: {safe(str(page))}"
    )
