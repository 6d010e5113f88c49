"""Checksums that come with a feed: from its server, in an answer's headers, or in a file beside a copy. Pure.

They tell what was cut or damaged on the way. Whoever can change the feed there can change them as well.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable

BESIDE = ".sha256"
"""How the name of a file ends that has the SHA-256 of the file of the rest of its name, as sha256sum(1) writes it."""

_WORDS = {"sha-256": "sha256", "sha-512": "sha512", "md5": "md5"}


def told(headers: Iterable[tuple[str, str]]) -> dict[str, bytes]:
    """The digests that an answer's headers name, by hashlib's names: RFC 9530's `Repr-Digest`, and `x-goog-hash` of
    Google Cloud Storage, where OSV's zips lie (its XML API's reference, "HTTP headers")."""
    found: dict[str, bytes] = {}
    for name, value in headers:
        if name.lower() in ("repr-digest", "x-goog-hash"):
            for algorithm, text in re.findall(r"([a-z0-9-]+)=:?([A-Za-z0-9+/]+=*):?", value):
                if algorithm in _WORDS:
                    try:
                        found[_WORDS[algorithm]] = base64.b64decode(text, validate=True)
                    except binascii.Error:
                        found[_WORDS[algorithm]] = b""  # It is no digest of anything.
    return found


def beside(text: str) -> str:
    """The SHA-256 that such a file says, in small hexadecimal; empty if it says none."""
    match = re.match(r"([0-9a-fA-F]{64})(?:\s|$)", text)
    return match[1].lower() if match else ""
