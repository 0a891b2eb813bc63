"""A command that several processes run together."""

import os
import sys

from pinpoint.errors import ConfigError, printable
from pinpoint.masking import masked_text
from pinpoint.processes import join, launched

# Set by `accelerate launch`, also through a configuration file that the user may have forgotten.
_SPLITS = {
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
    "ACCELERATE_USE_PARALLELISM_CONFIG": "a parallelism config",
}
_SHARED = ("run", "demo", "locate", "verify", "tune", "evaluate")


def tell(error: str) -> None:
    """One message on stderr."""
    sys.stderr.write(f"error: {printable(masked_text(error))}\n")
    sys.stderr.flush()


def meet(command: str | None) -> None:
    """Joins the other processes of this command, if a launcher started any; all but the first are silent from here.

    Raises:
        ConfigError: the command is one for a single process, or the launcher is set to split the model.
    """
    for variable, what in _SPLITS.items():
        if os.environ.get(variable, "false").lower() == "true":
            raise ConfigError(
                f"{what} splits a model over processes, and here each process holds all of it.",
                where=f"accelerate launch ({variable})",
                mend="Launch with torchrun, or turn it off in accelerate's settings; docs/scale.md says what fits.",
            )
    if launched() == 1:
        return
    if command not in _SHARED:
        raise ConfigError(
            f"runs in one process, and {launched()} were started.",
            where=f"pinpoint {command or ''}".strip(),
            mend=f"Start it without torchrun or accelerate launch; those are for {', '.join(_SHARED)}.",
        )
    if not join(tell).first:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
