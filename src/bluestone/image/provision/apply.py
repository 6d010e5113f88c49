"""Hooks at work on a tree, one after the other, by tools that are lent to it."""

from __future__ import annotations

import shutil
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bluestone.image.child import follow
from bluestone.image.normalise import EPOCH
from bluestone.image.packages import parse_status
from bluestone.image.provision import layer, project
from bluestone.image.provision.facts import of_tree
from bluestone.image.provision.hook import Hook, quoted
from bluestone.image.sandbox import inside
from bluestone.model.problem import Problem

MOST_LINES = 20_000
"""Lines kept of what a tool says, so that memory is bounded."""

MOST_SHOWN = 30
"""Changes that one problem lists."""

STATUS = "var/lib/dpkg/status"


def provision(
    hooks: Sequence[Hook],
    root: Path,
    work: Path,
    debs: Mapping[str, Sequence[Path]],
    limit: float,
    say: Callable[[str], None],
    *,
    twice: bool = False,
    overlay: bool = True,
) -> None:
    """Carry out hooks on a tree, in `work`, by the tools made of these packages (paths in the store).

    Each may take `limit` seconds. With `twice` all are carried out once more, and what that changes is a `Problem`. To
    be called in `enclosed`. Raises `Problem` and `OSError`; then the tree is not to be used.
    """
    changed = {}
    for again in (False, True) if twice else (False,):
        if again:
            say("the same a second time, which must change nothing")
        for hook in hooks:
            place = work / hook.tool
            place.mkdir()
            changed[hook.title] = _carry_out(hook, root, place, debs[hook.tool], limit, say, overlay=overlay)
            shutil.rmtree(place)
    if twice and any(changed.values()):
        raise _not_settled(changed)


def _carry_out(
    hook: Hook,
    root: Path,
    place: Path,
    debs: Sequence[Path],
    limit: float,
    say: Callable[[str], None],
    *,
    overlay: bool,
) -> tuple[str, ...]:
    """What was changed, in the tool's words."""
    room = place / "room"
    say(f"{hook.title}: unpacking {len(debs)} packages, which are not left in the image")
    layer.unpack(debs, place / "tool")
    _furnish(hook, root, room)
    packages = (root / STATUS).read_bytes()
    with layer.lent(root, place, overlay=overlay) as view:
        say(f"{hook.title}: at work")
        status, said = _run(hook, view, limit, say)
    changed = hook.verdict(status, [hook.named(line) for line in said])
    _refuse_other_packages(hook, packages, (root / STATUS).read_bytes())
    say(f"{hook.title}: {len(changed)} changes" if changed else f"{hook.title}: nothing changed")
    return changed


def _not_settled(changed: Mapping[str, Sequence[str]]) -> Problem:
    lines = [f"{title}: {what}" for title, each in changed.items() for what in each]
    return Problem(
        f"what provisions changes the image when it is applied a second time:{quoted(lines, MOST_SHOWN)}",
        mend="have each change only what is not so yet (`unless`, `creates`), and no two of them the same",
    )


def _run(hook: Hook, view: Path, limit: float, say: Callable[[str], None]) -> tuple[int, Sequence[str]]:
    said: deque[str] = deque(maxlen=MOST_LINES)

    def hear(line: str) -> None:
        said.append(line)
        if progress := hook.heard(line):
            say(progress)

    variables = {"SOURCE_DATE_EPOCH": str(EPOCH), **hook.environment}
    ending = follow(inside(view, hook.command, variables), hear, timeout=limit)
    if ending.status is None:
        raise Problem(
            f"{hook.title} did not end within {limit:g} s{hook.named(ending.quoted())}",
            mend=f"look at what it waits for in {hook.directory}: there is no network, and no service runs",
        )
    return ending.status, said


def _furnish(hook: Hook, root: Path, room: Path) -> None:
    """Make the /run of a hook: the project's directory, what bluestone lays beside it, and room to write."""
    own = room / "bluestone"
    for directory in (own, *(own / name for name in hook.directories)):
        directory.mkdir(parents=True, mode=0o755)
    (room / "lock").mkdir()
    (room / "lock").chmod(0o1777)
    project.copy(hook.directory, room / Path(hook.place).relative_to("/run"), hook.key)
    for name, text in hook.files(of_tree(root)).items():
        (own / name).parent.mkdir(parents=True, exist_ok=True)
        (own / name).write_text(text)


def _refuse_other_packages(hook: Hook, before: bytes, after: bytes) -> None:
    if before == after:
        return
    old, new = (set(parse_status(text.decode())) for text in (before, after))
    names = sorted({package.name for package in old ^ new})
    changed = f": {', '.join(names)}" if names else " or what dpkg is to do with them"
    raise Problem(
        f"{hook.title} changed the packages of the image{changed}",
        mend="correct image.packages instead: what is installed is in the lock, and only there",
    )
