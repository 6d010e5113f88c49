"""What routes that take lines in another form need of the receiver: its door."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from starlette.requests import Request

from bluestone.logs.ingest.lines import Line


class Rejection(Exception):
    """Why a request is not taken: an HTTP status, what its sender can do, and after how many seconds."""

    def __init__(self, status: int, what: str, mend: str, wait: float = 1) -> None:
        super().__init__(what)
        self.status, self.what, self.mend, self.wait = status, what, mend, wait


class Admitted(Protocol):
    """A request that was let in: whose lines, its body as it was before compression, when it came (microseconds)."""

    server: int
    body: bytes
    received: int

    async def store(self, lines: Sequence[Line]) -> None:
        """Return when the lines are durable. Raises `Rejection`; then none of them was stored."""


class Door(Protocol):
    """Lets in who has a credential, and no more than memory allows."""

    def holder(self, request: Request) -> int:
        """The id of the writer whose credential comes with a request. Raises `Rejection` (401)."""

    def admit(self, request: Request) -> AbstractAsyncContextManager[Admitted]:
        """Read a request's body within bounds. Raises `Rejection`."""


def token_of(authorization: str) -> str:
    """The token in a request's Authorization header, in any form in which clients can send one; empty if there is none.

    `Bearer TOKEN`; `Basic`, where the password is the token; `ApiKey TOKEN`, or with the base64 of `ID:TOKEN`, as
    clients of Elasticsearch send it.
    """
    scheme, _, rest = authorization.partition(" ")
    scheme, rest = scheme.lower(), rest.strip()
    if scheme == "bearer":
        return rest
    if scheme not in ("basic", "apikey"):
        return ""
    try:
        _, colon, token = base64.b64decode(rest, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        colon, token = "", ""
    return token if colon else rest if scheme == "apikey" else ""
