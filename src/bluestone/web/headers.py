"""What goes with every answer, and which names are answered to. Log lines are hostile: no script of theirs runs."""

from __future__ import annotations

from collections.abc import Collection
from ipaddress import ip_address

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
ALWAYS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # "no-referrer" would have browsers send forms with the origin "null".
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}
LOOPBACK = frozenset({"localhost"})


class Guarded:
    """An application whose answers have these headers, and which answers to its own names only.

    A page elsewhere whose name is made to point here (DNS rebinding) would come with that name. IP addresses are
    nobody's to point elsewhere: they are always taken.
    """

    def __init__(self, app: ASGIApp, names: Collection[str], *, secure: bool) -> None:
        self._app = app
        self._names = {name.lower() for name in names} | LOOPBACK
        self._more = {"strict-transport-security": "max-age=31536000"} if secure else {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in {**ALWAYS, **self._more}.items():
                    headers.setdefault(name, value)
            await send(message)

        if not self.known(Headers(scope=scope).get("host", "")):
            answer = PlainTextResponse("this is not served under that name: see [web] names\n", 421)
            await answer(scope, receive, with_headers)
            return
        await self._app(scope, receive, with_headers)

    def known(self, host: str) -> bool:
        """Whether a `Host` header names us."""
        name = host.lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") == 1:
            name = name.partition(":")[0]
        if name.rstrip(".") in self._names:
            return True
        try:
            ip_address(name)
        except ValueError:
            return False
        return True
