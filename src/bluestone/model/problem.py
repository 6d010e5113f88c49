"""What went wrong, where, and how to mend it: the one shape of every error a person sees."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Place(Struct, frozen=True):
    """A spot in a text that a person wrote.

    `line` counts from 1; `key` is the dotted path (`servers.web.count`); `text` is that line as written.
    """

    file: str
    line: int
    key: str
    text: str = ""


class Problem(Exception):
    """One thing that a person has to mend.

    `what` says what is wrong, `mend` what to do about it, `place` where it was written (if it was), and
    `left` the state that bluestone leaves behind ("web-7 still serves; nothing was destroyed").
    """

    def __init__(self, what: str, *, mend: str = "", place: Place | None = None, left: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend
        self.place = place
        self.left = left

    def __str__(self) -> str:
        """The problem as a person reads it, several lines long."""
        lines = [f"error: {self.what}"]
        if self.place:
            lines.append(f"  --> {self.place.file}:{self.place.line}   {self.place.key}".rstrip())
            if self.place.text:
                lines.append(f"   |  {self.place.text.strip()}")
        if self.left:
            lines.append(f"  left: {self.left}")
        if self.mend:
            lines.append(f"  mend: {self.mend}")
        return "\n".join(lines)


class Problems(Exception):
    """Several problems found together, in the order in which they stand in the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(f"{len(problems)} problems")
        self.problems = tuple(problems)

    def __str__(self) -> str:
        """All of them, one below the other."""
        return "\n\n".join(str(problem) for problem in self.problems)


class MissingTool(Problem):
    """A program that bluestone drives is not on this machine."""

    def __init__(self, tool: str, package: str) -> None:
        super().__init__(
            f"{tool} is not installed on this machine",
            mend=f"sudo apt-get install --no-install-recommends {package}",
        )
        self.tool = tool


class NoRoom(Problem):
    """A provider has no room for a server of this size, or in this zone, now. Nothing was made."""


class Refused(Problem):
    """An action whose precondition no longer holds (compare-and-set): nothing was changed, observe again."""
