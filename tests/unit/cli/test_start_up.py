"""What commands load before they do anything: every rollout, hook and look starts some, so it is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

EXAMPLE = Path(__file__).parents[3] / "examples" / "web"

HEAVY = {
    *("annotated_types", "asyncio", "concurrent", "cryptography", "email", "holidays", "http", "icalendar", "jeepney"),
    *("multiprocessing", "numpy", "opening_hours", "prometheus_client", "psycopg", "pydantic", "re2"),
    *("recurring_ical_events", "rich", "ssl", "starlette", "uvicorn", "xml", "zstandard"),
}
"""Libraries, and parts of Python, that a look at a fleet has no use for."""

WORTH = {"status": {"concurrent"}, "plan": {"concurrent"}}
"""What a verb may load nevertheless: `status` asks for two things at once, `plan` is a look of the controller."""

MOST = {"--help": 8, "status": 120, "plan": 185}
"""How many modules of bluestone's own a verb may load."""

MEND = (
    "Import what not every call needs where it is used (in the function, or under TYPE_CHECKING for types alone), "
    "or take what is needed out of its room; `python -X importtime -m bluestone {verb}` shows who imports whom. "
    "Raise the figure in this file only for what every call of the verb needs."
)

SCRIPT = """
import contextlib, io, json, sys
from bluestone.cli.main import main
loaded = {}
for verb in sys.argv[1:]:
    sys.argv = ["bluestone", verb]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        main()
    loaded[verb] = sorted(sys.modules)
    frozen = [
        f"{module.__name__}.{name}"
        for module in list(sys.modules.values()) if module.__name__.startswith("bluestone.")
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__
        and (made := vars(value).get("__dataclass_params__")) and made.frozen
    ]
print(json.dumps({"loaded": loaded, "frozen": frozen}))
"""
"""Runs verbs in one process, each of which needs at least what those before it need: what is loaded adds up."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    directory = tmp_path_factory.mktemp("start-up")
    podman = directory / "bin" / "podman"
    podman.parent.mkdir()
    podman.write_text("#!/bin/sh\necho '[]'\n")
    podman.chmod(0o755)
    environment = os.environ | {"BLUESTONE_HOME": str(directory / "h"), "PATH": f"{podman.parent}:{os.environ['PATH']}"}
    # The declaration is read, with pydantic, when it is new: what counts is every time after that.
    for command in (["-m", "bluestone", "status"], ["-c", SCRIPT, *MOST]):
        done = subprocess.run(
            [sys.executable, *command], cwd=EXAMPLE, env=environment, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("verb", MOST)
def test_a_verb_loads_nothing_heavy(verb: str, started: dict[str, Any]) -> None:
    roots = {module.partition(".")[0] for module in started["loaded"][verb]}
    assert roots & HEAVY <= WORTH.get(verb, set()), MEND.format(verb=verb)


@pytest.mark.parametrize("verb", MOST)
def test_a_verb_loads_no_more_rooms_than_it_needs(verb: str, started: dict[str, Any]) -> None:
    own = [module for module in started["loaded"][verb] if module.startswith("bluestone")]
    assert len(own) <= MOST[verb], f"{len(own)} modules: {MEND.format(verb=verb)}"


def test_values_are_structs(started: dict[str, Any]) -> None:
    """Making a frozen dataclass takes fifty times as long, at each start (docs/adr/0011)."""
    assert started["frozen"] == []
