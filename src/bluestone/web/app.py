"""All that is served, and who may have it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp

from bluestone.model.problem import Problem, Problems
from bluestone.model.user import Right
from bluestone.web.api import Api, answer
from bluestone.web.door import Door
from bluestone.web.gate import Refused
from bluestone.web.headers import Guarded
from bluestone.web.pages import Pages, theme_of
from bluestone.web.reference import ENDPOINTS
from bluestone.web.render import html
from bluestone.web.site import Site
from bluestone.web.streams import Streams

Handler = Callable[[Request], Awaitable[Response]]


def application(site: Site, names: Collection[str]) -> ASGIApp:
    """What is served under these names."""
    gate, api, streams, pages, door = site.gate, Api(site), Streams(site), Pages(site), Door(site)
    handlers = {
        "search": api.search,
        "histogram": api.histogram,
        "top": api.top,
        "fields": api.fields,
        "line": api.line,
        "tail": streams.tail,
        "download": streams.download,
        "holds": api.holds,
        "hold": api.hold,
        "release": api.release,
        "fleet": api.fleet,
        "whoami": api.whoami,
    }
    routes: list[Route | Mount] = [
        Route(each.path, gate.guarded(each.right, handlers[each.name]), methods=[each.method]) for each in ENDPOINTS
    ]
    routes += [
        Route("/", gate.guarded(Right.SEARCH, pages.fleet)),
        Route("/logs", gate.guarded(Right.SEARCH, pages.logs)),
        Route("/logs/lines/{name}", gate.guarded(Right.SEARCH, pages.line)),
        Route("/logs/holds", gate.guarded(Right.SEARCH, pages.holds)),
        Route("/logs/holds", gate.guarded(Right.HOLD, pages.hold), methods=["POST"]),
        Route("/theme", gate.guarded(Right.SEARCH, pages.theme), methods=["POST"]),
        Route("/login", door.show),
        Route("/login", door.enter, methods=["POST"]),
        Route("/logout", gate.guarded(Right.SEARCH, door.leave), methods=["POST"]),
        Mount("/static", StaticFiles(packages=[("bluestone.web", "static")])),
    ]
    served = Starlette(
        routes=routes,
        exception_handlers={Refused: _refused, Problem: _problem, Problems: _problem, OSError: _problem},
    )
    return Guarded(served, names, secure=gate.secure)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    headers = {"retry-after": str(error.wait)} if error.wait else {}
    if error.status == 401:
        headers["www-authenticate"] = "Bearer"
    return _trouble(request, Problem(error.why), error.status, headers)


async def _problem(request: Request, error: Exception) -> Response:
    if isinstance(error, Problem):
        return _trouble(request, error, 400, {})
    return _trouble(request, Problem(str(error), mend="see what `bluestone web` says"), 503, {})


def _trouble(request: Request, problem: Problem, status: int, headers: dict[str, str]) -> Response:
    if request.url.path.startswith("/api/"):
        said = {"what": problem.what, "mend": problem.mend}
        place = {"at": at} if (at := getattr(problem, "at", None)) is not None else {}
        made = answer({"error": said | place}, status)
    else:
        made = html("alone.html", status, title="Not possible", trouble=problem, theme=theme_of(request))
    made.headers.update(headers)
    return made
