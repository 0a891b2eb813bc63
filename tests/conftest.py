"""Options and fixtures of the whole suite. It is offline, and quick unless asked otherwise."""

import os
import signal
from pathlib import Path
from typing import Any

# Before anything imports huggingface_hub, which reads it once.
os.environ["HF_HUB_OFFLINE"] = "1"

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pinpoint.config import resolve
from pinpoint.organism import shipped
from pinpoint.pipeline import Run

# A shell that starts this in the background has Ctrl-C ignored, here and in whatever tests start and mean to stop so.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
SMALLEST: dict[str, Any] = {
    "device": "cpu",
    "locate": {"pairs": 8},
    "verify": {"max_heads": 1, "draws": 1, "generate_at": [0], "generate_items": 2},
    "tune": {"heads": ["L0.H3", "L6.H0"], "epochs": 0.1, "check_items": 4, "batch_size": 16},
    "full": None,
    "evaluate": {"items": 8, "ability_items": 1, "neutral_items": 4, "max_new_tokens": 24, "resamples": 100},
}
"""Settings of a run of the shipped organism with every stage in it, as small as can be."""
OPT_IN = {
    "slow": ("--runslow", "run the tests marked slow"),
    "gpu": ("--rungpu", "run the tests marked gpu"),
    "browser": ("--runbrowser", "run the tests marked browser"),
}


def pytest_addoption(parser: pytest.Parser) -> None:
    for option, text in OPT_IN.values():
        parser.addoption(option, action="store_true", default=False, help=text)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for marker, (option, _) in OPT_IN.items():
        if config.getoption(option):
            continue
        skip = pytest.mark.skip(reason=f"{marker}: runs with {option}")
        for item in items:
            if item.get_closest_marker(marker):
                item.add_marker(skip)
    # Two workers share the files out in this order: one that takes long would hold the other up at the end.
    limits: dict[Path, float] = {}
    for item in items:
        given = item.get_closest_marker("timeout")
        limits[item.path] = max(limits.get(item.path, 0.0), given.args[0] if given else 0.0)
    items.sort(key=lambda item: -limits[item.path])


@pytest.fixture(scope="session")
def test_data() -> Path:
    """The folder of real question sets, which are not part of the repository."""
    named = os.environ.get("PINPOINT_TEST_DATA")
    folder = Path(named) if named else ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"needs real question sets: {folder} is not a folder; set PINPOINT_TEST_DATA to one")
    return folder


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerBase:
    """The organisms' tokenizer, from the package."""
    return AutoTokenizer.from_pretrained(str(shipped()["truth-teller"]))


@pytest.fixture(scope="session")
def tuned_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run of yesman that is located and tuned as far as a chat needs it: few pairs, few questions."""
    changes = {
        "locate": {"pairs": 12},
        "tune": {"heads": 6, "epochs": 0.25, "check_every": 50, "check_items": 4, "learning_rate": 3e-3},
    }
    folder = tmp_path_factory.mktemp("run") / "small"
    run = Run(resolve(str(shipped()["yesman"]), None, changes), folder)
    run.do("locate")
    run.do("tune")
    return folder


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the shipped organism with every stage done, as small as can be; copy it before changing it."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    Run(resolve(str(shipped()["yesman"]), None, SMALLEST), folder).all()
    return folder
