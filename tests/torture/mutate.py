"""Mutants of a module, by mutmut's operators.

mutmut itself leaves decorated functions and module-level code alone; here both are mutated. Left as they are:
annotations, decorators, the text of errors (arguments of `raise`), and calls of `len` and `isinstance`.
"""

from pathlib import Path
from typing import NamedTuple

import libcst as cst
import libcst.matchers as m
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

from tests.torture.mutant import Mutant


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
