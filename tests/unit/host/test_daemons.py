import os
import sys
from pathlib import Path

import pytest

from bluestone.host.daemons import Daemon, started_at
from bluestone.model.problem import Problem

SLEEPER = [sys.executable, "-c", "import time; print('here', flush=True); time.sleep(60)"]
DEAF = "import signal, time; signal.signal(15, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)"
STUBBORN = [sys.executable, "-c", DEAF]


@pytest.fixture
def daemon(tmp_path: Path) -> Daemon:
    return Daemon("sleeper", tmp_path / "pid", tmp_path / "output")


def wait_for_output(daemon: Daemon, text: str) -> None:
    import time

    end = time.monotonic() + 20
    while text not in daemon.last_words():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_it_is_found_again_by_its_pid_file_and_ended(daemon: Daemon) -> None:
    pid = daemon.start(SLEEPER)
    try:
        assert Daemon("sleeper", daemon.pid_file, daemon.output).pid() == pid
        wait_for_output(daemon, "here")
    finally:
        daemon.stop()
    assert daemon.pid() is None
    assert started_at(pid) is None
    daemon.stop()


def test_one_that_does_not_listen_is_ended_all_the_same(daemon: Daemon) -> None:
    daemon.start(STUBBORN)
    wait_for_output(daemon, "deaf")
    daemon.stop(grace=0.1)
    assert daemon.pid() is None


def test_a_stranger_with_the_same_id_is_never_taken_for_it(daemon: Daemon) -> None:
    daemon.pid_file.write_text(f"{os.getpid()} 1\n")
    assert daemon.pid() is None
    daemon.stop()
    assert started_at(os.getpid()) is not None


@pytest.mark.parametrize("text", ["", "x", "12", "-1 5", "1\x00 2"])
def test_a_spoilt_pid_file_names_nobody(daemon: Daemon, text: str) -> None:
    daemon.pid_file.write_text(text)
    assert daemon.pid() is None


def test_a_program_that_is_not_there_is_a_problem(daemon: Daemon) -> None:
    with pytest.raises(Problem, match="not installed"):
        daemon.start(["no-such-program-here"])
