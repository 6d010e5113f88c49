"""`./dev bench controller`: the planner alone, on this machine's processor; no peer, so there are no ratios.

A fleet of 10,000 servers in ten groups is planned for, with reasons, as a rollout begins: CPU milliseconds, the
best of `RUNS`. Then histories of chance are played for `SECONDS`, in one process: each is a group that is started,
replaced three times under faults, and led to its goal, with every plan checked.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import replace
from datetime import timedelta

from bluestone.fleet.lint import lint
from bluestone.fleet.plan import plan
from bluestone.fleet.remember import remember
from bluestone.model.action import Create
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Amount, Group, Port, RolloutPolicy
from bluestone.model.ids import Digest
from bluestone.model.inventory import Backend, Inventory
from bluestone.model.memory import Memory
from bluestone.model.plan import Goal
from bluestone.model.server import Endpoint, Server
from bluestone.simulation.history import START, Faults, World, play

RUNS = 7
SECONDS = 30.0
GROUPS, EACH = 10, 1000
POLICY = RolloutPolicy("rolling", Amount(10, percent=True), Amount(0), progress=timedelta(seconds=30))


def main() -> None:
    """Measure and print; the last line is JSON."""
    planned, linted = zip(*(_plan_once() for _ in range(RUNS)), strict=True)
    histories, took = _histories()
    values = {
        "plan_10k_ms": round(min(planned) * 1000, 1),
        "lint_10k_ms": round(min(linted) * 1000, 1),
        "histories": histories,
        "histories_cpu_s": round(took, 1),
        "runs": RUNS,
    }
    print(json.dumps({"bench": "controller", "ratios": {}, "values": values}))


def _goal(name: str, count: int, number: int) -> Goal:
    group = Group(name, count=count, ports=(Port(8080, 80),), rollout=POLICY)
    return Goal(group, Generation(name, number, Digest(f"sha256:{number:064x}"), ServerConfig("podman", (80,))))


def _plan_once() -> tuple[float, float]:
    """CPU seconds of a plan and of its check, of `GROUPS` x `EACH` servers that all have to be replaced."""
    servers: list[Server] = []
    for index in range(GROUPS):
        generation = _goal(f"g{index}", EACH, 1).generation
        for slot in range(1, EACH + 1):
            born = Create(slot, index * EACH + slot, generation, "").coming(START)
            servers.append(replace(born, phase="running", endpoint=Endpoint("h", {80: 80})))
    backends = tuple(Backend(server.name, server.group, "attached", "up", 0) for server in servers)
    inventory, memory = Inventory(START, tuple(servers), backends), Memory(GROUPS * EACH + 1)
    goals = [_goal(f"g{index}", EACH, 2) for index in range(GROUPS)]
    began = time.process_time()
    decided = plan(goals, inventory, memory)
    planned = time.process_time()
    wrong = lint(decided, goals, inventory, remember(memory, decided.facts, START))
    ended = time.process_time()
    if len(decided.actions) != GROUPS * EACH // 10 or wrong:
        raise SystemExit(f"this is no plan to measure: {len(decided.actions)} actions, {wrong}")
    return planned - began, ended - planned


def _histories() -> tuple[int, float]:
    """How many histories were played, and the CPU seconds that they took. Every one must arrive."""
    began, end, played = time.process_time(), time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        chance = random.Random(played)
        world, count = World(chance, Faults()), chance.randint(1, 5)
        for number in range(1, 5):
            goal = _goal("web", count, number)
            world.start_rollout("web")
            world.faults = Faults(death=0.01, flap=0.02, failure=0.1, blind=0.05)
            play(world, goal, rounds=chance.randint(1, 60))
            world.faults = Faults()
            world.start_rollout("web")
            if not play(world, goal, rounds=400).done:
                raise SystemExit(f"history {played} did not arrive")
        played += 1
    return played, time.process_time() - began


if __name__ == "__main__":
    main()
