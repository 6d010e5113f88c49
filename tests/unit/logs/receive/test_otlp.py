from __future__ import annotations

import asyncio
import json
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest

from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.receive.otlp import JSON, PROTOBUF, records
from bluestone.logs.receive.receiver import application
from bluestone.model.record import Identity, Record

TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def document(**record: Any) -> dict[str, Any]:
    """As the specification's example has it."""
    whole = {
        "timeUnixNano": "1790000000000001000",
        "severityNumber": 17,
        "severityText": "Error",
        "body": {"stringValue": "no price"},
        "attributes": [
            {"key": "http.status", "value": {"intValue": "500"}},
            {"key": "tags", "value": {"arrayValue": {"values": [{"stringValue": "a"}, {"boolValue": True}]}}},
            {"key": "map", "value": {"kvlistValue": {"values": [{"key": "k", "value": {"doubleValue": 0.5}}]}}},
        ],
        **record,
    }
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]}
    scope = {"scope": {"name": "shop.cart"}, "logRecords": [whole]}
    return {"resourceLogs": [{"resource": resource, "scopeLogs": [scope]}]}


def test_a_record_becomes_a_line_with_fields() -> None:
    (line,) = records(document(traceId=TRACE, spanId=SPAN))
    assert line == {
        "PRIORITY": "3",
        "SYSLOG_IDENTIFIER": "shop",
        "_TRANSPORT": "otlp",
        "MESSAGE": "no price",
        "__REALTIME_TIMESTAMP": "1790000000000001",
        "FIELDS": {
            "trace_id": TRACE,
            "span_id": SPAN,
            "scope": "shop.cart",
            "severity_text": "Error",
            "service.name": "shop",
            "http.status": "500",
            "tags": '["a",true]',
            "map.k": "0.5",
        },
    }


@pytest.mark.parametrize(("number", "syslog"), [(0, "6"), (1, "7"), (9, "6"), (13, "4"), (17, "3"), (24, "2")])
def test_severities(number: int, syslog: str) -> None:
    (line,) = records(document(severityNumber=number))
    assert line["PRIORITY"] == syslog


def test_a_body_of_fields_is_kept() -> None:
    body = {"kvlistValue": {"values": [{"key": "event", "value": {"stringValue": "sold"}}]}}
    (line,) = records(document(body=body))
    assert (line["MESSAGE"], line["FIELDS"]["event"]) == ('{"event":"sold"}', "sold")


async def post(directory: Path, body: bytes, form: str, token: str) -> tuple[int, bytes]:
    pieces = [body]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop() if pieces else b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    app = application(directory)
    head = {"content-type": form, "authorization": f"Bearer {token}", "content-length": str(len(body))}
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/logs",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in head.items()],
    }
    async with app.router.lifespan_context(app):
        await app(scope, receive, send)
    return sent[0]["status"], b"".join(message.get("body", b"") for message in sent[1:])


@pytest.fixture
def token(tmp_path: Path) -> str:
    with closing(Credentials(tmp_path)) as credentials:
        return credentials.mint(Identity("shop", "collector", "sources", 0, ""))


def stored(directory: Path) -> list[Record]:
    with closing(Archive(directory)) as archive:
        return list(archive.search(Query()))


@pytest.mark.parametrize("form", [JSON, PROTOBUF])
def test_both_forms_say_the_same(tmp_path: Path, token: str, form: str) -> None:
    if form == JSON:
        body = json.dumps(document(traceId=TRACE, spanId=SPAN)).encode()
    else:
        message = ExportLogsServiceRequest()
        ParseDict(document(), message)
        message.resource_logs[0].scope_logs[0].log_records[0].trace_id = bytes.fromhex(TRACE)
        message.resource_logs[0].scope_logs[0].log_records[0].span_id = bytes.fromhex(SPAN)
        body = message.SerializeToString()
    status, answer = asyncio.run(post(tmp_path, body, form, token))
    assert (status, answer) == (200, b'{"partialSuccess":{}}' if form == JSON else b"")
    (record,) = stored(tmp_path)
    assert (record.identity.server, record.unit, record.severity, record.message) == (
        "collector",
        "shop",
        3,
        "no price",
    )
    fields = msgspec.json.decode(record.original)["FIELDS"]
    assert (fields["trace_id"], fields["span_id"], fields["http.status"]) == (TRACE, SPAN, "500")


@pytest.mark.parametrize(
    ("body", "form", "status"),
    [
        (b"{", JSON, 400),
        (b"[]", JSON, 400),
        (b'{"resourceLogs": 5}', JSON, 400),
        (b'{"resourceLogs": [{"scopeLogs": [{"logRecords": [7]}]}]}', JSON, 400),
        (b"\xff\xff\xff", PROTOBUF, 400),
        (b"{}", "text/plain", 415),
        (b"{}", JSON, 200),
        (b"", PROTOBUF, 200),
    ],
)
def test_what_is_none_is_refused_and_stores_nothing(
    tmp_path: Path, token: str, body: bytes, form: str, status: int
) -> None:
    assert asyncio.run(post(tmp_path, body, form, token))[0] == status
    assert stored(tmp_path) == []


def test_without_a_token_nothing_is_taken(tmp_path: Path, token: str) -> None:
    assert asyncio.run(post(tmp_path, json.dumps(document()).encode(), JSON, token[:-1]))[0] == 401
