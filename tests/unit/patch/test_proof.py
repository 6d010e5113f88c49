"""The proof of a patch: what it says, and that it is refused where it does not agree with itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.patch.proof import Query, Times, contradictions, from_fix, read, statement, times
from proof_examples import BEGAN, NEW, OLD, moved, proof

replace = msgspec.structs.replace


def test_it_is_a_statement_about_the_new_images() -> None:
    said = msgspec.json.decode(statement(proof()))
    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "urn:bluestone:proof:patch:v1"
    assert [each["digest"] for each in said["subject"]] == [{"sha256": "b" * 64}]
    assert said["predicate"]["fromVerdict"] == {"p50": 9.5, "p95": 12.25, "max": 12.25}
    assert said["predicate"]["fromFix"]["max"] == 86400 + 12.25


def test_what_is_written_is_read() -> None:
    assert read(statement(proof())) == proof()
    assert list(contradictions(proof())) == []


@dataclass
class Lie:
    about: str
    change: dict[str, Any]


LIES = [
    Lie("exposed still", {"query": Query(BEGAN, 2, ("web-3-aaaaaaaa-1",), ())}),
    Lie("not known", {"query": Query(BEGAN, 2, (), ("web-3-aaaaaaaa-1",))}),
    Lie("servers were moved to it", {"after": proof().before}),
    Lie("its image", {"servers": (replace(moved(1, 9.5), image_before=NEW), moved(2, 12.25))}),
    Lie("not said to be good", {"servers": (replace(moved(1, 9.5), image_after=OLD), moved(2, 12.25))}),
    Lie("after it was closed", {"servers": (moved(1, 9.5), moved(2, 12.25), moved(3, 99))}),
    Lie("times from the verdict", {"servers": (moved(1, 9.5),)}),
    Lie("times from the verdict", {"from_verdict": Times(1.0, 1.0, 1.0)}),
    Lie("times from the fix", {"from_fix": None}),
    Lie("closed before it was asked", {"query": Query(BEGAN + timedelta(days=1), 2, (), ())}),
]


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.about)
def test_one_that_contradicts_itself_is_refused(lie: Lie) -> None:
    with pytest.raises(ValueError, match=lie.about):
        read(statement(replace(proof(), **lie.change)))


@pytest.mark.parametrize("payload", [b"", b"{}", b"[1]", statement(proof()) + b" ", b'{"_type": "x"}'])
def test_what_is_no_proof_is_refused(payload: bytes) -> None:
    with pytest.raises(ValueError, match="it is"):
        read(payload)


def test_from_fix_is_not_told_where_one_fix_has_no_date() -> None:
    undated = replace(proof().ended[0], since=None)
    assert from_fix([proof().ended[0], undated], proof().servers) is None
    assert times([]) is None


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=50))
def test_percentiles_are_times_that_were(seconds: list[float]) -> None:
    found = times(seconds)
    assert found is not None
    assert found.p50 <= found.p95 <= found.max == round(max(seconds), 3)
    assert sum(each <= found.p50 + 0.001 for each in seconds) * 2 >= len(seconds)
    assert sum(each <= found.p95 + 0.001 for each in seconds) * 100 >= 95 * len(seconds)
