"""Puppet: a manifest applied to a tree, without a server of Puppet's. The command and what it says, as data."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import partial

from bluestone.image.provision.facts import NAME, Facts, merged, puppet_facts
from bluestone.image.provision.hook import ROOM, Hook, Said, inside, not_installed, quoted
from bluestone.model.problem import Problem
from bluestone.model.recipe import Puppet

TOOL = "puppet"
PACKAGES = ("puppet-agent",)
"""What the tool is made of, with what it depends on: Puppet and Facter as the image's own suite has them."""

ENVIRONMENT = f"{ROOM}/environments/image"
SCRATCH = f"{ROOM}/puppet"

CHANGED = (2, 6)
FAILED = (4, 6)
"""The statuses of `--detailed-exitcodes` (puppet-apply(8))."""

CHANGE = re.compile(r"Notice: /Stage\[\w+\]/(.*)")
NO_PACKAGE = re.compile(r"Unable to locate package (\S+)|Package '?(\S+?)'? has no installation candidate")


def hook(puppet: Puppet) -> Hook:
    """The order to apply what a recipe declares."""
    return Hook(
        tool=TOOL,
        packages=PACKAGES,
        title="Puppet",
        key="image.puppet",
        directory=puppet.directory,
        place=ENVIRONMENT,
        command=command(puppet),
        files=partial(_files, puppet),
        verdict=partial(verdict, puppet),
        directories=("puppet",),
    )


def command(puppet: Puppet) -> list[str]:
    """The argument list; everything that Puppet would write about itself goes into its room."""
    places = ("confdir", "vardir", "rundir", "logdir", "publicdir", "codedir", "ssldir")
    return [
        *("ruby", f"{ROOM}/apply.rb", "apply"),
        *(f"--{place}={SCRATCH}/{place}" for place in places),
        f"--environmentpath={ENVIRONMENT.rpartition('/')[0]}",
        "--environment=image",
        f"--pluginfactdest={ROOM}/facts",
        f"--certname={NAME}",
        "--detailed-exitcodes",
        "--color=false",
        f"{ENVIRONMENT}/{puppet.manifest}",
    ]


def _files(puppet: Puppet, facts: Facts) -> Mapping[str, str]:
    known = merged(puppet_facts(facts), puppet.facts)
    return {"apply.rb": inside("apply.rb"), "facts/bluestone.json": json.dumps(known)}


def verdict(puppet: Puppet, status: int, said: Said) -> tuple[str, ...]:
    """What was changed, given the status and what Puppet said. Raises `Problem`."""
    errors = [line for line in said if line.startswith("Error: ")]
    if status in (0, *CHANGED) and status not in FAILED:
        return tuple(match[1] for line in said if (match := CHANGE.match(line))) if status else ()
    lacking = [next(filter(None, found)) for line in said for found in NO_PACKAGE.findall(line)]
    if lacking:
        raise not_installed("Puppet", sorted(set(lacking)), errors)
    if status in FAILED:
        raise Problem(
            f"Puppet could not apply {puppet.directory}/{puppet.manifest}{quoted(errors or said[-12:])}",
            mend="correct it; it is applied as root inside the image, without a network, and no service runs there",
        )
    raise Problem(
        f"Puppet cannot make sense of {puppet.directory}/{puppet.manifest}{quoted(errors or said[-12:])}",
        mend="correct it; every module that it uses must be in the directory `modules` beside it, "
        "and facts of the machine that builds are not known (image.puppet.facts declares others)",
    )
