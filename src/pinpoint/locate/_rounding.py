"""What rounding alone does to scores: the same pairs again, computed in a wider dtype."""

import warnings
from collections.abc import Callable, Sequence

import torch

from pinpoint.data import EncodedPair
from pinpoint.errors import OutOfMemory, PinpointWarning, first_line
from pinpoint.interventions import WIDER, offloading, widened
from pinpoint.locate._protocol import Effects
from pinpoint.models import HeadedModel
from pinpoint.reliability import Rounding


def rounding(
    view: HeadedModel,
    pairs: Sequence[EncodedPair],
    found: Effects,
    work: Callable[[Sequence[EncodedPair]], Effects],
) -> Rounding | None:
    """Compares scores with those of the same weights in the next wider dtype.

    Patching the reference into itself gives 0 in any dtype: it is a row of every chunk, and a row that does not differ
    from it has effect 0. That shows that the patching is right, but not how rows that do differ are rounded. So the
    effects themselves are computed again without that rounding.

    Args:
        view: the model.
        pairs: the pairs to score again.
        found: their effects in the model's dtype.
        work: scores pairs.

    Returns:
        The errors of the mean effects; None, with a warning, where they cannot be had.

    Warns:
        PinpointWarning: they cannot be measured; says why.
    """
    dtype = view.model.dtype
    why, errors = _unmeasurable(view, dtype), None
    if not why:
        try:
            with widened(view.model, view.layers, WIDER[dtype]):
                exact = work(pairs)
            errors = (found.effects - exact.effects).double().mean(dim=0).abs().float()
            why = "" if errors.isfinite().all() else "a score in the wider dtype is not finite"
        except (OutOfMemory, RuntimeError, TypeError, ValueError) as error:
            # Scores that are there already must not be lost to a look at their rounding.
            why = f"the model does not run in {_name(WIDER[dtype])}: {first_line(str(error))}"
    if why or errors is None:
        warnings.warn(f"the noise floor was not measured: {why}.", PinpointWarning, stacklevel=4)
        return None
    return Rounding(errors, len(pairs), _name(dtype), _name(WIDER[dtype]))


def _unmeasurable(view: HeadedModel, dtype: torch.dtype) -> str:
    if getattr(view.model, "hf_quantizer", None) is not None:
        return "the weights are quantised"
    if any(map(offloading, view.layers)):
        return "the weights are fetched as they are needed"
    if dtype not in WIDER:
        return f"there is no wider dtype to compare {_name(dtype)} with"
    if dtype == torch.float32 and view.device.type == "mps":
        return "this device has no float64"
    return ""


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
