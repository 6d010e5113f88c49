"""Licences: what packages say of them, as SPDX identifiers where there are such. Pure."""

from __future__ import annotations

import re

SPDX = {
    "0bsd": "0BSD",
    "afl-2.1": "AFL-2.1",
    "agpl-3": "AGPL-3.0-only",
    "agpl-3+": "AGPL-3.0-or-later",
    "agpl-3.0": "AGPL-3.0-only",
    "agpl-3.0-only": "AGPL-3.0-only",
    "agpl-3.0-or-later": "AGPL-3.0-or-later",
    "apache-2": "Apache-2.0",
    "apache-2.0": "Apache-2.0",
    "apache 2.0": "Apache-2.0",
    "apache license 2.0": "Apache-2.0",
    "apache license, version 2.0": "Apache-2.0",
    "apache software license": "Apache-2.0",
    "artistic": "Artistic-1.0-Perl",
    "artistic-2": "Artistic-2.0",
    "artistic-2.0": "Artistic-2.0",
    "blueoak-1.0.0": "BlueOak-1.0.0",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "bsd-4-clause": "BSD-4-Clause",
    "bsd-4-clause-uc": "BSD-4-Clause-UC",
    "bsl-1.0": "BSL-1.0",
    "cc-by-3.0": "CC-BY-3.0",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-sa-3.0": "CC-BY-SA-3.0",
    "cc-by-sa-4.0": "CC-BY-SA-4.0",
    "cc0-1.0": "CC0-1.0",
    "cc0": "CC0-1.0",
    "cddl-1.0": "CDDL-1.0",
    "cddl-1.1": "CDDL-1.1",
    "curl": "curl",
    "epl-1.0": "EPL-1.0",
    "epl-2.0": "EPL-2.0",
    "expat": "MIT",
    "fsfap": "FSFAP",
    "fsful": "FSFUL",
    "fsfullr": "FSFULLR",
    "gfdl-1.2": "GFDL-1.2-only",
    "gfdl-1.2+": "GFDL-1.2-or-later",
    "gfdl-1.3": "GFDL-1.3-only",
    "gfdl-1.3+": "GFDL-1.3-or-later",
    "gpl-1": "GPL-1.0-only",
    "gpl-1+": "GPL-1.0-or-later",
    "gpl-2": "GPL-2.0-only",
    "gpl-2+": "GPL-2.0-or-later",
    "gpl-2.0": "GPL-2.0-only",
    "gpl-2.0+": "GPL-2.0-or-later",
    "gpl-2.0-only": "GPL-2.0-only",
    "gpl-2.0-or-later": "GPL-2.0-or-later",
    "gpl-3": "GPL-3.0-only",
    "gpl-3+": "GPL-3.0-or-later",
    "gpl-3.0": "GPL-3.0-only",
    "gpl-3.0+": "GPL-3.0-or-later",
    "gpl-3.0-only": "GPL-3.0-only",
    "gpl-3.0-or-later": "GPL-3.0-or-later",
    "hpnd": "HPND",
    "ijg": "IJG",
    "isc": "ISC",
    "lgpl-2": "LGPL-2.0-only",
    "lgpl-2+": "LGPL-2.0-or-later",
    "lgpl-2.0": "LGPL-2.0-only",
    "lgpl-2.0+": "LGPL-2.0-or-later",
    "lgpl-2.1": "LGPL-2.1-only",
    "lgpl-2.1+": "LGPL-2.1-or-later",
    "lgpl-2.1-only": "LGPL-2.1-only",
    "lgpl-2.1-or-later": "LGPL-2.1-or-later",
    "lgpl-3": "LGPL-3.0-only",
    "lgpl-3+": "LGPL-3.0-or-later",
    "lgpl-3.0": "LGPL-3.0-only",
    "lgpl-3.0+": "LGPL-3.0-or-later",
    "mit": "MIT",
    "mit license": "MIT",
    "mit-0": "MIT-0",
    "mpl-1.1": "MPL-1.1",
    "mpl-2.0": "MPL-2.0",
    "ofl-1.1": "OFL-1.1",
    "openssl": "OpenSSL",
    "postgresql": "PostgreSQL",
    "psf-2": "PSF-2.0",
    "psf-2.0": "PSF-2.0",
    "python-2.0": "Python-2.0",
    "unicode-3.0": "Unicode-3.0",
    "unlicense": "Unlicense",
    "w3c": "W3C",
    "x11": "X11",
    "zlib": "Zlib",
    "zpl-2.1": "ZPL-2.1",
}
"""Words in use (in lower case; those of Debian's copyright-format 1.0 among them) -> SPDX identifier."""

IDENTIFIERS = frozenset(SPDX.values())

LONGEST = 80
"""Characters: what is longer is the text of a licence, and not its name."""

LONGEST_LIST = 1000
"""Characters of a list of names, for the same reason; and long runs of spaces would take for ever to split."""

_JOINT = re.compile(r",?\s+(?:and/or|and|or)\s+|,\s*", re.IGNORECASE)


def named(text: str) -> tuple[str, ...]:
    """The licences of a line such as `GPL-2+ or Artistic`, each once; none if it is no list of names."""
    names: dict[str, None] = {}
    for part in _JOINT.split(text.strip()) if len(text) <= LONGEST_LIST else ():
        word = part.strip(" ()\t.").removesuffix(" license")
        if word and len(word) <= LONGEST and "\n" not in word:
            names[SPDX.get(word.lower(), word)] = None
    return tuple(names)


def of_copyright(text: bytes) -> tuple[str, ...]:
    """The licences in a file as copyright-format 1.0 has it, sorted; none if it is not in that format (unknown)."""
    if not text[:200].lstrip().startswith((b"Format:", b"Format-Specification:")):
        return ()
    # A search for the field by its line is several times faster than a regular expression.
    lines = {field.partition(b"\n")[0] for field in text.split(b"\nLicense:")[1:]}
    return tuple(sorted({name for line in lines for name in named(line.decode(errors="replace"))}))
