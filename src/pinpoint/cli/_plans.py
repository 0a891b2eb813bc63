"""What `pinpoint check` and `--dry-run` print: what a run would take, and what it would do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Table

from pinpoint.cli._console import results, safe

if TYPE_CHECKING:
    from pinpoint.pipeline import Inspection, Plan


def print_inspection(found: Inspection, name: str) -> None:
    """What a model would take; `name` is what the user calls it."""
    out = results()
    kept = "" if found.attention_layers == found.layers else f", {found.attention_layers} with heads"
    out.print(
        f"{safe(name)}: {found.architecture}, supported. {found.layers} layers{kept} x {found.heads} heads "
        f"({found.kv_heads} key/value), {found.parameters:,} parameters, {_gib(found.weight_bytes)} in {found.dtype}"
        + (f" and {safe(found.quantised)}" if found.quantised else "")
    )
    if found.prompt_end:
        out.print(
            f"chat template: yes. A prompt of {found.prompt_tokens} tokens ({safe(found.prompt_source)}) ends "
            f"{safe(repr(found.prompt_end))}"
        )
    else:
        out.print(f"chat template: {'no tokenizer' if found.chat_template is None else 'none'}")
    for side in dict.fromkeys(answer.side for answer in found.answers):
        words = ", ".join(_begun(answer.text, answer.tokens) for answer in found.answers if answer.side == side)
        usual = any(answer.side == side and not answer.given for answer in found.answers)
        out.print(f"{side} replies {'often ' if usual else ''}begin with {safe(words)}")
    # A share of few heads comes to no more than the one before it.
    first, *others = {one.heads: one for one in found.choices}.values()
    told = f"{first.parameters:,} parameters for {first.heads} of {found.attention_layers * found.heads} heads"
    told = ", ".join([told, *(f"{one.parameters:,} for {one.heads}" for one in others)])
    out.print(f"tuning {found.projections} of heads trains {told}")
    table = Table(title="Estimates", title_justify="left")
    for column in ("stage", "device", "passes", "memory", "time", "fits"):
        table.add_column(column)
    for one in found.estimates:
        fits = "yes" if one.fits else "NO"
        passes = f"{one.passes:,.0f}"
        table.add_row(one.stage, safe(one.device), passes, _gib(one.bytes), _time(one.seconds), fits)
    out.print(table)
    out.print("Passes are forward passes over a prompt with as many operations as the stage.")
    out.print(f"A forward pass per head would take {found.brute_force:.0f} times the operations of locate's sweep.")
    for note in found.notes:
        out.print(f"note: {safe(note)}")


def _begun(text: str, tokens: list[str]) -> str:
    """How a reply begins, and its first token where that is not all of it."""
    # Vocabularies write a space before a word as one of these.
    return repr(text) + (f" (first token {tokens[0].lstrip('Ġ▁')!r})" if len(tokens) > 1 else "")


def _gib(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**29 else f"{count / 2**20:.0f} MiB"


def _time(seconds: float) -> str:
    for unit, size in (("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else "under 1 s"


def print_plan(found: Plan) -> None:
    """What a run would do, with its prompts as the model would read them."""
    out = results(soft_wrap=True)
    out.print(f"run folder: {safe(found.folder)}")
    for one in found.stages:
        out.print(f"  {one.stage:<10} {'done before, kept' if one.kept else safe(one.work)}")
    for note in found.notes:
        out.print(f"note: {safe(note)}")
    out.print(f"chat template: {found.template}")
    for name in ("reference", "counterfactual"):
        out.print(f"{name} prompt:\n{safe(getattr(found, name))}")
    for name, prompt in found.contrasts.items():
        out.print(f"counterfactual prompt of the further contrast {name}:\n{safe(prompt)}")
    answers = f"unwanted {', '.join(found.unwanted)}; wanted {', '.join(found.wanted)}"
    out.print(
        f"measured: what follows its last token, {safe(repr(found.measured))}; "
        + safe(answers if found.unwanted else "which first words tell, locate finds in the model's replies")
    )
    out.print(f"a training dialogue (no loss):\n{safe(found.trained_prompt)}")
    out.print(f"its reply (loss): {safe(found.trained_reply)}")
    for kind, (prompt, *further) in found.evaluated.items():
        out.print(f"an evaluated question ({kind}):\n{safe(prompt)}")
        for turn in further:
            out.print(f"after its reply, the user: {safe(turn)}")
    out.print(f"{found.loss_tokens:,} tokens take loss in one pass")
    for estimate in found.estimates:
        fits = "fits" if estimate.fits else "DOES NOT FIT"
        out.print(
            f"{estimate.stage} on {safe(estimate.device)}: {estimate.passes:,.0f} passes over a prompt, "
            f"{_gib(estimate.bytes)}, {_time(estimate.seconds)}, {fits}"
        )
