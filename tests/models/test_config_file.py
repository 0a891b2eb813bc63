"""What is not taken for a fault of a config. What is, stands in tests/bad_input."""

from typing import Any

import pytest

from pinpoint.models import load
from pinpoint.organism import shipped
from pinpoint.pipeline import inspect_model

YESMAN = str(shipped()["yesman"])


def test_an_error_of_ours_is_not_taken_for_the_config_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise KeyError("ours")

    monkeypatch.setattr("pinpoint.pipeline._inspect.headed", broken)
    with pytest.raises(KeyError, match="ours"):
        inspect_model(YESMAN)


def test_an_error_of_the_weights_is_not_taken_for_the_config_s(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise KeyError("weights")

    monkeypatch.setattr("pinpoint.models._load.AutoModelForCausalLM.from_pretrained", broken)
    with pytest.raises(KeyError, match="weights"):
        load(YESMAN, device="cpu")
