"""`bluestone.lock` as text. Pure.

TOML, with one table for each package, sorted: the same lock is the same bytes, and a change of one package is a few
lines of a diff. The digest at its head covers all that follows: a lock is what apt resolved, or it is refused.
"""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from bluestone.model.lock import LOCAL, Lock, LockedPackage, Release
from bluestone.model.problem import Place, Problem

NAME = "bluestone.lock"
"""What the file is called, beside the declaration."""

FORMAT = 1
"""Raised when an older bluestone could misread the file."""

MAX_BYTES = 64 * 1024 * 1024
"""Largest file, in bytes. A lock of a thousand packages is a hundredth of it."""

HEAD = "# Written by `bluestone lock`: what the image is made of. Commit it, and leave its text to that command.\n"
MEND = "take it from version control again, or write it anew: remove it and run `bluestone lock`"

Text = Annotated[str, Meta(pattern=r"^[!-~]([ -~]*[!-~])?$", max_length=512)]
PackageName = Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9+.-]+$", max_length=256)]
Version = Annotated[str, Meta(pattern=r"^[0-9A-Za-z.+:~-]+$", max_length=256)]
Word = Annotated[str, Meta(pattern=r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?$", max_length=64)]
Sha256 = Annotated[str, Meta(pattern=r"^[0-9a-f]{64}$")]
Size = Annotated[int, Meta(ge=1, le=2**40)]
Seconds = Annotated[int, Meta(ge=0, le=2**33)]


class _Release(msgspec.Struct, forbid_unknown_fields=True):
    archive: Word
    suite: Text
    codename: Annotated[str, Meta(pattern="^[ -~]*$", max_length=512)]
    date: datetime
    sha256: Sha256
    valid_until: datetime | None = None


class _Package(msgspec.Struct, forbid_unknown_fields=True):
    name: PackageName
    version: Version
    architecture: Word
    sha256: Sha256
    size: Size
    path: Annotated[str, Meta(min_length=1, max_length=1024)]
    archive: Word
    suite: Text
    source: PackageName
    source_version: Version
    required: bool = False


class _Lock(msgspec.Struct, forbid_unknown_fields=True):
    format: int
    digest: Sha256
    base: Annotated[str, Meta(pattern=r"^[a-z]+:[a-z][a-z0-9.-]*$", max_length=128)]
    architecture: Word
    date: Seconds
    asked: list[PackageName]
    package: list[_Package]
    inputs: dict[str, Sha256] = {}
    release: list[_Release] = []
    tool: dict[str, list[_Package]] = {}


def parse(text: str, file: str = NAME) -> Lock:
    """The lock in a text; `file` is what people call it. Raises `Problem` for all but what `render` writes."""
    toml = _toml(text, file)
    _check_format(toml, text, file)
    try:
        raw = msgspec.convert(toml, _Lock)
    except msgspec.ValidationError as error:
        raise _refused(*_path_of(str(error)), text, file) from error
    for what, path in _faults(raw):
        raise _refused(what, path, text, file)
    lock = _lock(raw)
    _check_bytes(render(lock), text, file)
    return lock


def render(lock: Lock) -> str:
    """A lock as text: the same bytes for the same lock, whatever the order of what is in it."""
    body = "".join(_lines(lock))
    return f'{HEAD}format = {FORMAT}\ndigest = "{hashlib.sha256(body.encode()).hexdigest()}"\n{body}'


def digest(lock: Lock) -> str:
    """The SHA-256 of a lock's text."""
    return hashlib.sha256(render(lock).encode()).hexdigest()


def _lines(lock: Lock) -> Iterator[str]:
    yield f"base = {_quoted(lock.base)}\n"
    yield f"architecture = {_quoted(lock.architecture)}\n"
    yield f"date = {lock.date}\n"
    yield "asked = [\n"
    yield from (f"    {_quoted(name)},\n" for name in sorted(lock.asked))
    yield "]\n"
    if lock.inputs:
        yield "\n[inputs]\n"
        for key, sha256 in sorted(lock.inputs.items()):
            yield f"{_quoted(key)} = {_quoted(sha256)}\n"
    for release in sorted(lock.releases, key=lambda release: (release.archive, release.suite)):
        yield from _table("release", release)
    for package in _sorted(lock.packages):
        yield from _table("package", package)
    for tool, packages in sorted(lock.tools.items()):
        for package in _sorted(packages):
            yield from _table(f"tool.{_quoted(tool)}", package)


def _sorted(packages: Iterable[LockedPackage]) -> list[LockedPackage]:
    return sorted(packages, key=lambda package: package.key)


def _table(name: str, value: Release | LockedPackage) -> Iterator[str]:
    yield f"\n[[{name}]]\n"
    for field in value.__struct_fields__:
        held = getattr(value, field)
        if held is not None and held is not False:
            yield f"{field} = {_value(held)}\n"


def _value(value: object) -> str:
    if value is True:
        return "true"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return _quoted(str(value))


def _quoted(text: str) -> str:
    """A basic string of TOML."""
    if text.isprintable() and '"' not in text and "\\" not in text:
        return f'"{text}"'  # Nearly all.
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda match: f"\\u{ord(match[0]):04x}", text) + '"'


def _toml(text: str, file: str) -> dict[str, Any]:
    import tomllib

    if len(text) > MAX_BYTES:
        raise Problem(f"{file} is larger than {MAX_BYTES} bytes", mend=MEND)
    if conflict := re.search(r"(?m)^(<{7}|={7}|>{7})", text):
        raise Problem(
            "two versions of the lock were merged as text",
            mend=f"take one of the two whole (git checkout --ours {file}), then run `bluestone lock`",
            place=_place(text, file, _line_at(text, conflict.start()), ""),
        )
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        said = str(error)
        line = re.search(r"at line (\d+)", said)
        number = int(line[1]) if line else text.rstrip("\n").count("\n") + 1
        what = said.partition(" (at ")[0]
        raise Problem(
            f"the lock is damaged or was cut short: {what}", mend=MEND, place=_place(text, file, number, "")
        ) from error


def _check_format(toml: dict[str, Any], text: str, file: str) -> None:
    version = toml.get("format")
    if isinstance(version, int) and not isinstance(version, bool) and version > FORMAT:
        raise Problem(
            f"the lock is of format {version}, and this bluestone knows formats up to {FORMAT}",
            mend="use the newer bluestone that wrote it",
            place=_place(text, file, _line_of(text, "format"), "format"),
        )
    if version != FORMAT:
        raise _refused(f"the lock does not say that it is of format {FORMAT}", "format", text, file)


def _faults(lock: _Lock) -> Iterator[tuple[str, str]]:
    """What is wrong though each value has the right form, and where."""
    yield from _package_faults(lock.package, "package")
    for tool, packages in lock.tool.items():
        yield from _package_faults(packages, f"tool.{tool}")


def _package_faults(packages: list[_Package], at: str) -> Iterator[tuple[str, str]]:
    seen: set[tuple[str, str]] = set()
    for index, package in enumerate(packages):
        if not is_safe(package.path):
            yield f"the path {package.path!r} leads out of its archive", f"{at}[{index}].path"
        if package.archive != LOCAL and not package.path.endswith(".deb"):
            yield f"the path {package.path!r} is not that of a package", f"{at}[{index}].path"
        if (key := (package.name, package.architecture)) in seen:
            yield f"{package.name} is there twice", f"{at}[{index}].name"
        seen.add(key)


def is_safe(path: str) -> bool:
    """Whether a relative path stays below where it begins, and is written in the one plain way."""
    plain = posixpath.normpath(path) == path and not re.search(r"[\x00-\x1f\x7f\\?#]", path)
    return plain and not path.startswith(("/", "../")) and path not in (".", "..")


def _check_bytes(right: str, text: str, file: str) -> None:
    """Refuse a text that says the same in another way, or that has another digest than it says."""
    if right == text:
        return
    pairs = zip(right.split("\n"), text.split("\n"), strict=False)
    line = next((number for number, (one, other) in enumerate(pairs, 1) if one != other), 1)
    what = "the lock was edited by hand, or is not whole"
    if text.split("\n")[line - 1].startswith("digest = "):
        what += ": its digest is not that of what follows"
    raise Problem(what, mend=MEND, place=_place(text, file, line, ""))


def _lock(raw: _Lock) -> Lock:
    return Lock(
        base=raw.base,
        architecture=raw.architecture,
        date=raw.date,
        asked=tuple(raw.asked),
        releases=tuple(
            Release(
                archive=release.archive,
                suite=release.suite,
                codename=release.codename,
                date=release.date,
                valid_until=release.valid_until,
                sha256=release.sha256,
            )
            for release in raw.release
        ),
        packages=tuple(map(_package, raw.package)),
        inputs=raw.inputs,
        tools={tool: tuple(map(_package, packages)) for tool, packages in raw.tool.items()},
    )


def _package(raw: _Package) -> LockedPackage:
    return LockedPackage(**msgspec.structs.asdict(raw))


def _refused(what: str, path: str, text: str, file: str) -> Problem:
    return Problem(f"the lock is refused: {what}", mend=MEND, place=_place(text, file, _line_of(text, path), path))


def _path_of(said: str) -> tuple[str, str]:
    """What msgspec says is wrong, and where: `Expected `int`, got `str` - at `$.package[3].size``."""
    what, _, where = said.partition(" - at `")
    path = where.rstrip("`").removeprefix("$").removeprefix(".")
    if unknown := re.search(r"unknown field `(.+)`", what):
        return f"there is no key {unknown[1]}", f"{path}.{unknown[1]}".lstrip(".")
    if lacking := re.search(r"missing required field `(.+)`", what):
        return f"the key {lacking[1]} is missing", path
    return what, path


def _line_of(text: str, path: str) -> int:
    """The line of `package[3].sha256`, or of what is nearest to it; 1 if there is nothing near."""
    whole = path.endswith("]")
    table, _, key = (path, "", "") if whole else path.rpartition(".")
    match = re.fullmatch(r"(?P<name>.+)\[(?P<index>\d+)\]", table)
    start = 0
    if match:
        name = match["name"].removeprefix("tool.").removesuffix("[...]")
        headers = [found for found in re.finditer(r"(?m)^\[\[(.+)\]\]$", text) if name in found[1]]
        if int(match["index"]) < len(headers):
            start = headers[int(match["index"])].start()
    if whole:
        return _line_at(text, start)
    plain = key or path
    found = re.compile(rf'(?m)^"?{re.escape(plain.partition("[")[0])}"?\s*=').search(text, start)
    return _line_at(text, found.start() if found else start)


def _line_at(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


def _place(text: str, file: str, line: int, key: str) -> Place:
    lines = text.split("\n")
    shown = lines[line - 1][:160] if line <= len(lines) else ""
    return Place(file, line, key, "".join(character if character.isprintable() else " " for character in shown))
