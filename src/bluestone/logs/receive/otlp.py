"""OpenTelemetry's logs by HTTP (OTLP): `POST /v1/logs`, as JSON or protobuf.

Protobuf needs the package opentelemetry-proto (`pip install 'bluestone[otlp]'`), loaded with the first such body.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Iterator
from typing import Any

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluestone.logs.ingest.door import Door, Rejection
from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.receive.admission import answer
from bluestone.logs.receive.enrich import LONGEST, flatten

JSON, PROTOBUF = "application/json", "application/x-protobuf"
MAX_RECORDS = 50_000
TRANSPORT = "otlp"
SEVERITIES = ((21, 2), (17, 3), (13, 4), (9, 6), (1, 7))
"""From which of OpenTelemetry's numbers on, which of syslog's."""


def routes(door: Door) -> list[Route]:
    """What the receiver serves."""

    async def take(request: Request) -> Response:
        try:
            return await _take(door, request)
        except Rejection as rejection:
            # OTLP's clients try again after 429 and 503 only.
            if rejection.status == 507:
                rejection.status = 503
            return answer(rejection)
        except ClientDisconnect:
            return Response(status_code=400)

    return [Route("/v1/logs", take, methods=["POST"])]


async def _take(door: Door, request: Request) -> Response:
    form = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if form not in (JSON, PROTOBUF):
        raise Rejection(415, "logs are taken as JSON or protobuf", f"send {JSON} or {PROTOBUF}")
    async with door.admit(request) as admitted:
        document = await asyncio.to_thread(_json if form == JSON else _protobuf, admitted.body)
        try:
            originals = [
                msgspec.json.encode(each) for each, _ in zip(records(document), range(MAX_RECORDS), strict=False)
            ]
        except (AttributeError, TypeError, ValueError, RecursionError):
            raise Rejection(400, "the body is none of OpenTelemetry's", "send an ExportLogsServiceRequest") from None
        await admitted.store([parse_line(each, admitted.received) for each in originals])
    if form == JSON:
        return JSONResponse({"partialSuccess": {}})
    return Response(b"", media_type=PROTOBUF)


def records(document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Each log record of a request, as the journal would write it. Raises what another form makes raise."""
    for resource in document.get("resourceLogs", ()):
        shared = _attributes(resource.get("resource", {}).get("attributes", ()))
        for scope in resource.get("scopeLogs", ()):
            for record in scope.get("logRecords", ()):
                yield _line(record, shared, scope.get("scope", {}))


def _line(record: dict[str, Any], shared: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
    body = _value(record.get("body", {}))
    nanos = int(record.get("timeUnixNano") or 0) or int(record.get("observedTimeUnixNano") or 0)
    given = {**shared, **_attributes(record.get("attributes", ()))}
    named = {
        "trace_id": _hex(record.get("traceId", "")),
        "span_id": _hex(record.get("spanId", "")),
        "scope": str(scope.get("name", "")),
        "severity_text": str(record.get("severityText", "")),
    }
    if isinstance(body, dict):
        given = {**given, **body}
    fields = flatten({**{name: value for name, value in named.items() if value}, **given})
    line: dict[str, Any] = {
        "PRIORITY": str(_severity(record.get("severityNumber", 0))),
        "SYSLOG_IDENTIFIER": str(shared.get("service.name", "")) or TRANSPORT,
        "HOSTNAME": str(shared.get("host.name", "")),
        "_TRANSPORT": TRANSPORT,
        "FIELDS": fields,
        "MESSAGE": (body if isinstance(body, str) else msgspec.json.encode(body).decode())[:LONGEST],
    }
    if nanos > 0:
        line["__REALTIME_TIMESTAMP"] = str(nanos // 1000)
    return {name: value for name, value in line.items() if value or name == "MESSAGE"}


def _severity(number: Any) -> int:
    # In JSON an enumeration may be its number or its name; the SDKs write the number.
    return next((syslog for least, syslog in SEVERITIES if isinstance(number, int) and number >= least), 6)


def _attributes(pairs: Any) -> dict[str, Any]:
    return {str(pair["key"]): _value(pair.get("value", {})) for pair in pairs}


def _value(value: dict[str, Any]) -> Any:
    """OpenTelemetry's AnyValue as a plain one."""
    for kind, held in value.items():
        if kind == "arrayValue":
            return [_value(each) for each in held.get("values", ())]
        if kind == "kvlistValue":
            return _attributes(held.get("values", ()))
        if kind == "intValue":
            return int(held)
        return held
    return ""


def _hex(identifier: str) -> str:
    """Trace and span ids: hexadecimal in OTLP's JSON, base64 where protobuf's own JSON was made."""
    if len(identifier) in (16, 32):
        return identifier.lower()
    try:
        return base64.b64decode(identifier, validate=True).hex()
    except (binascii.Error, ValueError):
        return identifier


def _json(body: bytes) -> dict[str, Any]:
    try:
        return msgspec.json.decode(body or b"{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Rejection(400, f"the body is no JSON object: {error}", "send an ExportLogsServiceRequest") from None


def _protobuf(body: bytes) -> dict[str, Any]:
    try:
        from google.protobuf.json_format import MessageToDict
        from google.protobuf.message import DecodeError
        from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
    except ImportError:
        raise Rejection(
            415, "protobuf is not installed here", "send application/json, or pip install 'bluestone[otlp]' there"
        ) from None
    message = ExportLogsServiceRequest()
    try:
        message.ParseFromString(body)
    except DecodeError as error:
        raise Rejection(400, f"the body is none of OpenTelemetry's: {error}", "send it again, whole") from None
    found: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    return found
