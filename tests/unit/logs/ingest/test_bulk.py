"""Bulk requests of Elasticsearch's clients: how they are read, and what is answered over a real store."""

import asyncio
import base64
import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette

from bluestone.logs.ingest import bulk
from bluestone.logs.ingest.bulk import Item, TooMany, answer, parse_bulk, refused
from bluestone.logs.ingest.door import Rejection, token_of
from bluestone.logs.ingest.elasticsearch import routes
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from ingest_door import Door

NOW = 1_795_000_000_000_000


def body(*lines: object) -> bytes:
    return b"".join((each if isinstance(each, bytes) else json.dumps(each).encode()) + b"\n" for each in lines)


def test_each_action_is_an_item_and_each_document_a_line() -> None:
    found = parse_bulk(
        body({"create": {"_id": "a1", "_index": "logs"}}, {"message": "one"}, {"index": {}}, {"message": "two"})
        + body({"delete": {"_id": "a1"}}, {"update": {"_id": "b"}}, {"doc": {"message": "three"}}),
        NOW,
        "web",
    )
    assert found.items == [Item("create", 201), Item("index", 201), Item("delete", 404), Item("update", 201)]
    assert [line.message for line in found.lines][:2] == ["one", "two"]
    assert json.loads(found.lines[0].original) == {"message": "one", "_index": "logs", "_id": "a1"}
    assert json.loads(found.lines[1].original) == {"message": "two", "_index": "web"}
    assert json.loads(answer(found.items))["errors"] is False


def test_the_same_document_sent_again_has_the_same_name_and_cannot_give_itself_another() -> None:
    request = body({"create": {"_id": "a1"}}, {"_id": "other", "message": "m", "@timestamp": NOW})
    first, again = (parse_bulk(request, received, "").lines[0] for received in (NOW, NOW + 1))
    assert (first.key, first.at) == (again.key, again.at)
    assert parse_bulk(body({"create": {"_id": "a1"}}, {"message": "x"}), NOW).lines[0].key == first.key


@pytest.mark.parametrize("document", [b"not json", b"[1]", b'"text"', b"{", b"\xff\xfe", b"", b"{}", b"  {}  "])
@pytest.mark.parametrize("named", [{}, {"_id": "x"}])
def test_no_document_is_refused(document: bytes, named: dict[str, str]) -> None:
    found = parse_bulk(body({"index": named}, document), NOW)
    assert found.items == [Item("index", 201)]
    assert len(found.lines) == 1
    if named:
        assert json.loads(found.lines[0].original)["_id"] == "x"
        assert document.strip() in (b"{}", b"") or found.lines[0].message == document.decode(errors="replace")


@pytest.mark.parametrize("line", [b"garbage", b"{}", b'{"a":1,"b":2}', b'{"index":[1]}', b'{"drop":{}}', b"null"])
def test_a_line_that_should_be_an_action_is_kept_as_a_document(line: bytes) -> None:
    found = parse_bulk(body(line, {"create": {}}, {"message": "next"}), NOW)
    assert len(found.lines) == len(found.items) == 2
    assert found.lines[1].message == "next"


def test_a_document_beyond_the_bound_is_cut_with_a_mark() -> None:
    (line,) = parse_bulk(body({"create": {}}, {"message": "x" * (bulk.LONGEST + 10)}), NOW).lines
    assert json.loads(line.original)["_cut_from_bytes"] > bulk.LONGEST
    assert len(line.original) < bulk.LONGEST * 1.1


def test_more_items_than_the_bound_are_refused() -> None:
    with pytest.raises(TooMany):
        parse_bulk(b"{}\n" * (bulk.MOST + 2), NOW)


@given(st.binary(max_size=200))
def test_any_body_has_as_many_answers_as_it_has_actions(content: bytes) -> None:
    found = parse_bulk(content, NOW)
    assert len(found.lines) <= len(found.items)
    assert len(json.loads(answer(found.items))["items"]) == len(found.items)
    for line in found.lines:
        assert b"\n" not in line.original


def test_a_refusal_has_each_item_with_429() -> None:
    said = json.loads(refused([Item("create", 201), Item("index", 201)], "full"))
    assert said["errors"] is True
    assert [item[action]["status"] for item, action in zip(said["items"], ("create", "index"), strict=True)] == [
        429,
        429,
    ]


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("Bearer abc", "abc"),
        ("Basic " + base64.b64encode(b"user:abc").decode(), "abc"),
        ("ApiKey abc_-def", "abc_-def"),
        ("ApiKey " + base64.b64encode(b"id:abc").decode(), "abc"),
        ("Basic !!", ""),
        ("Basic " + base64.b64encode(b"nocolon").decode(), ""),
        ("Digest abc", ""),
        ("", ""),
    ],
)
def test_a_token_comes_in_every_form_that_clients_know(header: str, token: str) -> None:
    assert token_of(header) == token


def ask(door: Door, method: str, path: str, content: bytes = b"", **headers: str) -> tuple[int, dict[str, str], Any]:
    """One request to the routes, without a socket."""
    app = Starlette(routes=routes(door))
    sent: list[dict[str, Any]] = []
    given = {"authorization": f"Bearer {door.token}", **headers}
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in given.items()],
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    answered = b"".join(message.get("body", b"") for message in sent[1:])
    return sent[0]["status"], head, json.loads(answered) if answered[:1] == b"{" else answered


@pytest.fixture
def door(tmp_path: Path) -> Door:
    return Door(tmp_path)


@pytest.mark.parametrize("method", ["PUT", "POST"])
@pytest.mark.parametrize("path", ["/_bulk", "/logs-web/_bulk"])
@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_what_was_answered_with_201_is_stored_and_a_repetition_is_no_second(
    door: Door, tmp_path: Path, method: str, path: str, encoding: str
) -> None:
    content = body({"create": {"_id": "1"}}, {"message": "hello", "@timestamp": "2026-11-20T00:00:00Z", "n": 7})
    content = gzip.compress(content) if encoding == "gzip" else content
    for _ in range(2):
        status, head, said = ask(door, method, path, content, content_encoding=encoding)
        assert (status, head["x-elastic-product"]) == (200, "Elasticsearch")
        assert (said["errors"], said["items"]) == (False, [{"create": {"status": 201}}])
    (record,) = Archive(tmp_path).search(Query())
    assert (record.message, record.identity.server, record.cursor) == ("hello", "filebeat", "1")


@pytest.mark.parametrize("status", [429, 503, 507])
def test_what_cannot_be_stored_now_is_answered_so_that_nobody_loses_it(door: Door, status: int) -> None:
    door.trouble = Rejection(status, "later", "again")
    answered, head, said = ask(door, "POST", "/_bulk", body({"create": {}}, {"message": "m"}, {"index": {}}, {}))
    assert (answered, head["retry-after"], said["errors"]) == (429, "1", True)
    assert [item[action]["status"] for item in said["items"] for action in item] == [429, 429]


def test_nobody_gets_in_without_a_token(door: Door) -> None:
    for method, path in (("POST", "/_bulk"), ("GET", "/"), ("GET", "/_license"), ("PUT", "/_ilm/policy/x")):
        status, head, said = ask(door, method, path, b"", authorization="Bearer wrong")
        assert (status, "www-authenticate" in head) == (401, True)
        assert said["error"]["type"] == "security_exception"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("HEAD", "/"),
        ("GET", "/_license"),
        ("GET", "/_cat/health"),
        ("GET", "/_cluster/health"),
        ("GET", "/_nodes/http"),
        ("HEAD", "/logs"),
        ("PUT", "/logs"),
        ("PUT", "/_index_template/logs"),
        ("GET", "/_ilm/policy/logs"),
        ("PUT", "/_ingest/pipeline/a-b"),
        ("GET", "/logstash"),
    ],
)
def test_what_clients_ask_first_is_answered_as_elasticsearch_would(door: Door, method: str, path: str) -> None:
    status, head, said = ask(door, method, path)
    assert (status, head["x-elastic-product"]) == (200, "Elasticsearch")
    assert path != "/" or method == "HEAD" or said["version"]["number"].startswith("8.")
