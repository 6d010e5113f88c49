"""Feeds as they are fetched: once, again only if they changed, and never half of one."""

from __future__ import annotations

import base64
import hashlib
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.patch.feeds.cache import Cached

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
LATER = NOW + timedelta(hours=1)
CONTENT = b"x" * 100_000


class Server:
    """A server of one feed, which answers as it is told to."""

    def __init__(self) -> None:
        self.status, self.content, self.length, self.etag = 200, CONTENT, len(CONTENT), '"one"'
        self.asked: list[str] = []
        self.headers: dict[str, str] = {}
        self.address = ""


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as made:
        yield made


@contextmanager
def serving() -> Iterator[Server]:
    told = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            mark = self.headers.get("If-None-Match", "")
            told.asked.append(mark)
            status = 304 if mark == told.etag and told.status == 200 else told.status
            self.send_response(status)
            if status == 200:
                self.send_header("Content-Length", str(told.length))
                self.send_header("ETag", told.etag)
                for name, value in told.headers.items():
                    self.send_header(name, value)
                self.send_header("Last-Modified", "Mon, 30 Nov 2026 10:00:00 GMT")
                self.end_headers()
                self.wfile.write(told.content)
            else:
                self.send_header("Content-Length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    told.address = f"http://127.0.0.1:{found.server_address[1]}/feed"
    try:
        yield told
    finally:
        found.shutdown()
        found.server_close()
        thread.join()


def test_what_did_not_change_is_not_fetched_again(server: Server, tmp_path: Path) -> None:
    cached = Cached(tmp_path, server.address)
    assert cached.about(NOW).fetched is None
    cached.fetch(NOW)
    about = cached.about(NOW)
    assert (about.sha256, about.fetched, about.failure) == (hashlib.sha256(CONTENT).hexdigest(), NOW, "")
    assert about.modified == datetime(2026, 11, 30, 10, tzinfo=UTC) and cached.is_whole(about)
    cached.fetch(LATER)
    assert server.asked == ["", '"one"'] and cached.about(LATER).fetched == LATER


def test_what_is_damaged_here_is_fetched_anew(server: Server, tmp_path: Path) -> None:
    cached = Cached(tmp_path, server.address)
    cached.fetch(NOW)
    cached.content.write_bytes(b"damaged")
    assert not cached.is_whole(cached.about(NOW))
    cached.fetch(LATER)
    assert server.asked == ["", ""] and cached.is_whole(cached.about(LATER))


@pytest.mark.parametrize(
    ("status", "length", "refused", "said"),
    [
        (200, len(CONTENT) + 1, True, f"cut after {len(CONTENT)} of {len(CONTENT) + 1} bytes"),
        (404, 0, True, "answered 404"),
        (403, 0, True, "answered 403"),
        (503, 0, False, "answered 503"),
    ],
)
def test_what_hinders_is_noted_and_what_was_there_is_kept(
    server: Server, tmp_path: Path, status: int, length: int, refused: bool, said: str
) -> None:
    cached = Cached(tmp_path, server.address)
    cached.fetch(NOW)
    before = cached.about(NOW)
    server.status, server.length, server.etag = status, length, '"two"'
    cached.fetch(LATER)
    about = cached.about(LATER)
    assert said in about.failure and about.refused is refused
    assert (about.fetched, about.sha256) == (NOW, before.sha256) and cached.is_whole(about)
    assert not [each for each in cached.content.parent.iterdir() if each.name.startswith(".")]


def test_that_nobody_answers_is_told_from_a_refusal(tmp_path: Path) -> None:
    with serving() as gone:
        address = gone.address
    cached = Cached(tmp_path, address)
    cached.fetch(NOW)
    about = cached.about(NOW)
    assert about.failure and not about.refused and about.fetched is None


def test_a_file_is_read_where_it_is(tmp_path: Path) -> None:
    file = tmp_path / "kev.json"
    cached = Cached(tmp_path / "cache", str(file))
    assert cached.about(NOW).refused
    file.write_bytes(b"{}")
    about = cached.about(NOW)
    assert (about.fetched, about.sha256, about.refused) == (NOW, hashlib.sha256(b"{}").hexdigest(), False)
    cached.note_sound(about, 7)
    assert cached.about(LATER).entries == 7


def _in_base64(algorithm: str) -> str:
    return base64.b64encode(hashlib.new(algorithm, CONTENT).digest()).decode()


@pytest.mark.parametrize(
    ("name", "value", "by"),
    [
        ("Repr-Digest", f"unixsum=:AA==:, sha-256=:{_in_base64('sha256')}:", "sha256"),
        ("x-goog-hash", f"crc32c=AAAAAA==,md5={_in_base64('md5')}", "md5"),
    ],
)
def test_what_its_server_says_of_it_is_checked(server: Server, tmp_path: Path, name: str, value: str, by: str) -> None:
    server.headers = {name: value}
    cached = Cached(tmp_path, server.address)
    cached.fetch(NOW)
    assert cached.about(NOW).checked == f"by {by} as its server says"
    server.content, server.etag = b"y" + CONTENT[1:], '"two"'
    cached.fetch(LATER)
    about = cached.about(LATER)
    assert (about.failure, about.refused) == (f"it is not what its server says by {by}", True)
    assert cached.content.read_bytes() == CONTENT, "what was sound is kept"


def test_a_copy_is_checked_by_the_file_beside_it(tmp_path: Path) -> None:
    copy, said = tmp_path / "all.zip", tmp_path / "all.zip.sha256"
    copy.write_bytes(CONTENT)
    cached = Cached(tmp_path / "cache", str(copy))
    assert cached.about(NOW).checked == ""
    said.write_text(f"{hashlib.sha256(CONTENT).hexdigest().upper()}  all.zip\n")
    assert cached.about(NOW).checked == "as all.zip.sha256 says"
    for wrong in (f"{'0' * 64}  all.zip\n", "", f"{hashlib.sha256(CONTENT).hexdigest()}0"):
        said.write_text(wrong)
        about = cached.about(NOW)
        assert (about.failure, about.refused) == ("it is not what all.zip.sha256 says", True)
