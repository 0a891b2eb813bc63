"""Commands in forks of one process whose disk fails when told to: imports are paid for once.

Run as a program, with `faults.c` preloaded, it reads one job a line (command, folder, when, error, stays) and
answers each with how the command ended.
"""

import ctypes
import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent


class Ended(NamedTuple):
    """How a command ended, how many changes of the folder it asked for, and of which file the first failed."""

    code: int
    out: str
    err: str
    changes: int
    met: str


class Disk:
    """Runs `pinpoint` commands on a disk that can be made to fail."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(self, command: list[str], folder: Path, at: int = 0, error: int = 0, *, stays: bool = False) -> Ended:
        """Runs a command; the change number `at` of the folder fails with `error`, none where it is 0."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, str(folder), at, error, stays]) + "\n")
        self._process.stdin.flush()
        return Ended(*json.loads(self._process.stdout.readline()))


@contextmanager
def failing_disk(built: Path) -> Iterator[Disk]:
    """Builds the shim into a folder and starts the process that forks; needs Linux and a C compiler."""
    library = built / "faults.so"
    source = str(HERE / "faults.c")
    subprocess.run(["cc", "-O1", "-shared", "-fPIC", "-o", str(library), source, "-ldl"], check=True)
    environment = os.environ | {"LD_PRELOAD": str(library), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.torture.disk"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=HERE.parent.parent,
    )
    with process:
        yield Disk(process)
        assert process.stdin is not None
        process.stdin.close()


def _forked(job: list[Any]) -> Ended:
    from pinpoint.cli import main

    command, folder, at, error, stays = job
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        library = ctypes.CDLL(None)
        tell, told = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            sys.stdin = io.StringIO()
            sys.argv, code = ["pinpoint", *command], 1
            library.faults_arm(os.fsencode(folder), ctypes.c_long(at), error, int(stays))
            try:
                main()
                code = 0
            except SystemExit as ending:
                code = int(ending.code or 0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stdout.flush(), sys.stderr.flush()
            library.faults_count.restype, library.faults_met.restype = ctypes.c_long, ctypes.c_char_p
            os.write(told, str(library.faults_count()).encode() + b" " + library.faults_met())
            os._exit(code)
        _, status = os.waitpid(child, 0)
        os.close(told)
        changes, met = os.read(tell, 4200).decode().split(" ", 1)
        os.close(tell)
        out.seek(0), err.seek(0)
        return Ended(os.waitstatus_to_exitcode(status), out.read().decode(), err.read().decode(), int(changes), met)


def _serve() -> None:
    import peft  # noqa: F401
    import trl  # noqa: F401

    import pinpoint.pipeline
    import pinpoint.report
    import pinpoint.tune  # noqa: F401

    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        answers.write(json.dumps(_forked(json.loads(line))) + "\n")
        answers.flush()


if __name__ == "__main__":
    _serve()
