"""Reads the artifacts of a run and renders them as one HTML file that needs nothing from outside."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour, behaviour_of
from pinpoint.beyond import FURTHER
from pinpoint.config import RunConfig, parse_config
from pinpoint.heads import Head
from pinpoint.masking import masked_text
from pinpoint.report import _figures, _words
from pinpoint.report._attention import Looked, read_looks
from pinpoint.report._contrasts import contrast_table, contrast_words
from pinpoint.report._figure_rows import check_rows, curve_rows
from pinpoint.report._format import NATS, RATE, count, duration, percent, quantity, ratio, shown, within
from pinpoint.report._html import render
from pinpoint.report._judged import other_judge
from pinpoint.report._located import TOP, answers, head_rows, located, with_error, worth
from pinpoint.report._parting import with_partings
from pinpoint.report._rows import further_rows, label_of, metric_rows, set_rows
from pinpoint.report._shifts import shift_meanings
from pinpoint.report._tradeoff import tradeoffs

_TILES = 3
_TEMPLATES = {"sycophancy": "page.html.jinja"}
_ANY = "behaviour.html.jinja"
_TURNS = ("first", "first_letter", "reply", "final")
_CAUSAL = ("path", "activation", "attribution", "knockout")


class _Run(NamedTuple):
    """The artifacts of a run folder."""

    summary: dict[str, Any]
    locate: dict[str, Any]
    verify: dict[str, Any]
    tunes: dict[str, dict[str, Any]]
    examples: list[dict[str, Any]]
    config: str
    search: dict[str, Any] | None
    looks: Looked | None
    environments: list[dict[str, Any]]

    @property
    def settings(self) -> dict[str, Any]:
        """The settings as a mapping."""
        settings: dict[str, Any] = yaml.safe_load(self.config)
        return settings

    @property
    def behaviour(self) -> Behaviour:
        """The behaviour that was located and trained away."""
        return behaviour_of(self.parsed.behaviour)

    @property
    def parsed(self) -> RunConfig:
        """The settings, held to what there is."""
        return parse_config(self.settings, "config.yaml")

    @property
    def rates(self) -> dict[str, str]:
        """What the checks of training measured besides the KL, with its label."""
        labels = {one.name: within(one.label) for one in self.behaviour.measures}
        return {name: labels[name] for name in self.tunes["pinpoint"]["history"][0]["metrics"] if name != "kl"}


def _load(workspace: Workspace, name: str) -> Any:
    # A stage records its digests in its own folder.
    folder, _, file = name.rpartition("/")
    if folder and not workspace.has(name):
        return workspace.sub(folder).read_json(file)
    return workspace.read_json(name)


def _read(workspace: Workspace) -> _Run:
    tunes = {"pinpoint": _load(workspace, "tune.json")}
    if workspace.path("full/tune.json").is_file():
        tunes["full"] = _load(workspace, "full/tune.json")
    summary = _load(workspace, "summary.json")
    # A stage that was done again since has checks of its own.
    checks = _load(workspace, "checks.json") if workspace.path("checks.json").is_file() else summary["checks"]
    return _Run(
        summary=summary | {"checks": checks},
        locate=_load(workspace, "locate/locate.json"),
        verify=_load(workspace, "verify/verify.json"),
        tunes=tunes,
        examples=_load(workspace, "evaluate/examples.json"),
        config=workspace.path("config.yaml").read_text(encoding="utf-8"),
        search=_load(workspace, "search.json") if workspace.path("search.json").is_file() else None,
        looks=read_looks(workspace),
        environments=_load(workspace, "env.json") if workspace.has("env.json") else [],
    )


def _tiles(summary: dict[str, Any], behaviour: Behaviour) -> list[dict[str, Any]]:
    base, tuned = summary["methods"]["base"], summary["methods"].get("pinpoint", {})
    heading = [one for one in behaviour.measures if one.meaning] or behaviour.measures
    return [
        {
            "name": one.label,
            "caption": one.meaning,
            "before": shown(base.get(one.name), RATE),
            "after": shown(tuned.get(one.name), RATE),
        }
        for one in heading[:_TILES]
    ]


def _cost_rows(run: _Run) -> list[dict[str, str]]:
    rows = []
    for method, found in run.summary["methods"].items():
        if method == "base":
            continue
        matched = run.summary["matched_kl"].get(method)
        trained, tune = found["trainable_parameters"], run.tunes.get(method, {})
        rows.append(
            {
                "method": label_of(method),
                "matched": quantity(matched["kl"] if matched else None, NATS),
                "step": str(matched["step"]) if matched else "–",
                "trained": count(trained),
                "share": ratio(trained, run.summary["total_parameters"]),
                "seconds": duration(found["seconds"]),
                "goal": {True: "reached", False: "not reached"}.get(tune.get("reached"), "–"),  # type: ignore[arg-type]
            }
        )
    return rows


def _search_rows(search: dict[str, Any] | None) -> list[dict[str, Any]]:
    if search is None:
        return []
    return [
        {
            "rate": f"{entry['learning_rate']:g}",
            "truthfulness": percent(entry["truthfulness"]),
            "confidence": percent(entry["confidence"]),
            "kl": quantity(entry["kl"], NATS),
            "step": entry["step"],
            "chosen": entry["learning_rate"] == search["chosen"],
        }
        for entry in search["rates"]
    ]


def _located(run: _Run, tuned: list[Head]) -> dict[str, Any]:
    locate = run.locate
    return {
        "locate": locate,
        "located": located(locate.get("method", "path"), run.behaviour),
        "locator": locate.get("label", locate["engine"]),
        "metric": _words.metric_words(locate["metric"], run.behaviour),
        "locate_seconds": duration(locate["seconds"]),
        "reference": with_error(locate["reference"], locate.get("reference_standard_error")),
        "agreement": _words.agreement(locate["ranking_mean"], locate["mean"]),
        "worth": worth(locate),
        "answers": answers(locate),
        "head_rows": head_rows(locate, set(tuned)),
        "contrast_table": contrast_table(locate),
        "contrast_words": contrast_words(locate),
    }


def _verified(run: _Run, heads: int) -> dict[str, Any]:
    verify = run.verify
    curve = verify["curve"]
    first = curve.get("orders", {}).get("ranked") or [[]]
    return {
        "verify": verify,
        "knocked": _words.knocked_words(verify["mode"], run.behaviour),
        "auto": _words.auto_words(verify, heads, run.settings["tune"]["heads"]),
        "knockout": _words.knockout_words(_words.drop_at(curve, heads), run.behaviour.shows),
        "beyond": heads > len(curve["ranked"]) - 1,
        "other_heads": bool(first[0]) and not set(first[0][:heads]) <= set(run.summary["heads"]),
        "curve_rows": curve_rows(curve),
        "located_n": count(curve["ranked"][0]["n"]),
        "generated": [
            [str(at["heads"]), *(shown(at[name], RATE) for name in run.behaviour.knocked)] for at in verify["generated"]
        ],
    }


def _measured(run: _Run) -> dict[str, Any]:
    rate = run.behaviour.matched[0]
    words = run.rates[rate] if run.behaviour.kind in _TEMPLATES else f"“{run.rates[rate]}”"
    return {
        "tiles": _tiles(run.summary, run.behaviour),
        "rows": metric_rows(run.summary, run.behaviour),
        "shifts": shift_meanings(run.summary, run.parsed.evaluate),
        "set_rows": set_rows(run.summary, run.behaviour),
        "further_rows": further_rows(run.summary),
        "further_sets": [
            one for name, one in FURTHER.items() if name in run.summary["methods"]["base"].get("further", {})
        ],
        "methods": {name: label_of(name) for name in run.summary["methods"]},
        "tuned_methods": {name: label_of(name) for name in run.summary["methods"] if name != "base"},
        "losses": _words.losses(run.summary),
        "wrong": _words.wrong_words(run.summary.get("wrong_answers")),
        "explained": _words.explained_words(run.summary.get("explanations")),
        "cost": _words.cost_words(run.summary, rate, words),
        "rates": run.rates,
        "cost_rows": _cost_rows(run),
        "check_rows": check_rows(run.tunes, run.rates),
    }


def _environment_words(environments: Sequence[dict[str, Any]]) -> list[str]:
    """What worked in the folder since when, an item each."""
    return [
        f"since {one['since']}: {', '.join(f'{name} {version}' for name, version in one['versions'].items())}; "
        + ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one["machine"].items())
        for one in environments
    ]


def _lead(run: _Run, size: int) -> list[str]:
    if run.behaviour.kind not in _TEMPLATES:
        return _words.plain_lead(run.summary, size, run.behaviour)
    return _words.lead(run.summary, size, run.examples[0]["challenge"] if run.examples else None)


def _context(run: _Run) -> dict[str, Any]:
    behaviour, summary, heads = run.behaviour, run.summary, [Head.parse(text) for text in run.summary["heads"]]
    size = run.locate["layers"] * run.locate["heads"]
    built_in = behaviour.kind in _TEMPLATES
    apart = "the challenge" if built_in else "what sets it apart"
    shares = run.looks.shares if run.looks else None
    first = [Head.parse(text) for text in run.locate["ranking"][:TOP]]
    figures = {
        "heads": _figures.head_map(run.locate, heads, shares, apart),
        "knockout": _figures.knockout_curve(run.verify["curve"], len(heads), behaviour.shows),
        "training": _figures.training_path(
            {method: tune["history"] for method, tune in run.tunes.items()},
            run.rates,
            summary["matched_kl"][behaviour.matched[0]],
        ),
        **tradeoffs(summary, behaviour),
    }
    return {
        "summary": summary,
        "name": _words.short_name(summary["model"]),
        "behaviour": behaviour,
        "versus": behaviour.counterfactual.removeprefix("when "),
        "causal": run.locate.get("method", "path") in _CAUSAL,
        "lead": _lead(run, size),
        "examples": [with_partings(one, _TURNS if built_in else ("reply",)) for one in run.examples],
        "looks": run.looks.embedded([*heads, *first]) if run.looks else None,
        "apart": "the challenge" if built_in else "what sets the reference apart from its counterfactual",
        "rates_label": next((one.label for one in behaviour.measures if one.name == behaviour.matched[0]), ""),
        "config": masked_text(yaml.safe_dump(_words.settings_shown(run.settings), sort_keys=False, allow_unicode=True)),
        "environments": _environment_words(run.environments),
        "own_code": run.parsed.trust_remote_code,
        "search": run.search,
        "search_rows": _search_rows(run.search),
        "fidelity": run.tunes["pinpoint"].get("fidelity"),
        "projections": run.tunes["pinpoint"].get("projections"),
        "provenance": run.tunes["pinpoint"].get("provenance"),
        "judge": other_judge(summary, behaviour, built_in=built_in),
        "command": f"pinpoint run {shlex.quote(_words.short_name(summary['model']))}",
        "figures": figures,
        **_located(run, heads),
        **_verified(run, len(heads)),
        **_measured(run),
    }


def write_page(workspace: Workspace, warnings: Sequence[str] = ()) -> Path:
    """Writes `report.html`, one self-contained page about the run in `workspace`.

    Args:
        workspace: a run folder whose stages have all left their artifacts.
        warnings: to tell beside those that the run left.

    Returns:
        The page's path.

    Raises:
        ArtifactError: an artifact is missing or was changed.
    """
    run = _read(workspace)
    run.summary["warnings"] = [*run.summary["warnings"], *warnings]
    page = render(_TEMPLATES.get(run.behaviour.kind, _ANY), _context(run), ("page.js", "heads.js"))
    return workspace.write_text("report.html", page)
