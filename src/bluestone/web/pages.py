"""The pages for people: everything is there without a script; the script adds the live tail, dragging and keys."""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from bluestone.app.logs import logkeeping
from bluestone.app.logs.browse import Overview, Page, line, name_of, overview, page
from bluestone.logs.ingest.fields import fields_of
from bluestone.logs.query.language import Unreadable
from bluestone.logs.query.statistics import Top
from bluestone.model.ids import short
from bluestone.model.problem import Problem
from bluestone.model.user import Right
from bluestone.web import fleet
from bluestone.web.asked import FIELD, Search, bounded, search_of
from bluestone.web.gate import Visitor, form, own_path
from bluestone.web.histogram import Picture, picture, step_for
from bluestone.web.render import THEMES, html
from bluestone.web.site import Site

USUAL_SINCE = "24h ago"
SPANS = (("15m ago", "15 min"), ("1h ago", "1 hour"), ("24h ago", "24 hours"), ("7d ago", "7 days"), ("", "all"))
ALWAYS_OPEN = ("severity", "group", "server")
"""Fields whose values are shown without being asked for: each is counted from columns."""

TOP = 10
CONTEXT = 10
THEME = "theme"
OWN_FIELDS = ("server", "group", "generation", "image", "unit", "severity")


@dataclass
class Found:
    """What a page shows: of a search that cannot be read nothing but the trouble."""

    lines: Page = field(default_factory=lambda: Page((), None))
    picture: Picture | None = None
    overview: Overview = field(default_factory=lambda: Overview((), 0))
    tops: dict[str, Top] = field(default_factory=dict)
    position: str = ""
    begin: datetime | None = None
    end: datetime | None = None
    damaged: Sequence[str] = ()
    trouble: Problem | None = None


class Pages:
    """The endpoints."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def fleet(self, request: Request, visitor: Visitor) -> Response:
        """The fleet at a glance."""
        seen = await self._site.work(lambda: fleet.overview(fleet.anew(self._site.project)))
        return self._page(request, visitor, "fleet.html", title="Fleet", seen=seen, short=short)

    async def logs(self, request: Request, visitor: Visitor) -> Response:
        """The search page."""
        try:
            search = search_of(request.query_params, USUAL_SINCE)
        except Problem as problem:
            return self._page(request, visitor, "trouble.html", 400, trouble=problem, title="Logs")
        try:
            found = await self._site.work(lambda: self._look(visitor, search))
        except Problem as problem:
            found = Found(trouble=problem)
        at = found.trouble.at if isinstance(found.trouble, Unreadable) else None
        return self._page(
            request,
            visitor,
            "logs.html",
            400 if found.trouble else 200,
            title="Logs",
            search=search,
            found=found,
            trouble_at=at,
            spans=SPANS,
            permanent=self._permanent(search, found),
            offset=(datetime.now().astimezone().utcoffset() or timedelta()).total_seconds(),
            field_name=FIELD,
        )

    async def line(self, request: Request, visitor: Visitor) -> Response:
        """A line with all its fields and what is around it; only the fields, for the script, as `?part=fields`."""
        name = request.path_params["name"]
        part = request.query_params.get("part") == "fields"

        def look() -> dict[str, Any]:
            record, before, after = line(self._site.project, name, 0 if part else CONTEXT)
            self._site.note(visitor, "line", {"line": name}, 1 + len(before) + len(after))
            return {"record": record, "before": before, "after": after, "around": (*before, record, *after)}

        try:
            seen = await self._site.work(look)
        except Problem as problem:
            return self._page(request, visitor, "trouble.html", 404, trouble=problem, title="Line")
        record = seen["record"]
        fields = {name: getattr(record.identity, name, None) or getattr(record, name, "") for name in OWN_FIELDS}
        everything = {**{name: str(value) for name, value in fields.items()}, **fields_of(record.original)}
        return self._page(
            request,
            visitor,
            "fields.html" if part else "line.html",
            title="Line",
            name=name,
            fields=everything,
            field_name=FIELD,
            search=Search(since=""),
            **seen,
        )

    async def holds(self, request: Request, visitor: Visitor, trouble: Problem | None = None) -> Response:
        """What is kept whatever the rules say."""
        held = await self._site.work(lambda: logkeeping.held(self._site.project))
        return self._page(
            request, visitor, "holds.html", 400 if trouble else 200, title="Holds", held=held, trouble=trouble
        )

    async def hold(self, request: Request, visitor: Visitor) -> Response:
        """Hold, or release, from the form of that page."""
        fields = await form(request)
        target, reason = bounded("target", fields.get("target", "").strip()), fields.get("reason", "").strip()
        release = fields.get("do") == "release"

        def change() -> None:
            if not release and not reason:
                raise Problem("a hold has a reason", mend="say why, for whoever asks later")
            self._site.note(visitor, "release" if release else "hold", {"target": target, "reason": reason}, 0)
            if release:
                logkeeping.release(self._site.project, target)
            else:
                logkeeping.hold(self._site.project, target, bounded("reason", reason))

        try:
            await self._site.work(change)
        except Problem as problem:
            return await self.holds(request, visitor, problem)
        return RedirectResponse("/logs/holds", 303)

    async def theme(self, request: Request, _: Visitor) -> Response:
        """Light, dark, or as the browser has it."""
        fields = await form(request)
        answer = RedirectResponse(own_path(fields.get("next", "/")), 303)
        if (chosen := fields.get("theme", "auto")) in THEMES:
            answer.set_cookie(THEME, chosen, max_age=365 * 86_400, samesite="strict", httponly=True)
        return answer

    def _look(self, visitor: Visitor, search: Search) -> Found:
        mark = search.mark
        with self._site.lines.reading(search.asked) as opened:
            # The place in what arrives before anything is read: the live tail then leaves nothing out.
            tail = opened.arrivals()
            _, position = tail.fresh(time.time_ns() // 1000)
            tail.close()
            now = datetime.now(UTC)
            query = opened.query
            step = step_for(query.since, query.until or now) if query.since else None
            seen = page(opened, search.size, mark)
            self._site.note(visitor, "search", search.words, len(seen.lines))
            counted = opened.histogram(step)
            last = counted.bars[-1].at + counted.step if counted.bars else now
            if step is None and counted.bars and (finer := step_for(counted.bars[0].at, last)) < counted.step:
                counted = opened.histogram(finer)
            drawn = picture(counted, query.since, query.until or (now if query.since else last))
            opens = dict.fromkeys((*ALWAYS_OPEN, *([search.open] if FIELD.fullmatch(search.open) else [])))
            tops = {name: opened.top(name, TOP) for name in opens} if drawn else {}
            return Found(
                seen,
                drawn,
                overview(opened),
                tops,
                str(position),
                query.since,
                query.until,
                opened.damaged,
            )

    def _permanent(self, search: Search, found: Found) -> str:
        """The search at the moments that its words mean now: what it shows stays the same."""
        end = found.end or datetime.now(UTC)
        begin = found.begin or (found.picture.begin if found.picture else None)
        words = {"since": begin.astimezone().isoformat(timespec="seconds") if begin else ""}
        rounded = (end + timedelta(seconds=1)).astimezone() if found.end is None else end.astimezone()
        return search.link(**words, until=rounded.isoformat(timespec="seconds" if found.end is None else "auto"))

    def _page(
        self, request: Request, visitor: Visitor | None, template: str, status_code: int = 200, **values: Any
    ) -> HTMLResponse:
        user = visitor.user if visitor else None
        return html(
            template,
            status_code,
            theme=theme_of(request),
            project=self._site.project.name,
            user=user,
            form_token=visitor.form_token if visitor else "",
            may_export=bool(user and user.may(Right.EXPORT)),
            may_hold=bool(user and user.may(Right.HOLD)),
            here=re.sub(r"[\r\n]", "", request.url.path + (f"?{request.url.query}" if request.url.query else "")),
            zone=f"{datetime.now().astimezone():%Z}",
            name_of=name_of,
            **values,
        )


def theme_of(request: Request) -> str:
    """The theme that was chosen."""
    chosen = request.cookies.get(THEME, "auto")
    return chosen if chosen in THEMES else "auto"
