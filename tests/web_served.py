"""A project's pages, served without a network."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from starlette.types import ASGIApp

from bluestone.app.project import Project
from bluestone.app.users import Users, users_of
from bluestone.host.paths import Home
from bluestone.model.user import Role
from bluestone.web.app import application
from bluestone.web.gate import Gate, owner
from bluestone.web.site import Site
from web_client import Client
from web_shop import declare


@dataclass
class Served:
    """The project, and clients of its pages."""

    project: Project
    app: ASGIApp
    users: Users
    gate: Gate
    tokens: dict[str, str]

    def client(self, name: str = "") -> Client:
        """One with a user's token, or with none."""
        return Client(self.app, self.tokens.get(name, ""))


def serve(directory: Path, *, users: bool = True, secure: bool = False) -> Served:
    """A project in a directory, with an operator anna and a reader rita."""
    home = Home(directory / "home", directory / "home" / "run")
    opened = Project.open(declare(directory))
    project = Project(opened.declaration, home, opened.file)
    known = users_of(project)
    now = datetime.now(UTC)
    tokens = (
        {"anna": known.add("anna", Role.OPERATOR, now), "rita": known.add("rita", Role.READER, now)} if users else {}
    )
    gate = Gate(known, secure=secure, owner=None if users else owner("me"))
    return Served(project, application(Site(project, gate), ["logs.example.org"]), known, gate, tokens)
