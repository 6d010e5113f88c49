import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bluestone.image import sandbox
from bluestone.image.child import TAIL, follow
from bluestone.image.sandbox import enclosed, inside, require_namespaces, subordinate_ids
from bluestone.model.problem import MissingTool, Problem


def test_an_enclosed_command_dies_with_us_and_has_its_own_mounts_and_processes() -> None:
    as_root = enclosed(["mmdebstrap", "x y"], root=True)
    assert as_root[:4] == ["setpriv", "--pdeathsig", "KILL", "--"]
    assert {"--pid", "--mount", "--kill-child"} <= set(as_root)
    assert as_root[-2:] == ["mmdebstrap", "x y"]
    assert "--map-root-user" not in as_root
    assert {"--map-root-user", "--map-auto"} <= set(enclosed(["x"], root=False))


def test_a_command_inside_has_no_network_no_outside_and_few_capabilities() -> None:
    command = inside(Path("/tree"), ["sh", "-eu", "-c", "echo $HOME; 'quoted'"], {"EXTRA": "1"})
    assert {"--net", "--pid", "--mount", "--ipc", "--uts", "--kill-child"} <= set(command)
    assert command[-4:] == ["sh", "-eu", "-c", "echo $HOME; 'quoted'"]
    assert "EXTRA=1" in command
    bounds = next(word for word in command if word.startswith("--bounding-set="))
    assert bounds.startswith("--bounding-set=-all,")
    for way_out in ("sys_admin", "sys_chroot", "mknod", "sys_ptrace", "sys_module", "dac_read_search"):
        assert way_out not in bounds
    mounts = [line.split() for line in sandbox.MOUNTS.read_text().splitlines() if not line.startswith("#")]
    proc = next(options for _, place, _, options in mounts if place == "/proc")
    assert "ro" in proc.split(",")


def test_the_environment_inside_is_ours_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    command = inside(Path("/tree"), ["true"])
    assert command[command.index("/usr/bin/env") + 1] == "-i"
    assert not any("SECRET" in word for word in command)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ann:100000:65536\nbob:165536:1000\n", 1000),
        ("1234:100000:65536\n", 65536),
        ("bobby:1:2\n", 0),
        ("bob:1:many\n", 0),
        ("", 0),
    ],
)
def test_subordinate_ids_are_found_by_name_or_number(text: str, expected: int) -> None:
    assert subordinate_ids(text, "bob", 1234) == expected


def test_a_user_without_subordinate_ids_is_told_the_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "subuid").write_text("someone:1:65536\n")
    monkeypatch.setattr(sandbox, "SUBORDINATE", (tmp_path / "subuid",))
    monkeypatch.setattr(sandbox, "require", lambda tool: tool)
    monkeypatch.setattr(os, "geteuid", lambda: 4711)
    with pytest.raises(Problem) as raised:
        require_namespaces()
    assert "subuid" in raised.value.what
    assert "usermod --add-subuids" in raised.value.mend


def test_missing_namespace_tools_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(MissingTool, match="setpriv"):
        require_namespaces()


def test_every_line_is_heard_and_the_last_ones_are_kept() -> None:
    heard: list[str] = []
    ending = follow(["sh", "-c", "cat; seq 1 300 >&2; exit 7"], heard.append, timeout=30, stdin=b"first\n")
    assert ending.status == 7
    assert heard == ["first", *map(str, range(1, 301))]
    assert len(ending.tail) == TAIL
    assert ending.quoted(2) == "\n     299\n     300"


def test_a_command_that_takes_too_long_is_ended() -> None:
    ending = follow(["sh", "-c", "echo began; exec sleep 60"], timeout=0.5)
    assert ending.status is None
    assert ending.tail == ("began",)


def test_input_that_nobody_reads_is_no_error() -> None:
    assert follow(["true"], timeout=30, stdin=b"x" * 1_000_000).status == 0


def test_a_line_without_end_is_cut_up() -> None:
    heard: list[str] = []
    follow(["head", "-c", "200000", "/dev/zero"], heard.append, timeout=30)
    assert sum(map(len, heard)) == 200000
    assert len(heard) > 1


def test_an_exception_ends_the_command(tmp_path: Path) -> None:
    def interrupted(line: str) -> None:
        (tmp_path / "pid").write_text(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        follow(["sh", "-c", "echo $$; exec sleep 60"], interrupted, timeout=30)
    assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="machine: namespaces without a user namespace need root")
def test_what_was_enclosed_dies_when_its_caller_is_killed() -> None:
    """A caller that is killed cannot clean up: the kernel has to."""
    marker = f"4711.{os.getpid()}"
    code = (
        "import subprocess; from bluestone.image.sandbox import enclosed;"
        f"subprocess.run(enclosed(['sh', '-c', 'echo up; sleep {marker} & sleep {marker}; true']))"
    )
    caller = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert caller.stdout is not None
    try:
        if caller.stdout.readline() != b"up\n":
            pytest.skip("machine: no namespaces can be made here")
        _wait_until(lambda: len(_processes(marker)) == 2, "both processes run")
    finally:
        caller.send_signal(signal.SIGKILL)
        caller.communicate()
    _wait_until(lambda: not _processes(marker), "they die with their caller")


def _wait_until(true: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _processes(marker: str) -> list[str]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if command.split(b"\0")[:2] == [b"sleep", marker.encode()]:
            found.append(entry.name)
    return found
