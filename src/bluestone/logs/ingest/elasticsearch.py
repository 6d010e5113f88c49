"""What a client of Elasticsearch needs to write to bluestone: bulk requests, and what it asks before them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bluestone.logs.ingest.bulk import BUSY, Item, TooMany, answer, parse_bulk, refused
from bluestone.logs.ingest.door import Door, Rejection

VERSION = "8.15.0"
PRODUCT = {"X-Elastic-Product": "Elasticsearch"}
WAIT = {"Retry-After": "1"}
MANAGED = (
    "/_ilm/policy/{name:path}",
    "/_index_template/{name:path}",
    "/_component_template/{name:path}",
    "/_template/{name:path}",
    "/_ingest/pipeline/{name:path}",
    "/_data_stream/{name:path}",
    "/_alias/{name:path}",
)
"""What clients set up before they write. It has no meaning here, so each is taken and said to be there."""


def routes(door: Door) -> list[Route]:
    """The routes, for an application that has this door."""
    elastic = Elastic(door)
    both = ["PUT", "POST"]
    return [
        Route("/", elastic.root, methods=["GET", "HEAD"]),
        Route("/_bulk", elastic.bulk, methods=both),
        Route("/_license", elastic.license, methods=["GET"]),
        Route("/_xpack", elastic.license, methods=["GET"]),
        Route("/_cat/health", elastic.health_line, methods=["GET"]),
        Route("/_cluster/health", elastic.health, methods=["GET"]),
        Route("/_nodes", elastic.nodes, methods=["GET"]),
        Route("/_nodes/{rest:path}", elastic.nodes, methods=["GET"]),
        Route("/logstash", elastic.acknowledged, methods=["GET", "HEAD", "PUT"]),
        *(Route(path, elastic.acknowledged, methods=["GET", "HEAD", "PUT", "POST"]) for path in MANAGED),
        Route("/{index}/_bulk", elastic.bulk, methods=both),
        Route("/{index}", elastic.acknowledged, methods=["HEAD", "PUT"]),
    ]


class Elastic:
    """Answers as Elasticsearch would, of a cluster that is always there and empty."""

    def __init__(self, door: Door) -> None:
        self._door = door

    async def bulk(self, request: Request) -> Response:
        """`_bulk`: answered when all of it is durable; 429 with an item for each action, if none of it is."""
        began = time.monotonic()
        items = [Item("index", BUSY)]
        try:
            async with self._door.admit(request) as admitted:
                index = str(request.path_params.get("index", ""))
                parsed = await asyncio.to_thread(parse_bulk, admitted.body, admitted.received, index)
                items = parsed.items
                await admitted.store(parsed.lines)
        except TooMany:
            return _failed(413, "too many items in one request")
        except Rejection as rejection:
            if rejection.status in (429, 503, 507):
                return _answer(refused(items, rejection.what), 429, WAIT)
            return _failed(rejection.status, rejection.what)
        except ClientDisconnect:
            return Response(status_code=400)
        return _answer(answer(items, int((time.monotonic() - began) * 1000)))

    async def root(self, request: Request) -> Response:
        """`/`: who we are."""
        version = {"number": VERSION, "build_flavor": "default", "lucene_version": "9.11.1"} | {
            "minimum_wire_compatibility_version": "7.17.0",
            "minimum_index_compatibility_version": "7.0.0",
        }
        return await self._known(
            request,
            {"name": "bluestone", "cluster_name": "bluestone", "cluster_uuid": "bluestone", "version": version}
            | {"tagline": "You Know, for Search"},
        )

    async def license(self, request: Request) -> Response:
        """`/_license`: one that is active."""
        return await self._known(request, {"license": {"status": "active", "type": "basic", "uid": "bluestone"}})

    async def health(self, request: Request) -> Response:
        """`/_cluster/health`."""
        return await self._known(request, {"cluster_name": "bluestone", "status": "green", "number_of_nodes": 1})

    async def health_line(self, request: Request) -> Response:
        """`/_cat/health`: the same for people."""
        return await self._let_in(request, lambda: Response("bluestone green 1 1\n", media_type="text/plain"))

    async def nodes(self, request: Request) -> Response:
        """`/_nodes`: one node, which is us."""
        node = {"name": "bluestone", "version": VERSION, "roles": ["ingest"]}
        return await self._known(request, {"_nodes": {"total": 1}, "nodes": {"bluestone": node}})

    async def acknowledged(self, request: Request) -> Response:
        """Anything that a client sets up, or asks whether it is there."""
        return await self._known(request, {"acknowledged": True})

    async def _known(self, request: Request, content: dict[str, Any]) -> Response:
        return await self._let_in(request, lambda: JSONResponse(content))

    async def _let_in(self, request: Request, respond: Callable[[], Response]) -> Response:
        try:
            self._door.holder(request)
        except Rejection as rejection:
            return _failed(rejection.status, rejection.what)
        response = respond()
        response.headers.update(PRODUCT)
        return response


def _answer(content: bytes, status: int = 200, more: dict[str, str] | None = None) -> Response:
    return Response(content, status, PRODUCT | (more or {}), "application/json")


def _failed(status: int, what: str) -> Response:
    error = {
        "error": {"type": "security_exception" if status == 401 else "exception", "reason": what},
        "status": status,
    }
    challenge = {"WWW-Authenticate": 'Basic realm="bluestone"'} if status == 401 else {}
    return JSONResponse(error, status, PRODUCT | challenge)
