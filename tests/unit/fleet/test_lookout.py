"""How often the list of servers is asked for, and what it shows after actions of our own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from msgspec.structs import replace

from bluestone.fleet.controller.observe import HURRIED_AGE, MAX_AGE, Lookout
from bluestone.model.problem import Problem
from bluestone.model.server import Server
from bluestone.simulation.provider import SimulatedProvider
from plan_examples import NOW, server

FIRST, SECOND = server(1, 1, 1), server(1, 2, 2)


class Listed(SimulatedProvider):
    """A provider that lists what it is told to, and counts how often it is asked."""

    def __init__(self, *servers: Server) -> None:
        super().__init__("p", lambda: NOW)
        self.servers, self.asked, self.answers = list(servers), 0, True

    def list_servers(self) -> Sequence[Server]:
        self.asked += 1
        if not self.answers:
            raise Problem("it does not answer")
        return list(self.servers)


def test_what_our_own_actions_did_is_known_without_asking_again() -> None:
    provider = Listed(FIRST)
    lookout = Lookout({"sim": provider})
    assert lookout.list_servers(NOW).servers == (FIRST,)
    lookout.came(SECOND)
    lookout.came(SECOND)
    assert lookout.list_servers(NOW).servers == (FIRST, SECOND)
    lookout.went(FIRST.name)
    assert lookout.list_servers(NOW).servers == (SECOND,)
    assert provider.asked == 1


def test_what_came_takes_the_place_of_what_was_seen_half_made() -> None:
    lookout = Lookout({"sim": Listed(replace(FIRST, phase="creating"))})
    lookout.list_servers(NOW)
    lookout.came(FIRST)
    assert lookout.list_servers(NOW).servers == (FIRST,)


def test_it_is_asked_again_after_a_while_and_when_the_outcome_is_not_known() -> None:
    provider = Listed(FIRST)
    lookout = Lookout({"sim": provider})
    lookout.list_servers(NOW)
    lookout.went(FIRST.name)
    assert lookout.list_servers(NOW + MAX_AGE).servers == (FIRST,), "whatever was said, it is still there"
    lookout.forget()
    lookout.list_servers(NOW + MAX_AGE + timedelta(milliseconds=1))
    assert provider.asked == 3


def test_before_the_first_look_there_is_nothing_to_correct() -> None:
    lookout = Lookout({"sim": Listed(FIRST)})
    lookout.came(SECOND)
    lookout.went(FIRST.name)
    assert lookout.list_servers(NOW).servers == (FIRST,)


def test_a_list_with_a_gap_is_not_kept() -> None:
    provider = Listed(FIRST)
    lookout = Lookout({"sim": provider})
    provider.answers = False
    assert lookout.list_servers(NOW).gaps
    provider.answers = True
    assert lookout.list_servers(NOW).servers == (FIRST,)


def test_while_something_else_is_waited_for_a_list_may_be_older() -> None:
    provider = Listed(FIRST)
    lookout = Lookout({"sim": provider})
    lookout.list_servers(NOW)
    lookout.hurried = True
    lookout.went(FIRST.name)
    assert lookout.list_servers(NOW + MAX_AGE).servers == (), "what our own actions did is known all the same"
    assert provider.asked == 1
    lookout.list_servers(NOW + HURRIED_AGE)
    assert provider.asked == 2
