"""What files a data set of the Hub has, and whether the network may be asked at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pinpoint.errors import InputError, first_line
from pinpoint.masking import masked_text

_OFFLINE = "PINPOINT_OFFLINE"
_READ = (".csv", ".json", ".jsonl", ".parquet")


def go_offline() -> None:
    """From here on this process, and those that it starts, ask no network for a model or a file of data.

    Servers that are named to be asked, for replies or verdicts, still are.
    """
    # Read as huggingface_hub is imported, which may have been.
    os.environ |= {"HF_HUB_OFFLINE": "1", _OFFLINE: "1"}
    from huggingface_hub import constants

    constants.HF_HUB_OFFLINE = True


def demand_network(label: str, *, hub: bool) -> None:
    """Refuses to go on where the network is not to be asked.

    Args:
        label: what is to be fetched, for the message.
        hub: whether it is the Hub's.

    Raises:
        InputError: it is not to be.
    """
    from huggingface_hub import constants

    if os.environ.get(_OFFLINE):
        raise InputError("is not in the cache, and --offline allows no download.", where=label)
    if hub and constants.HF_HUB_OFFLINE:
        raise InputError("is not in the cache, and HF_HUB_OFFLINE is set.", where=label, mend="Unset it.")


def newest(repository: str, label: str) -> str:
    """The commit that a data set is at.

    Raises:
        InputError: the Hub does not say.
    """
    from huggingface_hub import HfApi

    with _asking(label):
        return str(HfApi().dataset_info(repository).sha)


def files_of(repository: str, commit: str, beginning: str, label: str) -> list[str]:
    """Paths of the files of questions in a data set that begin so.

    Raises:
        InputError: the Hub does not say, or there are none.
    """
    from huggingface_hub import HfApi

    with _asking(label):
        every = list(HfApi().list_repo_files(repository, repo_type="dataset", revision=commit))
    found = sorted(path for path in every if path.startswith(beginning) and path.endswith(_READ))
    if not found:
        folders = ", ".join(sorted({path.rpartition("/")[0] + "/" for path in every if path.endswith(_READ)})[:8])
        raise InputError(
            f"no CSV, JSON, JSONL or Parquet file begins with {beginning!r}.",
            where=label,
            mend=f"The data set has such files in {folders or 'no folder'}.",
        )
    return found


@contextmanager
def _asking(label: str) -> Iterator[None]:
    demand_network(label, hub=True)
    try:
        yield
    except Exception as error:
        # Besides its own kinds the library raises the HTTP client's, and OSError for want of a network.
        reason = masked_text(first_line(str(error)) or type(error).__name__)
        raise InputError(
            f"the Hub does not say what it holds: {reason}.".replace("..", "."),
            where=label,
            mend="Look at the name and the commit, or fetch the files yourself and give their folder.",
        ) from None
