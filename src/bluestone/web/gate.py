"""The one place where it is decided who somebody is, and what they may do."""

from __future__ import annotations

import hmac
import math
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bluestone.app.users import Known, Users
from bluestone.model.user import Right, Role, User
from bluestone.web.sessions import LIFE, OneTime, Session, Sessions
from bluestone.web.throttle import Throttle

SAFE = frozenset({"GET", "HEAD"})
MAX_FORM = 16 << 10
FORM_TOKEN = "form_token"  # noqa: S105 - a field's name


class Refused(Exception):
    """A request that is not let through: its HTTP status, why, and the seconds after which it may be tried again."""

    def __init__(self, status: int, why: str, wait: int = 0) -> None:
        super().__init__(why)
        self.status, self.why, self.wait = status, why, wait


class Visitor(Struct, frozen=True):
    """Who a request is of. `form_token` is None for one by token, which no other site can send."""

    user: User
    address: str
    form_token: str | None = None


Endpoint = Callable[[Request, Visitor], Awaitable[Response]]


class Gate:
    """Lets in by session or token, once by a one-time address (if there is one), and slows down who guesses.

    `kept` is the directory in which sessions outlive the process.
    """

    def __init__(
        self,
        users: Users,
        *,
        secure: bool,
        owner: User | None = None,
        kept: Path | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.users, self.sessions, self.throttle = users, Sessions(kept), Throttle()
        self.one_time = OneTime() if owner else None
        self._owner = owner
        self._clock = clock
        self.secure = secure
        self.cookie = "__Host-bluestone" if secure else "bluestone"

    def guarded(self, right: Right, endpoint: Endpoint) -> Callable[[Request], Awaitable[Response]]:
        """The endpoint, for those who have a right. Others get 401 or 403, and people without a session the login."""

        async def served(request: Request) -> Response:
            visitor = self.visitor(request)
            if visitor is None:
                if request.url.path.startswith("/api/"):
                    raise Refused(401, "say who you are: Authorization: Bearer TOKEN")
                return RedirectResponse(f"/login?next={quote(here(request), safe='')}", 303)
            if not visitor.user.may(right):
                raise Refused(403, f"a {visitor.user.role} may not {right} lines; an operator may")
            if request.method not in SAFE and visitor.form_token is not None:
                await self._own_form(request, visitor.form_token)
            return await endpoint(request, visitor)

        return served

    def visitor(self, request: Request) -> Visitor | None:
        """Who a request is of; None if it does not say. Raises `Refused`."""
        address = address_of(request)
        kind, _, token = request.headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            known = self._held(token.strip(), address)
            return Visitor(known.user, address)
        session = self.session(request)
        return Visitor(session.user, address, session.form_token) if session else None

    def lets_in(self, request: Request) -> bool:
        """Whether whoever a request is of is let in still: one who was removed reads no further."""
        try:
            return self.visitor(request) is not None
        except Refused:
            return False

    def session(self, request: Request) -> Session | None:
        """The session of a request's cookie, if its token is still good; with the role that its user has now."""
        session = self.sessions.find(request.cookies.get(self.cookie, ""), self._clock())
        if session is None or session.token_hash is None:
            return session
        known = self.users.named(session.user.name)
        if known is None or known.hash != session.token_hash:
            return None
        return Session(known.user, session.token_hash, session.form_token, session.ends)

    def log_in(self, request: Request, token: str, answer: Response) -> None:
        """Begin a session by a user's token, with its cookie in the answer. Raises `Refused`."""
        known = self._held(token.strip(), address_of(request))
        self._begin(known.user, known.hash, answer)

    def log_in_once(self, request: Request, key: str, answer: Response) -> None:
        """Begin a session by the one-time address. Raises `Refused`."""
        address = address_of(request)
        self._must_not_wait(address)
        if self.one_time is None or self._owner is None or self.users.all() or not self.one_time.redeem(key):
            raise self._failed(address, "this address was used already, or never was good: take the newest one")
        self._begin(self._owner, None, answer)

    def log_out(self, request: Request, answer: Response) -> None:
        """End the session of a request."""
        self.sessions.end(request.cookies.get(self.cookie, ""))
        answer.delete_cookie(self.cookie, httponly=True, samesite="strict", secure=self.secure)

    def _begin(self, user: User, token_hash: str | None, answer: Response) -> None:
        secret = self.sessions.begin(user, token_hash, self._clock())
        answer.set_cookie(
            self.cookie,
            secret,
            max_age=int(LIFE.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=self.secure,
        )

    def _held(self, token: str, address: str) -> Known:
        self._must_not_wait(address)
        known = self.users.holder(token)
        if known is None:
            raise self._failed(address, "this token lets nobody in")
        self.throttle.succeed(address)
        return known

    def _must_not_wait(self, address: str) -> None:
        if wait := math.ceil(self.throttle.wait(address, self._clock()).total_seconds()):
            raise Refused(429, f"too many failures: wait {wait} seconds", wait)

    def _failed(self, address: str, why: str) -> Refused:
        self.throttle.fail(address, self._clock())
        return Refused(401, why)

    async def _own_form(self, request: Request, wanted: str) -> None:
        """Whether a form is of our own page. Raises `Refused`."""
        must_be_own(request)
        sent = request.headers.get("x-form-token") or (await form(request)).get(FORM_TOKEN, "")
        if not hmac.compare_digest(sent.encode(), wanted.encode()):
            raise Refused(403, "this form is no longer good: load the page anew")


def owner(name: str) -> User:
    """Who started it here, on their own machine: they have the files anyway."""
    return User(name, Role.OPERATOR)


def must_be_own(request: Request) -> None:
    """Raise `Refused` for what a page of another site sent, as browsers tell."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused(403, "this came from a page of another site")


def address_of(request: Request) -> str:
    """From where a request comes."""
    return request.client.host if request.client else ""


def here(request: Request) -> str:
    """The path and query of a request."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def own_path(text: str) -> str:
    """A path of our own to go on to; the start for one that might lead elsewhere."""
    sound = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if sound else "/"


async def form(request: Request) -> dict[str, str]:
    """The fields of a form (`application/x-www-form-urlencoded`). Raises `Refused` for one that is too large."""
    if not hasattr(request.state, "form"):
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > MAX_FORM:
                raise Refused(413, f"a form has at most {MAX_FORM} bytes")
        try:
            fields = parse_qs(body.decode(), keep_blank_values=True, max_num_fields=20)
        except ValueError as error:
            raise Refused(400, f"this is no form: {error}") from error
        request.state.form = {name: values[0] for name, values in fields.items()}
    found: dict[str, str] = request.state.form
    return found
