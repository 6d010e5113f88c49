"""What podman wrote down of a project's containers: who ran something in one, or attached to its console."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec

from bluestone.fleet.providers.podman.labels import PROJECT
from bluestone.model.problem import Problem

WAYS = {"exec": "podman exec", "attach": "podman attach"}
"""podman's events that are logins, in a person's words."""


class PodmanEvent(msgspec.Struct):
    """One event; podman 4 has `Time` as text, podman 5 `timeNano` (nanoseconds since 1970)."""

    name: str = msgspec.field(name="Name", default="")
    status: str = msgspec.field(name="Status", default="")
    text: str = msgspec.field(name="Time", default="")
    nanoseconds: int = msgspec.field(name="timeNano", default=0)

    @property
    def at(self) -> datetime:
        """When it was."""
        if self.text:
            return datetime.fromisoformat(self.text).astimezone(UTC)
        return datetime.fromtimestamp(self.nanoseconds / 1e9, UTC)


def command(project: str, since: datetime) -> list[str]:
    """podman's events of a project's containers from `since` on, their starts among them."""
    kinds = (word for kind in ("start", *WAYS) for word in ("--filter", f"event={kind}"))
    return ["podman", "events", *_of(project, since), "--stream=false", *kinds]


def read_events(text: str) -> list[PodmanEvent]:
    """The output of `podman events`. Raises `Problem` if it cannot be understood."""
    try:
        return [msgspec.json.decode(line, type=PodmanEvent) for line in text.splitlines() if line.strip()]
    except msgspec.DecodeError as error:
        raise Problem(
            f"podman's events cannot be understood: {error}",
            mend="look at `podman events --stream=false --format json`; podman 4.3 to 5 are known to work",
        ) from error


def _of(project: str, since: datetime) -> list[str]:
    return ["--format", "json", "--since", f"{since:%Y-%m-%dT%H:%M:%SZ}", "--filter", f"label={PROJECT}={project}"]
