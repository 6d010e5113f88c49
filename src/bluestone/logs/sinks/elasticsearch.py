"""Whatever takes Elasticsearch's bulk requests: Elasticsearch, OpenSearch, or the receiver of another bluestone."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec

from bluestone.logs.ingest.fields import flat
from bluestone.logs.ingest.lines import INFO, Known
from bluestone.logs.sink import Given, Unavailable

AT_ONCE = 4 << 20
"""Bytes of a request: below what any of them refuses (Elasticsearch 100 MB, bluestone 8 MiB, hosted ones 5 MB)."""

TIMEOUT = 60.0
LARGEST_ANSWER = 64 << 20
THERE = HTTPStatus.CONFLICT
"""A document of that id is there already: the line was given before."""


class Elasticsearch:
    """A sink that is an index or a data stream. `key` is what an API key's header says after `ApiKey`."""

    def __init__(self, address: str, index: str, key_file: str = "", authority: str = "") -> None:
        where = urlsplit(address)
        self._host, self._port, self._https = where.hostname or "", where.port, where.scheme == "https"
        self._path = f"{where.path.rstrip('/')}/{quote(index, safe='')}/_bulk"
        self._key_file, self._authority = key_file, authority
        self._connection: http.client.HTTPConnection | None = None

    def take(self, lines: Sequence[Given]) -> int:
        """Send them, those again that it has no time for. Raises `Unavailable`."""
        return sum(self._send(piece) for piece in pieces([document(each) for each in lines]))

    def close(self) -> None:
        """Close the connection."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _send(self, documents: list[bytes]) -> int:
        answer = self._post(b"".join(documents))
        statuses = [next(iter(item.values())).get("status", 0) for item in answer.get("items", ())]
        if len(statuses) != len(documents):
            raise Unavailable(f"it answered for {len(statuses)} of {len(documents)} lines")
        if busy := [status for status in statuses if status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500]:
            raise Unavailable(f"it has no time for {len(busy)} of {len(documents)} lines (status {busy[0]})")
        return sum(status >= 300 and status != THERE for status in statuses)

    def _post(self, body: bytes) -> dict[str, Any]:
        try:
            connection = self._connection = self._connection or self._connect()
            connection.request("POST", self._path, body, {"Content-Type": "application/x-ndjson", **self._key()})
            response = connection.getresponse()
            content = response.read(LARGEST_ANSWER)
            if response.status != HTTPStatus.OK:
                raise Unavailable(f"it answered with status {response.status}: {_shown(content)}")
            answer = msgspec.json.decode(content)
        except (OSError, http.client.HTTPException, msgspec.DecodeError) as error:
            self.close()
            raise Unavailable(str(error) or type(error).__name__) from error
        except Unavailable:
            self.close()
            raise
        return answer if isinstance(answer, dict) else {}

    def _connect(self) -> http.client.HTTPConnection:
        if not self._https:
            return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT)
        trust = ssl.create_default_context(cafile=self._authority or None)
        return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT, context=trust)

    def _key(self) -> dict[str, str]:
        """Read each time, so that a new key counts at once."""
        return {"Authorization": f"ApiKey {Path(self._key_file).read_text().strip()}"} if self._key_file else {}


def document(given: Given) -> bytes:
    """A line as the two lines of a bulk request. `create` is what data streams take as well.

    Names are those of the Elastic Common Schema; what the line itself says is below `fields`, as text, so that lines
    which disagree about a field's kind are all taken.
    """
    try:
        said = _decoder.decode(given.original)
        known = Known(said)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        said, known = {}, Known({})
    message = known.written_message() if said else None
    who = given.identity
    fields = {name: text for name, text in flat(said).items() if name != "message"}
    content = {
        "@timestamp": _iso(given.at),
        "message": given.original.decode(errors="replace") if message is None else message,
        "log": {"syslog": {"severity": {"code": known.written_severity() if said else INFO}}},
        "host": {"name": who.server},
        "service": {"name": known.written_unit() or who.group},
        "labels": {"project": who.project, "group": who.group, "image": who.image, "generation": str(who.generation)},
        "fields": fields,
    }
    action = {"create": {"_id": given.name}}
    return msgspec.json.encode(action) + b"\n" + msgspec.json.encode(content) + b"\n"


def pieces(documents: Sequence[bytes]) -> Iterator[list[bytes]]:
    """As many together as go into a request; at least one."""
    piece: list[bytes] = []
    size = 0
    for each in documents:
        if piece and size + len(each) > AT_ONCE:
            yield piece
            piece, size = [], 0
        piece.append(each)
        size += len(each)
    if piece:
        yield piece


def open_sink(options: Mapping[str, str]) -> Elasticsearch:
    """By its `address`, `index`, and perhaps `key_file` and `authority` (a PEM file)."""
    return Elasticsearch(**options)


def _iso(at: int) -> str:
    seconds, micros = divmod(at, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{micros:06d}Z"


def _shown(content: bytes) -> str:
    return content[:200].decode(errors="replace")


_decoder = msgspec.json.Decoder(dict[str, Any])
