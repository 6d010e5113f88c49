"""What a user meets on a bad day. In every case: a clear error or a healed fleet, and no service lost."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest

from machine import Machine, until

pytestmark = pytest.mark.e2e


@pytest.fixture
def running(machine: Machine) -> Machine:
    machine.run("up")
    return machine


def names(machine: Machine) -> set[str]:
    return {str(server["name"]) for server in machine.servers()}


def container_of(machine: Machine, server: str) -> str:
    return f"bluestone-{machine.project}.{server}"


def test_an_image_that_never_gets_healthy_stops_and_the_old_serves_on(running: Machine) -> None:
    before = names(running)
    # Long enough for a server to boot and say something, also beside another lane of tests.
    running.set('"60s"', '"6s"')
    running.set('health = "/health"', 'health = "/nothing-there"')
    running.page("the bad one")
    said = running.run("up", expect=1)
    assert "was not healthy within 6 s: it answers with " in said
    assert "last lines of" in said
    assert re.search(r"\|  .*GET /nothing-there", said), "the failing server's own log lines"
    assert "Stopped target" not in said, "what it said on being destroyed explains nothing"
    assert "still serves" in said
    assert names(running) == before
    assert "Unchanging over time" in running.get()
    status = running.run("status")
    assert "returned" in status
    assert "generation 2 failed" in status
    assert "3/3" in status


def test_a_unit_that_fails_at_boot_stops_the_rollout(running: Machine) -> None:
    before = names(running)
    running.set('"60s"', '"4s"')
    running.set('run = ["nginx -t"]', 'run = ["rm -r /usr/share/nginx /etc/nginx/mime.types"]')
    said = running.run("up", expect=1)
    assert "mime.types" in said, "nginx's own complaint"
    assert names(running) == before


def test_kill_9_in_the_middle_and_up_again_finishes_the_work(running: Machine) -> None:
    before = names(running)
    for delay in (0.3, 0.9, 1.6):
        running.page(f"delayed {delay}")
        running.run("build")
        process = running.popen("up")
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        assert "<h1>" in running.get(), "it serves at every moment"
    running.run("up")
    assert running.get().startswith("<h1>delayed 1.6")
    after = names(running)
    assert len(after) == 3
    assert not after & before
    listed = subprocess.run(
        ["podman", "ps", "-a", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
    ).stdout
    assert listed.count(running.project) == 3, "nothing half-made is left"
    used = re.findall(r"server\.create +(\S+)", running.run("events", "-n", "100000"))
    assert len(used) == len(set(used)), "no name was used twice"
    assert "whole: " in running.run("events", "--verify")


def test_ctrl_c_says_how_to_go_on(running: Machine) -> None:
    running.page("interrupted")
    running.run("build")
    process = running.popen("up")
    _wait_for_rollout(process)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, out + err
    assert "run the same again" in err
    assert "Traceback" not in err
    running.run("up")
    assert "interrupted" in running.get()


def _wait_for_rollout(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    while "rollout started" not in (said := process.stdout.readline()):
        assert said, "it ended without a rollout"


def test_two_at_once_the_second_says_who_holds_the_lock(running: Machine) -> None:
    running.page("twice")
    running.set('progress = "60s"', 'progress = "60s"\nmin_ready = "5s"')  # so that the first is still at it
    running.run("build")
    first = running.popen("up")
    _wait_for_rollout(first)
    refused = running.run("up", expect=1)
    assert f"process {first.pid} " in refused
    assert "mend: wait until it has ended" in refused
    out, err = first.communicate(timeout=120)
    assert first.returncode == 0, out + err
    assert "twice" in running.get()


def test_servers_killed_while_idle_are_replaced_by_the_next_up(running: Machine) -> None:
    victim = sorted(names(running))[0]
    subprocess.run(["podman", "kill", container_of(running, victim)], check=True, capture_output=True)
    until(lambda: "dead" in {str(s["stance"]) for s in running.servers()}, "the death is seen")
    assert json.loads(running.run("status", "--json"))["groups"][0]["serving"] == 2
    until(lambda: _always_answers(running), "the balancer leaves it out")
    said = running.run("up")
    assert f"died       {victim}" in said
    assert victim not in names(running)
    assert [s["stance"] for s in running.servers()] == ["serving"] * 3


def _always_answers(machine: Machine) -> bool:
    """Whether the page is there however the balancer shares requests out among three servers."""
    try:
        return all("<h1>Unchanging" in machine.get() for _ in range(6))
    except OSError:
        return False


def test_a_new_server_killed_in_the_middle_of_a_rollout_is_made_again(running: Machine) -> None:
    before = names(running)
    running.page("killed in the middle")
    running.run("build")
    process = running.popen("up")
    until(lambda: bool(_new_containers(before, running)), "a new container", 20)
    subprocess.run(["podman", "kill", _new_containers(before, running)[0]], check=False, capture_output=True)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "killed in the middle" in running.get()
    assert len(running.servers()) == 3


def _new_containers(before: set[str], machine: Machine) -> list[str]:
    listed = subprocess.run(["podman", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True)
    mine = [name for name in listed.stdout.split() if machine.project in name]
    return [name for name in mine if not any(name.endswith(old) for old in before)]


def test_haproxy_killed_in_the_middle_of_a_rollout_is_started_again(running: Machine) -> None:
    running.page("without a balancer")
    running.run("build")
    process = running.popen("up")
    time.sleep(0.5)
    mine = [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_haproxy_of(entry, running.project)
    ]
    assert mine, "HAProxy runs"
    for pid in mine:
        with suppress(ProcessLookupError):  # a worker ends with its master
            os.kill(pid, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, out + err
    assert "without a balancer" in running.get()


def _is_haproxy_of(process: Path, project: str) -> bool:
    try:
        command = (process / "cmdline").read_bytes()
    except OSError:
        return False
    return command.startswith(b"haproxy") and project.encode() in command


def test_a_port_in_use_is_named_and_nothing_is_started(machine: Machine) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", machine.port))
        taken.listen()
        said = machine.run("up", expect=1)
    assert str(machine.port) in said
    assert "servers.web.ports" in said
    assert machine.servers() == []
    assert "balancer does not run, log receiver does not run" in machine.run("status")
    machine.run("up")


def test_a_package_that_does_not_exist_is_named(machine: Machine) -> None:
    machine.set('"nginx-light"]', '"nginx-lihgt"]')
    said = machine.run("up", expect=1)
    assert "nginx-lihgt" in said
    assert "mend:" in said


def test_an_archive_out_of_reach_is_named_and_what_is_locked_needs_none(machine: Machine) -> None:
    machine.run("build")
    machine.set(
        'base = "debian:trixie"',
        'base = { distribution = "debian", suite = "trixie", archive = "http://127.0.0.1:9/debian" }',
    )
    machine.page("built without an archive")
    assert "other contents of: image.files" in machine.run("build", "--locked", expect=1)
    machine.run("build")
    machine.run("build", "--locked")
    lock = machine.directory / "bluestone.lock"
    before = lock.read_bytes()
    said = machine.run("lock", "--upgrade", expect=1)
    assert "127.0.0.1:9" in said
    assert "mend:" in said
    assert lock.read_bytes() == before


def test_pins_follow_the_declaration_and_only_when_asked(machine: Machine) -> None:
    lock = machine.directory / "bluestone.lock"
    machine.run("lock", "--check")
    machine.set('packages = ["nginx-light"]', 'packages = ["nginx-light", "zstd"]')
    for verb in ("plan", "build", "up"):
        said = machine.run(verb, expect=1)
        assert "bluestone.lock and bluestone.toml disagree" in said
        assert "lacks packages that are asked for: zstd" in said
    before = lock.read_bytes()
    assert "+ added      zstd" in machine.run("lock", "--check", expect=2)
    assert lock.read_bytes() == before
    assert "1 added\nwrote bluestone.lock" in machine.run("lock")
    old, new = (tomllib.loads(text.decode())["package"] for text in (before, lock.read_bytes()))
    assert [each for each in new if each["name"] != "zstd"] == old, "no other pin has moved"
    lock.write_text(lock.read_text().replace('name = "zstd"', 'name = "zst"'))
    said = machine.run("plan", expect=1)
    assert "was edited by hand" in said
    assert "--> bluestone.lock:" in said
    lock.unlink()
    assert "there is no bluestone.lock" in machine.run("build", "--locked", expect=1)
    assert "* lock    the packages" in machine.run("plan", expect=2)
    assert not lock.exists()


def test_a_hook_that_fails_shows_its_last_words(machine: Machine) -> None:
    machine.set('run = ["nginx -t"]', 'run = ["echo this is why >&2; exit 3"]')
    said = machine.run("build", expect=1)
    assert "this is why" in said
    assert "exit 3" in said


@pytest.mark.parametrize("tool", ["podman", "haproxy"])
def test_a_missing_tool_is_named_with_the_command_that_installs_it(machine: Machine, tool: str, tmp_path: Path) -> None:
    some = tmp_path / "bin"
    some.mkdir()
    for directory in ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"):
        if not Path(directory).is_dir():
            continue
        for program in Path(directory).iterdir():
            target = some / program.name
            if program.name != tool and not target.exists() and not target.is_symlink():
                target.symlink_to(program)
    machine.environment["PATH"] = str(some)
    machine.environment["BLUESTONE_HOME"] = str(tmp_path / "h")
    said = machine.run("up", expect=1)
    assert f"{tool} is not installed" in said
    assert f"apt-get install --no-install-recommends {tool}" in said
    shutil.rmtree(tmp_path / "h", ignore_errors=True)


def test_a_full_disk_is_a_clear_error_and_the_old_serves_on(running: Machine, tmp_path: Path) -> None:
    """The project's journal sits on a file system of its own, which is filled."""
    state = running.home / "projects" / running.project
    before = names(running)
    running.page("no room")
    running.run("build")
    copy = tmp_path / "copy"
    shutil.copytree(state, copy)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "none", str(state)], check=False)
    if mounted.returncode:
        pytest.skip("machine: no file system can be mounted here")
    try:
        shutil.copytree(copy, state, dirs_exist_ok=True)
        filler = state / "filler"
        _fill(filler)
        said = running.run("up", expect=1)
        assert re.search("full|space", said), said
        assert "mend:" in said
        assert "Unchanging" in running.get()
        filler.unlink()
        running.run("up")
        assert "no room" in running.get()
        assert not names(running) & before
        running.run("down")
    finally:
        subprocess.run(["umount", "-l", str(state)], check=True)


def _fill(path: Path) -> None:
    """Write until there is no room for a single byte more."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    try:
        for size in (65536, 4096, 512, 1):
            while True:
                try:
                    os.write(descriptor, b"x" * size)
                except OSError as error:
                    assert error.errno == errno.ENOSPC
                    break
    finally:
        os.close(descriptor)
