"""Ansible: a playbook played in a tree, on itself. The command and what it says, as data."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from bluestone.image.provision.facts import NAME, Facts, ansible_facts
from bluestone.image.provision.hook import ROOM, Hook, Said, inside, not_installed, quoted
from bluestone.model.problem import Problem
from bluestone.model.recipe import Ansible

TOOL = "ansible"
PACKAGES = ("ansible-core", "python3-apt")
"""What the tool is made of, with what it depends on: its own Python among it, unless the image has the same."""

PLACE = f"{ROOM}/ansible"

INVENTORY = f"{NAME} ansible_connection=local ansible_python_interpreter=/usr/bin/python3\n"

ENVIRONMENT = {
    "ANSIBLE_HOME": f"{ROOM}/home",
    "ANSIBLE_LOCAL_TEMP": f"{ROOM}/home/tmp",
    "ANSIBLE_REMOTE_TEMP": f"{ROOM}/home/tmp",
    "ANSIBLE_LIBRARY": f"{ROOM}/library",
    "ANSIBLE_CALLBACK_PLUGINS": f"{ROOM}/callbacks",
    "ANSIBLE_STDOUT_CALLBACK": "bluestone",
    "ANSIBLE_ROLES_PATH": f"{PLACE}/roles",
    "ANSIBLE_COLLECTIONS_PATH": f"{PLACE}/collections",
    "ANSIBLE_RETRY_FILES_ENABLED": "false",
    "ANSIBLE_NOCOLOR": "true",
    "ANSIBLE_FORKS": "1",
    # Root needs no password to become somebody else, and sudo need not be there.
    "ANSIBLE_BECOME_METHOD": "su",
    # Compiled files would stay behind beside the sources of the tool.
    "PYTHONDONTWRITEBYTECODE": "1",
}

NO_PACKAGE = re.compile(r"No package matching '([^']+)' is available|Unable to locate package (\S+)")


def hook(ansible: Ansible) -> Hook:
    """The order to play what a recipe declares."""
    return Hook(
        tool=TOOL,
        packages=PACKAGES,
        title="Ansible",
        key="image.ansible",
        directory=ansible.directory,
        place=PLACE,
        command=command(ansible),
        files=partial(_files, ansible),
        verdict=partial(verdict, ansible),
        heard=heard,
        directories=("home/tmp",),
        environment=ENVIRONMENT,
    )


def command(ansible: Ansible) -> list[str]:
    """The argument list. Ansible reads an ansible.cfg in the directory where it is started."""
    play = [
        *("ansible-playbook", "--inventory", f"{ROOM}/inventory", "--extra-vars", f"@{ROOM}/variables.json"),
        f"{PLACE}/{ansible.playbook}",
    ]
    return ["sh", "-c", 'cd "$1" && shift && exec "$@"', "play", PLACE, *play]


def _files(ansible: Ansible, facts: Facts) -> Mapping[str, str]:
    return {
        "inventory": INVENTORY,
        "variables.json": json.dumps(dict(ansible.variables)),
        "facts.json": json.dumps(ansible_facts(facts)),
        "library/setup.py": inside("setup"),
        "callbacks/bluestone.py": inside("callback"),
    }


def heard(line: str) -> str:
    """The task that begins, by a line of `inside/callback`; "" of any other."""
    told = next(_told([line]), {})
    return f"Ansible: {told['name']}" if told.get("kind") == "task" else ""


def verdict(ansible: Ansible, status: int, said: Said) -> tuple[str, ...]:
    """The tasks that changed something, given the status and what Ansible said. Raises `Problem`."""
    told = list(_told(said))
    name = f"{ansible.directory}/{ansible.playbook}"
    if any(each["kind"] == "nobody" for each in told) or (status == 0 and not any(each.get("ok") for each in told)):
        raise Problem(
            f"nothing of {name} was played: its hosts are none that an image is",
            mend=f'write "hosts: all" in it, or "hosts: {NAME}"',
        )
    if status == 0:
        return tuple(each["name"] for each in told if each["kind"] == "changed")
    failures = [each for each in told if each["kind"] == "failed"]
    words = [line for each in failures for text in each["said"] for line in text.strip().splitlines()]
    if lacking := [next(filter(None, found)) for line in words for found in NO_PACKAGE.findall(line)]:
        raise not_installed("Ansible", sorted(set(lacking)), words)
    if failures:
        last = failures[-1]
        raise Problem(
            f'Ansible could not play {name}: the task "{last["name"]}" failed ({last["place"]}){quoted(words)}',
            mend="correct it; it is played as root inside the image, without a network, and no service runs there",
        )
    plain = [line for line in said if line.strip() and not line.startswith('{"kind"')]
    raise Problem(
        f"Ansible cannot make sense of {name}{quoted(plain[-12:])}",
        mend="correct it; every role and collection that it uses must be in `roles` and `collections` beside it, "
        "and nothing of it may be encrypted: a secret is handed to a server, and never part of an image",
    )


def _told(said: Said) -> Iterator[dict[str, Any]]:
    for line in said:
        if line.startswith('{"kind"'):
            try:
                yield json.loads(line)
            except ValueError:
                continue  # A line that was too long to be read as one.
