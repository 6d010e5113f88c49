"""Releases of Debian and Ubuntu: the codenames by which advisories name them. Pure."""

from __future__ import annotations

CODENAMES = {
    ("debian", "11"): "bullseye",
    ("debian", "12"): "bookworm",
    ("debian", "13"): "trixie",
    ("debian", "14"): "forky",
    ("ubuntu", "22.04"): "jammy",
    ("ubuntu", "24.04"): "noble",
    ("ubuntu", "26.04"): "resolute",
}
"""By os-release(5)'s ID and VERSION_ID, of the releases that images may be made of."""


def codename(distribution: str, release: str) -> str:
    """The codename of a release; of one that is not known, or has no number yet (sid), the text itself."""
    return CODENAMES.get((distribution, release), release or "sid")
