"""What is said of code that comes with a model, before any of it can run."""

import re
from pathlib import Path

from pinpoint.config._run import RunConfig

_COMMIT = re.compile(r"[0-9a-f]{40}")


def code_warning(config: RunConfig) -> str:
    """That the model's own code runs, with whose rights, and how it is kept from changing; empty where it does not."""
    if not config.trust_remote_code:
        return ""
    which, pin = config.model, ""
    if not Path(config.model).exists():
        which += f", revision {config.revision or 'main'}"
        if not _COMMIT.fullmatch(config.revision or ""):
            pin = " Pin it: read the code of one commit, and give that commit with --revision."
    return f"code that comes with {which} runs with your rights (trust_remote_code).{pin}"
