"""The main job on real podman and HAProxy: start, replace, look, go back, take down."""

from __future__ import annotations

import json
import re

import pytest

from machine import Machine, until

pytestmark = pytest.mark.e2e


def stances(machine: Machine) -> list[str]:
    return sorted(str(server["stance"]) for server in machine.servers())


def test_the_life_of_a_fleet(machine: Machine) -> None:
    assert "create" in machine.run("plan", expect=2)
    assert machine.servers() == []

    started = machine.run("up")
    assert "rollout finished" in started
    assert stances(machine) == ["serving"] * 3
    assert "Unchanging over time" in machine.get()
    assert "nothing to do" in machine.run("plan", expect=0)
    machine.set('progress = "60s"', 'progress = "50s"')
    assert "how servers are replaced from now on" in machine.run("up")
    assert "nothing to do" in machine.run("up")

    first = {server["name"] for server in machine.servers()}
    machine.page("the second")
    plan = json.loads(machine.run("plan", "--json", expect=2))
    assert {step["verb"] for step in plan["steps"]} >= {"create", "attach", "detach", "destroy"}
    machine.run("up", plan["id"])
    assert "the second" in machine.get()
    second = {server["name"] for server in machine.servers()}
    assert not first & second, "every server was replaced"

    refused = machine.run("up", plan["id"], expect=1)
    assert "the world has moved" in refused
    assert "nothing was done" in refused

    machine.run("rollback")
    assert "Unchanging over time" in machine.get()
    third = {server["name"] for server in machine.servers()}
    assert not third & (first | second), "names are never used again"

    # The declaration still says otherwise, and the next `up` would go forward again.
    machine.run("plan", expect=2)

    gone = sorted(str(name) for name in first)[0]
    found = machine.run("logs", gone)
    assert re.search(r"nginx|systemd", found), "lines of a server that is gone"

    events = machine.run("events")
    for kind in (
        "rollout.started",
        "server.create",
        "server.attached",
        "server.destroyed",
        "rollout.finished",
    ):
        assert kind in events

    status = json.loads(machine.run("status", "--json"))
    assert status["groups"][0]["serving"] == 3
    assert status["balancer_running"]
    assert status["receiver_running"]

    machine.run("down")
    assert machine.servers() == []
    assert machine.run("logs", gone) == found, "log lines stay"
    assert not json.loads(machine.run("status", "--json"))["balancer_running"]


def test_counts_go_up_and_down_and_groups_come_and_go(machine: Machine) -> None:
    machine.set("count = 3", "count = 1")
    machine.run("up")
    (kept,) = (server["name"] for server in machine.servers())
    machine.set("count = 1", "count = 2")
    machine.run("up")
    assert kept in {server["name"] for server in machine.servers()}, "more servers replace none"
    machine.set("count = 2", "count = 1")
    machine.run("up")
    assert len(machine.servers()) == 1

    with machine.declaration.open("a") as file:
        file.write('\n[servers.worker]\ncount = 1\nenvironment = { GREETING = "hello $there" }\n')
    machine.run("up")
    groups = sorted(str(server["group"]) for server in machine.servers())
    assert groups == ["web", "worker"]
    text = machine.declaration.read_text()
    machine.declaration.write_text(text[: text.index("\n[servers.worker]")])
    machine.run("up")
    assert [server["group"] for server in machine.servers()] == ["web"], "a group that is declared no more goes"
    assert "nothing to do" in machine.run("up")


def test_environment_and_secrets_reach_the_units_and_nothing_else(machine: Machine) -> None:
    machine.set("count = 3", "count = 1")
    machine.set(
        "[servers.web.rollout]",
        '[servers.web.environment]\nGREETING = "say \\"hi\\" for $5"\n\n'
        '[servers.web.secrets]\nTOKEN = "env:MY_TOKEN"\n\n[servers.web.rollout]',
    )
    machine.set('units = ["nginx.service"]', 'units = ["nginx.service", "tell.service"]')
    machine.set(
        '"/var/www/site" = "site"',
        '"/var/www/site" = "site"\n"/etc/systemd/system/tell.service" = { content = """\n'
        "[Service]\nType=oneshot\n"
        "ExecStart=sh -c 'echo greeting=$GREETING; wc -c < /run/bluestone/secrets/TOKEN'\n"
        '[Install]\nWantedBy=multi-user.target\n""" }',
    )
    refused = machine.run("up", expect=1)
    assert "MY_TOKEN, which is not set" in refused

    machine.environment["MY_TOKEN"] = "a-very-secret-value-of-32-letters"
    machine.run("up")
    until(lambda: "greeting=" in machine.run("logs", "--grep", "greeting="), "the unit's line")
    lines = machine.run("logs", "--grep", "/greeting=|^33$/")
    assert 'greeting=say "hi" for $5' in lines
    assert re.search(r"tell\.service: 33$|: 33$", lines, re.MULTILINE), "the unit could read the secret"

    (server,) = machine.servers()
    import subprocess

    name = next(
        line
        for line in subprocess.run(
            ["podman", "ps", "--format", "{{.Names}}"], capture_output=True, text=True, check=True
        ).stdout.split()
        if str(server["name"]) in line
    )
    shown = subprocess.run(["podman", "inspect", name], capture_output=True, text=True, check=True).stdout
    assert "a-very-secret" not in shown
    for text in (machine.run("events", "-n", "1000"), machine.run("logs"), machine.run("status", "--json")):
        assert "a-very-secret" not in text

    machine.environment["MY_TOKEN"] = "another-very-secret-value-of-them"
    assert "replaced by" in machine.run("plan", expect=2) or machine.run("plan", expect=2)
    machine.run("up")
    (after,) = machine.servers()
    assert after["name"] != server["name"], "a changed secret replaces the server"
    assert after["generation"] == 2
