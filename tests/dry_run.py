"""Writes docs/results/dry-run.md, what a dry run of the paper's experiment says: `python -m tests.dry_run`."""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from pinpoint.organism import shipped
from tests.conftest import ROOT
from tests.test_configs import paper_data, stand_in_cache

PAGE = ROOT / "docs" / "results" / "dry-run.md"
# What differs between machines and times: the folder's name, and what the machine at hand can hold.
_OURS = re.compile(r"^(?:run folder: .*|(?:locate|verify|tune|tune_full|evaluate) on .*)\n", re.MULTILINE)
TEXT = """<!-- Written by `python -m tests.dry_run`: edit that. -->

# A dry run of the paper's experiment

What this says for Llama-2-13B-chat, with the paper's settings, which come with the package, and
[the paper's data](published.md#how-to-fill-it-in):

```console
$ pinpoint run {model} --config paper-data --dry-run
```

```{{admonition}} Stand-ins
:class: warning

The config is the model's public one. **Tokenizer and chat template are not the model's**: the tokenizer is the
shipped organism's, and the template is written in the manner of Llama 2's. The questions are made up, in the layouts of
the sets that `paper-data` names, SycophancyEval's too, which a real run fetches. What is shown is the path and its
counts; the prompts of the real model are for you to look at, with the same command.
```

On stderr:

```text
{told}```

On stdout, without the run's folder and without memory and time, which are those of the machine at hand
(`pinpoint check` shows them too):

```text
{shown}```
"""


def page(folder: Path, tokenizer: PreTrainedTokenizerBase) -> str:
    """The page, by running the command in a folder."""
    model = stand_in_cache(folder / "hub", tokenizer)
    instead = paper_data(folder)
    command = [sys.executable, "-m", "pinpoint", "run", model, "--config", "paper-data", "--dry-run"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PINPOINT_")}
    offline = {"HF_HUB_CACHE": str(folder / "hub"), "HF_HUB_OFFLINE": "1", "COLUMNS": "120"}
    done = subprocess.run(command, cwd=folder, env=kept | offline | instead, capture_output=True, text=True, check=True)
    return TEXT.format(model=model, told=done.stderr, shown=_OURS.sub("", done.stdout))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        PAGE.write_text(page(Path(name), AutoTokenizer.from_pretrained(str(shipped()["yesman"]))), encoding="utf-8")
