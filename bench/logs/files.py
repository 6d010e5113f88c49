"""Lines in files that are compressed with zstd, one for each hour, looked through with ripgrep (or grep).

What most people have without a log store; measured where VictoriaLogs cannot be built. It counts nothing by itself.
"""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO

import zstandard

from bench.logs.events import RARE
from bench.logs.ours import rounds, size
from bench.logs.truth import HOST, HOUR, WORD, Truth, asked_hour, read


class Files:
    """A directory of such files."""

    name = "zstd files + " + ("ripgrep" if shutil.which("rg") else "grep")

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir()

    def ingest(self, events: Path) -> dict[str, float]:
        """Write all events, synced after each file: rates in events/s, sizes in MB."""
        began, cpu, count = time.monotonic(), time.process_time(), 0
        hour, file, packer = -1, None, None
        for event in read(events):
            if event.at // HOUR != hour:
                self._end(file, packer)
                hour = event.at // HOUR
                file = (self.directory / f"{hour}.zst").open("wb")
                packer = zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False)
            assert packer
            packer.write(event.body + b"\n")
            count += 1
        self._end(file, packer)
        took = time.monotonic() - began
        spent = time.process_time() - cpu
        return {"ingest_per_s": count / took, "disk_mb": size(self.directory) / 1e6, "ingest_cpu_s": spent}

    def ask(self, truth: Truth) -> dict[str, float]:
        """Compare counts with the truth, then measure: milliseconds, medians."""
        newest = sorted(self.directory.iterdir(), reverse=True)
        one = [self.directory / f"{asked_hour()}.zst"]
        questions: dict[str, tuple[Callable[[], int], int]] = {
            "rare_word": (lambda: self._lines(newest, RARE, 100), min(truth.rare, 100)),
            "host_hour": (lambda: self._lines(one, f'"host":"web-{HOST}"', 1000), min(truth.host_hour, 1000)),
            "word_count": (lambda: self._lines(newest, f" {WORD} ", 1 << 40), truth.word),
        }
        measured = {}
        for name, (question, wanted) in questions.items():
            times = []
            for _ in rounds():
                began = time.perf_counter()
                answer = question()
                times.append((time.perf_counter() - began) * 1e3)
                assert answer == wanted, f"{self.name}, {name}: {answer} is not {wanted}"
            measured[f"{name}_ms"] = statistics.median(times)
        return measured

    def memory(self) -> float:
        """The largest resident size of a program that was run, in MB."""
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e3

    def stop(self) -> None:
        """Nothing runs."""

    def _lines(self, files: list[Path], text: str, most: int) -> int:
        """How many lines have a text, up to a number."""
        found = 0
        for file in files:
            look = ["rg", "-F", text] if shutil.which("rg") else ["grep", "-F", text]
            unpack = subprocess.Popen(["zstd", "-dcq", file], stdout=subprocess.PIPE)
            seen = subprocess.run(look, stdin=unpack.stdout, capture_output=True, check=False)
            unpack.wait()
            found += seen.stdout.count(b"\n")
            if found >= most:
                return most
        return found

    @staticmethod
    def _end(file: IO[bytes] | None, packer: zstandard.ZstdCompressionWriter | None) -> None:
        if file and packer:
            packer.close()  # type: ignore[no-untyped-call]
            file.flush()
            os.fsync(file.fileno())
            file.close()
