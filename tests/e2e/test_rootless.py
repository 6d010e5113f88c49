"""Servers without root: what holds for root's servers holds for those of an ordinary user."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bluestone.image.store import ImageStore
from locked import hand_over
from ordinary_user import ordinary_user, run_in_session
from podman_site import RECIPE, server_root

__all__ = ["ordinary_user", "server_root"]

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def home(ordinary_user: tuple[str, Path], server_root: Path) -> Path:
    """A home with the packages that root fetched and locked: the images on them are the user's own to build."""
    user, directory = ordinary_user
    store = ImageStore(server_root.parents[1])
    images = directory / "cache" / "images"
    hand_over(RECIPE, store, ImageStore(images))
    subprocess.run(["chown", "-R", user, str(directory)], check=True)
    return directory


@pytest.mark.parametrize(
    ("tests", "some"),
    [
        ("conformance/test_provider.py", "podman or (qemu and answers)"),
        ("e2e/test_podman_provider.py", ""),
        ("e2e/test_fleet_life.py", "life_of_a_fleet"),
        ("e2e/test_image_sbom.py::test_a_person_asks", ""),
        ("e2e/test_image_lock.py", "base_and_what or local_packages or wrong_key"),
    ],
)
def test_an_ordinary_user_passes(tests: str, some: str, ordinary_user: tuple[str, Path], home: Path) -> None:
    pytest_command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider"]
    done = run_in_session(
        ordinary_user[0],
        home,
        *(
            "env",
            "-u",
            "PYTEST_XDIST_WORKER",
            f"BLUESTONE_TEST_CACHE={home / 'cache'}",
            "PYTHONDONTWRITEBYTECODE=1",
            f"TMPDIR={home}",
        ),
        *(*pytest_command, f"tests/{tests}", "-k", some),
        timeout=900,
    )
    print(done.stdout)
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout
