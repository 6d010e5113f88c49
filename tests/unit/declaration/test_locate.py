"""The locator against tomllib: every key that tomllib finds, on the line where it was written."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.declaration.fault import KeyPath
from bluestone.declaration.locate import locate


def paths(value: Any, above: KeyPath = ()) -> set[KeyPath]:
    """Every key and array element of a parsed document."""
    below: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    found = {above} - {()}
    for step, each in below:
        found |= paths(each, (*above, step))
    return found


TEXT = '''\
# a comment with [brackets] and a = 1
project = "web" # [not.a.table]

[image]
base="debian:trixie"
packages = [ # one, two
  "a", "b # no comment",

  # between
  "c",
]
text = """
[not.a.table]
key = "value" \\""" still inside
"quotes at the end"""""
raw = \'\'\'
x = 1\'\'\'\'\'
inline = { a.b = 1, "c d" = [ { e = 2 }, [
  3 ] ], 'f' = { } }
when = 1979-05-27 07:32:00Z

[image.files]
"/etc/x y".source = 'C:\\'
"\\u00e9" . "tab\\t" = 1

[ servers . "w.b" ]
count = 3
[servers.'w.b'.rollout]
drain = "1s"

[[servers.api.ports]]
listen = 1
[servers.api.ports.more]
deep = [[1, 2], [
3]]
[[servers.api.ports]]
listen = 2
[[servers.api.ports.list]]
[[servers.api.ports.list]]
x = -1.5e3
'''

LINES: dict[KeyPath, int] = {
    ("project",): 2,
    ("image",): 4,
    ("image", "packages"): 6,
    ("image", "packages", 1): 7,
    ("image", "packages", 2): 10,
    ("image", "text"): 12,
    ("image", "raw"): 16,
    ("image", "inline", "a", "b"): 18,
    ("image", "inline", "c d", 0, "e"): 18,
    ("image", "inline", "c d", 1, 0): 19,
    ("image", "inline", "f"): 19,
    ("image", "when"): 20,
    ("image", "files"): 22,
    ("image", "files", "/etc/x y"): 23,
    ("image", "files", "/etc/x y", "source"): 23,
    ("image", "files", "é", "tab\t"): 24,
    ("servers",): 26,
    ("servers", "w.b"): 26,
    ("servers", "w.b", "rollout", "drain"): 29,
    ("servers", "api", "ports"): 31,
    ("servers", "api", "ports", 0): 31,
    ("servers", "api", "ports", 0, "more"): 33,
    ("servers", "api", "ports", 0, "more", "deep", 1, 0): 35,
    ("servers", "api", "ports", 1): 36,
    ("servers", "api", "ports", 1, "listen"): 37,
    ("servers", "api", "ports", 1, "list", 1): 39,
    ("servers", "api", "ports", 1, "list", 1, "x"): 40,
}


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_every_form_of_toml_is_located(newline: str) -> None:
    text = TEXT.replace("\n", newline)
    found = locate(text)
    assert {path: found.get(path) for path in LINES} == LINES
    assert set(found) == paths(tomllib.loads(text))


def test_a_table_stands_where_its_own_header_does() -> None:
    assert locate("[a.b]\nx = 1\n[a]\ny = 2\n") == {
        ("a",): 3,
        ("a", "b"): 1,
        ("a", "b", "x"): 2,
        ("a", "y"): 4,
    }


bare = st.text("abcxyz019_-", min_size=1, max_size=4)
odd = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=4)
keys = bare | odd
strings = odd | st.sampled_from(["a # b", "[x]", "a = 1", "}", "]", ",", '"""', "'''", "\n", "\\", "a\nb = 1\n[c]"])
blanks = st.sampled_from(["", " ", "\t"])


def basic(text: str) -> str:
    """A one-line basic string."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\x7f": "\\u007f"}
    return '"' + "".join(escapes.get(c, c) for c in text) + '"'


@st.composite
def simple_key(draw: st.DrawFn, name: str) -> str:
    """A key's name in one of the ways in which it may be written."""
    if set(name) <= set("abcxyz019_-") and name and draw(st.booleans()):
        return name
    if "'" not in name and draw(st.booleans()):
        return f"'{name}'"
    return basic(name)


class Writer:
    """Writes a random document, and notes the line of every key that it writes."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.text = ""
        self.lines: dict[KeyPath, int] = {}

    @property
    def line(self) -> int:
        return self.text.count("\n") + 1

    def blank(self, *more: str) -> None:
        self.text += self.draw(blanks | st.sampled_from(["", *more]))

    def key(self, name: str) -> None:
        self.text += self.draw(simple_key(name))

    def string(self) -> None:
        text = self.draw(strings)
        form = self.draw(st.sampled_from(["basic", "literal", "long", "raw"]))
        if form == "literal" and not set(text) & {"'", "\n"}:
            self.text += f"'{text}'"
        elif form == "raw" and "'" not in text:
            self.text += f"'''{text}''{self.draw(st.sampled_from(['', chr(39), chr(39) * 2]))}'"
        elif form == "long":
            inner = text.replace("\\", "\\\\").replace('"""', '""\\"')
            self.text += '"""' + inner + ('\\"' if inner.endswith('"') else "") + 'x""' + '"""'
        else:
            self.text += basic(text)

    def value(self, path: KeyPath, depth: int) -> None:
        kind = self.draw(st.sampled_from(["string", "scalar", "array", "table"] if depth < 3 else ["string", "scalar"]))
        if kind == "string":
            self.string()
        elif kind == "scalar":
            scalars = ["1", "-0.5", "true", "1979-05-27 07:32:00", "0x1F", "inf", "07:32:00"]
            self.text += self.draw(st.sampled_from(scalars))
        elif kind == "array":
            self.array(path, depth)
        else:
            self.inline_table(path, depth)

    def array(self, path: KeyPath, depth: int) -> None:
        self.text += "["
        for index in range(self.draw(st.integers(0, 3))):
            self.blank("\n", " # ] , [\n")
            self.lines[(*path, index)] = self.line
            self.value((*path, index), depth + 1)
            self.blank("\n")
            self.text += ","
        self.blank("\n", "# no end ]\n")
        self.text += "]"

    def inline_table(self, path: KeyPath, depth: int) -> None:
        self.text += "{"
        for number, name in enumerate(self.draw(st.lists(keys, max_size=3, unique=True))):
            self.text += ", " if number else ""
            self.pair((*path, name), depth + 1)
        self.text += "}"

    def pair(self, path: KeyPath, depth: int) -> None:
        self.blank()
        self.lines[path] = self.line
        self.key(str(path[-1]))
        if self.draw(st.booleans()):
            path = (*path, name := self.draw(keys))
            self.lines[path] = self.line
            self.blank()
            self.text += "."
            self.blank()
            self.key(name)
        self.blank()
        self.text += "="
        self.blank()
        self.value(path, depth)
        self.blank()

    def table(self, path: KeyPath) -> None:
        for name in self.draw(st.lists(keys, max_size=3, unique=True)):
            self.text += self.draw(st.sampled_from(["", "\n", "# a = 1\n", "\t \n"]))
            self.pair((*path, name), 0)
            self.text += self.draw(st.sampled_from(["\n", " # [c]\n"]))

    def header(self, name: str) -> None:
        if self.draw(st.booleans()):
            self.lines[(name,)] = self.line
            self.text += "["
            self.blank()
            self.key(name)
            self.blank()
            self.text += "]\n"
            return self.table((name,))
        self.lines[(name,)] = self.line
        for index in range(self.draw(st.integers(1, 3))):
            self.lines[(name, index)] = self.line
            self.text += "[["
            self.key(name)
            self.text += "]]\n"
            self.table((name, index))
        return None


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    writer = Writer(draw)
    names = draw(st.lists(keys, max_size=5, unique=True))
    cut = draw(st.integers(0, len(names)))
    for name in names[:cut]:
        writer.pair((name,), 0)
        writer.text += "\n"
    for name in names[cut:]:
        writer.header(name)
    return writer.text, writer.lines


@given(documents())
def test_every_path_of_any_document_is_on_the_line_where_it_was_written(
    document: tuple[str, dict[KeyPath, int]],
) -> None:
    text, lines = document
    assert locate(text) == lines
    assert set(lines) == paths(tomllib.loads(text))
