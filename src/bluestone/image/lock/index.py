"""Reads what an archive publishes: Packages and Release files (deb-control(5), Debian's RepositoryFormat). Pure."""

from __future__ import annotations

import hashlib
import posixpath
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from msgspec import Struct

from bluestone.model.lock import LockedPackage, Release
from bluestone.model.problem import Problem

Fields = Mapping[str, str]


class Stanza(Struct, frozen=True):
    """One package as an archive's index describes it; `text` is all that it says."""

    text: str

    @property
    def fields(self) -> Fields:
        """Its fields; of those that go over several lines, the first."""
        return dict(fields(self.text))

    def first(self, name: str) -> str:
        """One field, or "": of tens of thousands of packages, without a look at all of what they say."""
        text, mark = self.text, f"{name}:"
        begin = 0 if text.startswith(mark) else text.find(f"\n{mark}") + 1
        if not begin and not text.startswith(mark):
            return ""
        begin += len(mark)
        end = text.find("\n", begin)
        return text[begin : end if end >= 0 else len(text)].strip()


class Index(Struct, frozen=True):
    """The packages of one suite of one archive, by their paths below the archive's URI."""

    archive: str
    suite: str
    uri: str
    stanzas: Mapping[str, Stanza]

    def versions(self, names: Container[str]) -> Iterator[tuple[str, str, str]]:
        """Name, version and architecture of the packages of these names."""
        for stanza in self.stanzas.values():
            # Most are of no interest, and each has some thirty fields.
            if stanza.first("Package") in names:
                found = stanza.fields
                yield found["Package"], found["Version"], found["Architecture"]

    def names(self, mark: str) -> set[str]:
        """The names of packages whose description has this line, such as `Essential: yes`."""
        line = f"\n{mark}\n"
        marked = (stanza.text for stanza in self.stanzas.values() if line in f"{stanza.text}\n")
        return {text.partition("\n")[0].removeprefix("Package: ") for text in marked}


def stanzas(text: str) -> dict[str, Stanza]:
    """Path -> package, of a Packages file. What names no file is passed over."""
    found = {}
    for part in text.split("\n\n"):
        stanza = Stanza(part.strip("\n"))
        if path := stanza.first("Filename"):
            # Few archives name files by detours, and asking takes a while.
            found[posixpath.normpath(path) if "./" in path or "//" in path else path] = stanza
    return found


def fields(text: str) -> Iterator[tuple[str, str]]:
    """The fields of one stanza, without what goes over further lines."""
    for line in text.splitlines():
        if not line.startswith((" ", "\t")):
            name, _, value = line.partition(":")
            yield name, value.strip()


def locked(stanza: Stanza, path: str, archive: str, suite: str) -> LockedPackage:
    """A package as a lock has it. Raises `Problem` if the index does not say what is needed."""
    found = stanza.fields
    source, source_version = source_of(found)
    try:
        return LockedPackage(
            name=found["Package"],
            version=found["Version"],
            architecture=found["Architecture"],
            sha256=found["SHA256"],
            size=int(found["Size"]),
            path=path,
            archive=archive,
            suite=suite,
            source=source,
            source_version=source_version,
        )
    except (KeyError, ValueError) as error:
        raise Problem(
            f"the archive {archive} does not say {error} of the package {found.get('Package', path)}",
            mend="ask whoever keeps the archive to publish SHA256 and Size of each package",
        ) from error


def source_of(found: Fields) -> tuple[str, str]:
    """Name and version of the source package: `Source: name (version)`, each left out where it is the binary's."""
    match = re.fullmatch(r"(\S+)(?:\s+\((.+)\))?", found.get("Source", ""))
    if match is None:
        return found.get("Package", ""), found.get("Version", "")
    return match[1], match[2] or found.get("Version", "")


def signed_text(text: str) -> str:
    """What a Release file says, without the signature that an InRelease file has around it (RFC 4880, section 7)."""
    if not text.startswith("-----BEGIN PGP SIGNED MESSAGE-----"):
        return text
    body = text.partition("\n\n")[2].partition("\n-----BEGIN PGP SIGNATURE-----")[0]
    return re.sub(r"(?m)^- ", "", body) + "\n"


def release(text: str, archive: str, suite: str) -> Release:
    """The release that a Release or InRelease file describes. Raises `Problem` if it has no date."""
    said = signed_text(text)
    found = dict(fields(said))
    date = _date(found.get("Date", ""))
    if date is None:
        raise Problem(
            f"the Release file of {archive} {suite} has no date",
            mend="ask whoever keeps the archive to write one: a lock tells by it how old its packages are",
        )
    return Release(
        archive=archive,
        suite=suite,
        codename=found.get("Codename", ""),
        date=date,
        valid_until=_date(found.get("Valid-Until", "")),
        sha256=hashlib.sha256(said.encode()).hexdigest(),
    )


def installed(stanzas: Iterable[str]) -> str:
    """A dpkg status file that has these packages as installed."""
    return "".join(f"{stanza}\nStatus: install ok installed\n\n" for stanza in stanzas)


def _date(text: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return date.astimezone(UTC) if date and date.tzinfo else date and date.replace(tzinfo=UTC)
