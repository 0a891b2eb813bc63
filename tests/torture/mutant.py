"""A mutant, and how it is put in the place of the code that is loaded."""

import difflib
import hashlib
import importlib.util
import inspect
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path
from types import CodeType, FunctionType


@dataclass(frozen=True)
class Mutant:
    """One change of one source file.

    Attributes:
        path: the file.
        source: its text with the change.
        line: where the change begins.
        function: the qualified name of the function or method that it lies in; "" outside of them.
        span: first and last line of that function, or of the file.
    """

    path: Path
    source: str
    line: int
    function: str
    span: tuple[int, int]

    @property
    def key(self) -> str:
        """A name that only this change of this text has."""
        return hashlib.sha256(f"{self.path.name}\n{self.source}".encode()).hexdigest()[:16]

    def change(self) -> str:
        """The lines that differ."""
        lines = difflib.unified_diff(self.path.read_text().splitlines(), self.source.splitlines(), n=0, lineterm="")
        return "\n".join(line for line in lines if not line.startswith(("---", "+++", "@@")))


def module_name(path: Path) -> str:
    """What the file is imported as."""
    return ".".join(path.with_suffix("").parts[path.parts.index("src") + 1 :])


def put_in_place(mutant: Mutant) -> bool:
    """Gives the function that is loaded the mutant's code; whoever holds the function has the mutant then.

    Returns:
        False where that cannot be done and the package has to be imported anew.
    """
    if not mutant.function:
        return False
    code = compile(mutant.source, str(mutant.path), "exec")
    new = next((c for c in _codes(code) if c.co_qualname == mutant.function), None)
    owner: object = sys.modules[module_name(mutant.path)]
    for name in mutant.function.split("."):
        owner = inspect.getattr_static(owner, name)
        owner = getattr(owner, "fget", None) or getattr(owner, "__func__", owner)
    function = inspect.unwrap(owner)  # type: ignore[arg-type]
    if new is None or not isinstance(function, FunctionType) or new.co_freevars != function.__code__.co_freevars:
        return False
    function.__code__ = new
    return True


def _codes(code: CodeType) -> Iterator[CodeType]:
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield constant
            yield from _codes(constant)


class ImportedInstead:
    """Finds the mutant where its module is imported."""

    def __init__(self, mutant: Mutant) -> None:
        self._mutant = mutant

    def find_spec(self, name: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        if name != module_name(self._mutant.path):
            return None
        loader = _Loader(name, str(self._mutant.path), self._mutant.source)
        return importlib.util.spec_from_file_location(name, self._mutant.path, loader=loader)


class _Loader(SourceFileLoader):
    def __init__(self, name: str, path: str, source: str) -> None:
        super().__init__(name, path)
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        return compile(self._source, self.path, "exec", dont_inherit=True)
