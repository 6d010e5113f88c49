"""The balancer port's contract, sentence by sentence, on every adapter."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from balancer_rigs import HAProxyRig, MemoryRig, Rig, backend, closing, eventually, web_service
from bluestone.model.inventory import Backend
from bluestone.model.problem import Problem, Refused
from bluestone.model.server import Endpoint

needs_haproxy = pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")


@pytest.fixture(
    params=["memory", pytest.param("haproxy", marks=[pytest.mark.e2e, needs_haproxy])],
)
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    made: Rig = MemoryRig() if request.param == "memory" else HAProxyRig(tmp_path)
    with closing(made):
        made.balancer.ensure([made.service])
        yield made


def enrol(rig: Rig, *servers: str) -> None:
    """Enrol healthy servers and wait until they are found healthy."""
    for server in servers:
        rig.balancer.enrol("web", server, rig.boot(server))
    for server in servers:
        eventually(rig, lambda: health(rig, server) == "up", f"{server} is up")  # noqa: B023


def attach(rig: Rig, *servers: str) -> None:
    enrol(rig, *servers)
    for server in servers:
        rig.balancer.attach(server)


def of(rig: Rig, server: str) -> Backend:
    found = backend(rig.balancer, server)
    assert found is not None, f"{server} is not enrolled"
    return found


def health(rig: Rig, server: str) -> str:
    return of(rig, server).health


def names(rig: Rig) -> list[str]:
    return [one.server for one in rig.balancer.list_backends()]


def refused_without_a_change(rig: Rig, step: Callable[[], None]) -> None:
    before = rig.balancer.list_backends()
    with pytest.raises(Refused):
        step()
    assert rig.balancer.list_backends() == before


# ---- enrol ------------------------------------------------------------------------------------------------


def test_an_enrolled_server_is_checked_and_gets_no_requests(rig: Rig) -> None:
    enrol(rig, "web-0")
    assert rig.balancer.list_backends() == (Backend("web-0", "web", "detached", "up", 0),)
    assert rig.receivers() == set()


def test_enrolling_again_changes_nothing(rig: Rig) -> None:
    endpoint = rig.boot("web-0")
    rig.balancer.enrol("web", "web-0", endpoint)
    eventually(rig, lambda: health(rig, "web-0") == "up", "web-0 is up")
    rig.balancer.attach("web-0")
    rig.balancer.enrol("web", "web-0", endpoint)
    assert of(rig, "web-0") == Backend("web-0", "web", "attached", "up", 0)


def test_a_detached_server_may_get_another_endpoint(rig: Rig) -> None:
    rig.balancer.enrol("web", "web-0", Endpoint("127.0.0.1", {80: 1, 81: 1}))
    rig.balancer.enrol("web", "web-0", rig.boot("web-0"))
    eventually(rig, lambda: health(rig, "web-0") == "up", "web-0 is up at its new endpoint")
    rig.balancer.attach("web-0")
    assert rig.receivers() == {"web-0"}


def test_an_attached_server_keeps_its_endpoint(rig: Rig) -> None:
    attach(rig, "web-0")
    other = Endpoint("127.0.0.1", {80: 1, 81: 1})
    refused_without_a_change(rig, lambda: rig.balancer.enrol("web", "web-0", other))
    assert rig.receivers() == {"web-0"}


def test_a_server_that_holds_sessions_keeps_its_endpoint(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.occupy("web-0", 80)
    rig.balancer.detach("web-0")
    other = Endpoint("127.0.0.1", {80: 1, 81: 1})
    refused_without_a_change(rig, lambda: rig.balancer.enrol("web", "web-0", other))


@pytest.mark.parametrize("ports", [{}, {80: 1}, {443: 1}])
def test_a_server_without_a_port_of_its_group_is_enrolled_in_none(rig: Rig, ports: dict[int, int]) -> None:
    with pytest.raises(Problem):
        rig.balancer.enrol("web", "web-0", Endpoint("127.0.0.1", ports))
    assert names(rig) == []


def test_a_group_that_is_not_offered_takes_no_server(rig: Rig) -> None:
    with pytest.raises(Problem):
        rig.balancer.enrol("mail", "mail-0", rig.boot("mail-0"))
    assert names(rig) == []


# ---- attach -----------------------------------------------------------------------------------------------


def test_attached_servers_get_requests(rig: Rig) -> None:
    attach(rig, "web-0", "web-1")
    assert rig.receivers() == {"web-0", "web-1"}
    rig.balancer.attach("web-0")
    assert [one.admission for one in rig.balancer.list_backends()] == ["attached", "attached"]


def test_a_server_that_was_not_checked_yet_is_not_attached(rig: Rig) -> None:
    # Nobody answers there: only the balancer's ignorance could take it for healthy.
    rig.balancer.enrol("web", "web-0", Endpoint("127.0.0.1", {80: 1, 81: 1}))
    with pytest.raises(Refused):
        rig.balancer.attach("web-0")
    assert of(rig, "web-0").admission == "detached"


def test_a_server_that_never_answers_a_check_is_never_up(rig: Rig) -> None:
    rig.balancer.enrol("web", "web-0", Endpoint("127.0.0.1", {80: 1, 81: 1}))
    rig.sicken("web-0", 80)
    seen = set()

    def down() -> bool:
        seen.add(health(rig, "web-0"))
        return "down" in seen

    eventually(rig, down, "web-0 is down")
    assert seen <= {"unknown", "down"}


@pytest.mark.parametrize("port", [80, 81])
def test_a_server_that_is_down_on_one_port_is_down_and_not_attached(rig: Rig, port: int) -> None:
    enrol(rig, "web-0")
    rig.sicken("web-0", port)
    eventually(rig, lambda: health(rig, "web-0") == "down", "web-0 is down")
    refused_without_a_change(rig, lambda: rig.balancer.attach("web-0"))
    assert rig.receivers() == set()


def test_attaching_is_a_step_already_taken_even_for_a_server_that_went_down(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.sicken("web-0", 80)
    eventually(rig, lambda: health(rig, "web-0") == "down", "web-0 is down")
    rig.balancer.attach("web-0")
    assert of(rig, "web-0").admission == "attached"


def test_a_server_that_is_not_enrolled_is_not_attached(rig: Rig) -> None:
    refused_without_a_change(rig, lambda: rig.balancer.attach("web-9"))


# ---- detach -----------------------------------------------------------------------------------------------


def test_a_detached_server_keeps_its_requests_and_gets_no_new_ones(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.occupy("web-0", 80)
    rig.occupy("web-0", 81)
    attach(rig, "web-1")
    rig.balancer.detach("web-0")
    assert of(rig, "web-0") == Backend("web-0", "web", "detached", "up", 2)
    assert rig.receivers() == {"web-1"}
    rig.release()
    eventually(rig, lambda: of(rig, "web-0").sessions == 0, "web-0 is idle")


def test_detaching_twice_or_a_stranger_is_no_error(rig: Rig) -> None:
    attach(rig, "web-0")
    for server in ("web-0", "web-0", "web-9"):
        rig.balancer.detach(server)
    assert of(rig, "web-0").admission == "detached"
    assert names(rig) == ["web-0"]


def test_a_detached_server_may_be_attached_again(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.balancer.detach("web-0")
    rig.balancer.attach("web-0")
    assert rig.receivers() == {"web-0"}


# ---- dismiss ----------------------------------------------------------------------------------------------


def test_a_dismissed_server_is_forgotten(rig: Rig) -> None:
    attach(rig, "web-0", "web-1")
    rig.balancer.detach("web-0")
    rig.balancer.dismiss("web-0")
    rig.balancer.dismiss("web-0")
    assert names(rig) == ["web-1"]
    assert rig.receivers() == {"web-1"}


@pytest.mark.parametrize("sever", [False, True])
def test_an_attached_server_is_not_dismissed(rig: Rig, sever: bool) -> None:
    attach(rig, "web-0")
    refused_without_a_change(rig, lambda: rig.balancer.dismiss("web-0", sever=sever))
    assert rig.receivers() == {"web-0"}


def test_a_server_with_sessions_is_dismissed_only_by_severing_them(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.occupy("web-0", 81)
    rig.balancer.detach("web-0")
    refused_without_a_change(rig, lambda: rig.balancer.dismiss("web-0"))
    rig.balancer.dismiss("web-0", sever=True)
    assert names(rig) == []


def test_a_dismissed_server_may_come_back(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.balancer.detach("web-0")
    rig.balancer.dismiss("web-0")
    attach(rig, "web-0")
    assert rig.receivers() == {"web-0"}


# ---- ensure and stop --------------------------------------------------------------------------------------


def test_ensuring_again_changes_nothing(rig: Rig) -> None:
    attach(rig, "web-0")
    enrol(rig, "web-1")
    before = rig.balancer.list_backends()
    rig.balancer.ensure([rig.service])
    assert rig.balancer.list_backends() == before


def test_a_balancer_that_died_is_started_with_the_attached_servers(rig: Rig) -> None:
    attach(rig, "web-0", "web-1")
    rig.balancer.detach("web-1")
    rig.crash()
    assert not rig.balancer.is_running()
    with pytest.raises(Problem):
        rig.balancer.list_backends()
    rig.balancer.ensure([rig.service])
    eventually(rig, lambda: health(rig, "web-0") == "up", "web-0 is up again")
    assert of(rig, "web-0") == Backend("web-0", "web", "attached", "up", 0)
    assert rig.receivers() == {"web-0"}
    assert "web-1" not in names(rig) or of(rig, "web-1").admission == "detached"


def test_a_server_dismissed_before_a_death_does_not_come_back(rig: Rig) -> None:
    attach(rig, "web-0", "web-1")
    rig.balancer.detach("web-1")
    rig.balancer.dismiss("web-1")
    rig.crash()
    rig.balancer.ensure([rig.service])
    assert names(rig) == ["web-0"]


def test_another_service_leaves_the_servers_as_they_are(rig: Rig) -> None:
    attach(rig, "web-0", "web-1")
    enrol(rig, "web-2")
    rig.balancer.detach("web-1")
    rig.balancer.ensure([rig.service, web_service(group="mail")])
    before = rig.balancer.list_backends()
    rig.balancer.ensure([rig.service, web_service(18_025, group="mail")])
    assert rig.balancer.list_backends() == before
    assert rig.receivers() == {"web-0"}
    rig.balancer.attach("web-2")
    rig.balancer.ensure([rig.service])
    assert rig.receivers() == {"web-0", "web-2"}


def test_a_service_that_is_withdrawn_takes_its_servers_along(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.balancer.ensure([])
    assert names(rig) == []
    rig.balancer.ensure([rig.service])
    assert names(rig) == []


def test_a_stopped_balancer_knows_nobody_and_can_be_started_again(rig: Rig) -> None:
    attach(rig, "web-0")
    assert rig.balancer.is_running()
    rig.balancer.stop()
    rig.balancer.stop()
    assert not rig.balancer.is_running()
    assert names(rig) == []
    rig.balancer.ensure([rig.service])
    assert names(rig) == []
    attach(rig, "web-1")
    assert rig.receivers() == {"web-1"}


def test_what_comes_is_counted_though_nobody_can_take_it(rig: Rig) -> None:
    before = rig.balancer.arrivals()
    assert before.keys() == {"web"}
    rig.visit(2)
    assert rig.balancer.arrivals()["web"] == before["web"] + 2


def test_a_balancer_that_does_not_answer_is_a_problem_and_no_empty_list(rig: Rig) -> None:
    attach(rig, "web-0")
    rig.mute()
    with pytest.raises(Problem):
        rig.balancer.list_backends()


def test_steps_taken_at_once_have_one_effect(rig: Rig) -> None:
    endpoints = {f"web-{at}": rig.boot(f"web-{at}") for at in range(3)}
    errors: list[Exception] = []

    def enrol_all() -> None:
        try:
            for server, endpoint in endpoints.items():
                rig.balancer.enrol("web", server, endpoint)
        except Exception as error:  # noqa: BLE001 - whatever it is, the test reports it
            errors.append(error)

    threads = [threading.Thread(target=enrol_all) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert names(rig) == ["web-0", "web-1", "web-2"]
