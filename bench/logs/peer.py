"""VictoriaLogs, built from its source if Go is here; asked over HTTP."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bench.logs.events import RARE, Event
from bench.logs.ours import cpu_seconds, peak, size
from bench.logs.sending import BATCH, CONNECTIONS, posted
from bench.logs.truth import FIELD, HOST, HOUR, WORD, Truth, asked_hour

MODULE, VERSION = "github.com/VictoriaMetrics/VictoriaLogs", "v1.52.2"
PATIENCE = 900.0
"""Seconds for building it."""


def find(cache: Path) -> Path | None:
    """The program: on PATH, built before, or built now; None if it cannot be had."""
    if installed := shutil.which("victoria-logs"):
        return Path(installed)
    program = cache / "victoria-logs"
    if program.exists():
        return program
    if not shutil.which("go"):
        return None
    cache.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "GOPATH": str(cache / "go"), "GOFLAGS": "-mod=mod"}
    try:
        if not (cache / "go.mod").exists():
            _go(cache, environment, "mod", "init", "peer")
        _go(cache, environment, "get", f"{MODULE}@{VERSION}")
        _go(cache, environment, "build", "-o", str(program), f"{MODULE}/app/victoria-logs")
    except (subprocess.SubprocessError, OSError) as error:
        print(f"VictoriaLogs cannot be built here: {error}", flush=True)
        return None
    return program


def _go(where: Path, environment: dict[str, str], *arguments: str) -> None:
    subprocess.run(["go", *arguments], cwd=where, env=environment, check=True, capture_output=True, timeout=PATIENCE)


class Peer:
    """A running VictoriaLogs over a directory."""

    name = f"VictoriaLogs {VERSION}"

    def __init__(self, program: Path, directory: Path, truth: Truth) -> None:
        self.directory, self.seconds, self._truth = directory, 0.0, truth
        with socket.create_server(("127.0.0.1", 0)) as free:
            self._port = free.getsockname()[1]
        self._idle = [self._connection() for _ in range(CONNECTIONS)]
        self._process = subprocess.Popen(
            [
                program,
                f"-storageDataPath={directory}",
                f"-httpListenAddr=127.0.0.1:{self._port}",
                "-retentionPeriod=100y",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", self._port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("VictoriaLogs does not start")

    def batches(self, events: Sequence[Event]) -> list[tuple[bytes]]:
        """As many at a time as ours gets."""
        return [
            (b"\n".join(event.body for event in events[first : first + BATCH]),)
            for first in range(0, len(events), BATCH)
        ]

    def take(self, batches: Sequence[tuple[bytes]]) -> None:
        """Post them."""
        posted(self._post, batches)

    def processes(self) -> list[int]:
        """One."""
        return [self._process.pid]

    def finish(self, events: int) -> dict[str, float]:
        """Wait until all is merged: rates in events/s, sizes in MB."""
        self._get("/internal/force_flush")
        self._get("/internal/force_merge")
        while float(self._metric("vl_active_merges")) > 0:
            time.sleep(0.5)
        time.sleep(2)
        cpu = cpu_seconds(self._process.pid)
        rate = events / self.seconds
        return {"ingest_per_s": rate, "disk_mb": size(self.directory) / 1e6, "ingest_cpu_s": cpu}

    def _post(self, body: bytes) -> None:
        path = "/insert/jsonline?_stream_fields=host,service&_time_field=@timestamp&_msg_field=message"
        connection = self._idle.pop()
        connection.request("POST", path, body)
        answer = connection.getresponse()
        answer.read()
        assert answer.status == 200, answer.status
        self._idle.append(connection)

    def questions(self) -> dict[str, Callable[[], None]]:
        """What asks it, over a connection of its own each time."""
        truth = self._truth
        begin = asked_hour() * HOUR / 1e6
        hour = f'_time:[{begin:.0f}, {begin + 3600:.0f}) {{host="web-{HOST}"}}'
        questions: dict[str, tuple[str, Callable[[list[dict[str, Any]]], int], int | None]] = {
            "rare_word": (f"{RARE} | sort by (_time desc) limit 100", len, min(truth.rare, 100)),
            "host_hour": (f"{hour} | sort by (_time desc) limit 1000", len, min(truth.host_hour, 1000)),
            "histogram": ("* | stats by (_time:1h) count() lines", _total, truth.events),
            "top10": (
                f"{FIELD}:* | stats by ({FIELD}) count() lines | sort by (lines desc) limit 10",
                _total,
                sum(lines for _, lines in truth.top()),
            ),
            "word_count": (f"{WORD} | stats count() lines", _total, truth.word),
            "top10_of_errors": (f"status:>=500 {FIELD}:* | stats by ({FIELD}) count() lines", _total, None),
        }
        return {name: partial(self._ask, name, *question) for name, question in questions.items()}

    def cpu(self) -> float:
        """Of its process."""
        return cpu_seconds(self._process.pid)

    def _ask(self, name: str, query: str, summary: Callable[[list[dict[str, Any]]], int], wanted: int | None) -> None:
        answer = summary(self._query(query))
        assert wanted is None or answer == wanted, f"VictoriaLogs, {name}: {answer} is not {wanted}"

    def memory(self) -> float:
        """Its resident size at its largest, in MB."""
        return peak(self._process.pid)

    def stop(self) -> None:
        """End it."""
        self._process.terminate()
        self._process.wait(60)

    def _query(self, query: str) -> list[dict[str, Any]]:
        connection = self._connection()
        connection.request(
            "POST",
            "/select/logsql/query",
            urlencode({"query": query}),
            {"Content-Type": "application/x-www-form-urlencoded"},
        )
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        assert answer.status == 200, body
        return [json.loads(line) for line in body.splitlines()]

    def _metric(self, name: str) -> str:
        values = [line.split()[-1] for line in self._get("/metrics").splitlines() if line.startswith(name)]
        return str(sum(map(float, values)))

    def _get(self, path: str) -> str:
        connection = self._connection()
        connection.request("GET", path)
        body = connection.getresponse().read().decode()
        connection.close()
        return body

    def _connection(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self._port, timeout=300)


def _total(rows: list[dict[str, Any]]) -> int:
    return sum(int(row["lines"]) for row in rows)
