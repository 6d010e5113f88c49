"""A log store on a disk that really is full: nothing acknowledged is lost, and nothing refused is half there."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from bluestone.logs.ingest.lines import parse_line
from bluestone.logs.query.archive import Archive
from bluestone.logs.query.asked import Query
from bluestone.logs.receive.credentials import Credentials
from bluestone.logs.store.check import check
from bluestone.logs.store.seal import seal
from bluestone.logs.store.store import Batch, Store, is_full
from bluestone.model.record import Identity

pytestmark = pytest.mark.e2e

SIZE = "4m"
AT = 1_790_000_000_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE},mode=0700", "tmpfs", place], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("machine: a file system cannot be mounted here")
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def batch(server: int, number: int) -> Batch:
    """100 lines of 300 bytes that do not compress well."""
    text = b"".join(b"%08x" % (hash((number, part)) & 0xFFFFFFFF) for part in range(30))
    names = range(number * 100, number * 100 + 100)
    return Batch(
        server, tuple(parse_line(b'{"_id":"%d","message":"line %d %b"}' % (n, n, text), AT + n) for n in names)
    )


def stored(store: Path) -> list[int]:
    with closing(Archive(store)) as archive:
        return [int(record.message.split()[1]) for record in archive.search(Query())]


def test_nothing_acknowledged_is_lost_on_a_full_disk_and_it_goes_on_when_there_is_space(disk: Path) -> None:
    place = disk / "logs"
    with closing(Credentials(place)) as credentials:
        credentials.mint(Identity("shop", "web-1", "web", 1, "sha256:ab"))
        server = credentials.server("web-1")
    assert server is not None
    filler = disk / "filler"
    filler.write_bytes(bytes(1 << 20))
    acknowledged: list[int] = []
    with closing(Store(place)) as store:
        refused = None
        for number in range(1000):
            try:
                store.append([batch(server, number)])
            except OSError as error:
                assert is_full(error)
                refused = number
                break
            acknowledged += range(number * 100, number * 100 + 100)
        assert refused
        assert stored(place) == acknowledged

        # Nor can it be sealed now: the log keeps the lines, and no part of a segment is taken for one.
        with pytest.raises((OSError, sqlite3.Error)):
            store.turn()
            seal(place)
        assert stored(place) == acknowledged

        filler.unlink()
        store.append([batch(server, refused)])
        acknowledged += range(refused * 100, refused * 100 + 100)
        store.turn()
        assert seal(place) >= 1
        assert stored(place) == acknowledged
    assert check(place).damages == ()
