"""Ranges as package files have them."""

from __future__ import annotations

import pytest

from bluestone.patch.pins.ranges import admits


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("^1.2.3", "1.9.0"), ("^0.2.3", "0.2.9"), ("~1.2", "1.2.9"), ("1.x", "1.9.9"), (">=1.2 <2", "1.5.0"),
        ("*", "3.0.0"),
        ("^1 || ^2", "2.1.0"), (">1", "2.0.0"), ("<=1.2", "1.2.9"), ("^0", "0.9.0"), ("^0.0", "0.0.9"), ("", "1.0.0"),
        ("1.2.3-rc.1", "1.2.3-rc.1"), ("^1.2.3-rc.1", "1.2.3-rc.2"),
    ],
)  # fmt: skip
def test_a_version_within(text: str, version: str) -> None:
    assert admits(text, version)


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("^1.2.3", "2.0.0"), ("^0.2.3", "0.3.0"), ("^0.0.3", "0.0.4"), ("~1.2", "1.3.0"), ("1.x", "2.0.0"),
        (">1.2", "1.2.5"),
        (">= 1.2.0 < 2.0.0", "2.0.0"), ("^1.2.3", "1.3.0-rc.1"), ("^2.0.0", "2.0.0-0"), ("<2.0.0", "2.0.0-1"),
        ("1.0 - 2.0", "1.5.0"), ("latest", "1.0.0"), ("git+ssh://x", "1.0.0"), ("^1", "not a version"),
        ("^1^2", "1.5.0"),
    ],
)  # fmt: skip
def test_a_version_without_or_a_range_that_is_not_read(text: str, version: str) -> None:
    assert not admits(text, version)
