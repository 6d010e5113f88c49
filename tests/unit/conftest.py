"""What unit tests share: a home of their own, so that none writes to that of whoever runs them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session", autouse=True)
def _own_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BLUESTONE_HOME", str(tmp_path_factory.mktemp("home")))
        yield
