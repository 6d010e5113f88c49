"""A project as the use cases see it: its declaration, its place on this machine, its journal."""

from __future__ import annotations

import getpass
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from bluestone.app import remembered
from bluestone.host.files import write_atomically
from bluestone.host.paths import Home
from bluestone.model.declaration import Declaration
from bluestone.model.group import Group
from bluestone.model.problem import Problems

if TYPE_CHECKING:
    from bluestone.fleet.controller.journal import Journal
    from bluestone.fleet.provider import Provider

FILE = Path("bluestone.toml")
"""The declaration's usual name."""


class Caller(Struct, frozen=True):
    """Who wants something done: the name that the journal keeps, and the variables that secrets may come from."""

    name: str = field(default_factory=getpass.getuser)
    variables: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))

    def __repr__(self) -> str:
        # Without the variables: some are secrets.
        return f"Caller({self.name!r})"


class Project(Struct, frozen=True, dict=True):
    """One declaration on one machine, and who asks for something to be done with it."""

    declaration: Declaration
    home: Home
    file: Path = FILE
    caller: Caller = field(default_factory=Caller)

    @classmethod
    def open(cls, file: Path = FILE) -> Project:
        """Read a declaration. Raises `Problems` with all that is wrong in it."""
        home = Home.find()
        return cls(remembered.read(file, home), home, file)

    @classmethod
    def open_as_it_was(cls, file: Path = FILE) -> tuple[Project, Problems | None]:
        """As `open`; where the file is wrong now, as it was when it was last right, and what is wrong.

        For who must go on in any case: servers do not wait for a file that somebody is writing on. Raises `Problems`
        for a file that never was right.
        """
        try:
            return cls.open(file), None
        except Problems as wrong:
            home = Home.find()
            known = remembered.last(file, home)
            if known is None:
                raise
            return cls(known, home, file), wrong

    def renewed(self, **changes: Any) -> Project:
        """The same project by the same journal, with some of its fields changed."""
        other = replace(self, **changes)
        other.__dict__["journal"] = self.journal
        return other

    @property
    def name(self) -> str:
        """The project's name."""
        return self.declaration.project

    @property
    def state(self) -> Path:
        """Where the project's journal, logs and keys are."""
        return self.home.project(self.name)

    @property
    def runtime(self) -> Path:
        """Where the project's sockets and pid files are."""
        return self.home.runtime(self.name)

    @cached_property
    def journal(self) -> Journal:
        """The project's journal, where it is declared to be. Raises `Problem` if it is not there."""
        from bluestone.app.state import opened

        return opened(self)

    @cached_property
    def looking(self) -> dict[str, Provider]:
        """Providers that have begun to look, by name: whoever wants one next takes it from here (`wiring`)."""
        return {}

    @property
    def logs(self) -> Path:
        """The project's log store."""
        return self.state / "logs"

    @property
    def lock(self) -> Path:
        """The lock of the declaration, beside it: `bluestone.lock` for `bluestone.toml`."""
        return self.file.with_suffix(".lock")

    @property
    def lock_file(self) -> Path:
        """Held by whoever acts on the project."""
        return self.state / "lock"

    @property
    def groups(self) -> tuple[Group, ...]:
        """The declared groups."""
        return self.declaration.groups

    @cached_property
    def key(self) -> bytes:
        """32 random bytes of this project, made on first use: they key the digests of its secrets."""
        path = self.state / "key"
        if not path.exists():
            write_atomically(path, os.urandom(32), mode=0o400)
        return path.read_bytes()
