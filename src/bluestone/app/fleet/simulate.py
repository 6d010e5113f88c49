"""`simulate`: a declaration is tried against faults, many times over, before it meets them."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from functools import partial
from statistics import median

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.fleet.controller.recall import durations
from bluestone.model.group import Group
from bluestone.model.problem import Problem
from bluestone.simulation.history import Violation
from bluestone.simulation.limits import cap_of, floor_of
from bluestone.simulation.machines import Sample
from bluestone.simulation.many import play_many
from bluestone.simulation.picture import Panel, steps
from bluestone.simulation.trial import Report, Trial
from bluestone.simulation.weather import Weather, weather

LONGEST = timedelta(minutes=5)
"""`keep`, `bake` and `min_ready` are simulated as no longer than this: nothing happens in the rest of a day."""

STEPS = 200
"""Points of a picture, from left to right."""


class Broken(Struct, frozen=True):
    """A history in which something did not hold that always must."""

    seed: int
    what: str


class GroupFound(Struct, frozen=True):
    """How a group fared over all histories. Times in seconds.

    `lowest` served at the worst moment of all; `below` is how long, in the worst history, fewer than the floor did, by
    what failed around it: a rollout of its own never takes that many.
    """

    name: str
    strategy: str
    count: int
    floor: int
    cap: int
    lowest: int
    highest: int
    below: float
    below_seed: int


class Found(Struct, frozen=True):
    """What came of all histories. `took` are the median and the longest rollout, `states` how many ended how."""

    faults: tuple[str, ...]
    seed: int
    histories: int
    took: tuple[float, float]
    kills: int
    states: Mapping[str, int]
    groups: tuple[GroupFound, ...]
    broken: tuple[Broken, ...]
    panels: tuple[Panel, ...]


def simulate(project: Project, faults: Sequence[str], seed: int, histories: int) -> Found:
    """Lead every declared group from one generation to the next, under these kinds of faults, with these seeds.

    Raises `Problem` for a fault that there is not, and for a declaration without servers.
    """
    groups = tuple(_shortened(group) for group in project.groups if group.count)
    if not groups:
        raise Problem("no servers are declared, so there is nothing to simulate", mend="add [servers.NAME]")
    around = weather(faults)
    measured = durations(project.journal, [group.name for group in groups])
    boots = {group.name: measured.of(group.name, "boot") for group in groups}
    play = partial(_play, groups, around, boots)
    played = play_many(play, seed, histories)
    reports = sorted((each for each in played if isinstance(each, Report)), key=lambda report: report.seed)
    broken = sorted((each for each in played if isinstance(each, Broken)), key=lambda each: each.seed)
    took = [report.took for report in reports] or [0.0]
    return Found(
        faults=around.kinds,
        seed=seed,
        histories=len(played),
        took=(round(median(took), 1), round(max(took), 1)),
        kills=sum(report.kills for report in reports),
        states=Counter(report.state for report in reports),
        groups=tuple(_group(group, reports) for group in groups if reports),
        broken=tuple(broken),
        panels=tuple(_panel(group, reports) for group in groups if reports),
    )


def _play(groups: Sequence[Group], around: Weather, boots: Mapping[str, float], seed: int) -> Report | Broken:
    with closing(wiring.memory_journal()) as journal:
        try:
            return Trial(seed, groups, around, journal, boot=partial(_boot, boots)).run()
        except Violation as violation:
            return Broken(seed, str(violation))


def _boot(boots: Mapping[str, float], chance: random.Random, group: str) -> float:
    return boots[group] * chance.uniform(0.6, 1.4)


def _shortened(group: Group) -> Group:
    policy = group.rollout
    shorter = {name: min(getattr(policy, name), LONGEST) for name in ("keep", "bake", "min_ready")}
    return replace(group, rollout=replace(policy, **shorter))


def _group(group: Group, reports: Sequence[Report]) -> GroupFound:
    floor = floor_of(group)
    below = {report.seed: _seconds_below(_of(group, report), floor, report.arrived) for report in reports}
    worst = max(below, key=lambda seed: below[seed])
    samples = [sample for report in reports for sample in _of(group, report)]
    return GroupFound(
        name=group.name,
        strategy=group.rollout.strategy,
        count=group.count,
        floor=floor,
        cap=cap_of(group),
        lowest=min(sample.serving for sample in samples),
        highest=max(sample.existing for sample in samples),
        below=round(below[worst], 1),
        below_seed=worst,
    )


def _panel(group: Group, reports: Sequence[Report]) -> Panel:
    """The history in which the group was below its floor the longest, over the range of all."""
    floor = floor_of(group)
    worst = max(reports, key=lambda r: (_seconds_below(_of(group, r), floor, r.arrived), r.took))
    seconds = max(worst.took, 1.0)
    lines = [steps(_changes(group, report), seconds, STEPS) for report in reports]
    existing = [(sample.at - worst.began, sample.existing) for sample in _of(group, worst)]
    return Panel(
        title=f"{group.name}: {group.rollout.strategy}, {group.count} servers (seed {worst.seed} of {len(reports)})",
        seconds=seconds,
        serving=steps(_changes(group, worst), seconds, STEPS),
        existing=steps(existing, seconds, STEPS),
        least=[min(values) for values in zip(*lines, strict=True)],
        most=[max(values) for values in zip(*lines, strict=True)],
        floor=floor,
    )


def _of(group: Group, report: Report) -> list[Sample]:
    return [sample for sample in report.samples if sample.group == group.name]


def _changes(group: Group, report: Report) -> list[tuple[float, int]]:
    return [(sample.at - report.began, sample.serving) for sample in _of(group, report)]


def _seconds_below(samples: Sequence[Sample], floor: int, end: float) -> float:
    ends = [sample.at for sample in samples[1:]] + [end]
    return sum(until - sample.at for sample, until in zip(samples, ends, strict=True) if sample.serving < floor)
