"""What in-toto's statements (v1) have in common: what they are called, and how they name things."""

from __future__ import annotations

import msgspec

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"


class Resource(msgspec.Struct, omit_defaults=True):
    """in-toto's ResourceDescriptor, as much of it as is used. `digest` is hexadecimal, by algorithm."""

    name: str = ""
    uri: str = ""
    digest: dict[str, str] = {}
    annotations: dict[str, str] = {}


def by_sha256(digits: str) -> dict[str, str]:
    """A digest (`sha256:...`, or the digits alone) as a resource has it."""
    return {"sha256": digits.removeprefix("sha256:")}
