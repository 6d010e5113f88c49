"""A package registry that a file of the declaration names, asked about one version."""

from __future__ import annotations

import http.client
import urllib.request

TIMEOUT = 10.0
"""Seconds without a byte: whoever asks waits."""

LARGEST = 1 << 20
"""Bytes of an answer; most have a few thousand."""


def ask_registry(address: str) -> bytes | None:
    """What is answered at an https address; None if nothing is, or too much."""
    if not address.startswith("https://"):
        return None
    return fetch(address)


def fetch(address: str) -> bytes | None:
    """The body at an http(s) address, or None."""
    request = urllib.request.Request(address, headers={"User-Agent": "bluestone"})  # noqa: S310 - http(s) alone
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310 - as above
            if not answer.url.startswith(address.partition("//")[0]):
                return None  # It was led on to where anybody on the way could answer.
            content: bytes = answer.read(LARGEST + 1)
    except (OSError, http.client.HTTPException, ValueError):
        return None
    return content if len(content) <= LARGEST else None
