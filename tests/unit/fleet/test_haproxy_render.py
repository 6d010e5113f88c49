"""The configuration as text: what is in it, and what never gets into it."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.fleet.balancer import Service
from bluestone.fleet.balancers.haproxy import render
from bluestone.fleet.balancers.haproxy.roster import Enrolment, Roster
from bluestone.model.group import Health, Port
from bluestone.model.problem import Problem
from bluestone.model.server import Endpoint

STATES = Path("/var/lib/x/states")
CHECKS = Path("/var/lib/x/checks")
HOLD = Path("/var/lib/x/hold.lua")
HEALTH = Health("/health", interval=timedelta(milliseconds=200), timeout=timedelta(seconds=2), rise=2, fall=3)
WEB = Service("web", (Port(8080, 80),), HEALTH)
SERVER = Enrolment("web", "web-0-1f3a9c0d-1", Endpoint("10.1.2.3", {80: 80}), attached=True, health=HEALTH)


def text(*services: Service, servers: tuple[Enrolment, ...] = (), **options: object) -> str:
    roster = Roster(services, {server.server: server for server in servers})
    files = {"state_file": STATES, "checks_file": CHECKS, "hold_file": HOLD}
    return render.configuration(roster, **files, **options)  # type: ignore[arg-type]


def section(of: str, name: str) -> list[str]:
    start = of[of.index(f"{name}\n") :]
    return [line.strip() for line in start.split("\n\n")[0].splitlines()]


def test_a_group_that_sleeps_is_answered_with_a_page() -> None:
    lines = section(text(replace(WEB, page=True)), "listen web.127.0.0.1:8080")
    (line,) = [line for line in lines if "http-request return" in line]
    assert "status 503" in line
    assert "hdr Retry-After 2 hdr Cache-Control no-store" in line
    assert line.endswith("if { nbsrv eq 0 }")
    assert render.digest([WEB]) != render.digest([replace(WEB, page=True)])
    tcp = replace(WEB, ports=(Port(8080, 80, "tcp"),), page=True)
    assert "http-request return" not in text(tcp)


def test_a_port_is_one_section_that_names_its_servers() -> None:
    assert section(text(WEB, servers=(SERVER,)), "listen web.127.0.0.1:8080") == [
        "listen web.127.0.0.1:8080",
        "bind 127.0.0.1:8080",
        "mode http",
        "balance roundrobin",
        "option http-keep-alive",
        "option idle-close-on-response",
        "option forwardfor",
        "timeout check 2000ms",
        "option httpchk",
        "http-check send meth GET uri-lf \"%[srv_name,map_str('/var/lib/x/checks',/)]\""
        " ver HTTP/1.1 hdr Host localhost",
        "http-check expect status 200-399",
        "server web-0-1f3a9c0d-1 10.1.2.3:80 check inter 200ms fastinter 25ms downinter 25ms fall 3 rise 2 port 80",
    ]


def test_nothing_is_retried_and_a_lost_syn_is_waited_for() -> None:
    words = section(text(WEB), "defaults")
    assert {"retries 0", "no option redispatch", "timeout connect 3s"} <= set(words)
    assert not any("retry-on" in word for word in words)


def test_requests_are_held_where_that_is_declared_and_nowhere_else() -> None:
    patient = replace(WEB, hold=timedelta(seconds=30))
    assert "lua" not in text(WEB)
    assert "http-request lua.hold 30 if { be_conn_free ge 0 }" in section(text(patient), "listen web.127.0.0.1:8080")
    assert f"lua-load-per-thread '{HOLD}'" in text(patient)
    assert render.digest([patient]) != render.digest([WEB])


def test_connections_are_held_within_an_inspection_that_lasts_longer() -> None:
    patient = replace(WEB, ports=(Port(8080, 80, "tcp"),), hold=timedelta(seconds=30))
    lines = section(text(patient), "listen web.127.0.0.1:8080")
    assert {"tcp-request inspect-delay 31000ms", "timeout client 60000ms"} <= set(lines)
    longer = replace(patient, hold=timedelta(minutes=5))
    assert "timeout client 301000ms" in section(text(longer), "listen web.127.0.0.1:8080")
    assert "tcp-request content lua.hold 30 if { be_conn_free ge 0 }" in lines


def test_a_tcp_port_is_checked_by_connecting() -> None:
    service = Service("db", (Port(5432, 5432, mode="tcp"),), Health())
    lines = section(text(service), "listen db.127.0.0.1:5432")
    assert "mode tcp" in lines
    assert not any("http" in line for line in lines)


def test_a_health_port_is_the_one_that_is_asked() -> None:
    service = Service("web", (Port(8080, 80),), Health("/", port=9000))
    endpoint = Endpoint("10.1.2.3", {80: 80, 9000: 19000})
    server = Enrolment("web", "web-0", endpoint, health=Health("/", port=9000))
    assert "10.1.2.3:80 check inter 200ms fastinter 25ms downinter 25ms fall 3 rise 2 port 19000" in text(
        service, servers=(server,)
    )


def test_ipv6_is_written_with_brackets() -> None:
    service = Service("web", (Port(8080, 80, bind="::1"),), HEALTH)
    server = Enrolment("web", "web-0", Endpoint("fd00::3", {80: 8000}))
    made = text(service, servers=(server,))
    assert "bind [::1]:8080" in made
    assert "server web-0 [fd00::3]:8000 check" in made


def test_a_server_stands_behind_the_ports_that_it_has() -> None:
    service = Service("web", (Port(8080, 80), Port(8443, 443)), HEALTH)
    made = text(service, servers=(SERVER,))
    assert any("server web-0" in line for line in section(made, "listen web.127.0.0.1:8080"))
    assert not any("server web-0" in line for line in section(made, "listen web.127.0.0.1:8443"))


def test_a_sleeping_server_starts_disabled() -> None:
    asleep = [("web.127.0.0.1:8080", SERVER.server)]
    assert "port 80 disabled\n" in text(WEB, servers=(SERVER,), asleep=asleep)


def test_workers_of_root_run_as_somebody_else() -> None:
    made = section(text(WEB, account=render.Account("haproxy", "haproxy")), "global")
    assert {"user haproxy", "group haproxy"} <= set(made)
    assert not any(line.startswith("user") for line in section(text(WEB), "global"))


def test_the_description_is_the_digest_of_the_services() -> None:
    assert f"description {render.digest([WEB])}" in section(text(WEB, servers=(SERVER,)), "global")


@pytest.mark.parametrize(
    "other",
    [
        Service("web", (Port(8081, 80),), HEALTH),
        Service("web", (Port(8080, 80, mode="tcp"),), HEALTH),
        Service("web", (Port(8080, 80, bind="127.0.0.2"),), HEALTH),
        Service("web", (Port(8080, 80),), Health()),
        Service("web", (Port(8080, 80),), Health("/health", timeout=timedelta(seconds=9))),
        Service("mail", (Port(8080, 80),), HEALTH),
    ],
)
def test_whatever_changes_a_service_changes_the_digest(other: Service) -> None:
    assert render.digest([other]) != render.digest([WEB])


def test_another_port_of_the_servers_changes_the_digest() -> None:
    moved = Service("web", (Port(8080, 81),), HEALTH)
    assert render.digest([WEB]) != render.digest([moved])


def test_each_server_is_checked_as_it_was_when_it_was_enrolled() -> None:
    """Another check needs no reload, and leaves those alone who may not have the page that it asks for."""
    later = Service("web", (Port(8080, 80),), Health("/ready", rise=5))
    assert render.digest([WEB]) == render.digest([later])
    newer = Enrolment("web", "web-1", Endpoint("10.1.2.4", {80: 80}), health=later.health)
    made = text(later, servers=(SERVER, newer))
    assert "10.1.2.3:80 check inter 200ms fastinter 25ms downinter 25ms fall 3 rise 2 port 80" in made
    assert "10.1.2.4:80 check inter 200ms fastinter 25ms downinter 25ms fall 3 rise 5 port 80" in made
    roster = Roster((later,), {server.server: server for server in (SERVER, newer)})
    assert render.checks(roster) == "web-0-1f3a9c0d-1 /health\nweb-1 /ready\n"


def test_a_path_that_could_be_mistaken_never_gets_into_the_map() -> None:
    roster = Roster((WEB,), {"web-0": Enrolment("web", "web-0", Endpoint("::1", {}), health=Health("/a\nweb-1 /b"))})
    with pytest.raises(Problem, match="no path"):
        render.checks(roster)


@pytest.mark.parametrize(
    ("service", "said"),
    [
        (Service("web\n  bind :1", (), HEALTH), "no name"),
        (Service("web.x", (), HEALTH), "no name"),
        (Service("w" * 25, (), HEALTH), "no name"),
        (Service("web", (Port(0, 80),), HEALTH), "no port"),
        (Service("web", (Port(8080, 80, bind="localhost"),), HEALTH), "no IP address"),
        (Service("web", (Port(8080, 80, bind="fe80::1%eth0"),), HEALTH), "zone"),
        (Service("web", (Port(8080, 80),), Health("/a b")), "no path"),
        (Service("web", (Port(8080, 80),), Health("/a'\n")), "no path"),
        (Service("web", (Port(8080, 80),), Health("health")), "no path"),
        (Service("web", (Port(8080, 80),), Health(timeout=timedelta(0))), "no time"),
        (Service("web", (Port(8080, 80),), Health(interval=timedelta(days=99))), "no time"),
        (Service("web", (Port(8080, 80),), Health(rise=0)), "rise"),
        (Service("web", (Port(8080, 80), Port(8080, 81)), HEALTH), "two ports"),
    ],
)
def test_what_haproxy_could_misunderstand_is_refused(service: Service, said: str) -> None:
    with pytest.raises(Problem, match=said):
        render.check([service])


def test_one_port_for_two_groups_is_refused_with_both_names() -> None:
    with pytest.raises(Problem, match=r"127\.0\.0\.1:8080.*web.*mail"):
        render.check([WEB, Service("mail", (Port(8080, 25),), HEALTH)])


def test_files_that_cannot_be_quoted_are_refused() -> None:
    with pytest.raises(Problem):
        render.configuration(Roster((WEB,)), state_file=Path("/it's/here"), checks_file=CHECKS, hold_file=HOLD)
    with pytest.raises(Problem):
        render.configuration(Roster((WEB,)), state_file=STATES, checks_file=Path('/it"s %[here]'), hold_file=HOLD)


@given(st.text())
def test_only_names_without_any_special_character_are_server_names(name: str) -> None:
    try:
        render.check_server_name(name)
    except Problem:
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
    assert 0 < len(name) <= 63


@given(st.text())
def test_a_health_path_is_one_word_of_its_line_in_the_map(path: str) -> None:
    server = Enrolment("web", "web-0", Endpoint("::1", {80: 80}), health=Health(path))
    try:
        made = render.checks(Roster((WEB,), {"web-0": server}))
    except Problem:
        return
    assert made.splitlines() == [f"web-0 {path}"]
    assert made.split() == ["web-0", path]


@given(st.text(), st.integers())
def test_an_address_is_an_address_or_a_problem(host: str, port: int) -> None:
    server = Enrolment("web", "web-0", Endpoint(host, {80: port}))
    try:
        made = text(WEB, servers=(server,))
    except Problem:
        return
    line = next(line for line in made.splitlines() if line.startswith("  server "))
    assert line.split()[2].endswith(f":{port}")
    assert len(line.split()) == 11
