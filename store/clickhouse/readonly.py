"""A user's own SQL: it can read Driftline's tables and do nothing else.

ClickHouse's `readonly` forbids writing, but not reading: files, URLs, other servers and Python objects are one function away. So what runs
is not the user's text but the engine's own rendering of it, after three looks:

1. The engine renders the query from its syntax tree: one statement, no comments, and one way to quote, whatever the text was.
   Names in quotes may hold no character that could forge a line of the next step, and functions that reach outside are found by name.
2. The engine prints the syntax tree; the kind of every node, every table and every table function in it is checked, wherever it stands.
3. The print leaves some places out (OVER (…) is one). As many SELECT and IN must be in it as are in the text: no place is left for a table.

Then it runs on a client of its own, which is read-only and bounded in time, memory and result. A table in a query that names no database is
one of ours: only the engine's `default` database takes `'/etc/passwd'` for a table, and we are never in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any, Final, NamedTuple

from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from records.ports import QueryFailedError, QueryRefusedError, StoreUnavailableError
from store.clickhouse.client import FAILURES, Store, one_line
from store.clickhouse.schema import TABLES

LIMITS: Final[dict[str, Any]] = {
    "max_execution_time": 30,
    "max_memory_usage": 2 * 1024**3,
    "max_result_rows": 1_000_000,
    "max_result_bytes": 256 * 1024**2,
    "result_overflow_mode": "throw",
    "allow_introspection_functions": 0,
    "allow_ddl": 0,
}

_ALLOWED: Final = (
    "Allowed is one SELECT, EXPLAIN of one, SHOW TABLES, SHOW CREATE TABLE, DESCRIBE TABLE or EXISTS TABLE over: "
    f"{', '.join(sorted(TABLES))}. The format is an option of its own."
)

_SYSTEM_TABLES: Final = frozenset({"columns", "databases", "functions", "numbers", "one", "parts", "tables"})

_TABLE_FUNCTIONS: Final = frozenset({"generate_series", "generateseries", "numbers", "numbers_mt", "sqlstandardvalues", "values", "view", "zeros"})

# Functions that reach outside the query: files, dictionaries, models, other tables and hosts, the machine, the server's settings, its log, time.
_DENIED_FUNCTION: Final = re.compile(
    r"""file | dict\w+ | joinget\w* | region\w+ | ai\w+ | sleep\w* | hascolumnintable | catboost\w* | assigncentroid | modelevaluate | evalmlmethod
    | naivebayesclassifier\w* | hostname | fqdn | fullhostname | displayname | serveruuid | tcpport | getserverport | getserversetting | getmacro
    | getclienthttpheader | currentrequesturl | getoskernelversion | filesystem\w* | showcertificate | addressto\w+ | demangle | logtrace
    | generateserialid | transaction\w+ | zookeeper\w+ | __\w+""",
    re.IGNORECASE | re.VERBOSE,
)

_IN_FUNCTION: Final = re.compile(r"(?:global)?(?:not)?(?:null)?in(?:ignoreset)?", re.IGNORECASE)

# Kinds of nodes that only compute. Not among them: Set (SETTINGS), QueryParameter, and APPLY, whose function the engine does not print.
_NODE: Final = re.compile(
    r"""ArrayJoin | Asterisk | Columns(?:ExceptTransformer|ListMatcher|RegexpMatcher|ReplaceTransformer(?:::Replacement)?|TransformerList)
    | ExpressionList | Function | Identifier | InterpolateElement | Literal | OrderByElement
    | Qualified(?:Asterisk|ColumnsListMatcher|ColumnsRegexpMatcher) | SampleRatio | Select(?:IntersectExceptQuery|Query|WithUnionQuery) | Subquery
    | Table(?:Expression|Identifier|Join) | TablesInSelectQuery(?:Element)? | Window(?:Definition|ListElement) | WithElement""",
    re.VERBOSE,
)

_FORMAT: Final = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_QUOTED: Final = re.compile(r"'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`", re.DOTALL)
_PLAIN_QUOTED_NAME: Final = re.compile(r"`[\w .:%@-]*`")
_TABLE: Final = re.compile(r"(?:(\w+)\.)?(\w+)")
_EXPLAIN: Final = re.compile(r"EXPLAIN (?:(?:AST|SYNTAX|QUERY TREE|PLAN|PIPELINE|ESTIMATE) )?(?:\w+ = \d+,? )*")
_SELECT: Final = re.compile(r"(?:SELECT|WITH) .*|\(.*", re.DOTALL)
_ABOUT_TABLES: Final = re.compile(r"SHOW TABLES(?: I?LIKE '[^'\\]*')?|(?:SHOW CREATE|DESCRIBE|EXISTS) TABLE ([\w.]+)")
_CALL: Final = re.compile(r"(\w+)`?\(")
_LINE: Final = re.compile(r"( *)(?:(Literal) .*|([\w:]+)(?: ([^()]*?))?(?: \(alias [^()]*\))?(?: \(children \d+\))?)")


class ReadOnlyQueries:
    """Answers users' queries over a store; implements `records.ports.ReadOnlySql`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __call__(self, query: str, output_format: str) -> bytes:
        """Return the result in one of ClickHouse's formats, for example `JSONEachRow`.

        Raises `QueryRefusedError` where the query is not one that may be asked, `QueryFailedError` where the engine could not answer it,
        `StoreUnavailableError` where the store could not be asked.
        """
        if not _FORMAT.fullmatch(output_format):
            raise QueryRefusedError(f"{output_format!r} is not the name of an output format: use for example JSONEachRow, CSVWithNames or PrettyCompact.")
        try:
            with closing(self._store.client()) as client:
                return _answer(client, query, output_format)
        except FAILURES as error:
            raise StoreUnavailableError(one_line(error)) from error


def _answer(client: Client, query: str, output_format: str) -> bytes:
    try:
        for name, value in LIMITS.items():
            client.set_client_setting(name, value)
        rendered = checked(client, query)
        client.set_client_setting("readonly", 1)  # not before: EXPLAIN in a subquery counts as writing
        return client.raw_query(rendered, fmt=output_format)
    except DatabaseError as error:
        if error.code is None:  # not from the engine
            raise
        raise QueryFailedError(one_line(error)) from error


def checked(client: Client, query: str) -> str:
    """Return the engine's rendering of a query that may run.

    Raises `QueryRefusedError` where it may not, `DatabaseError` where it is not SQL.
    """
    rendered = _render(client, query)
    _check_quoting(rendered)
    _check_functions(rendered)
    tables = _readable_tables(client)
    if about := _ABOUT_TABLES.fullmatch(rendered):
        if about[1]:
            tables.check(about[1])
        return rendered
    select = _EXPLAIN.sub("", rendered, count=1)
    if not _SELECT.fullmatch(select):
        raise _refused(f"{rendered.split(maxsplit=1)[0]} is not allowed")
    nodes = list(_syntax_tree(client, select))
    for node in nodes:
        _check_node(node, tables)
    _check_nothing_is_hidden(select, nodes)
    return rendered


def _render(client: Client, query: str) -> str:
    try:
        return str(client.query("SELECT formatQuerySingleLine({query:String})", parameters={"query": query}).result_rows[0][0])
    except DatabaseError as error:
        if "Multi-statements" in str(error):
            raise _refused("more than one statement is not allowed") from error
        raise


def _check_quoting(rendered: str) -> None:
    for quoted in _QUOTED.findall(rendered):
        if quoted.startswith("`") and not _PLAIN_QUOTED_NAME.fullmatch(quoted):
            raise _refused(f"a name in quotes holds letters, digits, spaces and _.:%@- only, not {quoted}")
    if re.search("[;'`]", _QUOTED.sub("", rendered)):
        raise _refused("the quoting is not understood")


def _functions(rendered: str) -> list[str]:
    """Return every name before a parenthesis: all functions, whether the syntax tree's print shows them or not."""
    return _CALL.findall(_QUOTED.sub(lambda quoted: "" if quoted[0].startswith("'") else quoted[0], rendered))


def _check_functions(rendered: str) -> None:
    for name in _functions(rendered):
        if _DENIED_FUNCTION.fullmatch(name):
            raise _refused(f"the function {name} is not allowed")


class _Tables(NamedTuple):
    """What a query may read."""

    database: str
    others: frozenset[str]
    """Tables in our database that are not ours: a server may have some."""

    def check(self, text: str) -> None:
        """Raise unless this is a table of ours, one that the query itself defines, or none at all: that is for the engine to say."""
        match = _TABLE.fullmatch(text)
        database, name = match.groups() if match else ("", "")
        readable = name in _SYSTEM_TABLES if database == "system" else database in {None, self.database} and name not in self.others
        if not readable:
            raise _refused(f"{text!r} is not a table of ours")


def _readable_tables(client: Client) -> _Tables:
    names = client.query("SELECT name FROM system.tables WHERE database = currentDatabase()").result_rows
    return _Tables(client.database or "", frozenset(name for (name,) in names) - TABLES)


class _Node(NamedTuple):
    """A line of the syntax tree."""

    kind: str
    name: str
    parents: tuple[_Node, ...] = ()
    """The nodes above, the nearest first."""
    elders: int = 0
    """How many siblings come before."""

    @property
    def is_in(self) -> bool:
        """Whether this is an operator whose second operand may be a table."""
        return self.kind == "Function" and bool(_IN_FUNCTION.fullmatch(self.name))


_NOWHERE: Final = _Node("", "")


def _syntax_tree(client: Client, select: str) -> Iterator[_Node]:
    """Yield the nodes as the engine prints them. Within a subquery EXPLAIN takes nothing but a SELECT, without FORMAT and INTO OUTFILE."""
    try:
        lines: Sequence[Sequence[str]] = client.query(f"SELECT explain FROM (EXPLAIN AST {select})").result_rows  # noqa: S608 - the engine's rendering
    except DatabaseError as error:
        raise _refused(one_line(error)) from error
    path: list[_Node] = []
    siblings = [0]
    for (line,) in lines:
        match = _LINE.fullmatch(line)
        if match is None or len(match[1]) > len(path):
            raise _refused(f"this part is not understood: {line.strip()}")
        depth = len(match[1])
        del path[depth:], siblings[depth + 1 :]
        path.append(_Node(match[2] or match[3], match[4] or "", tuple(reversed(path)), siblings[depth]))
        siblings[depth] += 1
        siblings.append(0)
        yield path[-1]


def _check_node(node: _Node, tables: _Tables) -> None:
    parent, grandparent = (*node.parents, _NOWHERE, _NOWHERE)[:2]
    if not _NODE.fullmatch(node.kind):
        raise _refused({"Set": "SETTINGS are not allowed", "ColumnsApplyTransformer": "APPLY is not allowed"}.get(node.kind, f"{node.kind} is not allowed"))
    if node.kind == "TableIdentifier" or (node.kind == "Identifier" and node.elders == 1 and grandparent.is_in):
        tables.check(node.name)
    if node.kind == "Function" and parent.kind == "TableExpression" and node.name.lower() not in _TABLE_FUNCTIONS:
        raise _refused(f"the table function {node.name} is not allowed")


def _check_nothing_is_hidden(select: str, nodes: Sequence[_Node]) -> None:
    words = re.findall(r"\w+", _QUOTED.sub("", select))
    selects = sum(node.kind == "SelectQuery" for node in nodes)
    ins = sum(node.is_in for node in nodes)
    if words.count("SELECT") != selects or words.count("IN") + sum(bool(_IN_FUNCTION.fullmatch(name)) for name in _functions(select)) != ins:
        raise _refused("a subquery or IN stands where it cannot be checked, such as OVER (…): name the window with WINDOW, or use a subquery in FROM")


def _refused(reason: str) -> QueryRefusedError:
    return QueryRefusedError(f"Refused: {reason}. {_ALLOWED}")
