"""What HAProxy answers, read strictly: real answers of HAProxy 2.6, and what is left when they are cut."""

from __future__ import annotations

import contextlib
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.balancer import Service
from bluestone.fleet.balancers.haproxy.observation import put_together
from bluestone.fleet.balancers.haproxy.roster import Enrolment, Roster
from bluestone.fleet.balancers.haproxy.runtime import (
    CURRENT,
    Entry,
    NotRunning,
    Runtime,
    Statistics,
    Unsettled,
    parse_description,
    parse_failures,
    parse_replaced_workers,
    parse_session_ids,
    parse_sessions,
    parse_states,
)
from bluestone.model.group import Health, Port
from bluestone.model.inventory import Backend
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint

STATES = """1
# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight \
srv_time_since_last_change srv_check_status srv_check_result srv_check_health srv_check_state \
srv_agent_state bk_f_forced_id srv_f_forced_id srv_fqdn srv_port srvrecord srv_use_ssl srv_check_port \
srv_check_addr srv_agent_addr srv_agent_port
2 web.127.0.0.1:18080 1 st-1 127.0.0.5 2 0 1 1 31 15 3 4 6 0 0 0 - 9001 - 0 0 - - 0
2 web.127.0.0.1:18080 2 dy-1 127.0.0.6 2 8 1 1 0 1 0 2 6 0 0 0 - 9001 - 0 0 - - 0
2 web.127.0.0.1:18080 3 dy-2 127.0.0.7 0 8 1 1 1 8 2 0 6 0 0 0 - 9001 - 0 0 - - 0
2 web.127.0.0.1:18080 4 dy-3 ::1 0 1 1 1 28 1 0 0 2 0 0 0 - 9001 - 0 0 - - 0

"""
STAT = """# pxname,svname,qcur,qmax,scur,smax,slim,stot,desc,
web.127.0.0.1:18080,st-1,0,0,2,2,,17,"a ""quoted"", text",
web.127.0.0.1:18080,dy-1,0,0,0,0,,0,,

"""
PROC = """#<PID>          <type>          <reloads>       <uptime>        <version>      
15917           master          2 [failed: 0]   0d00h00m33s     2.6.12-1+deb12u4
# workers
16896           worker          0               0d00h00m02s     2.6.12-1+deb12u4
# old workers
16691           worker          1               0d00h00m03s     2.6.12-1+deb12u4
16600           worker          2               0d00h00m09s     2.6.12-1+deb12u4
# programs

"""  # noqa: W291 - as HAProxy pads it


def test_states_say_who_is_attached_asleep_running_and_checked() -> None:
    proxy = "web.127.0.0.1:18080"
    assert parse_states(STATES) == (
        Entry(proxy, "st-1", attached=True, asleep=False, running=True, checked=True, failing=False),
        Entry(proxy, "dy-1", attached=False, asleep=False, running=True, checked=False, failing=False),
        Entry(proxy, "dy-2", attached=False, asleep=False, running=False, checked=True, failing=True),
        Entry(proxy, "dy-3", attached=False, asleep=True, running=False, checked=False, failing=False),
    )


def test_a_server_that_haproxy_holds_for_healthy_unasked_is_not_up() -> None:
    assert [entry.up for entry in parse_states(STATES)] == [True, False, False, False]


def test_sessions_are_read_by_the_name_of_their_column() -> None:
    proxy = "web.127.0.0.1:18080"
    assert parse_sessions(STAT) == {(proxy, "st-1"): 2, (proxy, "dy-1"): 0}


def test_replaced_workers_are_told_from_the_others() -> None:
    assert parse_replaced_workers(PROC) == (16691, 16600)


def test_the_description_is_found() -> None:
    assert parse_description("Name: HAProxy\ndescription: abc\nStopping: 0\n\n") == "abc"


@pytest.mark.parametrize("answer", ["", "\n", "Permission denied\n\n", "2\n# be_id\n\n"])
def test_an_unexpected_answer_is_a_problem_and_never_an_empty_list(answer: str) -> None:
    for parse in (parse_states, parse_sessions, parse_replaced_workers, parse_description):
        with pytest.raises(Problem):
            parse(answer)


@pytest.mark.parametrize("column", ["srv_op_state", "srv_admin_state", "srv_check_status"])
def test_a_state_that_is_no_number_is_a_problem(column: str) -> None:
    header = STATES.splitlines()[1][2:].split(" ")
    row = STATES.splitlines()[2].split(" ")
    row[header.index(column)] = "x"
    with pytest.raises(Problem, match=column):
        parse_states("\n".join([*STATES.splitlines()[:2], " ".join(row)]))


@given(st.integers(0, len(STAT) - 1))
def test_a_cut_listing_gives_every_server_or_a_problem(length: int) -> None:
    whole = parse_sessions(STAT)
    with answering(STAT[:length].encode()) as runtime, pytest.raises(Problem):
        assert runtime.sessions(CURRENT) == whole


@given(st.text())
def test_any_text_is_parsed_or_a_problem(text: str) -> None:
    for parse in (parse_states, parse_sessions, parse_replaced_workers, parse_description):
        with contextlib.suppress(Problem):
            parse(text)


@contextmanager
def answering(answer: bytes) -> Iterator[Runtime]:
    """A runtime API that gives one and the same answer to everything."""
    with tempfile.TemporaryDirectory() as directory, socket.socket(socket.AF_UNIX) as listener:
        path = Path(directory) / "s"
        listener.bind(str(path))
        listener.listen()

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    channel, _ = listener.accept()
                    with channel:
                        while channel.recv(4096):
                            pass
                        channel.sendall(answer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield Runtime(path, timeout=2)
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(2)


def test_an_answer_that_was_not_expected_is_quoted() -> None:
    with answering(b"No such server.\n\n") as runtime, pytest.raises(Problem, match="No such server"):
        runtime.set_state("web.127.0.0.1:80", "web-0", "ready")


def test_the_sessions_of_a_server_are_found_by_its_whole_name() -> None:
    line = "{}: proto=tcpv4 src=127.0.0.1:5 fe=web.127.0.0.1:80 be=web.127.0.0.1:80 srv={} ts=00 age=1s calls=2"
    lines = [line.format("0x55d0", "web-1"), line.format("0x55d1", "web-11"), line.format("0x55d2", "<none>")]
    assert parse_session_ids("\n".join(lines), "web-1") == ("0x55d0",)
    assert parse_session_ids("\n\n", "web-1") == ()
    with pytest.raises(Problem, match="Permission"):
        parse_session_ids("Permission denied\n", "web-1")


def test_a_server_with_connections_is_not_deleted_yet() -> None:
    with answering(b"Server still has connections attached to it, cannot remove it.\n\n") as runtime:
        assert not runtime.delete("p", "s")
    with answering(b"Server deleted.\n") as runtime:
        assert runtime.delete("p", "s")
    with answering(b"Permission denied\n") as runtime, pytest.raises(Problem, match="Permission denied"):
        runtime.delete("p", "s")


def test_a_missing_worker_is_a_moment_to_wait_out() -> None:
    with (
        answering(b"Can't find the target PID matching the prefix '@1'\n") as runtime,
        pytest.raises(Unsettled),
    ):
        runtime.description()


def test_nobody_there_is_told_from_no_answer(tmp_path: Path) -> None:
    with pytest.raises(NotRunning):
        Runtime(tmp_path / "none").ask("show info")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "s"))
        listener.listen()
        with pytest.raises(Problem, match="did not answer") as caught:
            Runtime(tmp_path / "s", timeout=0.05).ask("show info")
    assert not isinstance(caught.value, NotRunning | Unsettled)


@pytest.mark.parametrize("command", ["show info; shutdown", "show info\nshow stat", "show\x00info"])
def test_one_command_is_one_command(tmp_path: Path, command: str) -> None:
    with pytest.raises(Problem, match="not one command"):
        Runtime(tmp_path / "s").ask(command)


# ---- put together ---------------------------------------------------------------------------------------

TWO_PORTS = Service("web", (Port(1, 80), Port(2, 81)), Health())
ROSTER = Roster((TWO_PORTS,), {"s": Enrolment("web", "s", Endpoint("10.0.0.1", {80: 80, 81: 81}))})
FIRST, SECOND = "web.127.0.0.1:1", "web.127.0.0.1:2"


def entry(
    proxy: str, *, attached: bool = True, running: bool = True, checked: bool = True, failing: bool = False
) -> Entry:
    return Entry(proxy, "s", attached, False, running, checked, failing)


def seen(*entries: Entry, roster: Roster = ROSTER, sessions: tuple[int, int] = (0, 0), old: int = 0) -> Backend:
    held = {(one.proxy, "s"): count for one, count in zip(entries, sessions, strict=False)}
    sights = put_together(roster, entries, held, [{(FIRST, "s"): old, (FIRST, "gone"): 0}] if old else [])
    assert set(sights) == {"s"}
    return sights["s"].backend(Statistics({}, {}, {}))


def test_sessions_of_all_ports_and_all_workers_are_summed() -> None:
    assert seen(entry(FIRST), entry(SECOND), sessions=(1, 2), old=4).sessions == 7


def test_a_server_is_attached_if_it_is_on_all_ports() -> None:
    assert seen(entry(FIRST), entry(SECOND)).admission == "attached"
    assert seen(entry(FIRST), entry(SECOND, attached=False)).admission == "detached"
    assert seen(entry(FIRST)).admission == "detached"


@pytest.mark.parametrize(
    ("running", "checked", "failing", "health"),
    [
        (True, True, False, "up"),
        (True, False, False, "unknown"),
        (False, False, False, "unknown"),
        (False, True, False, "unknown"),
        (False, True, True, "down"),
    ],
)
def test_health_is_the_worst_of_all_ports(running: bool, checked: bool, failing: bool, health: str) -> None:
    second = entry(SECOND, running=running, checked=checked, failing=failing)
    assert seen(entry(FIRST), second).health == health


def test_a_server_counts_as_whole_without_a_port_that_came_after_it() -> None:
    older = Roster((TWO_PORTS,), {"s": Enrolment("web", "s", Endpoint("10.0.0.1", {80: 80}))})
    assert seen(entry(FIRST), roster=older).admission == "attached"


def test_a_server_that_came_or_went_in_between_means_asking_again() -> None:
    with pytest.raises(Unsettled):
        put_together(ROSTER, [entry(FIRST)], {}, [])


def test_a_server_that_only_a_replaced_worker_serves_is_not_forgotten() -> None:
    sights = put_together(ROSTER, [], {}, [{(FIRST, "s"): 1}])
    assert sights["s"].backend(Statistics({}, {}, {})) == Backend("s", "web", "detached", "unknown", 1)


@pytest.mark.parametrize(
    ("status", "code", "failure"),
    [
        ("L7STS", "404", "it answers with status 404"),
        ("* L7STS", "0", "it answers with a status that is no success"),
        ("L4CON", "", "it takes no connections"),
        ("L7OK", "200", None),
        ("INI", "", None),
    ],
)
def test_a_failed_check_is_told_in_words(status: str, code: str, failure: str | None) -> None:
    stat = f"# pxname,svname,check_status,check_code,\nweb.127.0.0.1:80,s,{status},{code},\n\n"
    assert parse_failures(stat).get(("web.127.0.0.1:80", "s")) == failure
