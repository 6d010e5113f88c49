import fcntl
import os
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bluestone.image import store as store_module
from bluestone.image.stages import Proof
from bluestone.image.store import Facts, ImageStore
from bluestone.model.ids import Digest
from bluestone.model.image import Image, Package
from bluestone.model.problem import Problem

KEY, OTHER = "a" * 64, "b" * 64
DIGEST, OTHER_DIGEST = "sha256:" + "1" * 64, "sha256:" + "2" * 64
AT = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def facts(digest: str = DIGEST, key: str = KEY) -> Facts:
    return Facts(digest, key, 12, 3, (Package("bash", "5", "amd64"),), ("/var/x",), AT)


@pytest.fixture
def store(tmp_path: Path) -> ImageStore:
    return ImageStore(tmp_path / "images")


def put(store: ImageStore, digest: str = DIGEST, key: str = KEY) -> Image:
    with store.workplace() as work:
        (work / "root").mkdir()
        (work / "root" / "file").write_text(digest)
        (work / "manifest").write_text("")
        return store.add(work, facts(digest, key))


def drafts(store: ImageStore) -> list[Path]:
    return list(store.directory.glob(".work-*"))


def test_what_was_added_is_found_by_key_and_digest(store: ImageStore) -> None:
    image = put(store)
    packages = (Package("bash", "5", "amd64"),)
    assert image == Image(Digest(DIGEST), KEY, image.root, 12, 3, packages, ("/var/x",), AT)
    assert store.find(KEY) == store.get(DIGEST) == image
    assert store.list() == [image]
    assert store.root(DIGEST) == image.root
    assert (image.root / "file").read_text() == DIGEST
    assert drafts(store) == []


def test_two_keys_may_lead_to_one_image_and_a_key_to_a_newer_one(store: ImageStore) -> None:
    put(store)
    put(store, key=OTHER)
    assert len(store.list()) == 1
    assert store.find(KEY) is not None
    assert store.find(OTHER) is not None
    put(store, OTHER_DIGEST, KEY)
    found = store.find(KEY)
    assert found is not None
    assert found.digest == OTHER_DIGEST
    assert len(store.list()) == 2


def test_others_must_not_enter_the_store(store: ImageStore) -> None:
    put(store)
    assert store.directory.stat().st_mode & 0o077 == 0


def test_what_is_not_there_is_none_or_a_problem(store: ImageStore) -> None:
    assert store.find(KEY) is None
    assert store.list() == []
    assert store.stages.find(KEY) is None
    assert store.stages.list() == []
    for digest in (DIGEST, "../../etc", ""):
        with pytest.raises(Problem, match="is not on this machine"):
            store.get(digest)
    assert not store.directory.exists(), "asking makes nothing"


def test_a_removed_image_is_found_no_more(store: ImageStore) -> None:
    put(store)
    store.remove(DIGEST)
    assert store.find(KEY) is None
    assert store.list() == []
    assert drafts(store) == []
    with pytest.raises(Problem):
        store.remove(DIGEST)


def test_proofs_stay_while_anything_is_judged_by_them(store: ImageStore) -> None:
    with store.workplace() as work:
        (work / "root").mkdir()
        (work / "manifest").write_text("")
        store.add(work, replace(facts(), stage="c" * 64, tree="t"))
    proofs = store.stages.directory / "proofs"
    proofs.mkdir(parents=True)
    for name in "cde":
        (proofs / f"{name * 64}.json").write_bytes(msgspec.json.encode(Proof("t", {})))
    (proofs / "log").touch()
    for name in "cd":
        os.utime(proofs / f"{name * 64}.json", (AT.timestamp(), AT.timestamp()))
    later = AT + timedelta(days=1)
    store.sweep_proofs(later)
    assert {path.name[:1] for path in proofs.iterdir()} == {"c", "e", "l"}, "an image, a new one, and the log"
    assert store.state(DIGEST) == "proved"
    store.remove(DIGEST)
    store.sweep_proofs(later)
    assert {path.name[:1] for path in proofs.iterdir()} == {"e", "l"}


def test_a_build_that_fails_leaves_nothing(store: ImageStore) -> None:
    with pytest.raises(ValueError, match="broken"), store.workplace() as work:
        (work / "root").mkdir()
        raise ValueError("broken")
    assert drafts(store) == []
    assert store.list() == []


def test_leftovers_of_the_dead_are_swept_and_the_living_are_left_alone(store: ImageStore) -> None:
    with store.workplace() as living:
        (living / "root").mkdir()
        dead = store.directory / ".work-dead"
        (dead / "root").mkdir(parents=True)
        (dead / "lock").touch()
        empty_and_old, empty_and_new = store.directory / ".work-old", store.directory / ".work-new"
        for path, age in ((empty_and_old, 3600.0), (empty_and_new, 0.0)):
            path.mkdir()
            os.utime(path, (time.time() - age, time.time() - age))
        with store.workplace() as mine:
            assert set(drafts(store)) == {living, mine, empty_and_new}


def test_the_second_builder_waits_for_the_first_and_is_told(store: ImageStore) -> None:
    said: list[str] = []
    done = threading.Event()

    def second() -> None:
        with store.building(KEY, said.append):
            done.set()

    with store.building(KEY, said.append):
        with store.building(OTHER, said.append):
            assert said == [], "another key is free"
        thread = threading.Thread(target=second)
        thread.start()
        end = time.monotonic() + 20
        while not said:
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not done.is_set()
    thread.join(20)
    assert done.is_set()
    assert "waiting" in said[0]


def test_patience_ends(store: ImageStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "PATIENCE", 0.0)
    with (
        store.building(KEY, print),
        pytest.raises(Problem, match="did not end within"),
        store.building(KEY, print),
    ):
        pass


def test_a_killed_builder_gives_its_lock_back(store: ImageStore) -> None:
    with store.building(KEY, print):
        pass
    lock = store.directory / "locks" / KEY
    code = f"import fcntl; f = open({str(lock)!r}, 'w'); fcntl.flock(f, 2); print(flush=True); input()"
    holder = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    with lock.open("w") as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    holder.kill()
    holder.communicate()
    with store.building(KEY, pytest.fail):
        pass


def test_looking_up_loads_nothing_heavy() -> None:
    code = "import sys, bluestone.image.store as s; print([m for m in sys.modules if m.startswith('pydantic')])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
