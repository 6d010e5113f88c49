import os
import subprocess
import sys
from pathlib import Path

import pytest

from bluestone.fleet.controller.lock import hold
from bluestone.model.problem import Problem

HOLDER = """
import sys, time
from pathlib import Path
from bluestone.fleet.controller.lock import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path), pytest.raises(Problem, match=f"process {os.getpid()} ") as refused, hold(path):
        pass
    assert "since" in refused.value.what


def test_it_ends_with_its_holder_even_by_kill_9(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(path)], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(Problem, match=f"process {holder.pid} "), hold(path):
        pass
    holder.kill()
    holder.wait()
    with hold(path):
        pass


def test_a_child_of_the_holder_does_not_keep_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with hold(path):
        child = subprocess.Popen(["sleep", "60"])
    try:
        with hold(path):
            pass
    finally:
        child.kill()
        child.wait()
