"""Base scores of CVSS 3.0 and 3.1, by their vectors (FIRST, CVSS v3.1 specification, section 7.1). Pure."""

from __future__ import annotations

from functools import lru_cache

_IMPACT = {"H": 0.56, "L": 0.22, "N": 0.0}
_VECTOR = {"N": 0.85, "A": 0.62, "L": 0.55, "P": 0.2}
_COMPLEXITY = {"L": 0.77, "H": 0.44}
_PRIVILEGES = {"U": {"N": 0.85, "L": 0.62, "H": 0.27}, "C": {"N": 0.85, "L": 0.68, "H": 0.5}}
_INTERACTION = {"N": 0.85, "R": 0.62}


@lru_cache(maxsize=10_000)
def base_score(vector: str) -> float | None:
    """The base score, 0 to 10, of `CVSS:3.x/AV:N/...`; None for what is no such vector."""
    if not vector.startswith(("CVSS:3.0/", "CVSS:3.1/")) or len(vector) > 200:
        return None
    said = dict(part.partition(":")[::2] for part in vector.split("/")[1:])
    try:
        changed = {"U": False, "C": True}[said["S"]]
        missed = 1.0
        for each in "CIA":
            missed *= 1 - _IMPACT[said[each]]
        ease = 8.22 * _VECTOR[said["AV"]] * _COMPLEXITY[said["AC"]]
        ease *= _PRIVILEGES[said["S"]][said["PR"]] * _INTERACTION[said["UI"]]
    except KeyError:
        return None
    loss = 1 - missed
    impact = 7.52 * (loss - 0.029) - 3.25 * (loss - 0.02) ** 15 if changed else 6.42 * loss
    if impact <= 0:
        return 0.0
    return _rounded_up(min((1.08 if changed else 1) * (impact + ease), 10))


def _rounded_up(value: float) -> float:
    """To one decimal, up, with no surprise from binary fractions (appendix A of the specification)."""
    whole = round(value * 100_000)
    return whole / 100_000 if whole % 10_000 == 0 else (whole // 10_000 + 1) / 10
