"""Commands in forks of one process whose disk fails when told to: imports are paid for once.

Run as a program, with `faults.c` preloaded, it reads one job a line (command, folder, stage, when, error, stays) and
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
    """How a command ended.

    Attributes:
        code: its exit code.
        out: what it said on stdout.
        err: what it said on stderr.
        changes: how many changes of the folder it asked for.
        met: the file or folder of the first change that failed.
        stages: how many changes it had asked for as each stage began, as far as it came.
    """

    code: int
    out: str
    err: str
    changes: int
    met: str
    stages: dict[str, int]

    @property
    def stage(self) -> str:
        """The stage that it ended in."""
        return next(reversed(self.stages))


class Disk:
    """Runs `pinpoint` commands on a disk that can be made to fail."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def run(
        self,
        command: list[str],
        folder: Path,
        at: int = 0,
        error: int = 0,
        *,
        stage: str = "start",
        stays: bool = False,
    ) -> Ended:
        """Runs a command; the change number `at` of the folder in a stage fails with `error`, none where it is 0."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([command, str(folder), stage, at, error, stays]) + "\n")
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


class _Told:
    """Stderr that notes how many changes there were as each stage began, and has one fail from there on."""

    def __init__(self, library: Any, stage: str, at: int) -> None:
        self._library, self._stage, self._at = library, stage, at
        self._real = sys.stderr
        self.stages: dict[str, int] = {}
        self._begin("start")

    def write(self, text: str) -> int:
        if text.startswith("["):
            self._begin(text.split()[1].rstrip(":"))
        return self._real.write(text)

    def _begin(self, stage: str) -> None:
        self.stages[stage] = self._library.faults_count()
        if stage == self._stage and self._at:
            self._library.faults_aim(ctypes.c_long(self._at))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


def _forked(job: list[Any]) -> Ended:
    from pinpoint.cli import main

    command, folder, stage, at, error, stays = job
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        library = ctypes.CDLL(None)
        library.faults_count.restype, library.faults_met.restype = ctypes.c_long, ctypes.c_char_p
        tell, told = os.pipe()
        child = os.fork()
        if not child:
            os.dup2(out.fileno(), 1), os.dup2(err.fileno(), 2)
            sys.stdin = io.StringIO()
            sys.argv, code = ["pinpoint", *command], 1
            library.faults_arm(os.fsencode(folder), ctypes.c_long(0), error, int(stays))
            sys.stderr = errors = _Told(library, stage, at)  # type: ignore[assignment]
            try:
                main()
                code = 0
            except SystemExit as ending:
                code = int(ending.code or 0)
            except BaseException:
                sys.excepthook(*sys.exc_info())
            sys.stdout.flush(), sys.stderr.flush()
            found = library.faults_count(), os.fsdecode(library.faults_met()), errors.stages
            os.write(told, json.dumps(found).encode())
            os._exit(code)
        _, status = os.waitpid(child, 0)
        os.close(told)
        changes, met, stages = json.loads(os.read(tell, 1 << 16))
        os.close(tell)
        out.seek(0), err.seek(0)
        code = os.waitstatus_to_exitcode(status)
        return Ended(code, out.read().decode(), err.read().decode(), changes, met, stages)


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
