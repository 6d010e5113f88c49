"""The daemon's doors: a unix socket for its own user's commands, and a loopback address for those who only look.

Who may open the socket may command the daemon: its directory and itself are its user's alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import msgspec
from msgspec import Struct
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from bluestone import __version__
from bluestone.app.fleet.rollout import utc_now
from bluestone.daemon.job import Job
from bluestone.daemon.leader import Leader
from bluestone.daemon.messages import LAST, MAX_ASK, VERSION, Ask, Failed, Message, encode
from bluestone.daemon.metrics import Metrics
from bluestone.daemon.presence import Leading
from bluestone.model.problem import Problem

MOST_WAITING = 10_000
"""Messages that wait for one reader. One who does not read is taken for gone: the work does not wait for it."""

LOOK = 0.5
"""Seconds between two looks whether whoever waits is still there."""

BODY_TIMEOUT = 10.0


class Signs(Struct, frozen=True):
    """How the daemon shows that it lives: by having got somewhere within `limit`."""

    leader: Leader
    metrics: Metrics
    pid: int
    since: datetime
    limit: timedelta

    def alive(self, now: datetime) -> bool:
        """Whether it does; one that stands by has nothing to get done."""
        return self.leader.epoch == 0 or now - self.leader.beat < self.limit

    def leading(self) -> Leading:
        """What it tells of itself."""
        leader = self.leader
        return Leading(
            leader.project.name,
            self.pid,
            __version__,
            self.since,
            leader.last_tick,
            leader.epoch,
            leader.works_on,
            leader.trouble,
        )

    def routes(self) -> list[Route]:
        """What anybody may look at."""
        return [
            Route("/healthz", self._healthz),
            Route("/readyz", self._readyz),
            Route("/metrics", self._metrics),
        ]

    async def _healthz(self, _: Request) -> Response:
        beat, now = self.leader.beat, utc_now()
        fine = self.alive(now)
        age = round((now - beat).total_seconds(), 1)
        return JSONResponse({"alive": fine, "seconds_since_last_sign": age}, 200 if fine else 503)

    async def _readyz(self, _: Request) -> Response:
        trouble = self.leader.trouble or ("" if self.leader.began.is_set() else "it has not looked yet")
        return JSONResponse(
            {"ready": not trouble, "leads": self.leader.epoch > 0, "trouble": trouble}, 503 if trouble else 200
        )

    async def _metrics(self, _: Request) -> Response:
        text = await asyncio.to_thread(self.metrics.text)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def looking(signs: Signs) -> Starlette:
    """What is served to those who only look."""
    return Starlette(routes=signs.routes())


def commanding(signs: Signs) -> Starlette:
    """What is served to the daemon's own user."""
    door = _Door(signs)
    return Starlette(
        routes=[
            *signs.routes(),
            Route("/v1/daemon", door.tell_of_itself),
            Route("/v1/wake", door.wake, methods=["POST"]),
            Route("/v1/commands", door.take_command, methods=["POST"]),
        ]
    )


class _Door:
    def __init__(self, signs: Signs) -> None:
        self._signs = signs
        self._leader = signs.leader

    async def tell_of_itself(self, _: Request) -> Response:
        return _json(msgspec.json.encode(self._signs.leading()))

    async def wake(self, _: Request) -> Response:
        self._leader.wake("command")
        return Response(status_code=204)

    async def take_command(self, request: Request) -> Response:
        asked = request.headers.get(VERSION)
        if asked != __version__:
            what = f"the daemon is bluestone {__version__}, and this is {asked or 'something else'}"
            return _json(encode(Failed.of(Problem(what, mend=_restart(self._leader.project.name)))), 409)
        try:
            async with asyncio.timeout(BODY_TIMEOUT):
                ask = msgspec.json.decode(await _body(request), type=Ask)
        except (msgspec.DecodeError, ValueError, TimeoutError) as error:
            return _json(encode(Failed.of(Problem(f"the daemon does not understand this: {error}"))), 400)
        waiting = _Waiting()
        job = Job(ask, waiting.tell)
        try:
            self._leader.submit(job)
        except Problem as problem:
            return _json(encode(Failed.of(problem)), 409)
        return StreamingResponse(_messages(request, job, waiting), media_type="application/x-ndjson")


class _Waiting:
    """The messages that wait for one reader; they come from the leader's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Message] = asyncio.Queue()

    def tell(self, message: Message) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, message)
        except RuntimeError:
            return  # The daemon has ended its conversations already.

    @property
    def too_many(self) -> bool:
        return self._queue.qsize() > MOST_WAITING

    async def next(self, seconds: float) -> Message | None:
        """The next message; None if there is none for so long."""
        try:
            return await asyncio.wait_for(self._queue.get(), seconds)
        except TimeoutError:
            return None


async def _messages(request: Request, job: Job, waiting: _Waiting) -> AsyncIterator[bytes]:
    """The messages of a job until its last, or until nobody reads them."""
    try:
        while not waiting.too_many:
            message = await waiting.next(LOOK)
            if message is None:
                if await request.is_disconnected():
                    return
                continue
            yield encode(message)
            if isinstance(message, LAST):
                return
    finally:
        job.leave()


async def _body(request: Request) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_ASK:
            raise ValueError(f"it has more than {MAX_ASK} bytes")
    return bytes(body)


def _restart(project: str) -> str:
    return f"start the daemon anew, it goes on where it is: systemctl restart bluestone-{project}"


def _json(content: bytes, status: int = 200) -> Response:
    return Response(content, status, media_type="application/json")
