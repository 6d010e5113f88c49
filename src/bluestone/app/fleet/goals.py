"""Which generation each group shall be of: what is declared, what was before, or nothing at all."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.fleet.outfit import read_secrets, secrets_digest
from bluestone.app.image.provenance import require_signed
from bluestone.app.project import Project
from bluestone.model.event import Event
from bluestone.model.generation import Generation, ServerConfig
from bluestone.model.group import Group
from bluestone.model.ids import Digest
from bluestone.model.plan import Goal
from bluestone.model.problem import Problem

NO_IMAGE = Digest("sha256:" + "0" * 64)


def declared_goals(project: Project, image: str, *, keep: bool) -> list[Goal]:
    """The declared groups, all of this image, and the groups that are declared no more, of no servers.

    With `keep` new generations are written to the journal. Raises `Problem` for a secret that is missing.
    """
    goals = []
    for group in project.groups:
        digest = secrets_digest(read_secrets(group.secrets, project.caller.variables), project.key)
        config = ServerConfig.of(group, digest)
        generation = project.journal.generation(group.name, image, config, keep=keep)
        goals.append(Goal(group, generation, _fallback(project, generation)))
    return goals + retired_goals(project)


def retired_goals(project: Project) -> list[Goal]:
    """Groups that were declared once and are not now: they are drained as they were last declared."""
    names = {group.name for group in project.groups}
    return [_nothing(project, group) for group in project.journal.declared() if group.name not in names]


def no_servers(project: Project) -> list[Goal]:
    """Every group that is or was declared, of no servers."""
    names = {group.name: group for group in project.journal.declared()}
    names.update({group.name: group for group in project.groups})
    return [_nothing(project, group) for group in names.values()]


def previous_goals(project: Project, groups: Sequence[str]) -> list[Goal]:
    """The groups of these names at the generation before the current one; all others as they are.

    Raises `Problem` for a group that is unknown, or has had one generation only.
    """
    declared = {group.name: group for group in project.groups}
    for name in groups:
        if name not in declared:
            raise Problem(f'no group is called "{name}"', mend=f"choices: {', '.join(declared)}")
    goals = []
    for group in project.groups:
        number = _previous(project, group.name) if group.name in groups else current(project, group.name)
        generation = project.journal.generation_number(group.name, number) if number else None
        if generation is None:
            if group.name in groups:
                raise _nowhere_to_go_back(project, group.name)
            continue
        goals.append(Goal(as_it_ran(group, generation), generation))
    return goals


def _nowhere_to_go_back(project: Project, group: str) -> Problem:
    if not current(project, group):
        return Problem(f"{group} has had no servers yet", mend="start them first: bluestone up")
    return Problem(
        f"{group} has served in one generation only: there is none to go back to",
        mend="change the declaration instead, and run `bluestone up`",
    )


def secret_variables(project: Project) -> set[str]:
    """The variables that secrets come from, of every group and generation that the project may be led to."""
    declared = {group.name: group for group in project.journal.declared()}
    refs = [ref for group in (*project.groups, *declared.values()) for ref in group.secrets]
    for name in declared:
        now = current(project, name)
        for number in [now, *served_before(project, name, now)]:
            found = project.journal.generation_number(name, number) if number else None
            refs += found.config.secrets if found else ()
    return {ref.where for ref in refs if ref.kind == "env"}


def no_generation(group: Group) -> Generation:
    """Stands for the generation of a group that has had none: no server is of it."""
    return Generation(group.name, 0, NO_IMAGE, ServerConfig(group.provider))


def current(project: Project, group: str) -> int:
    """The generation that the group was last led to; 0 if there is none."""
    return number_of(project.journal.last(("rollout.started",), group=group))


def served_before(project: Project, group: str, generation: int) -> list[int]:
    """The other generations of a group that have served, the one that served last first."""
    settled = project.journal.select(("rollout.settled",), group=group)
    numbers = dict.fromkeys(number_of(event) for event in settled)
    return [number for number in numbers if number and number != generation]


def fallback(project: Project, generation: Generation, number: int) -> Generation | None:
    """The earlier generation of that number, if a group can go back to it from this one by itself; `number` may be 0.

    Its image must be here and signed, and its servers must listen where those of this one do: the balancer's ports are
    declared.
    """
    earlier = project.journal.generation_number(generation.group, number) if number else None
    if earlier is None:
        return None
    then, now = earlier.config, generation.config
    if (then.ports, then.provider) != (now.ports, now.provider):
        return None
    try:
        store = wiring.images(project)
        store.require_sound(earlier.image)
        require_signed(project, store.get(earlier.image))
    except Problem:
        return None
    return earlier


def number_of(event: Event | None) -> int:
    """The generation that an event is about; 0 if there is none."""
    return int(event.data.get("generation", 0)) if event else 0


def as_it_ran(group: Group, generation: Generation) -> Group:
    """The group as declared now, on the ports that the generation's servers listen on, and checked as they were.

    Ports of the balancer whose server port that generation does not have would never become healthy.
    """
    ports = tuple(port for port in group.ports if port.server in generation.config.ports)
    return replace(group, ports=ports, health=generation.config.health or group.health)


def _previous(project: Project, group: str) -> int:
    """The generation that served last before the current one."""
    return next(iter(served_before(project, group, current(project, group))), 0)


def _fallback(project: Project, generation: Generation) -> Generation | None:
    """The generation that served last before this one, if the group can go back to it by itself."""
    number = next(iter(served_before(project, generation.group, generation.number)), 0)
    return fallback(project, generation, number)


def _nothing(project: Project, group: Group) -> Goal:
    number = current(project, group.name)
    generation = project.journal.generation_number(group.name, number) if number else None
    return Goal(replace(group, count=0), generation or no_generation(group))
