"""What is removed as left behind is of tests, and of tests that run no more."""

from __future__ import annotations

import os

from leftovers import of_the_dead, project_name


def test_only_what_dead_tests_made_is_taken_for_left_behind() -> None:
    names = ["podman", "bluestone-web", "bluestone-t7", "bluestone-team.web-1-x-1", "x-bluestone-t7x1"]
    dead = ["bluestone-t7x1", "bluestone-t7xab12-web.web-0-1f3a9c0d-1"]
    assert of_the_dead([*names, *dead, "bluestone-t8x1"], lambda pid: pid == 8) == dead


def test_what_a_test_makes_is_known_as_its_own() -> None:
    own = f"bluestone-{project_name()}"
    assert of_the_dead([own], lambda pid: pid != os.getpid()) == [own]
    assert project_name() != project_name()
