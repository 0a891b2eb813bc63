"""What is supported, as measured: runs the checks of the tests on a tiny model of every known architecture.

Writes bench/results/families.json and the table docs/families.md. Families that are named are measured anew, and the
others' rows stay as they were recorded.
"""

import json
import platform
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import fill
from typing import Any

import torch
import transformers

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pinpoint.models import HeadedModel, Layout, _registry, gated, headed  # noqa: E402
from pinpoint.models._left_out import LEFT_OUT  # noqa: E402
from pinpoint.tune import default_projections  # noqa: E402
from tests.families import FAMILIES, tiny  # noqa: E402
from tests.models import checks  # noqa: E402
from tests.models.untried import UNTRIED  # noqa: E402

RECORD = ROOT / "bench/results/families.json"
INTRODUCTION = """# Architectures

Each row is a tiny random model built from its config, in float32 on a CPU, with the family's features set so that they
bite (a soft cap of 5, a window of 8 positions). *Layout* is the description of where its heads are, in
`pinpoint/models`; *features* is what its blocks do beside it, of what the tests switch on. Heads are query heads /
key-value heads; *tunes* is what is trained unless told otherwise. What is measured:

- *locate*: largest difference between the sweep and brute force, relative to the largest effect, in float32; the tests
  hold it to 1e-4.
- *bf16*: scores of the sweep in bfloat16, as it is run unless told otherwise, against float32 with the same weights:
  root mean square of the differences over that of the effects. The tests hold it to {bfloat16}. Near ties are as in
  bfloat16 in both, of experts and of the positions that an indexer picks; a tie that rounding turns can change a score
  altogether, and `pinpoint locate` counts them.
- *verify*: logits of one pass under a knockout to zero, the intervention that verifying does example by example,
  against a model whose columns of the out projection are zeroed; held to 1e-5.
- *tune*: head slices attached as `pinpoint tune` attaches them, trained for three steps of AdamW without its trainer:
  logits of the merged model against those of the live adapter, held to 1e-5, and nothing moved but the slices. The
  trainer itself is tested on fewer layouts.

The tests check besides that all logits of the pass under the sweep's hooks are bit for bit those of the unhooked model,
that padding and batching do not matter, that the rows of a head move that head alone, and that experts are chosen
alike. No real checkpoint has been run.

"""
PARALLEL = ("codegen", "cohere", "cohere2", "cohere2_moe", "gptj", "phi")
WINDOWS = ("sliding_window", "window_size", "attention_chunk_size")
SHORTEST = min(len(pair.reference) for pair in checks.pairs())
LEFT_OUT_INTRODUCTION = "\nLeft out, for no layout says where their heads are, or what a head does is not its own:\n\n"
UNTRIED_INTRODUCTION = (
    "Whatever else transformers builds as a causal language model, or as one inside a wrapper for images:\n\n"
)


def _set(view: HeadedModel, *names: str) -> bool:
    """Whether the config has one of these set to something that bites: not None, False, 0 or 1."""
    return any(getattr(view.config, name, None) not in (None, False, 0, 1) for name in names)


def _windowed(view: HeadedModel) -> bool:
    """Whether some block sees less than the tests' prompts hold."""
    types = getattr(view.config, "layer_types", None)
    if types and not any("sliding" in kind or "chunked" in kind for kind in types):
        return False
    return any(0 < (getattr(view.config, name, None) or 0) < SHORTEST for name in WINDOWS)


def _has(view: HeadedModel, *ends: str) -> bool:
    """Whether a block has a module or a parameter of one of these names."""
    names = [
        name for block in view.layers for named in (block.named_modules, block.named_parameters) for name, _ in named()
    ]
    return any(name.split(".")[-1] in ends for name in names)


def _fused(view: HeadedModel) -> bool:
    projections = view.layout.projections(view.config)
    return projections.q == projections.k


def _parallel(view: HeadedModel) -> bool:
    config = view.config
    told = [
        getattr(config, name, False) for name in ("parallel_attn", "use_parallel_residual", "new_decoder_architecture")
    ]
    return any(told) or config.model_type in PARALLEL


# What a block does beside where its heads lie.
FEATURES: dict[str, Callable[[HeadedModel], bool]] = {
    "grouped keys and values": lambda view: view.n_kv_heads < view.n_heads,
    "fused q, k, v": _fused,
    "Conv1D": lambda view: type(view.out_proj(view.attention_layers[0])).__name__ == "Conv1D",
    "sparse attention": lambda view: _has(view, "indexer"),
    "latent attention": lambda view: _has(view, "kv_b_proj"),
    "gated heads": lambda view: view.layout.projections(view.config).rows is gated,
    "norms of q and k": lambda view: _has(view, "q_norm", "q_layernorm", "query_layernorm", "qk_norm"),
    "norms after sublayers": lambda view: _has(
        view, "post_feedforward_layernorm", "post_mlp_layernorm", "post_self_attn_layernorm", "post_norm1"
    ),
    "soft caps": lambda view: _set(view, "final_logit_softcapping", "attn_logit_softcapping"),
    "scaled logits": lambda view: _set(view, "logit_scale", "logits_scaling", "dim_model_base"),
    "scaled residuals": lambda view: _set(view, "residual_multiplier", "mlp_alpha_factor", "scale_depth"),
    "sinks": lambda view: _has(view, "sinks"),
    "windows": _windowed,
    "ALiBi": lambda view: view.config.model_type in ("bloom", "mpt") or bool(getattr(view.config, "alibi", False)),
    "long RoPE": lambda view: view.positions_by_length,
    "parallel block": _parallel,
    "residual inside attention": lambda view: view.layout.adds_residual,
    "experts": lambda view: _has(view, "experts"),
    "clipped projections": lambda view: (
        _set(view, "clip_qkv") or getattr(getattr(view.config, "attn_config", None), "clip_qkv", None) is not None
    ),
    "state spaces": lambda view: "mamba" in view.layout.mixers or view.layout.mixer_mark == "conv1d",
    "convolutions": lambda view: "conv" in view.layout.mixers,
    "linear attention": lambda view: (
        "linear_attn" in view.layout.mixers or view.layout.mixer_mark in ("slope_rate", "forget_gate")
    ),
    "a wrapper": lambda view: "text_config" in view.model.config.sub_configs,
}


def features(view: HeadedModel) -> list[str]:
    """What the blocks of a model do, of what FEATURES tells."""
    return [name for name, has in FEATURES.items() if has(view)]


def layout_name(layout: Layout) -> str:
    """What a layout is called in the source."""
    return next(name for name, value in vars(_registry).items() if value is layout)


def described(view: HeadedModel) -> dict[str, Any]:
    """The columns that need no measuring."""
    return {
        "model_type": view.model.config.model_type,
        "config": type(view.model.config).__name__,
        "heads": f"{view.n_heads} / {view.n_kv_heads}",
        "projections": default_projections(view),
        "layout": layout_name(view.layout),
        "features": features(view),
        "notes": view.layout.notes,
    }


def _row(family: str) -> dict[str, Any]:
    model = tiny(family)
    row = {
        "family": family,
        **described(headed(model)),
        "locate": checks.locate_difference(model),
        "bf16": checks.bfloat16_difference(model),
        "verify": checks.knockout_difference(model),
        "tune": checks.tune_difference(model, default_projections(headed(model))),
    }
    print(row)
    return row


def counts(rows: list[dict[str, Any]]) -> str:
    """What is covered, aliases counted once."""
    seen = {feature for row in rows for feature in row["features"]}
    layouts, types = {row["layout"] for row in rows}, {row["model_type"] for row in rows}
    return f"{len(layouts)} layouts, {len(seen)} features, {len(types)} types of config in {len(rows)} tiny models."


def table(rows: list[dict[str, Any]]) -> str:
    """The Markdown table of the docs, and what it counts."""
    lines = [
        counts(rows),
        "",
        "| family | config | layout | features | heads | locate | bf16 | verify | tune | tunes | notes |",
        "|---|---|---|---|---|--:|--:|--:|--:|---|---|",
    ]
    for row in rows:
        figures = " | ".join(f"{row[name]:.0e}" for name in ("locate", "bf16", "verify", "tune"))
        told = row | {"features": ", ".join(row["features"])}
        named = " | ".join(str(told[name]) for name in ("family", "config", "layout", "features", "heads"))
        lines.append(f"| {named} | {figures} | {row['projections']} | {row['notes']} |")
    return "\n".join(lines) + "\n"


def left_out() -> str:
    """What is left out, and why, as a list."""
    items = (f"- {one.name} ({', '.join(f'`{kind}`' for kind in one.model_types)}): {one.why}." for one in LEFT_OUT)
    return LEFT_OUT_INTRODUCTION + "\n".join(fill(item, 120, subsequent_indent="  ") for item in items) + "\n\n"


def untried() -> str:
    """What transformers knows as a language model and has no layout, by reason."""
    items = (f"- {why}: {', '.join(f'`{kind}`' for kind in kinds)}." for why, kinds in UNTRIED.items())
    wrapped = (fill(item, 120, subsequent_indent="  ", break_on_hyphens=False) for item in items)
    return UNTRIED_INTRODUCTION + "\n".join(wrapped) + "\n\n"


def page(record: dict[str, Any]) -> str:
    """The page of the docs that tells a record."""
    made = f"torch {record['torch']}, transformers {record['transformers']}"
    held = f"{checks.BFLOAT16:g}" + "".join(f" ({name}: {value:g})" for name, value in checks.BFLOAT16_OF.items())
    told = INTRODUCTION.format(bfloat16=held) + table(record["rows"]) + left_out() + untried()
    return told + f"Written by `{record['command']}` ({made}).\n"


def _kept(made_with: dict[str, str]) -> dict[str, Any]:
    """The recorded rows, by family.

    Raises:
        SystemExit: they were measured with other versions than those of today.
    """
    record = json.loads(RECORD.read_text(encoding="utf-8"))
    if any(record[name] != version for name, version in made_with.items()):
        raise SystemExit("the record was made with other versions: measure all families, without naming any.")
    return {row["family"]: row for row in record["rows"]}


def main(families: list[str]) -> None:
    """Measures families, all unless some are named, and writes the record and the table."""
    made_with = {"torch": torch.__version__, "transformers": transformers.__version__}
    rows = _kept(made_with) if families else {}
    rows |= {family: _row(family) for family in families or FAMILIES}
    record = {
        "command": "python bench/families.py",
        "machine": f"{platform.machine()}, CPU",
        **made_with,
        "rows": [rows[family] for family in FAMILIES],
    }
    RECORD.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    (ROOT / "docs/families.md").write_text(page(record), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
