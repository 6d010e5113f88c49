"""What a virtual machine is handed at its start."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.fleet.providers.qemu.bootdisk import archive, machine_id
from bluestone.model.problem import Problem

FILES = {"environment": b'A="1"\n', "secrets/PASSWORD": b"hunter2", "logs/token": b"t\n"}


def entries(content: bytes) -> dict[str, tarfile.TarInfo]:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        return {entry.name: entry for entry in tar}


def content_of(content: bytes, name: str) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read()


def test_it_holds_what_is_handed_and_the_servers_own_names() -> None:
    made = archive("shop", "web-0-1f3a9c0d-7", FILES)
    assert list(entries(made)) == [
        *("logs", "secrets", "environment", "hostname", "logs/token", "machine-id", "secrets/PASSWORD")
    ]
    assert {name: content_of(made, name) for name in FILES} == FILES
    assert content_of(made, "hostname") == b"web-0-1f3a9c0d-7\n"
    assert content_of(made, "machine-id") == f"{machine_id('shop', 'web-0-1f3a9c0d-7')}\n".encode()


def test_it_is_for_root_alone_and_whole_sectors_long() -> None:
    made = archive("shop", "web-0", FILES)
    assert len(made) % 512 == 0
    modes = {name: entry.mode for name, entry in entries(made).items()}
    assert modes.pop("machine-id") == 0o444
    assert set(modes.values()) == {0o400, 0o700}
    assert {(entry.uid, entry.gid, entry.mtime) for entry in entries(made).values()} == {(0, 0, 0)}


@pytest.mark.parametrize("name", ["/etc/passwd", "../up", "a/../../b", "", "."])
def test_a_path_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(Problem, match="outside of /run/bluestone"):
        archive("shop", "web-0", {name: b""})


def test_a_server_cannot_be_handed_another_name() -> None:
    made = archive("shop", "web-0", {"hostname": b"db-0\n"})
    assert content_of(made, "hostname") == b"web-0\n"


@given(st.binary(max_size=2000), st.binary(max_size=2000))
def test_any_content_comes_back(one: bytes, other: bytes) -> None:
    made = archive("shop", "web-0", {"secrets/A": one, "secrets/B": other})
    assert (content_of(made, "secrets/A"), content_of(made, "secrets/B")) == (one, other)


def test_machine_ids_differ_by_project_and_server() -> None:
    ids = {machine_id(project, server) for project in ("shop", "web") for server in ("web-0-1", "web-0-2")}
    assert len(ids) == 4
    assert all(len(each) == 32 and int(each, 16) for each in ids)
