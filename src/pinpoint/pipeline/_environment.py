"""`env.json`: the versions and the machine that worked in a run folder."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from pinpoint._version import __version__
from pinpoint.models import pick_device

if TYPE_CHECKING:
    from pinpoint.pipeline._run import Run

ENVIRONMENT = "env.json"

_LIBRARIES = (
    "accelerate",
    "datasets",
    "huggingface-hub",
    "numpy",
    "peft",
    "safetensors",
    "scipy",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
)


def note_environment(run: Run) -> None:
    """Writes down what is about to work in the folder, behind what did before, where that was another.

    The model's own code is part of it, where that may run.

    Raises:
        InputError: this machine has no such device.
    """
    now = {
        "versions": versions(),
        "machine": machine(run.device),
        "trust_remote_code": run.config.trust_remote_code,
    }
    space = run.workspace
    kept: list[dict[str, Any]] = space.read_json(ENVIRONMENT) if space.has(ENVIRONMENT) else []
    if not kept or {name: kept[-1].get(name) for name in now} != now:
        since = datetime.now(UTC).isoformat(timespec="seconds")
        space.write_json(ENVIRONMENT, [*kept, {"since": since, **now}])


def versions() -> dict[str, str]:
    """Python, this package and the libraries that a result may depend on."""
    found = {"python": platform.python_version(), "pinpoint": __version__}
    return found | {name: version(name) for name in _LIBRARIES}


def processor() -> str:
    """The processor's name as its maker gives it; never the machine's own name."""
    about = Path("/proc/cpuinfo")
    lines = about.read_text("utf-8").splitlines() if about.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    if platform.system() == "Darwin":
        asked = ["sysctl", "-n", "machdep.cpu.brand_string"]
        names = [subprocess.run(asked, capture_output=True, text=True).stdout.strip()]
    return names[0] if names else platform.processor() or platform.machine()


def machine(device: str) -> dict[str, Any]:
    """The machine, as far as sums of floating-point numbers may come out differently on another."""
    picked = pick_device(device)
    found = {
        "system": platform.platform(),
        "architecture": platform.machine(),
        "processor": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "cpus": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": picked,
    }
    if picked.startswith("cuda"):
        found |= {"gpu": torch.cuda.get_device_name(picked), "cuda": torch.version.cuda}
    return found
