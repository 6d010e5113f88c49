"""Images built of packages from this machine's archive: the same bytes, locked, and nothing half-made."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bluestone.image import build as build_module
from bluestone.image import lockdown
from bluestone.image.build import build
from bluestone.image.builders.mmdebstrap import Mmdebstrap
from bluestone.image.builders.own.engine import Own
from bluestone.image.lock.stored import read
from bluestone.image.packagestore import PackageStore
from bluestone.image.store import LOCK, ImageStore
from bluestone.image.tree import differences
from bluestone.image.verify import verify
from bluestone.model.image import Image
from bluestone.model.lock import Lock
from bluestone.model.problem import MissingTool, Problem
from bluestone.model.recipe import Base, OverlayFile, Recipe
from locked import build_locked, hand_over, lock_file, lock_of
from ordinary_user import ordinary_user
from podman_site import Site, podman, site, spec

__all__ = ["ordinary_user"]

pytestmark = pytest.mark.e2e

TELL = """\
[Service]
Type=oneshot
ExecStart=env
[Install]
WantedBy=multi-user.target
"""
"""A unit that writes its environment to the journal."""

RECIPE = Recipe(
    Base("debian", "trixie"),
    packages=("nginx-light", "python3-minimal"),
    files=(
        OverlayFile("/var/www/html/index.html", content="Version 1\n", owner="www-data:adm"),
        OverlayFile("/etc/systemd/system/tell.service", content=TELL),
    ),
    units=("nginx.service", "tell.service"),
    run=("nginx -t",),
    writable=("/var/lib/nginx", "/var/log/nginx", "/srv/new"),
)
SOURCE = str(Path(build_module.__file__).parents[2])
LIBRARIES = str(Path(msgspec.__file__).parents[1])


class NoEngine:
    """An engine that must not be needed: everything is built on a stored stage. No worker would find it."""

    __module__ = Own.__module__
    name = Own.name
    version = Own.version

    def install(self, lock: Lock, packages: PackageStore, root: Path, progress: Callable[[str], None]) -> None:
        pytest.fail("packages are installed again")


@pytest.fixture(scope="module")
def store(shared_home: Path) -> ImageStore:
    return ImageStore(shared_home / "images")


@pytest.fixture(scope="module")
def image(store: ImageStore) -> Image:
    return build_locked(RECIPE, store)


@pytest.fixture
def rebuild(store: ImageStore, image: Image) -> Callable[..., Image]:
    """Build a changed recipe on the base that is there."""
    assert image

    def with_changes(progress: Callable[[str], None] = print, **changes: object) -> Image:
        recipe = replace(RECIPE, **changes)
        return build(recipe, lock_of(recipe, store), store, NoEngine(), progress=progress)

    return with_changes


def failing(rebuild: Callable[..., Image], store: ImageStore, **changes: object) -> Problem:
    """The problem that a changed recipe ends with. Nothing of it may stay."""
    before = {image.digest for image in store.list()}
    with pytest.raises(Problem) as raised:
        rebuild(**changes)
    assert {image.digest for image in store.list()} == before
    assert list(store.directory.glob(".work-*")) == []
    assert raised.value.mend
    return raised.value


def until(true: Callable[[], bool], what: str, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def processes_with(text: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue
        if text.encode() in command and int(entry.name) != os.getpid():
            found.append(int(entry.name))
    return found


def manifest(image: Image) -> str:
    return (image.root.parent / "manifest").read_text()


def test_the_image_keeps_the_lock_that_it_was_built_by(image: Image, store: ImageStore) -> None:
    assert read(image.root.parent / LOCK) == lock_of(RECIPE, store)


def test_the_image_holds_what_was_asked_for(image: Image) -> None:
    assert {"nginx-light", "python3-minimal", "systemd-sysv", "dbus"} <= {p.name for p in image.packages}
    page = image.root / "var/www/html/index.html"
    adm = next(line for line in (image.root / "etc/group").read_text().splitlines() if line.startswith("adm:"))
    assert page.read_text() == "Version 1\n"
    assert (image.root / "srv/new").is_dir()
    assert (image.root / "etc/systemd/system/multi-user.target.wants/nginx.service").is_symlink()
    line = next(line for line in manifest(image).splitlines() if line.endswith("var/www/html/index.html"))
    assert line.split(" ")[:4] == ["file", "0644", "33", adm.split(":")[2]]
    assert image.size > 50_000_000
    assert image.files > 2000


def test_no_way_in_and_nothing_that_patches_in_place(image: Image) -> None:
    for unit in lockdown.MASKED:
        assert (image.root / "etc/systemd/system" / unit).readlink() == Path("/dev/null"), unit
    passwords = [line.split(":")[1] for line in (image.root / "etc/shadow").read_text().splitlines() if line.strip()]
    assert set(passwords) == {"!*"}
    for program in lockdown.LOGIN_PROGRAMS:
        assert not (image.root / program.lstrip("/")).exists()


def test_nothing_of_this_machine_is_in_the_image(image: Image) -> None:
    assert (image.root / "etc/machine-id").read_text() == ""
    assert (image.root / "etc/resolv.conf").read_text() == ""
    assert not (image.root / "etc/hostname").exists()
    assert list((image.root / "etc/apt").glob("sources.list*/*")) == []
    assert not (image.root / "usr/sbin/policy-rc.d").exists()
    for empty in ("tmp", "run", "var/tmp", "dev"):
        assert list((image.root / empty).iterdir()) == [], empty
    for empty in ("var/log", "var/cache", "var/lib/apt/lists"):
        assert [path for path in (image.root / empty).rglob("*") if not path.is_dir()] == [], empty


def test_a_tree_is_verified_and_a_change_is_named(rebuild: Callable[..., Image], store: ImageStore) -> None:
    image = rebuild(files=(*RECIPE.files, OverlayFile("/etc/of-this-test", content="x")))
    assert verify(image) == []
    changed = image.root / "etc/of-this-test"
    changed.write_text("y")
    added = image.root / "usr/bin/added"
    added.touch()
    assert {"/etc/of-this-test", "/usr/bin/added"} <= set(verify(image))
    manifest_file = image.root.parent / "manifest"
    manifest_file.write_text("forged\n")
    assert verify(image) == [str(manifest_file)]
    store.remove(image.digest)


def test_what_is_built_is_found_at_once_and_needs_no_tool(
    store: ImageStore, image: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert build_locked(RECIPE, store, progress=pytest.fail) == image


def elsewhere(store: ImageStore, directory: Path) -> ImageStore:
    """A store with all packages, and with nothing that was made of them."""
    directory.mkdir()
    (directory / "packages").symlink_to(store.directory / "packages")
    return ImageStore(directory)


def test_built_anew_without_a_network_it_is_the_same(store: ImageStore, image: Image, tmp_path: Path) -> None:
    """By the lock and the packages alone: no archive is asked, and none could be."""
    if os.geteuid() != 0:
        pytest.skip("machine: only root takes the network away and nothing else")
    again = elsewhere(store, tmp_path / "again")
    process = building(again, RECIPE, lock_file(RECIPE, store), prefix=("unshare", "--net", "--"))
    said = process.communicate(timeout=500)[0].splitlines()
    assert process.returncode == 0, said
    built = again.get(said[-1])
    assert differences(manifest(image), manifest(built)) == []
    assert built.digest == image.digest
    assert "configuring packages" in said
    shutil.rmtree(tmp_path / "again")


def test_another_page_is_another_image_on_the_same_base(
    rebuild: Callable[..., Image], image: Image, store: ImageStore
) -> None:
    # Of one that was built before, a cache would have the image.
    page = replace(RECIPE.files[0], content=f"Version of {uuid.uuid4()}\n")
    said: list[str] = []
    other = rebuild(said.append, files=(page, *RECIPE.files[1:]))
    assert other.digest != image.digest
    assert differences(manifest(image), manifest(other)) == ["/var/www/html/index.html"]
    times = {(one.root / "var/www/html/index.html").stat().st_mtime for one in (image, other)}
    assert len(times) == 2, "browsers must be able to tell them apart"
    assert "running: nginx -t" in said
    assert said[-1].startswith(f"image {other.digest[7:15]} ready in ")
    store.remove(other.digest)


def test_other_writable_directories_are_another_image(rebuild: Callable[..., Image], image: Image) -> None:
    other = rebuild(writable=("/var/lib/nginx", "/var/log/nginx"))
    assert other.digest != image.digest


def test_a_command_reaches_nothing_outside(rebuild: Callable[..., Image], tmp_path: Path) -> None:
    marker = f"4711.{os.getpid()}"
    (tmp_path / "secret").write_text("of the host")
    checks = (
        '[ "$(tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d " ")" = lo ]',
        '[ "$(cat /proc/sys/kernel/hostname)" = localhost ]',
        "! mount -t tmpfs none /mnt",
        "! mknod /tmp/disk b 8 0",
        "! chroot / true",
        "! sh -c 'echo x > /proc/sys/kernel/core_pattern'",
        f"[ ! -e {tmp_path}/secret ]",
        '[ "$(ls -d /proc/[0-9]* | wc -l)" -lt 6 ]',
        "[ $$ = 1 ] && [ $(id -u) = 0 ] && [ -z ${SECRET_OF_THE_HOST-} ]",
        f"sleep {marker} & :",
        "kill -0 1 && nginx && [ -e /run/nginx.pid ]",
    )
    os.environ["SECRET_OF_THE_HOST"] = "x"
    try:
        image = rebuild(run=checks)
    finally:
        del os.environ["SECRET_OF_THE_HOST"]
    assert processes_with(marker) == []
    assert list((image.root / "run").iterdir()) == []


def test_a_command_that_fails_shows_its_last_words(rebuild: Callable[..., Image], store: ImageStore) -> None:
    problem = failing(rebuild, store, run=("seq 1 50; echo this is why >&2; exit 3",))
    assert "`seq 1 50; echo this is why >&2; exit 3` of image.run failed with status 3" in problem.what
    assert "     this is why" in problem.what
    assert "     2\n" not in problem.what
    assert "without a network" in problem.mend
    unset = failing(rebuild, store, run=("echo $nothing_like_it; true",))
    assert "nothing_like_it" in unset.what


def test_a_command_that_never_ends_is_ended(
    rebuild: Callable[..., Image], store: ImageStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "COMMAND_LIMIT", 1.0)
    marker = f"4713.{os.getpid()}"
    problem = failing(rebuild, store, run=(f"echo before; sleep {marker}",))
    assert "did not end within 1 s\n     before" in problem.what
    until(lambda: processes_with(marker) == [], "it runs on")


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"units": ("nignx.service",)}, "the unit nignx.service is not in the image"),
        ({"files": (OverlayFile("/x", content="", owner="nobody-here"),)}, 'no user is called "nobody-here"'),
        ({"files": (OverlayFile("/etc", content=""),)}, "etc is a directory in the image"),
        (
            {"files": (*RECIPE.files, OverlayFile("/usr/sbin/sshd", content=""))},
            "/usr/sbin/sshd, which lets people log in",
        ),
        ({"run": ("mkfifo /opt/f; python3 -c \"import socket as s; s.socket(1).bind('/opt/s')\"",)}, "/opt/s"),
    ],
)
def test_what_cannot_be_is_named(
    rebuild: Callable[..., Image], store: ImageStore, changes: dict[str, object], what: str
) -> None:
    assert what in failing(rebuild, store, **changes).what


def test_files_changed_meanwhile_are_noticed(rebuild: Callable[..., Image], store: ImageStore, tmp_path: Path) -> None:
    page = tmp_path / "page"
    page.write_text("before")

    def meddle(said: str) -> None:
        if said.startswith("running"):
            page.write_text("after")

    with pytest.raises(Problem, match="were changed while the image was built"):
        rebuild(meddle, files=(*RECIPE.files, OverlayFile("/srv/page", source=page)))
    assert list(store.directory.glob(".work-*")) == []


def test_a_missing_mmdebstrap_is_named_and_nothing_is_left(
    store: ImageStore, image: Image, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert image
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("setpriv", "unshare", "tar", "sync"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    monkeypatch.setenv("PATH", str(tools))
    other = elsewhere(store, tmp_path / "images")
    with pytest.raises(MissingTool, match="mmdebstrap is not installed"):
        build(RECIPE, lock_of(RECIPE, store), other, Mmdebstrap(), progress=print)
    assert other.list() == []


def test_a_full_disk_is_said_and_nothing_half_made_stays(store: ImageStore, image: Image, tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "none", str(small)], check=False)
    if mounted.returncode:
        pytest.skip("machine: no file system can be mounted here")
    try:
        lock = lock_of(RECIPE, store)
        (small / "packages").symlink_to(store.directory / "packages")
        (small / "stages").symlink_to(store.stages.directory)
        with pytest.raises(Problem, match="the disk is full") as raised:
            build(replace(RECIPE, run=()), lock, ImageStore(small), NoEngine(), progress=print)
        assert "BLUESTONE_HOME" in raised.value.mend
        assert list(small.glob(".work-*")) == []
        (small / "stages").unlink()
        with pytest.raises(Problem, match="the disk is full"):
            build(RECIPE, lock, ImageStore(small), Own(), progress=print)
        assert list(small.glob(".work-*")) == []
        assert ImageStore(small).list() == []
    finally:
        subprocess.run(["umount", str(small)], check=True)
    assert image.root.is_dir()


BUILD = """
import sys, msgspec
from pathlib import Path
from bluestone.image.build import build
from bluestone.image.builders.own.engine import Own
from bluestone.image.lock.stored import read
from bluestone.image.lock.stored import read
from bluestone.image.packagestore import PackageStore
from bluestone.image.store import LOCK, ImageStore
from bluestone.image.verify import verify
from bluestone.model.recipe import Recipe
store, recipe = ImageStore(Path(sys.argv[1])), msgspec.json.decode(sys.argv[2], type=Recipe)
lock = read(Path(sys.argv[3]))
say = lambda text: print(text, flush=True)
image = build(recipe, lock, store, Own(), progress=say)
say(image.digest)
"""
"""Builds the recipe of its second argument by the lock in the third, in the store of the first; tells the digest."""


def building(store: ImageStore, recipe: Recipe, lock: Path, *, prefix: Sequence[str] = ()) -> subprocess.Popen[str]:
    """A build in a process of its own; it prints its progress, then the digest."""
    text = msgspec.json.encode(recipe).decode()
    command = [*prefix, sys.executable, "-c", BUILD, str(store.directory), text, str(lock)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def hear(process: subprocess.Popen[str], wanted: str) -> None:
    """Wait until a build says something."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith(wanted):
            return
    pytest.fail(f"it never said {wanted!r}")


@pytest.mark.parametrize("moment", ["running: ", "configuring packages"])
def test_a_killed_build_leaves_nothing_that_lives_and_the_next_succeeds(
    store: ImageStore, image: Image, moment: str, tmp_path: Path
) -> None:
    marker = f"4712.{os.getpid()}"
    place = store if moment == "running: " else elsewhere(store, tmp_path / "again")
    process = building(place, replace(RECIPE, run=(f"sleep {marker}",)), lock_file(RECIPE, store))
    hear(process, moment)
    assert list(place.directory.glob(".work-*"))
    process.send_signal(signal.SIGKILL)
    process.wait()
    until(lambda: processes_with(marker) == [], "the command outlives the build")
    until(lambda: processes_with(f"{place.directory}/.work-") == [], "dpkg outlives the build")
    assert str(place.directory) not in Path("/proc/mounts").read_text()
    if place is not store:
        subprocess.run(["cp", "-a", str(store.stages.directory), str(place.stages.directory)], check=True)
    # Another command without a trace: a build of its own whose outcome is known.
    following = replace(RECIPE, run=(*RECIPE.run, f": {moment}"))
    built = build(following, lock_of(RECIPE, store), place, NoEngine(), progress=print)
    assert built.digest == image.digest
    assert list(place.directory.glob(".work-*")) == [], "what the killed build left is swept away"


def test_of_two_builds_at_once_the_second_takes_what_the_first_made(store: ImageStore, image: Image) -> None:
    recipe = replace(RECIPE, run=(f"echo {os.getpid()} > /opt/two; sleep 1",))
    first = building(store, recipe, lock_file(RECIPE, store))
    hear(first, "running: ")
    second = building(store, recipe, lock_file(RECIPE, store))
    said_first, said_second = first.communicate(timeout=120)[0], second.communicate(timeout=120)[0]
    assert said_first.splitlines()[-1] == said_second.splitlines()[-1]
    assert "waiting" in said_second
    assert "running: " not in said_second
    assert image.digest not in said_second


def test_it_boots_with_every_unit_well(image: Image) -> None:
    with site(image.root) as here:
        here.provider.prepare()
        one = spec(here.project, bootfiles={"environment": b'GREETING="hello there"\n'})
        here.provider.create(one)
        until(lambda: state(here, one.name) in ("running", "degraded"), "it starts up")
        failed = podman("exec", here.container(one.name), "systemctl", "--failed", "--no-legend")
        assert (state(here, one.name), failed.strip()) == ("running", "")
        assert here.on_server(one.name, "systemctl", "is-active", "nginx.service").strip() == "active"
        assert "GREETING=$'hello there'" in here.on_server(one.name, "systemctl", "show-environment")
        timers = here.on_server(one.name, "systemctl", "list-timers", "--no-legend")
        assert "apt-daily" not in timers
        said = here.on_server(one.name, "journalctl", "--unit", "tell.service", "--output", "cat")
        assert "GREETING=hello there" in said.splitlines()


def state(here: Site, server: str) -> str:
    done = subprocess.run(
        ["podman", "exec", here.container(server), "systemctl", "is-system-running"],
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout.strip()


def test_without_root_the_same_image_comes_out(
    store: ImageStore, image: Image, ordinary_user: tuple[str, Path]
) -> None:
    user, directory = ordinary_user
    environment = [f"PYTHONPATH={SOURCE}:{LIBRARIES}", f"HOME={directory}", "PYTHONDONTWRITEBYTECODE=1"]
    python = usable_python(user, environment)
    images = directory / "images"
    lock = hand_over(RECIPE, store, ImageStore(images))
    subprocess.run(["chown", "-R", user, str(directory)], check=True)
    code = f"""{BUILD}
print(verify(image), store.list() == [image], image.digest)
store.remove(image.digest)
print(store.list(), list(store.directory.glob('.work-*')))
"""
    recipe = msgspec.json.encode(RECIPE).decode()
    done = subprocess.run(
        ["runuser", "-u", user, "--", "env", *environment, python, "-c", code, str(images), recipe, str(lock)],
        capture_output=True,
        text=True,
        check=False,
        timeout=500,
        cwd="/",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "configuring packages" in done.stdout
    assert done.stdout.splitlines()[-2:] == [f"[] True {image.digest}", "[] []"]


def usable_python(user: str, environment: Sequence[str]) -> str:
    for python in (sys.executable, "/usr/bin/python3"):
        probe = ["env", *environment, python, "-c", "import msgspec, bluestone.image.build"]
        done = subprocess.run(["runuser", "-u", user, "--", *probe], check=False, capture_output=True, cwd="/")
        if done.returncode == 0:
            return python
    pytest.skip(f"machine: {user} cannot run a Python that has bluestone's libraries")
