"""Lines in files that are compressed with zstd, one for each hour, looked through with ripgrep (or grep).

What most people have without a log store; measured where VictoriaLogs cannot be built. It counts nothing by itself.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO

import zstandard

from bench.logs.events import RARE, Event
from bench.logs.ours import size
from bench.logs.truth import HOST, HOUR, WORD, Truth, asked_hour


class Files:
    """A directory of such files."""

    name = "zstd files + " + ("ripgrep" if shutil.which("rg") else "grep")

    def __init__(self, directory: Path, truth: Truth) -> None:
        self.directory, self.seconds, self._spent, self._truth = directory, 0.0, 0.0, truth
        self._hour = -1
        self._file: IO[bytes] | None = None
        self._packer: zstandard.ZstdCompressionWriter | None = None
        directory.mkdir()

    def batches(self, events: Sequence[Event]) -> Sequence[Event]:
        """As they are."""
        return events

    def take(self, batches: Sequence[Event]) -> None:
        """Write them, synced after each file."""
        cpu = time.process_time()
        for event in batches:
            if event.at // HOUR != self._hour:
                self._end()
                self._hour = event.at // HOUR
                self._file = (self.directory / f"{self._hour}.zst").open("wb")
                self._packer = zstandard.ZstdCompressor(level=9).stream_writer(self._file, closefd=False)
            assert self._packer
            self._packer.write(event.body + b"\n")
        self._spent += time.process_time() - cpu

    def processes(self) -> list[int]:
        """None: it is written by this one."""
        return []

    def finish(self, events: int) -> dict[str, float]:
        """End the last file: rates in events/s, sizes in MB."""
        self._end()
        rate = events / self.seconds
        return {"ingest_per_s": rate, "disk_mb": size(self.directory) / 1e6, "ingest_cpu_s": self._spent}

    def questions(self) -> dict[str, Callable[[], None]]:
        """What asks it."""
        truth = self._truth
        newest = sorted(self.directory.iterdir(), reverse=True)
        one = [self.directory / f"{asked_hour()}.zst"]
        return {
            "rare_word": lambda: self._ask(newest, RARE, 100, min(truth.rare, 100)),
            "host_hour": lambda: self._ask(one, f'"host":"web-{HOST}"', 1000, min(truth.host_hour, 1000)),
            "word_count": lambda: self._ask(newest, f" {WORD} ", 1 << 40, truth.word),
        }

    def cpu(self) -> float:
        """Of programs that were run."""
        ran = os.times()
        return ran.children_user + ran.children_system

    def _ask(self, files: list[Path], text: str, most: int, wanted: int) -> None:
        answer = self._lines(files, text, most)
        assert answer == wanted, f"{self.name}, {text}: {answer} is not {wanted}"

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

    def _end(self) -> None:
        if self._file and self._packer:
            self._packer.close()  # type: ignore[no-untyped-call]
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
