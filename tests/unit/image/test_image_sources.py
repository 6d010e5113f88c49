import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.sources import Source, parse_deb822, parse_list

DEBIAN = """\
# The distribution
Types: deb deb-src
URIs: http://mirror.example.org/debian/
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example.org/debian-security
Suites: bookworm-security
Components: main
Enabled: yes

Types: deb-src
URIs: http://mirror.example.org/debian
Suites: sid
Components: main

Types: deb
URIs: http://off.example.org/debian
Suites: bookworm
Components: main
Enabled: no
"""


def test_deb822_gives_one_source_for_each_uri_and_suite() -> None:
    keyring = "/usr/share/keyrings/debian-archive-keyring.gpg"
    assert parse_deb822(DEBIAN) == [
        Source("http://mirror.example.org/debian", "bookworm", ("main", "contrib"), keyring),
        Source("http://mirror.example.org/debian", "bookworm-updates", ("main", "contrib"), keyring),
        Source("http://mirror.example.org/debian-security", "bookworm-security", ("main",)),
    ]


def test_a_key_in_the_entry_itself_and_continued_fields_are_read() -> None:
    text = (
        "types: deb\nuris: https://a.example.org\n  https://b.example.org\nsuites: x\ncomponents: main\n"
        "Signed-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n abc\n"
    )
    assert [(source.uri, source.signed_by) for source in parse_deb822(text)] == [
        ("https://a.example.org", "embedded"),
        ("https://b.example.org", "embedded"),
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("deb http://h/debian bookworm main", [Source("http://h/debian", "bookworm", ("main",))]),
        ("deb-src http://h/debian bookworm main", []),
        ("# deb http://h/debian bookworm main", []),
        ("deb http://h/flat ./", [Source("http://h/flat", "./", ())]),
        (
            "deb [ arch=amd64 signed-by=/K/Ring.gpg ] http://h/u/ noble main universe # why",
            [Source("http://h/u", "noble", ("main", "universe"), "/K/Ring.gpg")],
        ),
        ("deb [enabled=no] http://h/debian bookworm main", []),
        ("deb http://h/debian", []),
        ("nonsense", []),
    ],
)
def test_one_line_format(line: str, expected: list[Source]) -> None:
    assert parse_list(f"\n{line}\n") == expected


words = st.text(string.ascii_letters + string.digits + "./-", min_size=1, max_size=12)
uris = words.map(lambda word: "http://example.org/" + word.strip("/"))
sources = st.builds(
    Source,
    uris.map(lambda uri: uri.rstrip("/")),
    words,
    st.lists(words, min_size=1, max_size=3).map(tuple),
    st.just("") | words.map(lambda word: "/" + word),
)


@given(st.lists(sources, max_size=4))
def test_what_is_written_in_either_format_is_read_back(written: list[Source]) -> None:
    one_line, stanzas = "", ""
    for source in written:
        components = " ".join(source.components)
        option = f"[signed-by={source.signed_by}] " if source.signed_by else ""
        one_line += f"deb {option}{source.uri} {source.suite} {components}\n"
        stanzas += f"Types: deb\nURIs: {source.uri}\nSuites: {source.suite}\nComponents: {components}\n"
        stanzas += f"Signed-By: {source.signed_by}\n\n" if source.signed_by else "\n"
    assert parse_list(one_line) == written
    assert parse_deb822(stanzas) == written


@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    for source in [*parse_list(text), *parse_deb822(text)]:
        assert source.uri == source.uri.strip()
        assert source.suite
