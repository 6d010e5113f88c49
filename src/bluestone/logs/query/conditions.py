"""What may be asked of a field's value: pure. Each test also names words without which it cannot hold."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cached_property, lru_cache
from typing import Any, Protocol

import re2
from msgspec import Struct

from bluestone.logs.store.words import padded, words_of
from bluestone.model.problem import Problem

LONGEST_PATTERN = 500
PATTERN_MEMORY = 8 << 20
"""Bytes that a regular expression may take; beyond, it is refused."""


class Condition(Protocol):
    """A question to a value; `None` is the value of a field that is not there."""

    @property
    def words(self) -> tuple[bytes, ...]:
        """Words that the value has if the test holds."""

    @property
    def pieces(self) -> tuple[bytes, ...]:
        """Pieces of ASCII, in small letters, that the value has, in either case, if the test holds."""

    def holds(self, value: str | None) -> bool:
        """Whether it holds."""


class _Worded(Struct, frozen=True, dict=True):
    """A test whose text has the words of what it holds for."""

    text: str

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """Those of the text."""
        return tuple(words_of(self.text))

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """Its words."""
        return _ascii(self.words)


class Phrase(_Worded, frozen=True, dict=True):
    """The value has these words, one after the other; in either case."""

    @cached_property
    def _padded(self) -> bytes:
        return padded(self.text)

    def holds(self, value: str | None) -> bool:
        """Whether the words stand in it."""
        if value is None:
            return False
        return self._padded in padded(value) if self.words else self.text.lower() in value.lower()


class Exact(_Worded, frozen=True):
    """The value is this text."""

    def holds(self, value: str | None) -> bool:
        """Whether it is."""
        return value == self.text


class Contains(Struct, frozen=True, dict=True):
    """The value has this text in it, in either case."""

    text: str

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """Those inside of the text: the first and the last may be pieces of longer ones."""
        return _inner(self.text, open_start=True, open_end=True)

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """What stands between characters that JSON writes in another way."""
        return _ascii(piece.lower().encode(errors="replace") for piece in re.split(r'[^ -~]|["\\/]', self.text))

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(re.escape(self.text), re.IGNORECASE)

    def holds(self, value: str | None) -> bool:
        """Whether it has."""
        return value is not None and self._pattern.search(value) is not None


class Like(Struct, frozen=True, dict=True):
    """The value is like this text, in which `*` is any text and `?` any character; in either case.

    With `inside`, a word of it is.
    """

    text: str
    inside: bool = False

    @cached_property
    def words(self) -> tuple[bytes, ...]:
        """Those that no wildcard touches."""
        pieces = re.split(r"[*?]", self.text)
        last = len(pieces) - 1
        return tuple(
            word
            for place, piece in enumerate(pieces)
            for word in _inner(piece, open_start=place > 0, open_end=place < last)
        )

    @cached_property
    def pieces(self) -> tuple[bytes, ...]:
        """Its words."""
        return _ascii(self.words)

    @cached_property
    def _pattern(self) -> Any:
        some, one = (r"\w*", r"\w") if self.inside else (".*", ".")
        body = "".join({"*": some, "?": one}.get(char) or re2.escape(char) for char in self.text)
        return _compiled(rf"(?s)(?:^|[^\w]){body}(?:[^\w]|$)" if self.inside else rf"(?s)\A{body}\z")

    def holds(self, value: str | None) -> bool:
        """Whether it is."""
        return value is not None and self._pattern.search(value) is not None


class Pattern(Struct, frozen=True, dict=True):
    """A regular expression (RE2's syntax) is found in the value, in either case."""

    text: str

    @property
    def words(self) -> tuple[bytes, ...]:
        """None that is sure."""
        return ()

    pieces = words

    @cached_property
    def _pattern(self) -> Any:
        return _compiled(self.text)

    def holds(self, value: str | None) -> bool:
        """Whether it is found."""
        return value is not None and self._pattern.search(value) is not None


class Range(Struct, frozen=True):
    """The value lies between two bounds: as a number if both are numbers, else as text."""

    low: str | None
    high: str | None
    with_low: bool = True
    with_high: bool = True

    @property
    def words(self) -> tuple[bytes, ...]:
        """None that is sure."""
        return ()

    pieces = words

    def holds(self, value: str | None) -> bool:
        """Whether it does."""
        if value is None:
            return False
        return self._above(value) and self._below(value)

    def _above(self, value: str) -> bool:
        if self.low is None:
            return True
        order = compare(value, self.low)
        return order is not None and (order > 0 or (order == 0 and self.with_low))

    def _below(self, value: str) -> bool:
        if self.high is None:
            return True
        order = compare(value, self.high)
        return order is not None and (order < 0 or (order == 0 and self.with_high))


class Exists(Struct, frozen=True):
    """The field is there."""

    @property
    def words(self) -> tuple[bytes, ...]:
        """None that is sure."""
        return ()

    pieces = words

    def holds(self, value: str | None) -> bool:
        """Whether it is."""
        return value is not None


def compare(value: str, bound: str) -> int | None:
    """-1, 0 or 1 as a value is below, at or above a bound; None if the bound is a number and the value is none."""
    limit = number(bound)
    if limit is None:
        return (value > bound) - (value < bound)
    here = number(value)
    return None if here is None else (here > limit) - (here < limit)


@lru_cache(maxsize=65_536)
def number(text: str) -> float | None:
    """A text as a number; None if it is none."""
    try:
        found = float(text) if len(text) < 64 else None
    except ValueError:
        return None
    return found if found is not None and found == found else None


def checked(pattern: str) -> Pattern:
    """A regular expression that can be searched for in bounded time and memory. Raises `Problem`."""
    if len(pattern) > LONGEST_PATTERN:
        raise Problem(
            f"the pattern is {len(pattern)} characters long; at most {LONGEST_PATTERN} are taken",
            mend="look for a part of it",
        )
    test = Pattern(pattern)
    try:
        test.holds("")
    except re2.error as error:
        raise Problem(
            f"/{pattern}/ is not a regular expression: {_said(error)}",
            mend="mend it (RE2's syntax: without look-around and back references), or look for the text itself",
        ) from error
    return test


def _said(error: Exception) -> str:
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


@lru_cache(maxsize=64)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.case_sensitive = False
    options.log_errors = False
    options.max_mem = PATTERN_MEMORY
    return re2.compile(pattern, options)


def _ascii(pieces: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(piece for piece in pieces if piece.isascii())


def _inner(text: str, *, open_start: bool, open_end: bool) -> tuple[bytes, ...]:
    """The words of a text that stands in another; an open end may be the middle of a word."""
    words = words_of(text)
    if words and open_start and words_of(text[0]):
        words = words[1:]
    if words and open_end and words_of(text[-1]):
        words = words[:-1]
    return tuple(words)
