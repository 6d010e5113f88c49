"""The contract of the provider port, on every adapter."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.fleet.drift import drifts
from bluestone.fleet.provider import Provider
from bluestone.fleet.providers.qemu import Media
from bluestone.model.group import Choice, DriftPolicy, Resources
from bluestone.model.problem import NoRoom, Problem, Refused
from bluestone.model.server import Endpoint, Server, ServerSpec
from bluestone.model.volume import VolumeSpec
from bluestone.simulation.provider import Cloud, SimulatedProvider
from podman_site import IMAGE, site, spec, status_of, wait_for
from qemu_site import fetch
from qemu_site import site as qemu_site

SECOND = timedelta(seconds=1)
DATA = (VolumeSpec("data", "/srv/data", owner="www-data"),)


@dataclass
class Subject:
    """An adapter under test, and what its contract cannot say: how to look at, kill and reach a server."""

    project: str
    provider: Provider
    neighbour: Provider
    """The same adapter for another project, whose name begins alike."""
    clock: Callable[[], datetime]
    read: Callable[[str, str], bytes]
    kill: Callable[[str], None]
    answers: Callable[[Endpoint | None], bool]
    log_in: Callable[[str], None]
    """Run something on a server, if there is a way to."""
    boots_quickly: bool = True
    grace: timedelta = timedelta(seconds=10)
    """What a server gets to stop by itself."""

    def spec(self, slot: int = 0, incarnation: int = 1, **changes: object) -> ServerSpec:
        return spec(self.project, slot, incarnation, **changes)

    def the_server(self, name: str) -> Server:
        (server,) = [server for server in self.provider.list_servers() if server.name == name]
        return server

    def names(self) -> list[str]:
        return sorted(server.name for server in self.provider.list_servers())


REAL = [pytest.param(name, marks=pytest.mark.e2e) for name in ("podman", "qemu")]


@pytest.fixture(params=["memory", *REAL])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    match request.param:
        case "podman":
            yield from on_podman(request.getfixturevalue("server_root"))
        case "qemu":
            yield from on_qemu(request.getfixturevalue("guest"))
        case _:
            yield in_memory()


@pytest.fixture(params=["memory", pytest.param("podman", marks=pytest.mark.e2e)])
def keeper(request: pytest.FixtureRequest) -> Iterator[Subject]:
    """The adapters whose servers can have volumes."""
    if request.param == "podman":
        yield from on_podman(request.getfixturevalue("server_root"))
    else:
        yield in_memory()


def in_memory() -> Subject:
    cloud = Cloud()

    def clock() -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC)

    provider = SimulatedProvider("p", clock, cloud)
    return Subject(
        project="p",
        provider=provider,
        neighbour=SimulatedProvider("p-web", clock, cloud),
        clock=clock,
        read=lambda name, path: cloud.bootfiles["p", name][path],
        kill=lambda name: provider.die(name, "it was killed"),
        answers=lambda endpoint: endpoint is not None,
        log_in=provider.log_in,
    )


def on_podman(root: Path) -> Iterator[Subject]:
    with site(root) as one:
        neighbour = one.provide(f"{one.project}-web")
        one.provider.prepare()
        neighbour.prepare()
        try:
            yield Subject(
                project=one.project,
                provider=one.provider,
                neighbour=neighbour,
                clock=lambda: datetime.now(UTC),
                read=lambda name, path: one.on_server(name, "cat", f"/run/bluestone/{path}").encode(),
                kill=one.kill,
                answers=lambda endpoint: status_of(endpoint) == 200,
                log_in=lambda name: print(one.on_server(name, "true")),
            )
        finally:
            for server in neighbour.list_servers():
                neighbour.destroy(server.name, timedelta(0))
            neighbour.clear()


def on_qemu(media: Media) -> Iterator[Subject]:
    """Virtual machines with a small guest. Most of the contract does not wait until one has booted, so that a moment
    to stop in is enough: what has not booted by then is ended, as it would be after ten seconds."""
    with qemu_site(media) as one:
        neighbour = one.provide(f"{one.project}-web")
        one.provider.prepare()
        neighbour.prepare()

        def read(name: str, path: str) -> bytes:
            (server,) = [server for server in one.provider.list_servers() if server.name == name]
            wait_for(lambda: bool(fetch(server.endpoint)), f"{name} to have booted", 180)
            return fetch(server.endpoint, f"/bluestone/{path}")

        try:
            yield Subject(
                project=one.project,
                provider=one.provider,
                neighbour=neighbour,
                clock=lambda: datetime.now(UTC),
                read=read,
                kill=one.kill,
                answers=lambda endpoint: status_of(endpoint) == 200,
                log_in=lambda name: None,
                boots_quickly=False,
                grace=timedelta(seconds=0.125),
            )
        finally:
            for server in neighbour.list_servers():
                neighbour.destroy(server.name, timedelta(0))
            neighbour.clear()


def test_it_lists_what_it_created_with_all_that_a_server_has(subject: Subject) -> None:
    asked = subject.spec(slot=2, incarnation=17)
    before = subject.clock()
    subject.provider.create(asked)
    (server,) = subject.provider.list_servers()
    assert server.name == asked.name == "web-2-1f3a9c0d-17"
    assert (server.group, server.slot, server.incarnation) == ("web", 2, 17)
    assert (server.generation, server.image) == (3, IMAGE)
    assert server.config == asked.generation.config.digest()
    assert (server.phase, server.detail) == ("running", "")
    assert before - SECOND <= server.created_at <= subject.clock()
    assert server.endpoint is not None
    assert list(server.endpoint.ports) == [80]


def test_what_creating_tells_is_what_is_listed(subject: Subject) -> None:
    for _ in range(2):
        told = subject.provider.create(subject.spec(slot=2))
        (listed,) = subject.provider.list_servers()
        if told is not None:
            assert replace(told, created_at=listed.created_at) == listed
            assert abs(told.created_at - listed.created_at) <= SECOND


def test_a_server_answers_at_its_endpoint(subject: Subject) -> None:
    subject.provider.create(subject.spec())
    endpoint = subject.provider.list_servers()[0].endpoint
    wait_for(lambda: subject.answers(endpoint), f"an answer from {endpoint}", 180)


def test_creating_twice_has_one_effect(subject: Subject) -> None:
    subject.provider.create(subject.spec())
    first = subject.provider.list_servers()
    subject.provider.create(subject.spec())
    assert subject.provider.list_servers() == first


def test_a_size_for_which_there_is_no_room_is_told_from_other_failures_and_leaves_nothing(subject: Subject) -> None:
    huge, usual = Choice(Resources(memory=1 << 50)), subject.spec().generation.config.resources
    with pytest.raises(NoRoom):
        subject.provider.create(replace(subject.spec(), choice=huge))
    assert subject.names() == []
    subject.provider.create(replace(subject.spec(), choice=Choice(usual)))
    assert len(subject.names()) == 1


def test_distinct_servers_may_be_created_at_once(subject: Subject) -> None:
    asked = [subject.spec(slot, slot + 1) for slot in range(4)]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(subject.provider.create, asked))
    servers = subject.provider.list_servers()
    assert subject.names() == sorted(one.name for one in asked)
    assert {server.phase for server in servers} == {"running"}
    assert len({str(server.endpoint) for server in servers}) == 4


def test_one_server_may_be_created_several_times_at_once(subject: Subject) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(subject.provider.create, [subject.spec()] * 4))
    (server,) = subject.provider.list_servers()
    assert server.phase == "running"


def test_what_is_destroyed_is_gone(subject: Subject) -> None:
    subject.provider.create(subject.spec(0, 1))
    subject.provider.create(subject.spec(1, 2))
    subject.provider.destroy(subject.spec(0, 1).name, subject.grace)
    assert subject.names() == [subject.spec(1, 2).name]


def test_destroying_what_does_not_exist_is_no_error(subject: Subject) -> None:
    subject.provider.create(subject.spec(0, 1))
    subject.provider.destroy(subject.spec(0, 2).name, subject.grace)
    assert subject.names() == [subject.spec(0, 1).name]


def test_destroying_again_and_at_once_is_no_error(subject: Subject) -> None:
    name = subject.spec().name
    subject.provider.create(subject.spec())
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: subject.provider.destroy(name, subject.grace), range(3)))
    assert subject.names() == []
    subject.provider.destroy(name, subject.grace)


def test_only_servers_of_its_own_project_are_seen_and_touched(subject: Subject) -> None:
    mine = subject.spec(group="web-web")
    theirs = spec(f"{subject.project}-web")
    subject.neighbour.create(theirs)
    assert subject.provider.list_servers() == []
    # Both are `bluestone-PROJECT-web-web-...` to who joins names carelessly.
    subject.provider.destroy(f"web-{theirs.name}", subject.grace)
    subject.provider.destroy(theirs.name, subject.grace)
    assert [server.name for server in subject.neighbour.list_servers()] == [theirs.name]
    subject.provider.create(mine)
    assert subject.names() == [mine.name]


def test_a_server_that_ended_is_listed_as_dead_and_says_why(subject: Subject) -> None:
    name = subject.spec().name
    subject.provider.create(subject.spec())
    subject.kill(name)
    wait_for(lambda: subject.the_server(name).phase == "dead", "the server to be dead")
    assert "killed" in subject.the_server(name).detail


def test_the_name_of_a_dead_server_is_not_used_again(subject: Subject) -> None:
    name = subject.spec().name
    subject.provider.create(subject.spec())
    subject.kill(name)
    wait_for(lambda: subject.the_server(name).phase == "dead", "the server to be dead")
    with pytest.raises(Problem, match="dead"):
        subject.provider.create(subject.spec())
    subject.provider.destroy(name, subject.grace)
    assert subject.names() == []


def test_a_slot_keeps_its_endpoint(subject: Subject) -> None:
    subject.provider.create(subject.spec(slot=5, incarnation=1))
    first = subject.provider.list_servers()[0].endpoint
    subject.provider.destroy(subject.spec(5, 1).name, subject.grace)
    subject.provider.create(subject.spec(slot=1, incarnation=2))
    subject.provider.create(subject.spec(slot=5, incarnation=3))
    assert subject.the_server(subject.spec(5, 3).name).endpoint == first


def test_bootfiles_are_on_the_server(subject: Subject) -> None:
    handed = {"environment": b'GREETING="hello"\n', "secrets/password": b"hunter2"}
    subject.provider.create(subject.spec(bootfiles=handed))
    name = subject.spec().name
    assert {path: subject.read(name, path) for path in handed} == handed


def test_a_slot_keeps_its_volumes(keeper: Subject) -> None:
    first, second = keeper.spec(1, 1, volumes=DATA), keeper.spec(1, 2, volumes=DATA)
    keeper.provider.create(first)
    (made,) = keeper.provider.list_volumes()
    assert (made.name, made.group, made.slot, made.server) == ("web-1.data", "web", 1, first.name)
    assert keeper.the_server(first.name).volumes == ("web-1.data",)
    keeper.provider.destroy(first.name, keeper.grace)
    (free,) = keeper.provider.list_volumes()
    assert free == replace(made, server="")
    keeper.provider.create(second)
    assert keeper.provider.list_volumes() == [replace(made, server=second.name)]


def test_a_volume_is_never_on_two_servers(keeper: Subject) -> None:
    first, second = keeper.spec(1, 1, volumes=DATA), keeper.spec(1, 2, volumes=DATA)
    keeper.provider.create(first)
    with pytest.raises(Problem, match=first.name):
        keeper.provider.create(second)
    keeper.kill(first.name)
    wait_for(lambda: keeper.the_server(first.name).phase == "dead", "the server to be dead")
    with pytest.raises(Problem, match=first.name):
        keeper.provider.create(second)
    assert keeper.names() == [first.name]


def test_of_several_servers_at_once_one_gets_the_volume(keeper: Subject) -> None:
    def create(asked: ServerSpec) -> str:
        try:
            keeper.provider.create(asked)
        except Problem:
            return ""
        return asked.name

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(create, [keeper.spec(1, number, volumes=DATA) for number in range(1, 5)]))
    assert [name for name in made if name] == keeper.names()
    assert len(keeper.names()) == 1


def test_volumes_can_be_had_before_there_is_a_server(keeper: Subject) -> None:
    generation = keeper.spec(volumes=DATA).generation
    keeper.provider.ensure_volumes(generation, [1, 2])
    keeper.provider.ensure_volumes(generation, [1, 2, 3])
    assert sorted(volume.name for volume in keeper.provider.list_volumes()) == [f"web-{n}.data" for n in (1, 2, 3)]
    assert keeper.neighbour.list_volumes() == []


def test_a_volume_goes_only_when_it_is_told_to_and_is_on_no_server(keeper: Subject) -> None:
    keeper.provider.create(keeper.spec(1, 1, volumes=DATA))
    with pytest.raises(Refused, match="is on"):
        keeper.provider.remove_volume("web-1.data")
    keeper.provider.destroy(keeper.spec(1, 1).name, keeper.grace)
    keeper.provider.clear()
    assert [volume.name for volume in keeper.provider.list_volumes()] == ["web-1.data"]
    keeper.neighbour.remove_volume("web-1.data")
    assert len(keeper.provider.list_volumes()) == 1
    for _ in range(2):
        keeper.provider.remove_volume("web-1.data")
    assert keeper.provider.list_volumes() == []


def test_a_volume_that_was_put_away_is_there_again_for_the_next_server(keeper: Subject) -> None:
    first, second = keeper.spec(1, 1, volumes=DATA), keeper.spec(1, 2, volumes=DATA)
    (name,) = first.volumes
    keeper.provider.create(first)
    with pytest.raises(Refused):
        keeper.provider.put_away(name)
    keeper.provider.destroy(first.name, keeper.grace)
    # What the image has at that place may be nothing, and nothing is not put away.
    if keeper.provider.put_away(name) is not None:
        (away,) = keeper.provider.list_volumes()
        assert away.snapshot
        assert keeper.provider.put_away(name) is None
    keeper.provider.create(second)
    (volume,) = keeper.provider.list_volumes()
    assert (volume.server, volume.snapshot) == (second.name, None)


def test_the_console_of_a_server_can_be_read(subject: Subject) -> None:
    subject.provider.create(subject.spec())
    name = subject.spec().name
    wait_for(lambda: len(subject.provider.console(name, 1)) == 1, "a line on the console")


def test_the_console_of_no_server_is_a_problem(subject: Subject) -> None:
    with pytest.raises(Problem):
        subject.provider.console(subject.spec().name, 5)


def test_clear_refuses_while_servers_exist(subject: Subject) -> None:
    subject.provider.create(subject.spec())
    with pytest.raises(Problem, match=subject.spec().name):
        subject.provider.clear()
    assert subject.names() == [subject.spec().name]
    subject.provider.destroy(subject.spec().name, subject.grace)
    subject.provider.clear()
    subject.provider.clear()


def test_prepare_may_be_repeated_while_servers_run(subject: Subject) -> None:
    subject.provider.create(subject.spec(bootfiles={"environment": b"A=1\n"}))
    subject.provider.prepare()
    assert subject.read(subject.spec().name, "environment") == b"A=1\n"


def test_an_untouched_server_has_no_drift_and_a_login_is_seen_or_said_to_be_unseen(subject: Subject) -> None:
    subject.provider.create(subject.spec())
    endpoint = subject.provider.list_servers()[0].endpoint
    if subject.boots_quickly:
        wait_for(lambda: subject.answers(endpoint), f"an answer from {endpoint}", 180)
    (before,) = subject.provider.examine(subject.provider.list_servers())
    assert before.server == subject.spec().name
    assert drifts(before, DriftPolicy()) == ()
    subject.log_in(subject.spec().name)
    (after,) = subject.provider.examine(subject.provider.list_servers())
    assert after.logins or "logins" in {gap.aspect for gap in after.unseen}
    assert list(subject.provider.list_bystanders()) == []


def test_only_servers_that_run_and_were_asked_about_are_examined(subject: Subject) -> None:
    dead, alive = subject.spec(1, 1), subject.spec(2, 2)
    for each in (dead, alive):
        subject.provider.create(each)
    subject.kill(dead.name)
    wait_for(lambda: subject.the_server(dead.name).phase == "dead", "the server to be dead")
    assert [each.server for each in subject.provider.examine(subject.provider.list_servers())] == [alive.name]
    assert list(subject.provider.examine([])) == []
    assert list(subject.provider.examine([subject.the_server(dead.name)])) == []
