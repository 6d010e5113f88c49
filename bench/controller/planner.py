"""The planner alone: a plan for 10,000 servers, histories of chance, and planted bugs."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

from msgspec.structs import replace

from bench.controller.bound import Bound
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
from bluestone.simulation.history import START
from bluestone.simulation.many import play_many
from planner_histories import a_rollout

ROOT = Path(__file__).parents[2]
RUNS = 9
SECONDS = 120.0
LONGEST = 600.0
"""Seconds that the mutants may take, whoever has the time."""

GROUPS, EACH = 10, 1000
POLICY = RolloutPolicy("rolling", Amount(10, percent=True), Amount(0), progress=timedelta(seconds=30))


def measure_plans(_: Bound) -> dict[str, float]:
    """CPU milliseconds of a plan with reasons, and of its check: the best of `RUNS`, as others use this machine too."""
    planned, linted = zip(*(_plan_once() for _ in range(RUNS)), strict=True)
    return {"plan_10k_ms": round(min(planned) * 1000, 1), "lint_10k_ms": round(min(linted) * 1000, 1)}


def measure_histories(bound: Bound) -> dict[str, float]:
    """How many rollouts under faults were played on all processors in the time. Each must arrive, or it raises.

    `histories_per_2_min` is what the processor time of one comes to, on all processors for two minutes: what others do
    on the machine meanwhile is not counted.
    """
    processors = len(os.sched_getaffinity(0))
    began, used = time.monotonic(), _cpu_seconds()
    played = len(play_many(a_rollout, 0, 10_000_000, seconds=bound.left))
    each = (_cpu_seconds() - used) / max(1, played)
    return {
        "histories": played,
        "histories_s": round(time.monotonic() - began, 1),
        "history_cpu_ms": round(each * 1000, 2),
        "histories_per_2_min": round(processors * SECONDS / each),
    }


def _cpu_seconds() -> float:
    """Of this process and of those that it has waited for."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def measure_mutants(bound: Bound) -> dict[str, float]:
    """How many planted bugs there are, and how many of them the histories do not catch."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=no", "-p", "no:cacheprovider"]
    command += ["tests/simulation/test_mutants.py", "tests/simulation/test_controller_mutants.py", "-k", "planted"]
    ran = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=min(bound.seconds, LONGEST)
    )
    found = {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|error)", ran.stdout)}
    if not found:
        raise SystemExit(f"the mutants could not be tried:\n{ran.stdout}{ran.stderr}")
    return {"mutants": sum(found.values()), "mutants_survived": sum(found.values()) - found.get("passed", 0)}


def _plan_once() -> tuple[float, float]:
    """CPU seconds of a plan and of its check, of `GROUPS` x `EACH` servers that all have to be replaced."""
    servers: list[Server] = []
    for index in range(GROUPS):
        generation = _goal(f"g{index}", 1).generation
        for slot in range(1, EACH + 1):
            born = Create(slot, index * EACH + slot, generation, "").coming(START)
            servers.append(replace(born, phase="running", endpoint=Endpoint("h", {80: 80})))
    backends = tuple(Backend(server.name, server.group, "attached", "up", 0) for server in servers)
    inventory, memory = Inventory(START, tuple(servers), backends), Memory(GROUPS * EACH + 1)
    goals = [_goal(f"g{index}", 2) for index in range(GROUPS)]
    began = time.process_time()
    decided = plan(goals, inventory, memory)
    planned = time.process_time()
    wrong = lint(decided, goals, inventory, remember(memory, decided.facts, START))
    ended = time.process_time()
    if len(decided.actions) != GROUPS * EACH // 10 or wrong:
        raise SystemExit(f"this is no plan to measure: {len(decided.actions)} actions, {wrong}")
    return planned - began, ended - planned


def _goal(name: str, number: int) -> Goal:
    group = Group(name, count=EACH, ports=(Port(8080, 80),), rollout=POLICY)
    return Goal(group, Generation(name, number, Digest(f"sha256:{number:064x}"), ServerConfig("podman", (80,))))
