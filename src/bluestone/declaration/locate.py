"""Finds the line on which each key of a TOML text stands.

`tomllib` gives values without their places. This scanner gives the places without the values: it walks over a
text that `tomllib` has already accepted, so it need not check anything, only know where each thing ends
(the grammar is that of TOML 1.0, https://toml.io/en/v1.0.0).
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_right
from typing import Any

from bluestone.declaration.fault import KeyPath

_SIMPLE_KEY = r"""(?:"(?:\\.|[^"\\\n])*"|'[^'\n]*'|[A-Za-z0-9_-]+)"""
_KEY = re.compile(rf"{_SIMPLE_KEY}(?:[ \t]*\.[ \t]*{_SIMPLE_KEY})*")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
# A multi-line string may end in up to two quotes of its own before the closing three.
_STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)
_SCALAR = re.compile(r"[^,\]}#\r\n]+")


def locate(text: str) -> dict[KeyPath, int]:
    """The line (from 1) of every key, table and array element of a valid TOML text.

    A table stands where its header does; one without a header, where the first key below it does.
    """
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


class _Scanner:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self._ends = [match.start() for match in re.finditer("\n", text)]
        self._last: dict[KeyPath, int] = {}
        """Array of tables -> the index of its last element, which later headers and keys go on with."""

    def document(self) -> None:
        table: KeyPath = ()
        while self._skip_blank():
            if self.text.startswith("[[", self.at):
                table = self._array_header()
            elif self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        self.at += 1
        start, path = self._key_below(())
        self.lines[path] = self._line(start)
        self._pass("]")
        return path

    def _array_header(self) -> KeyPath:
        self.at += 2
        start, array = self._key_below((), whole_array=True)
        self._last[array] = index = self._last.get(array, -1) + 1
        path = (*array, index)
        self.lines[path] = self._line(start)
        self._pass("]]")
        return path

    def _pair(self, table: KeyPath) -> None:
        _, path = self._key_below(table)
        self._pass("=")
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        opening = self.text[self.at]
        if opening == "[":
            self._array(path)
        elif opening == "{":
            self._inline_table(path)
        else:
            self._match(_STRING if opening in "\"'" else _SCALAR)

    def _array(self, path: KeyPath) -> None:
        index = 0
        self.at += 1
        while self._skip_blank() and self.text[self.at] != "]":
            self.lines[(*path, index)] = self._line(self.at)
            self._value((*path, index))
            self._pass(",", optional=True)
            index += 1
        self.at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self.at += 1
        while self._skip_blank() and self.text[self.at] != "}":
            self._pair(path)
            self._pass(",", optional=True)
        self.at += 1

    def _key_below(self, table: KeyPath, *, whole_array: bool = False) -> tuple[int, KeyPath]:
        """Read a key; return where it starts and its path, and note the line of every table on the way."""
        self._skip_blank()
        start, path = self.at, table
        names = _names(self._match(_KEY))
        for position, name in enumerate(names, 1):
            path = (*path, name)
            self.lines.setdefault(path, self._line(start))
            if path in self._last and not (whole_array and position == len(names)):
                path = (*path, self._last[path])
        return start, path

    def _skip_blank(self) -> bool:
        """Go to the next thing; whether there is one."""
        self._match(_BLANK)
        return self.at < len(self.text)

    def _pass(self, mark: str, *, optional: bool = False) -> None:
        self._skip_blank()
        if self.text.startswith(mark, self.at):
            self.at += len(mark)
        elif not optional:
            raise ValueError(f"no {mark!r} in line {self._line(self.at)}: the text is not valid TOML")
        self._skip_blank()

    def _match(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if match is None:
            raise ValueError(f"line {self._line(self.at)} is not valid TOML")
        self.at = match.end()
        return match.group()

    def _line(self, offset: int) -> int:
        return bisect_right(self._ends, offset - 1) + 1


def _names(key: str) -> list[str]:
    """The parts of a dotted key; `tomllib` itself undoes the quoting."""
    table: Any = tomllib.loads(f"{key} = 0")
    names = []
    while isinstance(table, dict):
        ((name, table),) = table.items()
        names.append(name)
    return names
