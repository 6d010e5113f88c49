"""A registry that is asked about one version: by https alone, and never for long."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator

import pytest

from bluestone.app.patch import registry


@pytest.fixture
def address() -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            content = {"/small": b"{}", "/large": b"x" * (registry.LARGEST + 1)}.get(self.path)
            self.send_response(404 if content is None else 200)
            self.send_header("Content-Length", str(len(content or b"")))
            self.end_headers()
            self.wfile.write(content or b"")

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    found = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=found.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{found.server_address[1]}"
    found.shutdown()
    found.server_close()
    thread.join()


def test_what_is_there_is_read_and_what_is_not_or_too_much_is_no_answer(address: str) -> None:
    assert registry.fetch(f"{address}/small") == b"{}"
    assert registry.fetch(f"{address}/large") is None
    assert registry.fetch(f"{address}/nothing") is None
    assert registry.fetch("http://127.0.0.1:1/") is None


def test_nobody_is_asked_but_by_https(address: str) -> None:
    assert registry.ask_registry(f"{address}/small") is None
