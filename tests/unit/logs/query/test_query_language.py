"""The query language: what each form finds, and that the short way through a segment finds the same as the long one."""

import json
import string
from collections.abc import Callable
from itertools import compress, count
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bluestone.logs.query.asked import Query
from bluestone.logs.query.conditions import Condition, Contains, Exact, Exists, Like, Pattern, Phrase, Range, checked
from bluestone.logs.query.entry import Entry, holds, holds_of
from bluestone.logs.query.language import parse_query
from bluestone.logs.query.nodes import And, Leaf, Node, Not, Or, leaves
from bluestone.logs.query.pick import pick
from bluestone.logs.query.scan import in_segment
from bluestone.logs.store import build as building
from bluestone.logs.store.build import build
from bluestone.logs.store.segment import Segment
from bluestone.logs.store.words import words_of
from bluestone.model.problem import Problem
from bluestone.model.record import Identity

WEB = Identity("shop", "web-1", "web", 4, "sha256:ab")
LINE = {
    "MESSAGE": 'GET /api/items 503 in 0.2 s: "Connection reset" by 10.0.0.7',
    "PRIORITY": "3",
    "_SYSTEMD_UNIT": "nginx.service",
    "status": 503,
    "took": 0.25,
    "path": "/api/items",
    "user": {"name": "Ärger", "roles": ["a", "b"]},
    "empty": "",
}


def finds(query: str, line: dict[str, object] | bytes = LINE) -> bool:
    original = line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode()
    return holds(parse_query(query), Entry(WEB, 1, original))


@pytest.mark.parametrize(
    "query",
    [
        "",
        "get",
        "GET reset",
        "connection AND reset",
        "nothing OR reset",
        "NOT nothing",
        "-nothing",
        "!nothing",
        "NOT NOT reset",
        '"connection reset"',
        '"CONNECTION   reset by"',
        "10.0.0.7",
        "conn*",
        "?onnection",
        "/items \\d{3}/",
        "/ITEMS/",
        "status:503",
        "status:=503",
        "status:>=500",
        "status:<504",
        "status:[500 TO 599]",
        "status:{502 TO 504}",
        "status:[500 TO *]",
        "took:<0.3",
        "path:/api/items",
        'path:"/api/items"',
        "path:/api*",
        "path:items",
        "path:/^.api/",
        "user.name:ärger",
        "user.roles:b",
        "severity:error",
        "severity:<=warning",
        "severity:[0 TO 3]",
        "unit:nginx",
        "unit:=nginx.service",
        "server:web-1",
        "group:web AND generation:4",
        "generation:>3",
        "empty:*",
        "status:*",
        "NOT absent:*",
        "*:ärger",
        "status:(404 OR 503)",
        "(nothing OR get) AND NOT (absent:* OR 404)",
        "a OR get AND reset",
        "NOT status:404 reset",
        'path:="/api/items"',
        "\\GET",
        "items\\ 503",
    ],
)
def test_what_is_asked_for_is_found(query: str) -> None:
    assert finds(query)


@pytest.mark.parametrize(
    "query",
    [
        "ge",
        '"reset connection"',
        "NOT reset",
        "onn*",
        "status:50",
        "status:>503",
        "status:{503 TO 599]",
        "path:=api",
        "severity:warning",
        "absent:*",
        "absent:x",
        "generation:[5 TO 9]",
        "status:(404 OR 500)",
        "status:abc*",
    ],
)
def test_what_is_not_so_is_not_found(query: str) -> None:
    assert not finds(query)


@pytest.mark.parametrize(
    "query",
    [
        "(",
        ")",
        "a AND",
        "OR a",
        "AND",
        '"open',
        "a (b",
        "status:[1 TO",
        "/(/",
        "a:/[/",
        "/a{1001}/",
        "status:>",
        "NOT",
        "(" * 50 + "a" + ")" * 50,
        "x" * 4001,
        " ".join(["a"] * 300),
        "/" + "a" * 501 + "/",
    ],
)
def test_what_is_no_query_is_said_to_be_none(query: str) -> None:
    with pytest.raises(Problem) as said:
        parse_query(query)
    assert said.value.mend


@given(st.text(max_size=60))
def test_any_text_is_a_query_or_a_problem(text: str) -> None:
    try:
        node = parse_query(text)
    except Problem:
        return
    assert isinstance(holds(node, Entry(WEB, 1, json.dumps(LINE).encode())), bool)


@given(st.text(string.ascii_letters + string.digits + "_äÖß", min_size=1, max_size=12))
def test_a_word_is_a_query_for_itself(word: str) -> None:
    if word in ("AND", "OR", "NOT"):
        return
    assert parse_query(word) == Leaf("message", Phrase(word))
    assert finds(word, {"MESSAGE": f"before {word}, after"})


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*b", "(.*a){25}", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_would_never_end_elsewhere_ends(pattern: str) -> None:
    assert checked(pattern).holds("a" * 100_000 + "!") in (True, False)


@pytest.mark.parametrize(
    "query", ["'; DROP TABLE servers; --", 'server:"x\' OR 1=1"', "path:../../etc/passwd", "\x00 \x1b[31m"]
)
def test_what_means_something_elsewhere_is_only_text_here(query: str) -> None:
    assert not finds(query)


values = st.text('ab 1.-_é/\\"\n', max_size=8) | st.integers(-2, 3) | st.floats(-2, 2) | st.none() | st.booleans()
documents = st.dictionaries(
    st.sampled_from(["MESSAGE", "PRIORITY", "x", "y", "FIELDS", "log", "level", "_id"]),
    values | st.lists(values, max_size=2) | st.dictionaries(st.sampled_from(["x", "z"]), values, max_size=2),
    max_size=5,
)
originals = (
    documents.map(lambda document: json.dumps(document).encode())
    | documents.map(lambda document: json.dumps(document, ensure_ascii=False).encode())
    | st.binary(max_size=12)
)
texts = st.text('aB1. -é/"\\', min_size=1, max_size=4)
conditions = (
    texts.map(Phrase)
    | texts.map(Exact)
    | texts.map(Contains)
    | st.text("ab1*?. ", min_size=1, max_size=4).map(Like)
    | st.text("ab1*?", min_size=1, max_size=4).map(lambda text: Like(text, inside=True))
    | st.sampled_from(["a", "b+", "^1", "a.b"]).map(Pattern)
    | st.builds(Range, texts | st.none(), st.sampled_from(["1", "b"]) | st.none())
    | st.just(Exists())
)
names = st.sampled_from(["message", "x", "y", "log.x", "z", "severity", "unit", "server", "generation", "*", "level"])
nodes: st.SearchStrategy[Node] = st.recursive(
    st.builds(Leaf, names, conditions),
    lambda below: (
        st.builds(Not, below)
        | st.lists(below, max_size=3).map(lambda parts: And(tuple(parts)))
        | st.lists(below, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts)))
    ),
    max_leaves=4,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lines=st.lists(originals, min_size=1, max_size=12), node=nodes, size=st.sampled_from([40, 4000]))
def test_the_way_over_words_and_columns_finds_what_reading_each_line_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: list[bytes], node: Node, size: int
) -> None:
    monkeypatch.setattr(building, "BLOCK", size)  # many blocks of few lines, or one whose slices are of a few bytes
    identity: Callable[[int], Identity] = lambda server: Identity("p", f"web-{server}", "web", server, "i")  # noqa: E731
    entries = [building.Entry(number % 2, number, line) for number, line in enumerate(lines)]
    entries.sort(key=lambda entry: (entry.server, entry.at))
    path = tmp_path / "day" / "1.seg"
    build(path, entries, identity)
    segment = Segment(path)
    assert segment.verify() == ""
    assert list(segment.read(0, segment.lines)) == [entry.original for entry in entries]
    picked = pick(node, segment)
    held = [holds(node, Entry(identity(entry.server), entry.at, entry.original)) for entry in entries]
    assert sorted(place.line for place, _ in in_segment("1.seg", segment, Query(), node)) == list(
        compress(count(), held)
    )
    for place, (entry, found) in enumerate(zip(entries, held, strict=True)):
        if picked.exact:
            assert found == bool(picked.lines[place]), (entry, node)
        else:
            assert not found or picked.lines[place], (entry, node)


@settings(max_examples=200)
@given(originals, conditions)
def test_a_line_lacks_nothing_that_a_condition_finds_in_it(original: bytes, condition: Condition) -> None:
    entry = Entry(WEB, 1, original)
    assert not (condition.holds(entry.message) and entry.lacks(condition.pieces))


@given(texts, st.text("ab1. -é", max_size=6), st.text("ab1. -é", max_size=6))
def test_the_words_of_a_condition_are_in_what_it_holds_for(text: str, before: str, after: str) -> None:
    value = before + text + after
    for condition in (Phrase(text), Exact(text), Contains(text), Like(text)):
        if condition.holds(value):
            assert set(condition.words) <= set(words_of(value))


def test_leaves_are_all_the_tests_of_a_query() -> None:
    assert [leaf.field for leaf in leaves(parse_query("a AND (x:1 OR NOT y:2)"))] == ["message", "x", "y"]


@pytest.mark.parametrize(
    ("query", "may"),
    [
        ("server:web-1", True),
        ("server:web-2", False),
        ("group:db AND reset", False),
        ("group:web AND reset", True),
        ("group:db OR reset", True),
        ("NOT server:web-1", True),
    ],
)
def test_whose_lines_need_not_be_read(query: str, may: bool) -> None:
    assert holds_of(parse_query(query), WEB) == may
    assert may or not finds(query), "what is not read would not have been found"
