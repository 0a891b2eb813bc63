"""Mutants of a module, by mutmut's operators, and how one is put in the place of the code that is loaded.

mutmut itself leaves decorated functions and module-level code alone; here both are mutated. Left as they are:
annotations, decorators, the text of errors (arguments of `raise`), and calls of `len` and `isinstance`.
"""

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
from typing import NamedTuple

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string


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


class _Place(NamedTuple):
    function: str
    span: tuple[int, int]


class _Collector(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[cst.CSTNode, cst.CSTNode, int, _Place | None]] = []
        self._names: list[str] = []
        self._bodies: dict[cst.CSTNode, _Place] = {}
        self._place: _Place | None = None
        self._raising = 0

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.Annotation | cst.Decorator | cst.Import | cst.ImportFrom):
            return False
        if m.matches(node, m.Call(func=m.Name("len") | m.Name("isinstance"))):
            return False
        # A default is worked out when its function is made, which is where anything but a plain one would fail.
        if isinstance(node, cst.Param) and not isinstance(node.default, cst.Name | cst.BaseNumber | cst.SimpleString):
            return False
        self._raising += isinstance(node, cst.Raise)
        self._place = self._bodies.get(node, self._place)
        self._mutate(node)
        if isinstance(node, cst.FunctionDef | cst.ClassDef):
            self._names.append(node.name.value)
        if isinstance(node, cst.FunctionDef) and self._place is None:
            where = self.get_metadata(PositionProvider, node)
            self._bodies[node.body] = _Place(".".join(self._names), (where.start.line, where.end.line))
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        self._raising -= isinstance(original_node, cst.Raise)
        if isinstance(original_node, cst.FunctionDef | cst.ClassDef):
            self._names.pop()
        if original_node in self._bodies:
            self._place = None

    def _mutate(self, node: cst.CSTNode) -> None:
        where = self.get_metadata(PositionProvider, node, None)
        for kind, operator in mutation_operators:
            if not isinstance(node, kind) or (self._raising and operator is operator_string):
                continue
            for changed in operator(node):
                self.found.append((node, changed, where.start.line if where else 0, self._place))


def mutants(path: Path) -> list[Mutant]:
    """All mutants of a file, in the order of its text."""
    text = path.read_text()
    wrapper = MetadataWrapper(cst.parse_module(text))
    collector = _Collector()
    wrapper.visit(collector)
    found, seen = [], {text}
    everywhere = _Place("", (1, text.count("\n") + 1))
    for node, changed, line, place in collector.found:
        source = wrapper.module.deep_replace(node, changed).code  # type: ignore[arg-type]
        if source not in seen:
            seen.add(source)
            found.append(Mutant(path, source, line, *(place or everywhere)))
    return found


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
