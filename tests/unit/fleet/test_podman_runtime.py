"""How podman is called on machines of different kinds."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bluestone.fleet.providers.podman.runtime import Machine, Runtime, choose_runtime, this_machine
from bluestone.model.problem import MissingTool, Problem

ORDINARY = Machine(
    root=True,
    may_raise_limits=True,
    cgroups="unified",
    runc=False,
    delegated=True,
    tunnels=True,
    files=1 << 20,
    processes=63_000,
    pid_max=4_194_304,
)
CONFINED = replace(
    ORDINARY,
    may_raise_limits=False,
    cgroups="hybrid",
    runc=True,
    files=20_000,
    processes=96_365,
    pid_max=32_768,
)
ROOTLESS = replace(ORDINARY, root=False, may_raise_limits=False)


def test_an_ordinary_machine_needs_nothing() -> None:
    assert choose_runtime(ORDINARY) == Runtime(rootless=False, options=())


def test_a_confined_machine_gets_runc_and_the_limits_that_it_may_set() -> None:
    options = choose_runtime(CONFINED).options
    assert options == ("--runtime", "runc", "--ulimit", "nofile=20000:20000", "--ulimit", "nproc=32768:32768")


def test_where_nothing_shares_out_the_processors_servers_are_given_a_weight() -> None:
    alone = replace(CONFINED, slices=False)
    assert choose_runtime(alone).options[-4:] == ("--cgroup-parent", "/", "--cpu-shares", "4096")
    assert "--cpu-shares" not in choose_runtime(replace(alone, cgroups="unified")).options
    assert "--cpu-shares" not in choose_runtime(CONFINED).options


def test_hybrid_control_groups_need_runc() -> None:
    with pytest.raises(MissingTool, match="runc") as caught:
        choose_runtime(replace(CONFINED, runc=False))
    assert "apt-get install" in caught.value.mend


def test_rootless_podman_sets_its_own_limits() -> None:
    assert choose_runtime(ROOTLESS) == Runtime(rootless=True, options=())


def test_without_root_limits_need_unified_control_groups() -> None:
    hybrid = replace(ROOTLESS, cgroups="hybrid", runc=True)
    assert [choose_runtime(one).limits for one in (ROOTLESS, hybrid, CONFINED)] == [True, False, True]


@pytest.mark.parametrize(
    ("machine", "what", "mend"),
    [
        (replace(ROOTLESS, cgroups="hybrid", runc=True, delegated=False), "not delegated", "unified"),
        (replace(ROOTLESS, tunnels=False), "/dev/net/tun", "modprobe tun"),
    ],
)
def test_a_machine_that_cannot_do_rootless_is_told_why(machine: Machine, what: str, mend: str) -> None:
    with pytest.raises(Problem, match=what) as caught:
        choose_runtime(machine)
    assert mend in caught.value.mend
    assert choose_runtime(replace(machine, root=True)).rootless is False


def test_this_machine_can_be_looked_at() -> None:
    machine = this_machine()
    assert machine.files > 0
    assert machine.processes > 0
    assert machine.pid_max >= 301, "the kernel's own minimum"
