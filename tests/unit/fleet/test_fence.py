"""When a process may act by its own clock."""

import threading
from datetime import timedelta

import pytest

from bluestone.fleet.controller.fence import Fence
from bluestone.model.problem import Problem, Refused

LENGTH = timedelta(seconds=0.4)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fence(clock: Clock) -> Fence:
    return Fence(clock)


def test_who_never_led_may_act(fence: Fence) -> None:
    fence.may_act()


@pytest.mark.parametrize(("passed", "may"), [(0.0, True), (0.29, True), (0.31, False), (0.5, False)])
def test_a_quarter_of_the_lease_must_be_left(fence: Fence, clock: Clock, passed: float, may: bool) -> None:
    fence.open(1, clock.now, LENGTH)
    clock.now += passed
    if may:
        fence.may_act()
        return
    with pytest.raises(Refused, match="could not be renewed"):
        fence.may_act()


def test_the_lease_runs_from_when_it_was_asked_for(fence: Fence, clock: Clock) -> None:
    """An answer that took long has used the lease up."""
    fence.open(1, clock.now - 0.35, LENGTH)
    with pytest.raises(Refused):
        fence.may_act()


def test_a_renewal_is_waited_for(fence: Fence, clock: Clock) -> None:
    fence.open(1, clock.now - 1, LENGTH)
    waiting = threading.Timer(0.05, fence.extend, (clock.now, LENGTH))
    waiting.start()
    fence.may_act()
    waiting.join()


def test_a_loss_ends_waiting_and_lasts(fence: Fence, clock: Clock) -> None:
    fence.open(4, clock.now - 1, LENGTH)
    losing = threading.Timer(0.05, fence.lose, (Problem("another leads"),))
    losing.start()
    with pytest.raises(Refused, match="another leads"):
        fence.may_act()
    losing.join()
    fence.close()
    assert fence.epoch == 4, "what it writes is refused still"
    with pytest.raises(Refused, match="another leads"):
        fence.may_act()
    fence.open(6, clock.now, LENGTH)
    fence.may_act()


def test_what_was_given_back_binds_nobody(fence: Fence, clock: Clock) -> None:
    fence.open(1, clock.now, LENGTH)
    fence.close()
    assert fence.epoch == 0
    fence.may_act()
