"""Sizes and zones that cannot be, named where they stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestone.declaration import parse
from bluestone.model.group import Group, Resources
from bluestone.model.problem import Problems

HEAD = 'project = "p"\n[image]\nbase = "debian:trixie"\npackages = ["linux-image-cloud-amd64"]\n[servers.web]\n'


def group(lines: str) -> Group:
    return parse(HEAD + lines, "bluestone.toml", Path("/")).groups[0]


def test_sizes_and_zones_in_their_order() -> None:
    found = group(
        'provider = "ours"\nresources = { memory = "2GiB" }\nfallback = [{ memory = "1GiB" }]\nzones = ["b", "a"]\n'
    )
    assert found.fallback == (Resources(memory=1 << 30),)
    assert found.zones == ("b", "a")


@pytest.mark.parametrize(
    ("lines", "what"),
    [
        ('fallback = [{ memory = "1GiB" }]', "servers without limits"),
        ('resources = { memory = "1GiB" }\nfallback = [{ memory = "1024MiB" }]', "this size was tried"),
        ('provider = "qemu"\nresources = { cpus = 2 }\nfallback = [{ cpus = 0.5 }]', "whole processors"),
        ('zones = ["a"]', "podman runs servers on this machine"),
        ('provider = "ours"\nzones = ["a", "a"]', "stands there twice"),
        ('provider = "ours"\nzones = ["a b"]', "a zone's name"),
    ],
)
def test_what_cannot_be(lines: str, what: str) -> None:
    with pytest.raises(Problems) as refused:
        group(lines)
    (problem,) = refused.value.problems
    assert what in problem.what
    assert problem.place is not None
    assert problem.place.line > 4
