"""Reads the sources of packages that apt is configured with: sources.list(5), both formats. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from msgspec import Struct

OFF = {"no", "false", "without", "off", "disable"}
"""What apt takes for no (`StringToBool` in apt-pkg/contrib/strutl.cc)."""

_ONE_LINE = re.compile(r"deb\s+(?:\[(?P<options>[^\]]*)\]\s+)?(?P<uri>\S+)\s+(?P<suite>\S+)(?P<components>.*)")


class Source(Struct, frozen=True):
    """One suite of one archive. `signed_by` is the keyring that apt shall check it with, "" for any it trusts.

    A keyring that is written into the entry itself is `embedded`. `archive` is what a lock calls the archive.
    """

    uri: str
    suite: str
    components: tuple[str, ...]
    signed_by: str = ""
    archive: str = "main"


def parse_list(text: str) -> list[Source]:
    """The binary sources of a file in the one-line format (`deb [options] uri suite component ...`).

    What is not such a line is passed over, as it is not ours to judge.
    """
    return list(_lines(text))


def parse_deb822(text: str) -> list[Source]:
    """The enabled binary sources of a file in the deb822 format (`.sources`)."""
    return [source for stanza in _stanzas(text) for source in _of_stanza(stanza)]


def _lines(text: str) -> Iterator[Source]:
    for line in text.splitlines():
        match = _ONE_LINE.fullmatch(line.partition("#")[0].strip())
        if match:
            options = dict(
                option.partition("=")[::2] for option in (match["options"] or "").lower().split() if "=" in option
            )
            # The value keeps its case: it is a path.
            signed_by = re.search(r"(?i)\bsigned-by=(\S+)", match["options"] or "")
            if options.get("enabled", "yes") not in OFF:
                yield Source(
                    _trimmed(match["uri"]),
                    match["suite"],
                    tuple(match["components"].split()),
                    signed_by[1].split(",")[0] if signed_by else "",
                )


def _stanzas(text: str) -> Iterator[Mapping[str, str]]:
    fields: dict[str, str] = {}
    name = ""
    for line in [*text.splitlines(), ""]:
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield fields
            fields, name = {}, ""
        elif line[0] in " \t":
            if name:
                fields[name] += "\n" + line.strip()
        else:
            name, _, value = line.partition(":")
            name = name.strip().lower()
            fields[name] = value.strip()


def _of_stanza(fields: Mapping[str, str]) -> Iterator[Source]:
    if "deb" not in fields.get("types", "").split() or fields.get("enabled", "yes").lower() in OFF:
        return
    signed_by = fields.get("signed-by", "")
    if "\n" in signed_by or "BEGIN PGP" in signed_by:
        signed_by = "embedded"
    elif signed_by:
        signed_by = signed_by.replace(",", " ").split()[0]
    components = tuple(fields.get("components", "").split())
    for uri in fields.get("uris", "").split():
        for suite in fields.get("suites", "").split():
            yield Source(_trimmed(uri), suite, components, signed_by)


def _trimmed(uri: str) -> str:
    return uri.rstrip("/")
