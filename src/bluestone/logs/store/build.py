"""Makes a segment of lines, and puts it in its place whole."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
import zstandard

from bluestone.host.files import flush
from bluestone.logs.audit import counted
from bluestone.logs.store.columns import Gatherer, Numbers, pack_codes, pack_numbers, pack_values
from bluestone.logs.store.index import Words
from bluestone.logs.store.joining import BY_NEWLINE, joined
from bluestone.logs.store.parts import MAGIC, TRAILER, Footer, Part, Span
from bluestone.logs.store.rows import look
from bluestone.logs.store.segment import MINUTE, TIMES
from bluestone.logs.store.words import written_as_it_is
from bluestone.model.record import Identity

BLOCK = 256 << 10
"""Bytes of lines in a block, before compression. Measured: half as many take 5 % more space."""

BLOCK_LEVEL = 9


class Entry(NamedTuple):
    """A line of a server, as it is kept."""

    server: int
    at: int
    original: bytes


def build(path: Path, entries: Sequence[Entry], identity: Callable[[int], Identity]) -> Footer:
    """Write a segment of entries, which are sorted by server and time. It is on the disk when this returns.

    Raises `OSError`; then there is no file at `path`.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.new")
    try:
        with draft.open("wb") as file:
            footer = _write(file.write, entries, identity)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
        flush(path.parent)
        flush(path.parent.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    return footer


def _write(write: Callable[[bytes], Any], entries: Sequence[Entry], identity: Callable[[int], Identity]) -> Footer:
    parts: dict[str, Part] = {}
    place = len(MAGIC)
    write(MAGIC)

    def put(name: str, content: bytes) -> None:
        nonlocal place
        write(content)
        parts[name] = Part(place, len(content), zlib.crc32(content))
        place += len(content)

    at = np.fromiter((entry.at for entry in entries), np.int64, len(entries))
    firsts = _block_firsts(entries)
    gatherer, severities, words = Gatherer(), np.empty(len(entries), np.int64), Words()
    packer = zstandard.ZstdCompressor(level=BLOCK_LEVEL, write_checksum=True)
    packing, plain = [], []
    with ThreadPoolExecutor(1) as beside:
        for number, (first, end) in enumerate(pairwise(firsts)):
            block = [entry.original for entry in entries[first:end]]
            content = joined(block)
            packing.append(beside.submit(packer.compress, content))
            seen = look(block, first)
            gatherer.add(seen.rows)
            severities[first:end] = seen.severities
            plain.append(written_as_it_is(content.lower()))
            more = b"\n".join(text.encode(errors="replace") for text in seen.more)
            words.add(number, content, more, plain=plain[-1] and content.startswith(BY_NEWLINE))
    packed = [each.result() for each in packing]
    put("blocks", b"".join(packed))
    put("block_ends", pack_numbers(np.cumsum([0, *map(len, packed)], dtype=np.int64)))
    put("block_lines", pack_numbers(np.array(firsts, np.int64)))
    put("block_plain", pack_numbers(np.array(plain, np.int64)))
    put("block_oldest", pack_numbers(np.minimum.reduceat(at, firsts[:-1])))
    put("block_newest", pack_numbers(np.maximum.reduceat(at, firsts[:-1])))
    times = [pack_numbers(at[first : first + TIMES]) for first in range(0, len(at), TIMES)]
    put("times", b"".join(times))
    put("times_ends", pack_numbers(np.cumsum([0, *map(len, times)], dtype=np.int64)))
    spans = _spans(entries, at)
    for name, numbers in _minutes(spans, at, severities).items():
        put(name, pack_numbers(numbers))
    put("counted", msgspec.msgpack.encode([counted(_originals(entries, span)) for span in spans]))
    columns, wide = gatherer.finish(len(entries))
    for name, column in columns.items():
        put(f"values.{name}", pack_values(column))
        put(f"codes.{name}", pack_codes(column))
    shift, ends, index = words.finish()
    put("words", index)
    put("word_ends", ends.tobytes())
    footer = Footer(
        lines=len(entries),
        raw=sum(len(entry.original) for entry in entries),
        oldest=int(at.min()),
        newest=int(at.max()),
        spans=spans,
        identities=[_identity(identity(span.server)) for span in spans],
        columns=list(columns),
        wide=wide,
        word_shift=shift,
        word_ends=[],
        parts=parts,
    )
    content = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(footer))
    write(content)
    write(TRAILER.pack(place, len(content), zlib.crc32(content), MAGIC))
    return footer


def _identity(known: Identity) -> tuple[str, str, str, int, str]:
    return known.project, known.server, known.group, known.generation, known.image


def _block_firsts(entries: Sequence[Entry]) -> list[int]:
    """The first line of each block, and the number of lines."""
    firsts, size = [0], 0
    for line, entry in enumerate(entries):
        if size and size + len(entry.original) > BLOCK:
            firsts.append(line)
            size = 0
        size += len(entry.original)
    return [*firsts, len(entries)]


def _spans(entries: Sequence[Entry], at: Numbers) -> list[Span]:
    spans: list[Span] = []
    servers = np.fromiter((entry.server for entry in entries), np.int64, len(entries))
    changes = [0, *(np.flatnonzero(np.diff(servers)) + 1).tolist(), len(entries)]
    for first, end in pairwise(changes):
        spans.append(Span(int(servers[first]), first, end - first, int(at[first]), int(at[end - 1])))
    return spans


def _originals(entries: Sequence[Entry], span: Span) -> Iterator[bytes]:
    return (entry.original for entry in entries[span.first : span.first + span.lines])


def _minutes(spans: Sequence[Span], at: Numbers, severities: Numbers) -> dict[str, Numbers]:
    servers = np.repeat(np.array([span.server for span in spans], np.int64), [span.lines for span in spans])
    found: dict[str, Numbers] = {}
    for name, rows in (("minutes", [servers, at // MINUTE, severities]), ("totals", [at // MINUTE, severities])):
        unique, counts = np.unique(np.stack(rows), axis=1, return_counts=True)
        columns = dict(zip(("server", "minute", "severity")[-len(rows) :], unique, strict=True))
        found |= {f"{name}.{column}": numbers for column, numbers in columns.items()}
        found[f"{name}.lines"] = counts.astype(np.int64)
    return found
