"""Workers that do not wait for the disk, and stores whose trees are spread over it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bluestone.image.spread import spread
from bluestone.image.unsynced import ALLOW, ANSWER_NOUGHT, MACHINES, Machine, instructions

EVERY = [number for machine in MACHINES.values() for number in machine.calls]


@pytest.mark.parametrize("machine", MACHINES.values(), ids=MACHINES)
def test_the_filter_answers_what_waits_for_the_disk_and_nothing_else(machine: Machine) -> None:
    for number in {0, 1, 306, *EVERY}:
        expected = ANSWER_NOUGHT if number in machine.calls else ALLOW
        assert decide(machine, number, machine.audit) == expected
        # Where programs of another architecture run, the same numbers mean other things.
        assert decide(machine, number, 0x40000003) == ALLOW


def decide(machine: Machine, number: int, architecture: int) -> int:
    """What the filter says of a call."""
    rows, place, loaded = instructions(machine), 0, 0
    while True:
        code, yes, no, value = rows[place]
        place += 1
        if code == 0x20:
            loaded = {0: number, 4: architecture}[value]
        elif code == 0x15:
            place += yes if loaded == value else no
        else:
            return value


def test_a_process_that_began_is_not_kept_waiting_and_others_are() -> None:
    code = """
import os
from bluestone.image.unsynced import leave_unsynced
pipe, _ = os.pipe()
def refused():
    try:
        os.fsync(pipe)
    except OSError:
        return True
before = refused()
print(leave_unsynced(), before, refused())
"""
    command = ["unshare", "--map-root-user", sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    if "unshare" in done.stderr:
        pytest.skip("machine: there are no user namespaces")
    # A pipe cannot be flushed: the kernel says so, where it is asked.
    assert done.stdout.split() == ["True", "True", "None"]


def test_a_directory_is_spread_where_the_file_system_knows_how(tmp_path: Path) -> None:
    spread(tmp_path)
    spread(tmp_path)  # A second time changes nothing.
    kind = subprocess.run(["stat", "-f", "-c", "%T", tmp_path], capture_output=True, text=True, check=True).stdout
    if kind.strip() == "ext2/ext3":
        flags = subprocess.run(["lsattr", "-d", tmp_path], capture_output=True, text=True, check=True).stdout
        assert "T" in flags.split()[0]


def test_a_directory_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        spread(tmp_path / "none")
