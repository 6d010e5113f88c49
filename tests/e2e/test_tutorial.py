"""The tutorial's commands, word by word, in a copy of the repository; what it shows is what comes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial" / "first-servers.md"


def steps(text: str) -> Iterator[tuple[str, list[str]]]:
    """Commands of the console blocks, each with the lines that it shows."""
    for block in re.findall(r"^```console\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        command: str | None = None
        shown: list[str] = []
        for line in block.splitlines():
            if line.startswith("$ "):
                if command is not None:
                    yield command, shown
                command, shown = line[2:], []
            else:
                shown.append(line)
        if command is not None:
            yield command, shown


def pattern(shown: list[str]) -> re.Pattern[str]:
    """`...` alone on a line stands for any lines, within a line for any text and the spaces beside it."""
    parts = []
    for line in shown:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            words = [
                re.escape(word.strip()) if index else re.escape(word.rstrip())
                for index, word in enumerate(line.split("..."))
            ]
            parts.append(r"[^\n]*?".join(words) + r"[^\n\S]*\n")
    return re.compile("".join(parts))


def test_the_pattern_can_fail() -> None:
    assert pattern(["a ... c", "...", "end"]).fullmatch("a bb c\nx\ny\nend\n")
    assert not pattern(["a ... c"]).fullmatch("a bb d\n")
    assert not pattern(["a"]).fullmatch("a\nb\n")


def test_the_tutorial_word_by_word(tmp_path: Path, shared_home: Path) -> None:
    with_port_8080_free()
    directory = tmp_path / "web"
    shutil.copytree(ROOT / "examples" / "web", directory)
    home = shared_home / "tutorial"
    # The tutorial begins without an image; that its packages need not be fetched again changes nothing it shows.
    (home / "images").mkdir(parents=True)
    for shared in ("stages", "packages"):
        (shared_home / "images" / shared).mkdir(parents=True, exist_ok=True)
        (home / "images" / shared).symlink_to(shared_home / "images" / shared)
    programs = tmp_path / "bin"
    programs.mkdir()
    command = programs / "bluestone"
    command.write_text(f"#!/bin/sh\nexec {sys.executable} -c 'from bluestone.cli.main import main; main()' \"$@\"\n")
    command.chmod(0o755)
    environment = os.environ | {"BLUESTONE_HOME": str(home), "PATH": f"{programs}:{os.environ['PATH']}"}
    done = 0
    try:
        for line, shown in steps(TUTORIAL.read_text()):
            ran = subprocess.run(
                ["bash", "-c", line],
                cwd=directory,
                env=environment,
                capture_output=True,
                text=True,
                timeout=300,
            )
            said = ran.stdout + ran.stderr
            assert ran.returncode == 0, f"$ {line}\n{said}"
            if shown:
                assert pattern(shown).fullmatch(said), f"$ {line}\nshown:\n" + "\n".join(shown) + f"\nsaid:\n{said}"
            done += 1
    finally:
        subprocess.run([str(command), "down"], cwd=directory, env=environment, check=True, capture_output=True)
        shutil.rmtree(home, ignore_errors=True)
    assert done >= 20


def with_port_8080_free() -> None:
    import socket

    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 8080)) == 0:
            pytest.skip("machine: something listens on port 8080, which the tutorial uses")
