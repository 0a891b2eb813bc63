"""Path patching of MLPs, one forward pass per layer: which MLP carries the behaviour to the logits."""

from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from pinpoint.data import ContrastPair, encode_pair, pad
from pinpoint.interventions import captured_heads, edited_inputs, edited_outputs, seen_outputs
from pinpoint.measure import metric_named
from pinpoint.models import headed


@torch.no_grad()
def mlp_effects(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase | None,
    pairs: Sequence[ContrastPair],
    *,
    metric: str = "logit_diff",
    batch_size: int = 32,
) -> Float[Tensor, "pair layer"]:
    """Direct effect of each layer's MLP: its output on the counterfactual, all attention kept as on the reference.

    As `pinpoint.locate` does for heads, at the last position; later MLPs are recomputed. Layers without an MLP of
    their own have effect 0.
    """
    view, found = headed(model), metric_named(metric)
    # All of a block's: where one follows another, the last one's output counts; where several add up, each does.
    layers = [i for i in range(view.n_layers) if view.feed_forward(i)]
    ends = {(i, name): module for i in layers for name, module in view.feed_forward(i).items()}
    mixers = {(i, name): module for i in range(view.n_layers) for name, module in view.mixers(i).items()}
    effects = torch.zeros(len(pairs), view.n_layers)
    for start in range(0, len(pairs), batch_size):
        encoded = [encode_pair(tokenizer, pair) for pair in pairs[start : start + batch_size]]
        reference = pad([pair.reference for pair in encoded], "left", view.device).inputs()
        counterfactual = pad([pair.counterfactual for pair in encoded], "left", view.device).inputs()
        with seen_outputs(ends) as swapped:
            view.backbone(**counterfactual, use_cache=False)
        with captured_heads(view) as z, seen_outputs(mixers) as mixed:
            view.backbone(**reference, use_cache=False)

        last = {i: x.view(*counterfactual["input_ids"].shape, -1)[:, -1] for i, x in swapped.items()}

        def measured(
            patched: Mapping[tuple[int, str], nn.Module], inputs: dict[str, Tensor] = reference
        ) -> list[Tensor]:
            def swap(layer: tuple[int, str], output: Tensor) -> Tensor:
                output = output.clone()
                output.view(*inputs["input_ids"].shape, -1)[:, -1] = last[layer]  # noqa: B023
                return output

            with (
                edited_inputs(view.out_projs(), lambda i, x: z[i].view_as(x)),  # noqa: B023
                edited_outputs(mixers, lambda key, _: mixed[key]),  # noqa: B023
                edited_outputs(patched, swap),
            ):
                logits = view.model(**inputs, use_cache=False).logits[:, -1].float()
            return [found.value(row[None], pair.unwanted, pair.wanted) for row, pair in zip(logits, encoded)]  # noqa: B023, B905

        before = measured({})
        for layer in layers:
            patched = {key: module for key, module in ends.items() if key[0] == layer}
            for i, (now, then) in enumerate(zip(measured(patched), before, strict=True)):
                effects[start + i, layer] = found.effect(now, then).item()
    return effects
