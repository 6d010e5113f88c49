"""The port behind which the tools are that work on an image at build time: a hook is an order for one of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, field

from bluestone.image.provision.facts import Facts
from bluestone.model.problem import Problem

ROOM = "/run/bluestone"
"""Where a hook finds what it works with, and leaves what nobody keeps: /run is its own, and vanishes with it."""

INSIDE = Path(__file__).parent / "inside"
"""What of bluestone's own runs in the tree, with the tool's interpreter."""

Said = Sequence[str]


class Hook(Struct, frozen=True):
    """One application of one tool.

    `tool` is what a lock calls it, `packages` what it is made of, `key` the declaration's; `directory` is the
    project's, seen by the tool as `place`. `files` gives what else it finds below `ROOM`, by path. `heard` turns a line
    of what it says into progress, or "". `verdict` says in its words what was changed, given the status and what the
    tool said; it raises `Problem`.
    """

    tool: str
    packages: Sequence[str]
    title: str
    key: str
    directory: Path
    place: str
    command: Sequence[str]
    files: Callable[[Facts], Mapping[str, str]]
    verdict: Callable[[int, Said], tuple[str, ...]]
    heard: Callable[[str], str] = lambda _: ""
    directories: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)

    def named(self, text: str) -> str:
        """A text in which files have the names that the person knows who wrote them."""
        return text.replace(f"{self.place}/", f"{self.directory}/")


def inside(name: str) -> str:
    """The text of a file that runs in the tree."""
    return (INSIDE / name).read_text()


def quoted(lines: Said, most: int = 12) -> str:
    """Lines indented for an error's text."""
    return "".join(f"\n     {line}" for line in lines[:most])


def not_installed(title: str, packages: Sequence[str], said: Said) -> Problem:
    """What to say of a package that a hook asks for, and that is not in the image."""
    names = ", ".join(f'"{name}"' for name in packages)
    return Problem(
        f"{title} asks for packages that are not in the image: {names}{quoted(said)}",
        mend=f"add {names} to image.packages: what is installed is in the lock, and nothing is fetched afterwards",
    )
