"""A project whose log store is the made-up shop's, served."""

from __future__ import annotations

from pathlib import Path

import pytest

from web_served import Served, serve
from web_shop import fill


@pytest.fixture(scope="session")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Served:
    """The shop, for tests that change nothing."""
    served = serve(tmp_path_factory.mktemp("shop"))
    fill(served.project.logs)
    return served


@pytest.fixture
def fresh(tmp_path: Path) -> Served:
    """A project without a line."""
    return serve(tmp_path)
