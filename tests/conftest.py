"""What all tests share: no test is timed, not by Hypothesis either; skipped end-to-end tests are failures in CI."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator

import pytest
from hypothesis import HealthCheck, settings

import iri_syntax
from postgres_server import PostgresServer, postgres

iri_syntax.install()

settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


ALLOWED = "machine:"
"""How the reason of a skip begins that no package could mend (the kernel or hardware lacks something)."""


LONGEST = ("test_rootless.py", "test_fleet_faults.py", "test_image_provision.py", "test_image_build.py")
"""The files of end-to-end tests that take longest, in that order."""


NAMED = 16
"""Bytes of a parameter that name its test themselves."""


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Longer bytes are named by their length: who packs something may write the time into it, and lanes must agree on
    the names of tests."""
    return f"{argname}-of-{len(val)}" if isinstance(val, bytes) and len(val) > NAMED else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest: lanes that take file after file then end at the same time."""

    def rank(item: pytest.Item) -> tuple[bool, int]:
        name = item.path.name
        return item.nodeid.startswith("tests/unit/"), LONGEST.index(name) if name in LONGEST else len(LONGEST)

    items.sort(key=rank)


def pytest_collection_finish() -> None:
    """Spare the garbage collector what lives as long as the tests: thousands of them, and their modules."""
    gc.freeze()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.CallInfo[None], None]:
    """In CI, turn a skipped end-to-end test into a failure, unless its reason is the machine itself."""
    outcome = yield
    report = outcome.get_result()
    if not report.skipped or "e2e" not in item.keywords or not os.environ.get("CI"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if ALLOWED not in reason:
        report.outcome = "failed"
        report.longrepr = f"skipped in CI: {reason}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server that tests share; whoever stops it starts it again."""
    with postgres() as server:
        yield server
