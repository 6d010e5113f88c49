"""What apt's complaints mean to the person who declared the image. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bluestone.image.apt import DISK_FULL, UNREACHABLE
from bluestone.image.archive import ResolvedBase
from bluestone.image.packagestore import DISK_MEND
from bluestone.model.problem import Problem, Problems

LEFT = "the lock is as it was"

COMPLAINT = re.compile("^(E|W|Err):")

UNTRUSTED = re.compile(
    r"NO_PUBKEY|EXPKEYSIG|REVKEYSIG|BADSIG|KEYEXPIRED|is not signed|no longer signed|Missing key|no signature|"
    r"signatures? .*(invalid|verif)|Sub-process .*sqv.* returned an error|Splitting up"
)
EXPIRED = re.compile(r"Release file for (\S+) is expired \(invalid since ([^)]+)\)")
TOO_NEW = re.compile(r"Release file for (\S+) is not valid yet \(invalid for another ([^)]+)\)")
NO_RELEASE = re.compile(r"The repository '(\S+) (\S+) Release' does(?: not|n't) have a Release file")
NO_COMPONENT = re.compile(r"Unable to find expected entry '(\S+?)/binary-\S+' in Release file")
REFUSED = re.compile(r"^E: Failed to fetch \S+\s+(40[137]\s+[^\[]+)")
COULD_NOT_CONNECT = re.compile(r"Could not connect to (\S+):\d+ ")
DAMAGED = re.compile(r"(\S+)\s+(Hash Sum mismatch|File has unexpected size|Clearsigned file isn't valid)")


class Unsolvable(Exception):
    """apt found no way to install what is asked for; `said` are its last lines."""

    def __init__(self, said: Sequence[str]) -> None:
        super().__init__("\n".join(said))
        self.said = said


def of_update(said: Sequence[str], base: ResolvedBase) -> Problems:
    """Why the archives' indexes could not be fetched or trusted: a problem for each archive and suite."""
    found = list(_of_update(said, base))
    return Problems(found or [Problem(f"the archives cannot be read:{_quoted(said)}", mend="mend that", left=LEFT)])


def _of_update(said: Sequence[str], base: ResolvedBase) -> Iterator[Problem]:
    text = "\n".join(said)
    if DISK_FULL.search(text):
        yield Problem("the disk is full: the archives' indexes could not be fetched", mend=DISK_MEND, left=LEFT)
        return
    for uri, since in sorted(set(EXPIRED.findall(text))):
        yield Problem(
            f"the archive's release has expired, {since} ago: {uri}",
            mend="name a mirror that is kept up to date; an archive that is kept as it was cannot be told from one "
            "that hides newer packages",
            left=LEFT,
        )
    for uri, wait in sorted(set(TOO_NEW.findall(text))):
        yield Problem(
            f"the archive's release is of the future, by {wait}: {uri}", mend="set this machine's clock", left=LEFT
        )
    for uri, suite in sorted(set(NO_RELEASE.findall(text))):
        if not _unreachable(uri, said):
            yield Problem(f"the archive {uri} has no suite called {suite}", mend=_declare(uri, base), left=LEFT)
    for component in sorted(set(NO_COMPONENT.findall(text))):
        yield Problem(f"an archive has no component called {component}", mend="correct image.archives", left=LEFT)
    yield from _unreached(said, base)
    yield from _refusing(said, base)
    yield from _untrusted(said, base)
    for uri, why in sorted(set(DAMAGED.findall(text))):
        mend = "run the same again in some minutes: it may be changing right now; or use another mirror"
        yield Problem(f"the archive is not consistent: {uri}: {why}", mend=mend, left=LEFT)


def _refusing(said: Sequence[str], base: ResolvedBase) -> Iterator[Problem]:
    for uri in sorted({source.uri for source in base.sources}):
        if answer := _refusal(uri, said):
            yield Problem(
                f"the archive refuses this machine: {uri}: {answer}",
                mend="write user and password for it to a file in /etc/apt/auth.conf.d (apt_auth.conf(5))",
                left=LEFT,
            )


def _refusal(uri: str, said: Sequence[str]) -> str:
    """What an archive answers that wants to know who asks, or "" of one that does not."""
    answers = (match[1] for line in said if _about(uri, line) and (match := REFUSED.search(line)))
    return " ".join(next(answers, "").split())


def _about(uri: str, line: str) -> bool:
    """Whether a line is about this archive: that of another may begin with the same letters."""
    return re.search(rf"{re.escape(uri)}(?=[/ ]|$)", line) is not None


def _untrusted(said: Sequence[str], base: ResolvedBase) -> Iterator[Problem]:
    complaints = [line for line in said if COMPLAINT.match(line) and UNTRUSTED.search(line)]
    for uri in sorted({source.uri for source in base.sources}):
        ours = [line for line in complaints if _about(uri, line)]
        # apt takes what it may not have for unsigned.
        if not ours or _refusal(uri, said):
            continue
        source = next(source for source in base.sources if source.uri == uri)
        keyring = source.signed_by or str(base.keyring)
        own = source.archive in ("main", "security")
        package = f"{base.distribution}-archive-keyring"
        yield Problem(
            f"the archive {uri} is not signed by a key in {keyring}{_quoted(ours, 4)}",
            mend=f"if you trust the archive: sudo apt-get install --only-upgrade {package}"
            if own
            else f"if you trust the archive, write its right keys to image.archives.{source.archive}.key",
            left=LEFT,
        )


def _unreached(said: Sequence[str], base: ResolvedBase) -> Iterator[Problem]:
    # After one failed connection apt says of every other port of that host that its name has no address.
    refused = {f"Could not resolve '{host}'" for line in said for host in COULD_NOT_CONNECT.findall(line)}
    said = [line for line in said if not any(echo in line for echo in refused)]
    for uri in sorted({source.uri for source in base.sources}):
        ours = [line for line in said if _about(uri, line) and COMPLAINT.match(line) and UNREACHABLE.search(line)]
        if ours:
            yield Problem(
                f"the archive cannot be reached: {uri}{_quoted(ours, 2)}",
                mend="look at the network, or name another archive; what the lock has is built without any archive",
                left=LEFT,
            )


def _unreachable(uri: str, said: Sequence[str]) -> bool:
    return any(_about(uri, line) and UNREACHABLE.search(line) for line in said)


def _declare(uri: str, base: ResolvedBase) -> str:
    names = {source.archive for source in base.sources if source.uri == uri.rstrip("/")}
    extra = sorted(names - {"main", "security"})
    return f"correct image.archives.{extra[0]}" if extra else "correct image.base, or name an archive that has it"


def of_install(said: Sequence[str], base: ResolvedBase) -> Problem:
    """Why what is asked for cannot be installed."""
    text = "\n".join(said)
    lost = re.findall(r"Unable to locate package (\S+)", text)
    lost += re.findall(r"Package '?(\S+?)'? has no installation candidate", text)
    if lost:
        names = sorted(set(lost))
        where = ", ".join(sorted({source.uri for source in base.sources}))
        return Problem(
            f"{base.distribution} {base.suite} has no package called {' or '.join(names)} ({where})",
            mend=f"correct image.packages; to find the name: apt-cache search {names[0]}",
            left=LEFT,
        )
    if "remove is disabled" in text:
        removed = re.search(r"will be REMOVED:\n((?:  .*\n?)+)", text)
        names = removed[1].split() if removed else []
        return Problem(
            f"what is asked for cannot be installed beside {', '.join(names) or 'what is there'}, "
            "which the base or another package brings",
            mend="leave out of image.packages what conflicts with it",
            left=LEFT,
        )
    if DISK_FULL.search(text):
        return Problem("the disk is full: the packages could not be resolved", mend=DISK_MEND, left=LEFT)
    unmet = [line for line in text.partition("unmet dependencies")[2].splitlines()[1:] if line.startswith(" ")]
    if unmet:
        return Problem(
            f"the packages that are asked for cannot be installed together:{_quoted(unmet, 20)}",
            mend="correct image.packages or image.archives; or let the pins move: bluestone lock --upgrade",
            left=LEFT,
        )
    return Problem(f"the packages cannot be resolved:{_quoted(said)}", mend="mend what apt says", left=LEFT)


def _quoted(said: Iterable[str], lines: int = 12) -> str:
    """The last lines that complain, or the last ones at all, indented."""
    every = [line for line in said if line.strip()]
    kept = [line for line in every if COMPLAINT.match(line)] or every
    return "".join(f"\n     {line}" for line in kept[-lines:])
