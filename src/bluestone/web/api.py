"""The HTTP API: lines, counts and fields as JSON, by the same use cases as `bluestone logs`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from bluestone.app.logs import logkeeping
from bluestone.app.logs.browse import MOST_AROUND, line, name_of, overview, page
from bluestone.app.logs.logs import Reading
from bluestone.logs.ingest.fields import fields_of
from bluestone.model.problem import Problem
from bluestone.model.record import Record
from bluestone.web.asked import Search, bounded, field_of, number, search_of, step_of
from bluestone.web.fleet import anew
from bluestone.web.fleet import overview as overview_of_fleet
from bluestone.web.gate import Visitor, form
from bluestone.web.site import Site

MOST_VALUES = 1000


class Api:
    """The endpoints."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def search(self, request: Request, visitor: Visitor) -> Response:
        """A page of lines."""
        asked = search_of(request.query_params)
        mark = asked.mark

        def look() -> dict[str, Any]:
            with self._site.lines.reading(asked.asked) as found:
                shown = page(found, asked.size, mark)
                self._site.note(visitor, "search", asked.words, len(shown.lines))
                older = None if shown.older is None else str(shown.older)
                return {"lines": [as_data(each) for each in shown.lines], "older": older, "damaged": found.damaged}

        return answer(await self._site.work(look))

    async def histogram(self, request: Request, visitor: Visitor) -> Response:
        """Lines over time."""
        step = step_of(request.query_params)

        def count(found: Reading) -> Any:
            counted = found.histogram(step)
            bars = [{"at": bar.at, "lines": bar.lines, "errors": bar.errors} for bar in counted.bars]
            return {"step_seconds": counted.step.total_seconds(), "bars": bars}

        return await self._counted(request, visitor, "histogram", count)

    async def top(self, request: Request, visitor: Visitor) -> Response:
        """The values of a field."""
        field = field_of(request.query_params)
        most = number("count", request.query_params.get("count", "10"), 1, MOST_VALUES)

        def count(found: Reading) -> Any:
            top = found.top(field, most)
            values = [{"value": value, "lines": lines} for value, lines in top.values]
            return {"field": field, "values": values, "distinct": top.distinct, "lines": top.lines}

        return await self._counted(request, visitor, f"top {field}", count)

    async def fields(self, request: Request, visitor: Visitor) -> Response:
        """The fields of the newest lines."""

        def count(found: Reading) -> Any:
            seen = overview(found)
            return {"fields": [{"name": f.name, "lines": f.lines} for f in seen.fields], "sample": seen.sample}

        return await self._counted(request, visitor, "fields", count)

    async def line(self, request: Request, visitor: Visitor) -> Response:
        """A line by its name."""
        name = request.path_params["name"]
        around = number("around", request.query_params.get("around", "0"), 0, MOST_AROUND)

        def look() -> dict[str, Any]:
            found, before, after = line(self._site.project, name, around)
            self._site.note(visitor, "line", {"line": name}, 1 + len(before) + len(after))
            return {"line": as_data(found), "before": [*map(as_data, before)], "after": [*map(as_data, after)]}

        return answer(await self._site.work(look))

    async def holds(self, _: Request, __: Visitor) -> Response:
        """What is held."""
        return answer(await self._site.work(lambda: msgspec.to_builtins(logkeeping.held(self._site.project))))

    async def hold(self, request: Request, visitor: Visitor) -> Response:
        """Hold the lines of a group or server."""
        fields = await form(request)
        target, reason = (
            bounded("target", fields.get("target", "")),
            bounded("reason", fields.get("reason", "").strip()),
        )
        if not reason:
            raise Problem("a hold has a reason", mend="say why: reason=TEXT")

        def keep() -> None:
            self._site.note(visitor, "hold", {"target": target, "reason": reason}, 0)
            logkeeping.hold(self._site.project, target, reason)

        await self._site.work(keep)
        return answer({"held": target}, 201)

    async def release(self, request: Request, visitor: Visitor) -> Response:
        """Have the rules again for what was held."""
        target = bounded("target", request.path_params["target"])

        def let_go() -> None:
            self._site.note(visitor, "release", {"target": target}, 0)
            logkeeping.release(self._site.project, target)

        await self._site.work(let_go)
        return Response(status_code=204)

    async def whoami(self, _: Request, visitor: Visitor) -> Response:
        """Who asks."""
        return answer({"name": visitor.user.name, "role": visitor.user.role})

    async def fleet(self, _: Request, __: Visitor) -> Response:
        """The fleet, as `bluestone status --json`."""
        seen = await self._site.work(lambda: overview_of_fleet(anew(self._site.project)))
        if seen.status is None:
            raise Problem("; ".join(seen.troubles) or "the fleet cannot be seen", mend="see `bluestone status`")
        return answer(msgspec.to_builtins(seen.status))

    async def _counted(
        self, request: Request, visitor: Visitor, what: str, count: Callable[[Reading], Any]
    ) -> Response:
        asked: Search = search_of(request.query_params)

        def look() -> Any:
            with self._site.lines.reading(asked.asked) as found:
                counted = count(found)
                self._site.note(visitor, what, asked.words, 0)
                return counted

        return answer(await self._site.work(look))


def as_data(record: Record) -> dict[str, Any]:
    """A line as JSON has it."""
    who = record.identity
    return {
        "name": name_of(record),
        "at": record.at,
        "server": who.server,
        "group": who.group,
        "generation": who.generation,
        "image": who.image,
        "unit": record.unit,
        "severity": record.severity,
        "message": record.message,
        "fields": fields_of(record.original),
    }


def answer(data: Any, status_code: int = 200) -> Response:
    """JSON."""
    return Response(msgspec.json.encode(data), status_code, media_type="application/json")
