"""What is written down of a virtual machine, and what follows from it."""

from __future__ import annotations

import socket
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.providers.qemu import records
from bluestone.fleet.providers.qemu.ports import COUNT, FIRST, can_listen, choose_ports
from bluestone.fleet.providers.qemu.records import how_it_ended
from bluestone.host.terminal import plain_lines
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import SecretRef
from bluestone.model.ids import Digest
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint, ServerSpec
from workplace import free_port

NOW = datetime(2026, 11, 25, 14, 0, tzinfo=UTC)
IMAGE = Digest("sha256:" + "1f3a9c0d" * 8)
CONFIG = ServerConfig("qemu", (80, 443), environment={"A": "in-the-environment"}, secrets=(SecretRef("P", "env", "P"),))
SPEC = ServerSpec("shop", 2, 17, Generation("web", 3, IMAGE, CONFIG), (), {"secrets/P": b"hunter2"})
RECORD = records.record_of(SPEC, {80: 20_080, 443: 20_443}, NOW, "this-boot")


def test_a_record_says_all_that_a_server_is() -> None:
    read = records.read(records.write(RECORD), "here")
    assert read == RECORD
    server = records.server_of(read, "running")
    assert (server.name, server.group, server.slot, server.incarnation) == ("web-2-1f3a9c0d-17", "web", 2, 17)
    assert (server.generation, server.image, server.config) == (3, IMAGE, CONFIG.digest())
    assert (server.phase, server.created_at, server.detail) == ("running", NOW, "")
    assert server.endpoint == Endpoint("127.0.0.1", {80: 20_080, 443: 20_443})


def test_a_record_holds_no_secret() -> None:
    assert b"hunter2" not in records.write(RECORD)
    assert b"in-the-environment" not in records.write(RECORD)


def test_a_server_without_ports_has_no_endpoint() -> None:
    assert records.server_of(records.record_of(SPEC, {}, NOW, "x"), "dead", "why").endpoint is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", records.write(RECORD).replace(b'"format": 1', b'"format": 2')]
)
def test_what_is_no_record_is_a_problem(content: bytes) -> None:
    with pytest.raises(Problem, match="cannot be understood: here") as raised:
        records.read(content, "here")
    assert "remove its directory" in raised.value.mend


@pytest.mark.parametrize(
    ("boot", "said", "console", "wanted"),
    [
        ("other", "", [], "this machine was started again since"),
        ("this-boot", "a\nqemu: Could not set up host forwarding rule", ["x"], "QEMU ended: qemu: Could not set up"),
        (
            "this-boot",
            "",
            ["[1.0] Kernel panic - not syncing: x", "[1.1] Rebooting"],
            "its kernel panicked: Kernel panic -",
        ),
        ("this-boot", "", ["[9.0] reboot: Power down"], "it powered itself off"),
        ("this-boot", "", ["[9.0] reboot: Restarting system"], "it powered itself off"),
        ("this-boot", "", ["Starting"], "(the last line on its console: Starting)"),
        ("this-boot", "", [], "QEMU was killed, by somebody or for want of memory"),
    ],
)
def test_how_a_server_ended_is_told(boot: str, said: str, console: list[str], wanted: str) -> None:
    assert wanted in how_it_ended(RECORD, boot, said, console)


def test_a_slot_has_a_port_of_its_own() -> None:
    first = choose_ports("shop/web/0", [80, 443], [], lambda _: True)
    assert first == choose_ports("shop/web/0", [443, 80], [], lambda _: True)
    assert first != choose_ports("shop/web/1", [80, 443], [], lambda _: True)


@given(
    st.sets(st.integers(1, 65_535), min_size=1, max_size=8),
    st.sets(st.integers(FIRST, FIRST + COUNT - 1), max_size=50),
    st.sets(st.integers(FIRST, FIRST + COUNT - 1), max_size=50),
)
def test_no_port_is_chosen_twice_or_taken_from_anybody(ports: set[int], taken: set[int], busy: set[int]) -> None:
    chosen = choose_ports("shop/web/0", ports, taken, lambda port: port not in busy)
    assert set(chosen) == ports
    here = set(chosen.values())
    assert len(here) == len(ports)
    assert not here & (taken | busy)
    assert all(FIRST <= port < FIRST + COUNT for port in here)


def test_the_next_port_is_taken_where_its_own_is_not_free() -> None:
    own = choose_ports("shop/web/0", [80], [], lambda _: True)[80]
    following = FIRST + (own - FIRST + 1) % COUNT
    assert choose_ports("shop/web/0", [80], [own], lambda _: True)[80] == following
    assert choose_ports("shop/web/0", [80], [], lambda port: port != own)[80] == following


def test_where_no_port_is_left_it_is_said() -> None:
    with pytest.raises(Problem, match="no port of this machine is left"):
        choose_ports("shop/web/0", [80], [], lambda _: False)


def test_a_port_that_somebody_listens_on_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        assert not can_listen(listener.getsockname()[1])
    assert can_listen(free_port())


def test_a_console_is_read_without_its_decoration() -> None:
    shown = b"\x1b[2J\x1b[01;01HBdsDxe: starting\r\n\r\n[  \x1b[0;32m  OK  \x1b[0m] Started nginx.\r\n\xff\x00 end"
    assert plain_lines(shown) == ["BdsDxe: starting", "[    OK  ] Started nginx.", "\ufffd end"]
    assert plain_lines(b"\x1b[!p\x1b]104\x1b\\\x1b[?7h[   43.5] acpid\n\x1b]0;title\x07\x1b(Bx\n\x1b]") == [
        "[   43.5] acpid",
        "x",
    ]
