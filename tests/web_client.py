"""A client of an application without a network, and without a browser: requests in, answers out."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from starlette.types import ASGIApp, Message


@dataclass
class Answer:
    """What came back."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode()

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """Asks; keeps one cookie, as a browser would."""

    def __init__(self, app: ASGIApp, token: str = "", address: str = "127.0.0.1") -> None:
        self.app, self.token, self.address = app, token, address
        self.cookie = ""

    def get(self, path: str, headers: Mapping[str, str] | None = None, /, **parameters: str) -> Answer:
        query = urlencode(parameters)
        return asyncio.run(self._ask("GET", path, query, b"", dict(headers or {})))

    def post(self, path: str, headers: Mapping[str, str] | None = None, /, **fields: str) -> Answer:
        return asyncio.run(self._ask("POST", path, "", urlencode(fields).encode(), dict(headers or {})))

    def delete(self, path: str) -> Answer:
        return asyncio.run(self._ask("DELETE", path, "", b"", {}))

    def stream(self, path: str, enough: Callable[[bytes], bool], headers: Mapping[str, str] | None = None) -> bytes:
        """What comes until it is enough; then the connection is gone."""
        place, _, query = path.partition("?")
        return asyncio.run(self._ask("GET", place, query, b"", dict(headers or {}), enough)).body

    async def _ask(
        self,
        method: str,
        path: str,
        query: str,
        body: bytes,
        headers: dict[str, str],
        enough: Callable[[bytes], bool] | None = None,
    ) -> Answer:
        sent = {"host": "127.0.0.1:8700", **headers}
        if self.token:
            sent["authorization"] = f"Bearer {self.token}"
        if self.cookie:
            sent["cookie"] = self.cookie
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "root_path": "",
            "headers": [(name.lower().encode(), value.encode()) for name, value in sent.items()],
            "client": (self.address, 1),
            "server": ("127.0.0.1", 8700),
        }
        answer, gone, given = Answer(), asyncio.Event(), [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> Message:
            if given:
                return given.pop()
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            if message["type"] == "http.response.start":
                answer.status = message["status"]
                answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            else:
                answer.body += message.get("body", b"")
                if enough and enough(answer.body):
                    gone.set()

        await asyncio.wait_for(self.app(scope, receive, send), 30)
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer
