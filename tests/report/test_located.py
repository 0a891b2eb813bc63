"""What the page says of each locator."""

from typing import get_args

from pinpoint.config import LocateConfig
from pinpoint.report._located import located


def test_every_locator_is_told_in_words_of_its_own() -> None:
    methods = get_args(LocateConfig.model_fields["method"].annotation)
    said = [located(method) for method in methods]
    assert len(set(said)) == len(methods) == 5
    assert "froze every other head" in located("path") and "not what the head does" in located("probe")
