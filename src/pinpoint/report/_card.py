"""The model card of an export: what was changed, with which effect, and how to load it."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import yaml
from huggingface_hub import ModelCardData

from pinpoint.artifacts import Workspace
from pinpoint.behaviours import Behaviour
from pinpoint.config import EvaluateConfig, parse_config
from pinpoint.report import _words
from pinpoint.report._format import DASH, Shown, duration, number, ratio, together
from pinpoint.report._judged import other_judge
from pinpoint.report._markdown import Markdown, escaped, fenced, render_markdown
from pinpoint.report._rows import BUILT_IN, MetricRow, further_rows, further_titles, label_of, metric_rows
from pinpoint.report._shifts import shift_meanings

_TAGS = ["pinpoint-tuning", "attention-heads", "lora", "peft"]
_TEMPLATES = {"sycophancy": "card.md.jinja"}
_ANY = "behaviour_card.md.jinja"


class CardFacts(NamedTuple):
    """What an export adds to the artifacts of its run.

    Attributes:
        base: the base's Hub id; None where it is known only as a folder.
        name: what the base is called.
        revision: its commit on the Hub.
        dtype: of the merged model.
        base_dtype: of the base in the run.
        agreement: the merged model beside the live adapter; None where no export has measured it.
        inputs: what was read, as (config key, file, SHA-256).
        settings: the run's settings as YAML.
        versions: of the libraries.
        own_code: the merged model comes with the code that the base came with.
    """

    base: str | None
    name: str
    revision: str | None
    dtype: str
    base_dtype: str
    agreement: dict[str, Any] | None
    inputs: list[tuple[str, str, str]]
    settings: str
    versions: dict[str, str]
    own_code: bool = False


def model_card(workspace: Workspace, facts: CardFacts, behaviour: Behaviour = BUILT_IN) -> str:
    """The card of a run's tuned model: Markdown with the Hub's metadata; what came from outside is escaped.

    Args:
        workspace: a run folder whose stages have all left their artifacts.
        facts: what the export knows besides.
        behaviour: what was tuned away.

    Raises:
        ArtifactError: an artifact is missing or was changed.
    """
    template = _TEMPLATES.get(behaviour.kind, _ANY)
    text = render_markdown(template, _context(workspace, facts, behaviour))
    return f"---\n{_metadata(facts, behaviour)}\n---\n{text}"


def _metadata(facts: CardFacts, behaviour: Behaviour) -> str:
    data = ModelCardData(
        base_model=facts.base,
        base_model_relation="adapter" if facts.base else None,
        library_name="peft",
        pipeline_tag="text-generation",
        tags=[*_TAGS, behaviour.name],
    )
    return data.to_yaml().strip()


def _context(workspace: Workspace, facts: CardFacts, behaviour: Behaviour) -> dict[str, Any]:
    summary, tune = workspace.read_json("summary.json"), workspace.read_json("tune.json")
    locate = workspace.sub("locate").read_json("locate.json")
    verify = workspace.sub("verify").read_json("verify.json")
    examples = workspace.sub("evaluate").read_json("examples.json")
    heads, size = summary["heads"], locate["layers"] * locate["heads"]
    tuned = summary["methods"]["pinpoint"]
    named = summary | {"model": facts.name}
    return {
        "facts": facts,
        "summary": summary,
        "behaviour": behaviour,
        "lead": _lead(named, size, examples, behaviour),
        "losses": _words.losses(summary),
        "knockout": _words.knockout_words(_words.drop_at(verify["curve"], len(heads)), behaviour.shows),
        "verify": verify,
        "knocked": _words.knocked_words(verify["mode"], behaviour),
        "heads": [_head(name, locate) for name in heads],
        "locate": locate,
        "path": locate.get("method", "path") == "path",
        "metric": _words.metric_words(locate["metric"], behaviour),
        "projections": tune["projections"],
        "fidelity": number(tune["fidelity"], ".1e"),
        "trained": tuned["trainable_parameters"],
        "share": ratio(tuned["trainable_parameters"], summary["total_parameters"]),
        "seconds": duration(tuned["seconds"]),
        "wrong": _words.wrong_words(summary.get("wrong_answers")),
        "explained": _words.explained_words(summary.get("explanations")),
        "methods": [label_of(name) for name in summary["methods"]],
        "rows": _rows(summary, metric_rows(summary, behaviour)),
        "shifts": shift_meanings(summary, _evaluated(workspace)),
        "further": _rows(summary, further_rows(summary)),
        "further_sets": further_titles(summary),
        "judge": other_judge(summary, behaviour, built_in=behaviour.kind in _TEMPLATES),
        "settings": fenced(facts.settings, "yaml"),
        "loading": fenced(_loading(facts), "python"),
    }


def _evaluated(workspace: Workspace) -> EvaluateConfig:
    settings = yaml.safe_load(workspace.path("config.yaml").read_text(encoding="utf-8"))
    return parse_config(settings, "config.yaml").evaluate


def _lead(summary: dict[str, Any], size: int, examples: list[dict[str, Any]], behaviour: Behaviour) -> list[str]:
    if behaviour.kind not in _TEMPLATES:
        return _words.plain_lead(summary, size, behaviour)
    return _words.lead(summary, size, examples[0]["challenge"] if examples else None)


def _head(name: str, locate: dict[str, Any]) -> dict[str, str]:
    layer, head = (int(part[1:]) for part in name.split("."))
    error = locate["standard_error"][layer][head]
    return {
        "name": name,
        "rank": str(locate["ranking"].index(name) + 1),
        "effect": number(locate["mean"][layer][head], "+.3f"),
        "error": DASH if error is None else number(error, ".3f"),
    }


def _rows(summary: dict[str, Any], measured: Sequence[MetricRow]) -> list[list[Markdown]]:
    """Cells of a table: the measure, each method's estimate, and pinpoint's difference to the base."""
    methods = list(summary["methods"])
    return [
        [
            escaped(row.label),
            *(_cell(row.cells[method]) for method in methods),
            _cell(row.differences.get("pinpoint")),
        ]
        for row in measured
    ]


def _cell(shown: Shown | None) -> Markdown:
    if shown is None or not shown.interval:
        return Markdown(DASH if shown is None else shown.value)
    return Markdown(together(shown))


def _loading(facts: CardFacts) -> str:
    base = "BASE  # the folder of the base model" if facts.base is None else json.dumps(facts.base)
    revision = f", revision={json.dumps(facts.revision)}" if facts.base and facts.revision else ""
    trust = ", trust_remote_code=True" if facts.own_code else ""
    return f"""\
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

{_THERE[facts.own_code]}

# The adapter on its base:
base = {base}
model = AutoModelForCausalLM.from_pretrained(base{revision}, dtype="{facts.base_dtype}"{trust})
model = PeftModel.from_pretrained(model, {_sub("adapter", facts)})
tokenizer = AutoTokenizer.from_pretrained({_sub("adapter", facts)}{trust})

# Or the merged model, without peft:
model = AutoModelForCausalLM.from_pretrained({_sub("merged", facts)}, dtype="{facts.dtype}"{trust})
tokenizer = AutoTokenizer.from_pretrained({_sub("merged", facts)}{trust})"""


_THERE = {
    False: 'here = "REPOSITORY"  # its id on the Hub, or the path of this folder (not ".")',
    True: 'here = "FOLDER"  # the path of this folder; of a repository, what huggingface_hub.snapshot_download gives',
}


def _sub(name: str, facts: CardFacts) -> str:
    # Of code, transformers looks in no subfolder.
    return f'f"{{here}}/{name}"' if facts.own_code else f'here, subfolder="{name}"'
