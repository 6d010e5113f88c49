"""The words of a text, by their hashes: as many as there are, wherever they stand."""

from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.store.words import HASH_BITS, LONGEST, hash_of, word_hashes, words_of


@settings(max_examples=50)
@given(st.text(max_size=60), st.text(max_size=60))
def test_each_word_of_a_text_has_its_hash_wherever_it_stands(text: str, before: str) -> None:
    whole = f"{before} {text}"
    hashes = word_hashes(whole.encode(errors="replace")).tolist()
    assert hashes == sorted(set(hashes))
    assert {hash_of(word) for word in words_of(whole)} == set(hashes)


def test_words_differ_by_each_letter_and_by_their_order() -> None:
    words = [f"{a}{b}{n}".encode() for a in "abcdef" for b in "uvwxyz" for n in range(30)]
    assert len(word_hashes(b" ".join(words))) >= len(words) - 2
    assert all(hash_of(word) < 1 << HASH_BITS for word in words)


def test_words_around_one_that_never_ends_are_found() -> None:
    text = b"first " + b"x" * (600 << 10) + b" last " + b"y" * LONGEST + b" end"
    hashes = set(word_hashes(text).tolist())
    assert {hash_of(word) for word in (b"first", b"last", b"y" * LONGEST, b"end")} <= hashes


def test_bytes_that_are_no_text_are_no_obstacle() -> None:
    assert hash_of(b"word") in word_hashes(b"\xff\xfe word\x00\xc3")
    assert word_hashes(b"").tolist() == word_hashes(b" ,;").tolist() == []
