"""A YAML document to settings, with the line of every key.

The document is composed to nodes, not constructed to objects: nodes keep their lines, and a scalar's text is read by the
setting's own type, so that `version: 3.10` stays the text 3.10 and `name: no` stays no.
"""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from typing import Any, Generic, NamedTuple, TypeVar

import yaml

from config.declare import Declaration, Section, declarations
from config.units import QuantityError

_NULL = "tag:yaml.org,2002:null"
_STANDARD_TAGS = "tag:yaml.org,2002:"


Root = TypeVar("Root", bound=Section)


class Problem(NamedTuple):
    """Something that the user must correct."""

    key: str
    """Its path, for example `routes[0].shadows[1].share`; empty for the whole document."""
    text: str
    line: int = 0
    """Counted from 1; 0 where the setting is not in the document."""


class Document(NamedTuple, Generic[Root]):
    """What a document says."""

    settings: Root | None
    """None where there are problems."""
    lines: dict[str, int]
    """By the path of the key."""
    problems: list[Problem]


def read_document(text: str, kind: type[Root], loader: Any = yaml.SafeLoader) -> Document[Root]:
    """Read one YAML document of settings of this kind; all of its problems are reported, except that faulty syntax hides the rest.

    PyYAML's own loader has the better words for faulty syntax; a text that a program wrote has none, and may be read by libyaml.
    """
    reader = _Reader()
    try:
        root = yaml.compose(text, Loader=loader)
    except yaml.MarkedYAMLError as error:
        return Document(None, {}, [_syntax_problem(error)])
    except yaml.reader.ReaderError as error:
        return Document(None, {}, [Problem("", f"not YAML: found the character {error.character!r} at offset {error.position}")])
    except RecursionError:
        return Document(None, {}, [Problem("", "not YAML: found settings nested without end")])
    if root is None:
        return Document(kind(), {}, [])
    settings = reader.section(kind, root, "")
    return Document(settings, reader.lines, reader.problems)


_HINTS = (
    ("'\\t'", "indent with spaces, not with tabs"),
    ("quoted scalar", "is there a quote at the end?"),
    ("flow", "a value with [ or { in it needs quotes, for example: listen: '[::1]:8080'"),
    ("mapping values", "a value with a colon and a space in it needs quotes"),
    ("block", "is the line indented like those beside it?"),
)


def _syntax_problem(error: yaml.MarkedYAMLError) -> Problem:
    text = f"{error.problem} ({error.context})" if error.context else str(error.problem)
    hint = next((f"; {hint}" for part, hint in _HINTS if part in text), "")
    mark = error.context_mark if error.context_mark and "end of stream" in text else error.problem_mark
    return Problem("", f"not YAML: {text}{hint}", mark.line + 1 if mark else 0)


class _Reader:
    """Walks the nodes beside the declarations and collects lines and problems."""

    def __init__(self) -> None:
        self.lines: dict[str, int] = {}
        self.problems: list[Problem] = []

    def section(self, kind: type[Section], node: yaml.Node, path: str) -> Any:
        """Return the section, or None after a problem."""
        known = declarations(kind)
        problems_before = len(self.problems)
        entries = self.entries(known, node, path)
        values = {name: self.value(known[name], child, _join(path, name)) for name, child in entries.items()}
        for name, declaration in known.items():
            if declaration.is_required and name not in entries and _may_be_section(node):
                self.report(_join(path, name), node, f"expected this setting, found none; for example: {name}: {declaration.example}")
        return kind(**values) if len(self.problems) == problems_before else None

    def entries(self, known: dict[str, Declaration], node: yaml.Node, path: str) -> dict[str, yaml.Node]:
        """Return the nodes of a mapping by key, without those that are unknown or come twice."""
        entries: dict[str, yaml.Node] = {}
        if not _may_be_section(node):
            first = next(iter(known.values()))
            self.report(path, node, f"expected settings by name, found {_found(node)}; for example: {first.name}: {first.example}")
            return entries
        for key, child in node.value if isinstance(node, yaml.MappingNode) else ():
            name = key.value if isinstance(key, yaml.ScalarNode) else "?"
            if name not in known:
                self.report(_join(path, name), key, _unknown(name, known))
            elif name in entries:
                self.report(_join(path, name), key, f"expected once, found again; it is first on line {self.lines[_join(path, name)]}")
            else:
                self.lines[_join(path, name)] = _line(key)
                entries[name] = child
        return entries

    def value(self, declaration: Declaration, node: yaml.Node, path: str) -> Any:
        """Return the value of one setting, or None after a problem."""
        if declaration.is_section:
            return self.sections(declaration, node, path) if declaration.is_list else self.section(declaration.type, node, path)
        if declaration.is_list and isinstance(node, yaml.SequenceNode):
            return self.values(declaration, node, path)
        if node.tag == _NULL and declaration.default in {None, ""}:
            return declaration.default
        return self.scalar(declaration, declaration.parse, node, path)

    def values(self, declaration: Declaration, node: yaml.SequenceNode, path: str) -> tuple[Any, ...]:
        """Return the values of a list, which has at least one."""
        if not node.value:
            self.report(path, node, f"expected {declaration.expected}, or a list of them, found []; for example: {declaration.name}: {declaration.example}")
        for index, child in enumerate(node.value):
            self.lines[f"{path}[{index}]"] = _line(child)
        return tuple(self.scalar(declaration, declaration.parse_one, child, f"{path}[{index}]") for index, child in enumerate(node.value))

    def scalar(self, declaration: Declaration, parse: Callable[[str], Any], node: yaml.Node, path: str) -> Any:
        """Return what a scalar says, or None after a problem."""
        if not isinstance(node, yaml.ScalarNode) or node.tag == _NULL or not node.tag.startswith(_STANDARD_TAGS):
            self.report(path, node, f"expected {declaration.expected}, found {_found(node)}; for example: {declaration.name}: {declaration.example}")
            return None
        try:
            return parse(node.value)
        except QuantityError as error:
            self.report(path, node, f"expected {error.expected}, found {error.shown}; for example: {declaration.name}: {error.example}")
            return None

    def sections(self, declaration: Declaration, node: yaml.Node, path: str) -> tuple[Any, ...]:
        """Return the sections of a list."""
        if node.tag == _NULL:
            return ()
        if not isinstance(node, yaml.SequenceNode):
            self.report(path, node, f"expected a list, found {_found(node)}; for example: {declaration.name}: [{declaration.example}]")
            return ()
        for index, child in enumerate(node.value):
            self.lines[f"{path}[{index}]"] = _line(child)
        return tuple(self.section(declaration.type, child, f"{path}[{index}]") for index, child in enumerate(node.value))

    def report(self, path: str, node: yaml.Node, text: str) -> None:
        """Remember a problem at a node."""
        self.problems.append(Problem(path, text, _line(node)))


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _may_be_section(node: yaml.Node) -> bool:
    """Whether settings by name stand here, or nothing, which is a section whose settings all have their defaults."""
    return isinstance(node, yaml.MappingNode) or node.tag == _NULL


def _found(node: yaml.Node) -> str:
    """Say what a node is, in a user's words."""
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "settings by name"
    if node.tag == _NULL:
        return "nothing"
    tag = "" if node.tag.startswith(_STANDARD_TAGS) else f"{node.tag} "
    return f"{tag}{node.value!r}"


def _unknown(name: str, known: dict[str, Declaration]) -> str:
    """Say what the user may have meant: the same name in a section below, a name alike, or any of those known here."""
    below = [
        f"{section.name}{'[0]' if section.is_list else ''}.{name}" for section in known.values() if section.is_section and name in declarations(section.type)
    ]
    likely = below or get_close_matches(name, known, n=1)
    hint = f"did you mean {likely[0]}?" if likely else f"known here: {', '.join(known)}"
    return f"expected a known setting, found {name!r}; {hint}"
