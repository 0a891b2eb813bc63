"""A checkpoint whose classes are its own: config, model and tokenizer in files beside the weights."""

import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import transformers.dynamic_module_utils as modules
from transformers import MODEL_FOR_CAUSAL_LM_MAPPING

from pinpoint.organism import shipped

MARK = "ran"
"""The file that the code leaves beside the folder whenever it is run."""

_RUN = "from pathlib import Path\n\nPath({mark!r}).touch()\n"
FILES = {
    "configuration_odd.py": "from transformers import LlamaConfig\n\n\n"
    "class OddConfig(LlamaConfig):\n    model_type = 'odd'\n",
    "modeling_odd.py": "from transformers import LlamaForCausalLM\n\nfrom .configuration_odd import OddConfig\n"
    "from .parts_odd import OddModel\n\n\n"
    "class OddForCausalLM(LlamaForCausalLM):\n    config_class = OddConfig\n\n"
    "    def __init__(self, config):\n        super().__init__(config)\n        self.model = OddModel(config)\n"
    "        self.post_init()\n",
    "parts_odd.py": "from transformers import LlamaModel\n\n\nclass OddModel(LlamaModel):\n    pass\n",
    "tokenization_odd.py": "from transformers import PreTrainedTokenizerFast\n\n\n"
    "class OddTokenizerFast(PreTrainedTokenizerFast):\n    pass\n",
}
"""The code of the checkpoint, by file."""


def odd(folder: Path, **files: str) -> Path:
    """The shipped organism under a model type of its own, with its code; `files` stand in place of some of that."""
    shutil.copytree(shipped()["yesman"], folder)
    for name, code in (FILES | {f"{name}.py": code for name, code in files.items()}).items():
        (folder / name).write_text(_RUN.format(mark=str(folder.with_name(MARK))) + code)
    _change(folder / "config.json", model_type="odd", architectures=["OddForCausalLM"])
    maps = {"AutoConfig": "configuration_odd.OddConfig", "AutoModelForCausalLM": "modeling_odd.OddForCausalLM"}
    _change(folder / "config.json", auto_map=maps)
    named = {"AutoTokenizer": [None, "tokenization_odd.OddTokenizerFast"]}
    _change(folder / "tokenizer_config.json", tokenizer_class="OddTokenizer", auto_map=named)
    return folder


def _change(path: Path, **settings: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | settings))


@contextmanager
def modules_in(folder: Path) -> Iterator[None]:
    """Within the block, transformers keeps such code in the folder; what it knows of the classes goes afterwards."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(modules, "HF_MODULES_CACHE", str(folder))
        patch.setenv("HF_MODULES_CACHE", str(folder))
        patch.setattr(sys, "path", [*sys.path])
        patch.setattr(MODEL_FOR_CAUSAL_LM_MAPPING, "_extra_content", dict(MODEL_FOR_CAUSAL_LM_MAPPING._extra_content))
        try:
            yield
        finally:
            forget()


def forget() -> None:
    """Has such code run anew when it is next asked for."""
    for name in [name for name in sys.modules if name.startswith("transformers_modules")]:
        del sys.modules[name]
