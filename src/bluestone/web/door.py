"""Logging in and out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from bluestone.model.problem import Problem
from bluestone.web.gate import Refused, Visitor, form, must_be_own, own_path
from bluestone.web.pages import theme_of
from bluestone.web.render import html
from bluestone.web.site import Site


class Door:
    """The endpoints."""

    def __init__(self, site: Site) -> None:
        self._site = site

    async def show(self, request: Request) -> Response:
        """The form for a token; with the key of a one-time address, in at once."""
        following = own_path(request.query_params.get("next", "/logs"))
        if key := request.query_params.get("key"):
            answer = RedirectResponse(following, 303)
            try:
                self._site.gate.log_in_once(request, key, answer)
            except Refused as refused:
                return self._form(request, following, refused)
            return answer
        if self._site.gate.session(request) is not None:
            return RedirectResponse(following, 303)
        return self._form(request, following)

    async def enter(self, request: Request) -> Response:
        """Log in by a token."""
        must_be_own(request)
        fields = await form(request)
        following = own_path(fields.get("next", "/logs"))
        answer = RedirectResponse(following, 303)
        try:
            self._site.gate.log_in(request, fields.get("token", ""), answer)
        except Refused as refused:
            return self._form(request, following, refused)
        return answer

    async def leave(self, request: Request, _: Visitor) -> Response:
        """Log out."""
        answer = RedirectResponse("/login", 303)
        self._site.gate.log_out(request, answer)
        return answer

    def _form(self, request: Request, following: str, refused: Refused | None = None) -> Response:
        made = html(
            "login.html",
            refused.status if refused else 200,
            title="Log in",
            project=self._site.project.name,
            theme=theme_of(request),
            following=following,
            trouble=Problem(refused.why) if refused else None,
            users=bool(self._site.gate.users.all()),
            # A link on another site brings no session along; a click here does.
            elsewhere=request.headers.get("sec-fetch-site") == "cross-site",
        )
        if refused and refused.wait:
            made.headers["retry-after"] = str(refused.wait)
        return made
