"""bluestone's command line on this machine, as a person uses it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import tomllib
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

EXAMPLE = Path(__file__).parents[2] / "examples" / "web"


@dataclass
class Machine:
    """bluestone's command line with a home of its own."""

    home: Path
    directory: Path
    port: int
    environment: dict[str, str] = field(default_factory=dict)

    @property
    def declaration(self) -> Path:
        return self.directory / "bluestone.toml"

    @property
    def project(self) -> str:
        return str(tomllib.loads(self.declaration.read_text())["project"])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def popen(self, *arguments: str, stderr: int | IO[str] = subprocess.PIPE) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from bluestone.cli.main import main; main()", *arguments],
            cwd=self.directory,
            env=os.environ | {"BLUESTONE_HOME": str(self.home)} | self.environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            # A shell that starts the tests in the background has them, and so their children, ignore Ctrl-C.
            preexec_fn=_heed_interrupts,
        )

    def run(self, *arguments: str, expect: int = 0, timeout: float = 300) -> str:
        """Run a verb to its end; return all that it printed."""
        process = self.popen(*arguments)
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{arguments} did not end:\n{out}\n{err}") from None
        assert process.returncode == expect, f"{arguments} exited {process.returncode}:\n{out}\n{err}"
        return out + err

    def servers(self) -> list[dict[str, object]]:
        found: list[dict[str, object]] = json.loads(self.run("servers", "--json"))
        return found

    def set(self, old: str, new: str) -> None:
        text = self.declaration.read_text()
        assert old in text
        self.declaration.write_text(text.replace(old, new))

    def page(self, title: str) -> None:
        (self.directory / "site" / "index.html").write_text(f"<h1>{title}</h1>\n")

    def get(self, path: str = "") -> str:
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return str(answer.read().decode())


def _heed_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def until(true: Callable[[], bool], what: str, seconds: float = 30) -> None:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s in vain: {what}"
        time.sleep(0.05)
