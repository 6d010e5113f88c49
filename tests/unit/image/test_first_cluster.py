"""The data of a PostgreSQL cluster is made by the server, where there is none yet."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bluestone.image.lockdown import FIRST_CLUSTER

COMMAND = '#!/bin/sh\necho "{} $*" >> "$SAID"\n'


@pytest.fixture
def server(tmp_path: Path) -> Path:
    """A tree in which the script's programs say what they are told."""
    (tmp_path / "bin").mkdir()
    for name in ("install", "runuser"):
        (tmp_path / "bin" / name).write_text(COMMAND.format(name))
        (tmp_path / "bin" / name).chmod(0o755)
    settings = tmp_path / "etc/postgresql/17/main-two"
    settings.mkdir(parents=True)
    (settings / "postgresql.conf").write_text(
        f"#data_directory = 'no'\ndata_directory = '{tmp_path}/data'\t\t# use data in another directory\nport = 5432\n"
    )
    return tmp_path


def run(server: Path, instance: str) -> list[str]:
    script = FIRST_CLUSTER.replace("/etc/postgresql", f"{server}/etc/postgresql")
    environment = {"PATH": f"{server}/bin:/usr/bin:/bin", "SAID": str(server / "said")}
    subprocess.run(["sh", "-c", script, "first-cluster", instance], check=True, env=environment)
    return (server / "said").read_text().splitlines() if (server / "said").exists() else []


def test_it_is_made_where_the_cluster_is_configured_to_have_it(server: Path) -> None:
    directory, initdb = run(server, "17-main-two")
    assert directory == f"install -d -o postgres -g postgres -m 700 {server}/data"
    assert initdb.startswith("runuser -u postgres -- /usr/lib/postgresql/17/bin/initdb ")
    assert initdb.endswith(f" {server}/data")


def test_what_is_there_is_left_alone(server: Path) -> None:
    (server / "data").mkdir()
    (server / "data/PG_VERSION").write_text("17\n")
    assert run(server, "17-main-two") == []
