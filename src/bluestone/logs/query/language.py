"""The query language: text -> tree. Pure; a subset of what Lucene and KQL share (docs/reference/query-language.md).

query   = and {"OR" and}
and     = not {["AND"] not}
not     = ["NOT" | "-" | "!"] primary
primary = "(" query ")" | [field ":"] value
value   = word | "phrase" | /regex/ | "=" text | (">" | ">=" | "<" | "<=") text | "[" text "TO" text "]" | "*"
        | "(" values ")"
"""

from __future__ import annotations

import re
from collections.abc import Callable

from msgspec import Struct

from bluestone.logs.ingest.lines import SEVERITIES
from bluestone.logs.query.conditions import Condition, Exact, Exists, Like, Phrase, Range, checked
from bluestone.logs.query.nodes import And, Leaf, Node, Not, Or
from bluestone.model.problem import Problem

LONGEST = 4000
DEEPEST = 40
MOST = 256
"""Tests in one query."""

TOKEN = re.compile(
    r"""\s+
    | (?P<phrase>"(?:[^"\\]|\\.)*")
    | (?P<regex>/(?:[^/\\]|\\.)+/)
    | (?P<open>\() | (?P<close>\))
    | (?P<range>[\[{]\s*(?P<low>"[^"]*"|[^\s\]}"]+)\s+TO\s+(?P<high>"[^"]*"|[^\s\]}"]+)\s*[\]}])
    | (?P<compare>(?:>=|<=|>|<|=)(?=\S))
    | (?P<not>[-!](?=\S))
    | (?P<field>[A-Za-z_@*][\w@.*/-]*):(?=\S)
    | (?P<word>(?:[^\s()":\\]|\\.)(?:[^\s()"\\]|\\.)*)
    """,
    re.VERBOSE,
)
WITHOUT_ESCAPES = re.compile(r"\\(.)", re.DOTALL)
WILDCARD = re.compile(r"(?<!\\)[*?]")


class Token(Struct, frozen=True):
    """A piece of a query: its kind, its text, and where it stands."""

    kind: str
    text: str
    place: int


class Unreadable(Problem):
    """A query that is none: `reason` says why, `at` is the character at which it shows, counted from 0."""

    def __init__(self, text: str, at: int, reason: str) -> None:
        super().__init__(
            f"cannot read the query: {reason}\n  {text}\n  {' ' * at}^",
            mend='see docs/reference/query-language.md; put "quotes" around text with special characters',
        )
        self.at, self.reason = at, reason


def parse_query(text: str) -> Node:
    """The tree of a query; that of none finds all. Raises `Problem`, with the place."""
    if len(text) > LONGEST:
        raise Problem(f"the query has {len(text)} characters; at most {LONGEST} are taken", mend="ask for less")
    parser = Parser(text)
    if not parser.left():
        return And()
    node = parser.either(0)
    if parser.left():
        raise parser.problem("nothing opened this")
    return node


class Parser:
    """Reads one query, from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(self._split())
        self._next = 0
        self._tests = 0

    def left(self) -> bool:
        """Whether there is more."""
        return self._next < len(self._tokens)

    def problem(self, what: str) -> Problem:
        """What is wrong at the next token."""
        return Unreadable(self._text, self._tokens[self._next].place if self.left() else len(self._text), what)

    def either(self, depth: int) -> Node:
        """`a OR b`."""
        if depth > DEEPEST:
            raise self.problem(f"more than {DEEPEST} brackets in each other")
        parts = [self._all(depth)]
        while self._takes("word", "OR"):
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def _all(self, depth: int) -> Node:
        parts = [self._negated(depth)]
        while True:
            joined = self._takes("word", "AND")
            if not joined and (not self.left() or self._sees("close") or self._sees("word", "OR")):
                return parts[0] if len(parts) == 1 else And(tuple(parts))
            parts.append(self._negated(depth))

    def _negated(self, depth: int) -> Node:
        negated = False
        while self._takes("word", "NOT") or self._takes("not"):
            negated = not negated
        node = self._primary(depth)
        return Not(node) if negated else node

    def _primary(self, depth: int) -> Node:
        if self._takes("open"):
            node = self.either(depth + 1)
            if not self._takes("close"):
                raise self.problem("a bracket is not closed")
            return node
        if self._sees("field"):
            return self._field(self._take().text, depth)
        return self._value("message", words_only=True)

    def _field(self, name: str, depth: int) -> Node:
        if not self._sees("open"):
            return self._value(name, words_only=False)
        # field:(a OR b): the same field for all of them
        return _renamed(self._primary(depth), name)

    def _value(self, field: str, *, words_only: bool) -> Node:
        self._tests += 1
        if self._tests > MOST:
            raise self.problem(f"more than {MOST} tests")
        if not self.left():
            raise self.problem("a value is missing")
        token = self._take()
        try:
            return Leaf(field, self._test(token, field, words_only=words_only))
        except Problem as problem:
            if isinstance(problem, Unreadable):
                raise
            raise Problem(problem.what, mend=problem.mend) from problem

    def _test(self, token: Token, field: str, *, words_only: bool) -> Condition:
        match token.kind:
            case "phrase":
                return Phrase(_plain(token.text[1:-1]))
            case "regex":
                return checked(token.text[1:-1].replace("\\/", "/"))
            case "word" if token.text in ("AND", "OR"):
                self._next -= 1
                raise self.problem(f"{token.text} needs something on both of its sides")
            case "word" if not words_only and token.text[0] in "[{<>":
                self._next -= 1
                raise self.problem("a range is [LOW TO HIGH], {LOW TO HIGH} or >VALUE")
            case "word":
                return _word(token.text, field, words_only=words_only)
            case "compare" if not words_only:
                return self._compared(token.text, field)
            case "range" if not words_only:
                return _range(token.text, field)
        self._next -= 1
        raise self.problem("a word, a phrase or a field is expected here")

    def _compared(self, sign: str, field: str) -> Condition:
        if not (self._sees("word") or self._sees("phrase")):
            raise self.problem("a value is missing")
        token = self._take()
        bound = _plain(token.text[1:-1] if token.kind == "phrase" else token.text)
        if sign == "=":
            return Exact(_said(bound, field))
        bound = _said(bound, field)
        if sign[0] == ">":
            return Range(bound, None, with_low=sign == ">=")
        return Range(None, bound, with_high=sign == "<=")

    def _sees(self, kind: str, text: str | None = None) -> bool:
        if not self.left():
            return False
        token = self._tokens[self._next]
        return token.kind == kind and text in (None, token.text)

    def _takes(self, kind: str, text: str | None = None) -> bool:
        seen = self._sees(kind, text)
        self._next += seen
        return seen

    def _take(self) -> Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _split(self) -> list[Token]:
        tokens: list[Token] = []
        place = 0
        while place < len(self._text):
            found = TOKEN.match(self._text, place)
            if not found:
                self._tokens, self._next = [Token("?", "", place)], 0
                raise self.problem("this opens something that is not closed, or is out of place")
            if found.lastgroup:
                kind = "range" if found["range"] else str(found.lastgroup)
                tokens.append(Token(kind, found["field"] or found[0], place))
            place = found.end()
        return tokens


def _word(text: str, field: str, *, words_only: bool) -> Condition:
    if text == "*":
        return Exists()
    if WILDCARD.search(text):
        if words_only:
            return Like(text, inside=True)
        return Like(text)
    return Exact(_said(_plain(text), field)) if field == "severity" else Phrase(_plain(text))


def _range(text: str, field: str) -> Condition:
    found = re.fullmatch(r'[\[{]\s*("[^"]*"|\S+)\s+TO\s+("[^"]*"|[^\s\]}]+)\s*[\]}]', text)
    assert found, "the token has this form"
    low, high = (None if bound == "*" else _said(bound.strip('"'), field) for bound in found.groups())
    return Range(low, high, with_low=text[0] == "[", with_high=text[-1] == "]")


def _said(value: str, field: str) -> str:
    """A severity's number by its name; any other value as it is."""
    known = SEVERITIES.get(value.lower()) if field == "severity" else None
    return value if known is None else str(known)


def _plain(text: str) -> str:
    return WITHOUT_ESCAPES.sub(r"\1", text)


def _renamed(node: Node, field: str) -> Node:
    rename: Callable[[Node], Node] = lambda part: _renamed(part, field)  # noqa: E731
    match node:
        case Leaf("message", test):
            return Leaf(field, Like(test.text) if isinstance(test, Like) else test)
        case Leaf():
            return node
        case Not(part):
            return Not(rename(part))
        case And(parts):
            return And(tuple(map(rename, parts)))
        case Or(parts):
            return Or(tuple(map(rename, parts)))
