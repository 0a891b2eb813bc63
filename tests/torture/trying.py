"""Tries mutants on the tests that pytest has collected, each in a fork of the process that holds them ready."""

import json
import math
import os
import resource
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from tests.torture.mutant import ImportedInstead, Mutant, put_in_place

MEMORY = 16 << 30  # address space of a fork: a mutant may ask for anything


class Reached:
    """Which tests reach which lines, and how long each takes."""

    def __init__(self, seconds: dict[str, float], lines: dict[str, dict[str, list[str]]]) -> None:
        self.seconds = seconds
        self._lines = lines

    def by(self, mutant: Mutant, most: float) -> list[str]:
        """Tests that reach the mutated function, `most` seconds of them.

        Those that reach the line come first, one of each function's parameters before the next, the quickest before
        the slower.
        """
        lines = self._lines.get(str(mutant.path), {})
        first, last = mutant.span
        near = {test for line, tests in lines.items() if first <= int(line) <= last for test in tests}
        there = set(lines.get(str(mutant.line), ()))
        place: dict[str, int] = {}
        variants = Counter[str]()
        for test in sorted(near, key=self.seconds.__getitem__):
            variants[function := test.partition("[")[0]] += 1
            place[test] = variants[function]
        chosen: list[str] = []
        total = 0.0
        for test in sorted(near, key=lambda test: (test not in there, place[test], self.seconds[test])):
            total += self.seconds[test]
            if chosen and total > most:
                break
            chosen.append(test)
        return chosen


class Trial:
    """A pytest plugin: instead of running what was collected, tries mutants on it.

    Args:
        tried: the mutants.
        most: seconds of tests for a mutant, at the most.
        ends: when to stop, by `time.monotonic`.
        tell: told of each mutant and what became of it: "killed", "timeout" or "survived".
    """

    def __init__(self, tried: Sequence[Mutant], most: float, ends: float, tell: Callable[[Mutant, str], None]) -> None:
        self._tried = tried
        self._most = most
        self._ends = ends
        self._tell = tell

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        # What the forks run is not told test by test.
        session.config.pluginmanager.unregister(name="terminalreporter")
        found = _in_fork(lambda: _baseline(session, {str(mutant.path) for mutant in self._tried}))
        if not found or isinstance(found, str):
            pytest.exit(f"the tests do not pass on the code as it is: {found or 'they ended the process'}", 1)
        reached = Reached(*found)
        items = {item.nodeid: item for item in session.items}
        for mutant in self._tried:
            if time.monotonic() > self._ends:
                break
            chosen = [items[name] for name in reached.by(mutant, self._most)]
            limit = 10 + 5 * sum(reached.seconds[item.nodeid] for item in chosen)
            self._tell(mutant, _verdict(mutant, session, chosen, limit) if chosen else "survived")
        return True


def _in_fork(work: Callable[[], Any], limit: float = math.inf) -> Any:
    """What `work` gives in a fork of this process; None where the fork ends without a word, "timeout" at the limit."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        _say(writing, work)
    os.setpgid(pid, pid)
    os.close(writing)
    os.set_blocking(reading, False)
    try:
        said = _heard(reading, time.monotonic() + limit)
    finally:
        os.close(reading)
        os.killpg(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    return json.loads(said) if said else None


def _heard(reading: int, ends: float) -> bytes:
    said = b""
    while time.monotonic() < ends:
        try:
            part = os.read(reading, 1 << 16)
        except BlockingIOError:
            time.sleep(0.005)
            continue
        if not part:
            return said
        said += part
    return b'"timeout"'


def _say(writing: int, work: Callable[[], Any]) -> None:
    """Ends this process after writing down what `work` gives."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        quiet = os.open(os.devnull, os.O_RDWR)
        for stream in range(3):
            os.dup2(quiet, stream)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        said = json.dumps(work()).encode()
        while said:
            said = said[os.write(writing, said) :]
    finally:
        os._exit(0)


def _baseline(session: pytest.Session, paths: set[str]) -> tuple[dict[str, float], dict[str, Any]] | str:
    """Runs every test on the code as it is; gives the name of one that fails."""
    import coverage

    tracer = coverage.Coverage(data_file=None, config_file=False, include=sorted(paths))
    tracer.start()
    seconds = {}
    for item, after in zip(session.items, [*session.items[1:], None], strict=True):
        tracer.switch_context(item.nodeid)
        start = time.perf_counter()
        item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
        seconds[item.nodeid] = time.perf_counter() - start
        if session.testsfailed:
            return item.nodeid
    tracer.stop()
    data = tracer.get_data()
    return seconds, {path: data.contexts_by_lineno(path) for path in data.measured_files()}


def _verdict(mutant: Mutant, session: pytest.Session, items: Sequence[pytest.Item], limit: float) -> str:
    def work() -> str:
        if not put_in_place(mutant):
            return _anew(mutant, [item.nodeid for item in items])
        for item, after in zip(items, [*items[1:], None], strict=True):
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            if session.testsfailed:
                return "killed"
        return "survived"

    return _in_fork(work, limit + (0 if mutant.function else 20)) or "killed"


def _anew(mutant: Mutant, names: Sequence[str]) -> str:
    """Imports the package and the tests once more, with the mutant among them, and runs the tests."""
    own = ("pinpoint", "tests")
    for name in [name for name in sys.modules if name.split(".")[0] in own and not name.startswith("tests.torture")]:
        del sys.modules[name]
    sys.meta_path.insert(0, ImportedInstead(mutant))
    code = pytest.main(["-x", "-q", "-p", "no:cacheprovider", *names])
    return "survived" if code == pytest.ExitCode.OK else "killed"
