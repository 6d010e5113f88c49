"""bluestone's store asked as the peer is: over HTTP, by `bluestone web`, which notes each read on the disk first."""

from __future__ import annotations

import http.client
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.logs.events import RARE
from bench.logs.ours import cpu_seconds
from bench.logs.truth import FIELD, HOST, HOUR, WORD, Truth, asked_hour
from bluestone.app.users import Users
from bluestone.model.user import Role

DECLARATION = """
project = "shop"

[image]
base = "debian:trixie"
packages = ["nginx"]

[servers.web]
count = 1
"""


class Served:
    """`bluestone web` over a store, in a project made for that."""

    def __init__(self, directory: Path, store: Path, truth: Truth) -> None:
        self._truth = truth
        project = directory / "home" / "projects" / "shop"
        project.mkdir(parents=True, mode=0o700)
        (project / "logs").symlink_to(store)
        file = directory / "bluestone.toml"
        file.write_text(DECLARATION)
        self._token = Users(project).add("bench", Role.READER, datetime.now(UTC))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bluestone", "web", "--listen", "127.0.0.1:0", "-f", str(file)],
            env={**os.environ, "BLUESTONE_HOME": str(directory / "home"), "TZ": "UTC"},
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr
        said = self._process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", said)
        assert found, said
        self._port = int(found[1])

    def questions(self) -> dict[str, Callable[[], None]]:
        """What asks it, over a connection of its own each time."""
        truth = self._truth
        begin = datetime.fromtimestamp(asked_hour() * HOUR / 1e6, UTC)
        hour = {
            "target": f"web-{HOST}",
            "since": begin.isoformat(),
            "until": (begin + timedelta(hours=1)).isoformat(),
            "size": "1000",
        }
        return {
            "rare_word": lambda: _check(self._lines({"q": RARE}), min(truth.rare, 100)),
            "host_hour": lambda: _check(self._lines(hour), min(truth.host_hour, 1000)),
            "histogram": lambda: _check(self._counted({"step": "1h"}), truth.events),
            "top10": lambda: _check(self._top({"field": FIELD}), truth.top()),
            "top10_of_errors": lambda: _check(bool(self._top({"field": FIELD, "q": "status:>=500"})), True),
            "word_count": lambda: _check(self._counted({"q": WORD, "step": "1h"}), truth.word),
        }

    def cpu(self) -> float:
        """Of its process."""
        return cpu_seconds(self._process.pid)

    def close(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(20)

    def _lines(self, asked: dict[str, str]) -> int:
        return len(self._ask("search", asked)["lines"])

    def _counted(self, asked: dict[str, str]) -> int:
        return sum(bar["lines"] for bar in self._ask("histogram", asked)["bars"])

    def _top(self, asked: dict[str, str]) -> list[tuple[str, int]]:
        return [(each["value"], each["lines"]) for each in self._ask("top", asked)["values"]]

    def _ask(self, what: str, asked: dict[str, str]) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)
        connection.request(
            "GET", f"/api/v1/logs/{what}?{urlencode(asked)}", headers={"Authorization": f"Bearer {self._token}"}
        )
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return json.loads(body)


def _check(answer: object, wanted: object) -> None:
    assert answer == wanted, f"{answer} is not {wanted}"
