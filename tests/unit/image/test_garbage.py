"""Which images may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.garbage import judge
from bluestone.model.ids import Digest
from bluestone.model.image import Image

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def image(name: str, built_at: datetime = NOW - 9 * DAY) -> Image:
    return Image(Digest(f"sha256:{name * 64}"), name, Path(name), 1, 1, (), (), built_at)


def test_what_is_needed_stays_and_the_reason_is_told() -> None:
    images = [image("a"), image("b")]
    kept = {verdict.image.key: verdict.kept for verdict in judge(images, {images[1].digest: "server x"}, {}, NOW, DAY)}
    assert kept == {"a": "", "b": "server x"}


def test_what_was_used_lately_stays_whenever_it_was_built() -> None:
    old, new, asked = image("a"), image("b", NOW - DAY / 2), image("c")
    used = {str(asked.digest): NOW - DAY / 3, str(old.digest): NOW - 2 * DAY}
    kept = {verdict.image.key: verdict.kept for verdict in judge([old, new, asked], {}, used, NOW, DAY)}
    assert kept == {"a": "", "b": "used lately", "c": "used lately"}


def test_after_the_clock_was_set_back_nothing_goes() -> None:
    assert judge([image("a", NOW + DAY)], {}, {}, NOW, timedelta(0))[0].kept == "used lately"


@given(st.sets(st.sampled_from("abcdef")), st.sets(st.sampled_from("abcdef")), st.integers(0, 20))
def test_nothing_needed_ever_goes_and_all_else_goes_in_time(here: set[str], needed: set[str], days: int) -> None:
    reasons = {str(image(name).digest): "needed" for name in needed}
    verdicts = judge([image(name) for name in here], reasons, {}, NOW, days * DAY)
    assert {verdict.image.key for verdict in verdicts} == here
    gone = {verdict.image.key for verdict in verdicts if not verdict.kept}
    assert gone == (here - needed if days <= 9 else set())
