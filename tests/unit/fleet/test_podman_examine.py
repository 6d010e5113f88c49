"""The parts by which a container is looked into from outside: mounts, the overlay, executables, podman's events."""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import pytest

from bluestone.fleet.providers.podman.examine import examine as examining
from bluestone.fleet.providers.podman.examine import files, logins, processes, units
from bluestone.fleet.providers.podman.examine.mounts import Mount, covering, read_mounts, root_of, unexpected
from bluestone.fleet.providers.podman.labels import Container
from bluestone.image.packages import parse_status
from bluestone.model.drift import FileChange, Login, PackageChange, Unseen
from bluestone.model.problem import Problem

OVERLAY = "overlay overlay rw,lowerdir=/images/a\\040b/root,upperdir=/upper,workdir=/work"
MOUNTINFO = f"""\
77 50 0:40 / / ro,relatime - {OVERLAY}
78 77 0:43 / /proc rw,nosuid - proc proc rw
82 77 0:46 / /tmp rw,nosuid,nodev - tmpfs tmpfs rw,size=65536k
83 77 0:47 / /run rw - tmpfs tmpfs rw
84 77 254:0 /x/machine-id /etc/machine-id ro - ext4 /dev/vda rw
85 77 254:0 /x/hosts /etc/hosts ro - ext4 /dev/vda rw
108 77 0:55 / /var/lib/nginx rw - tmpfs tmpfs rw
"""
ASKED = ["/run", "/tmp", "/etc/machine-id", "/var/lib/nginx"]


def test_mounts_are_read_with_their_options_and_escapes() -> None:
    mounts = read_mounts(MOUNTINFO)
    root = root_of(mounts)
    assert root is not None
    assert (root.device, root.kind) == ("0:40", "overlay")
    assert "ro" in root.options
    assert root.data["upperdir"] == "/upper"
    assert root.data["lowerdir"] == "/images/a b/root"


@pytest.mark.parametrize(
    ("path", "point"), [("/usr/bin/x", "/"), ("/tmp/x", "/tmp"), ("/tmpx", "/"), ("/var/lib/nginx/y", "/var/lib/nginx")]
)
def test_a_path_is_on_the_nearest_mount(path: str, point: str) -> None:
    mount = covering(read_mounts(MOUNTINFO), path)
    assert mount is not None
    assert mount.point == point


def test_of_two_mounts_at_one_place_the_last_is_seen() -> None:
    mounts = read_mounts(MOUNTINFO + "200 77 0:99 / /tmp rw - tmpfs tmpfs rw\n201 50 0:98 / / rw - tmpfs tmpfs rw\n")
    covered = covering(mounts, "/tmp/x")
    assert covered is not None
    assert covered.device == "0:99"
    assert root_of(mounts) == mounts[-1]


def test_only_mounts_that_hide_a_part_of_the_image_are_unexpected() -> None:
    assert unexpected(read_mounts(MOUNTINFO), ASKED) == []
    more = read_mounts(MOUNTINFO + "200 77 0:99 / /usr/bin rw - tmpfs tmpfs rw\n201 83 0:9 / /run/x rw - tmpfs t rw\n")
    assert [mount.point for mount in unexpected(more, ASKED)] == ["/usr/bin"]


# ---- the overlay ---------------------------------------------------------------------------------------------------


@pytest.fixture
def layers(tmp_path: Path) -> tuple[Path, Path]:
    upper, lower = tmp_path / "upper", tmp_path / "lower"
    for path in ("etc/app", "usr/bin"):
        (lower / path).mkdir(parents=True)
    (lower / "etc/motd").write_text("hello")
    (lower / "etc/app/conf").write_text("a")
    (lower / "usr/bin/tool").write_text("#!")
    (upper / "etc").mkdir(parents=True)
    return upper, lower


def found(layers: tuple[Path, Path], *hidden: str) -> dict[str, str]:
    changes, unseen = files.changes(*layers, frozenset(hidden))
    assert not unseen
    return {change.path: change.how for change in changes}


def test_an_overlay_tells_what_was_added_changed_and_removed(layers: tuple[Path, Path]) -> None:
    upper, _ = layers
    assert found(layers) == {}, "a directory that was copied up is no change"
    (upper / "etc/motd").write_text("other")
    (upper / "etc/new").mkdir()
    (upper / "etc/new/inner").write_text("x")
    (upper / "usr/bin").mkdir(parents=True)
    os.mknod(upper / "usr/bin/tool", stat.S_IFCHR, os.makedev(0, 0))
    assert found(layers) == {"/etc/motd": "changed", "/etc/new": "added", "/usr/bin/tool": "removed"}


def test_what_is_below_a_mount_is_nobodys_change(layers: tuple[Path, Path]) -> None:
    upper, _ = layers
    (upper / "etc/hosts").touch()
    (upper / "srv/data").mkdir(parents=True)
    assert found(layers, "/etc/hosts", "/srv/data") == {}
    assert found(layers) == {"/etc/hosts": "added", "/srv": "added"}


def test_a_directory_whose_permissions_changed_is_changed(layers: tuple[Path, Path]) -> None:
    upper, _ = layers
    (upper / "etc").chmod(0o777)
    assert found(layers) == {"/etc": "changed"}


def test_links_are_not_followed(layers: tuple[Path, Path], tmp_path: Path) -> None:
    upper, lower = layers
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "key").touch()
    (upper / "etc/app").symlink_to(secret)
    (lower / "opt").symlink_to(secret)
    (upper / "opt").mkdir()
    (upper / "opt/key").touch()
    assert found(layers) == {"/etc/app": "changed", "/opt": "changed"}


def test_names_that_are_no_text_are_shown_as_they_can_be(layers: tuple[Path, Path]) -> None:
    upper, _ = layers
    Path(os.fsdecode(os.fsencode(upper / "etc") + b"/\xff\x1b[2J")).touch()
    assert list(found(layers)) == ["/etc/\\xff\\x1b[2J"]


def test_there_is_a_bound_to_what_is_listed_and_it_is_said(layers: tuple[Path, Path]) -> None:
    upper, lower = layers
    for number in range(files.MOST + 5):
        (upper / f"etc/{number}").touch()
    changes, unseen = files.changes(upper, lower, frozenset())
    assert len(changes) == files.MOST
    assert [gap.aspect for gap in unseen] == ["files"]


STANZA = "Package: {}\nStatus: install ok installed\nVersion: {}\nArchitecture: all\n\n"


def test_packages_that_differ_are_told_by_name_and_version(layers: tuple[Path, Path]) -> None:
    upper, lower = layers
    assert files.package_changes(upper, lower, parse_status) == []
    for tree, stanzas in ((lower, {"a": "1", "b": "1"}), (upper, {"b": "2", "c": "3"})):
        (tree / "var/lib/dpkg").mkdir(parents=True)
        text = "".join(STANZA.format(name, version) for name, version in stanzas.items())
        (tree / "var/lib/dpkg/status").write_text(text)
    changes = files.package_changes(upper, lower, parse_status)
    assert [PackageChange(c.name, c.in_image, c.on_server) for c in changes] == [
        PackageChange("a", "1", ""),
        PackageChange("b", "1", "2"),
        PackageChange("c", "", "3"),
    ]


def test_a_list_of_packages_that_is_a_link_or_a_pipe_is_not_read(layers: tuple[Path, Path], tmp_path: Path) -> None:
    upper, lower = layers
    (tmp_path / "other").write_text(STANZA.format("a", "1"))
    status = upper / "var/lib/dpkg/status"
    status.parent.mkdir(parents=True)
    status.symlink_to(tmp_path / "other")
    assert files.package_changes(upper, lower, parse_status) == []
    status.unlink()
    os.mkfifo(status)
    assert files.package_changes(upper, lower, parse_status) == []


# ---- processes -----------------------------------------------------------------------------------------------------


def init(upper: Path | None) -> processes.Init:
    root = root_of(read_mounts(MOUNTINFO))
    assert root is not None
    return processes.Init(1, root, upper)


@pytest.mark.parametrize(
    ("executable", "origin"),
    [
        ("/usr/bin/tool", "image"),
        ("/tmp/x", "writable"),
        ("/run/x", "writable"),
        ("/usr/bin/changed", "writable"),
        ("/usr/bin/tool (deleted)", "deleted"),
        ("/memfd:x (deleted)", "deleted"),
    ],
)
def test_an_executable_is_of_the_image_only_on_its_unchanged_root(executable: str, origin: str, tmp_path: Path) -> None:
    (tmp_path / "usr/bin").mkdir(parents=True)
    (tmp_path / "usr/bin/changed").touch()
    assert processes.origin(executable, read_mounts(MOUNTINFO), init(tmp_path)) == origin


def test_what_a_unit_mounts_of_the_image_for_itself_is_of_the_image(tmp_path: Path) -> None:
    again = Mount("0:40", "/opt/view", frozenset({"ro"}), "overlay", {})
    assert processes.origin("/opt/view/tool", [*read_mounts(MOUNTINFO), again], init(tmp_path)) == "image"


def test_processes_of_this_machine_are_in_no_container() -> None:
    root = init(None)
    inside = processes.scan({"f" * 64: processes.Init(2**22 + 1, root.root, None)})
    assert inside["f" * 64] == processes.Inside()


def test_a_process_that_got_the_number_of_an_init_is_not_taken_for_it() -> None:
    assert not processes.is_in(os.getpid(), "f" * 64)
    someone_else = container("f" * 64)
    someone_else.pid = os.getpid()
    someone_else.labels = {"bluestone.server": "web-1"}
    (found,) = examining.Examiner("p", Path, parse_status, asked("")).examine([someone_else])
    assert not found.processes
    assert {gap.aspect for gap in found.unseen} >= {"files", "packages", "processes", "units", "logins"}
    someone_else.pid = 2**22 + 1
    assert examining.Examiner("p", Path, parse_status, asked("")).examine([someone_else]) == []


@pytest.mark.parametrize(
    ("groups", "unit"),
    [
        ("1:name=systemd:/libpod_parent/libpod-{id}/system.slice/nginx.service\n0::/\n", "nginx.service"),
        ("0::/machine.slice/libpod-{id}.scope/container/system.slice/nginx.service\n", "nginx.service"),
        ("0::/machine.slice/libpod-{id}.scope/container/init.scope\n", ""),
        ("1:name=systemd:/libpod_parent/libpod-{id}\n", ""),
    ],
)
def test_a_process_is_in_the_unit_that_systemd_put_it_into(groups: str, unit: str) -> None:
    assert processes._unit(groups.replace("{id}", "a" * 64)) == unit


# ---- podman's events -----------------------------------------------------------------------------------------------

OLD = '{{"ID":"1","Name":"{name}","Status":"{status}","Time":"2026-11-30T09:43:06.174591207Z","Type":"container"}}'
NEW = '{{"ID":"1","Name":"{name}","Status":"{status}","time":1796031786,"timeNano":1796031786174591207}}'


@pytest.mark.parametrize("form", [OLD, NEW])
def test_events_of_both_podmans_are_read(form: str) -> None:
    (event,) = logins.read_events(form.format(name="a", status="exec") + "\n\n")
    assert (event.name, event.status) == ("a", "exec")
    assert event.at.replace(microsecond=0) == datetime(2026, 11, 30, 9, 43, 6, tzinfo=UTC)


def test_events_that_are_none_are_a_problem() -> None:
    with pytest.raises(Problem, match="cannot be understood"):
        logins.read_events("no JSON\n")


def container(name: str, created: int = 1796031700) -> Container:
    return Container(names=[name], labels={}, state="running", exit_code=0, created=created, identifier=name, pid=1)


def asked(said: str | Problem) -> Callable[[object], str]:
    def run(_: object) -> str:
        if isinstance(said, Problem):
            raise said
        return said

    return run


NOW = datetime(2026, 11, 30, 10, tzinfo=UTC)


def test_logins_are_of_the_container_that_somebody_entered() -> None:
    said = "\n".join(
        OLD.format(name=name, status=status)
        for name, status in (("a", "start"), ("b", "start"), ("a", "exec"), ("x", "exec"), ("b", "attach"))
    )
    came, unseen = examining.find_logins("p", [container("a"), container("b")], NOW, asked(said))
    at = datetime(2026, 11, 30, 9, 43, 6, 174591, tzinfo=UTC)
    assert came == {"a": (Login(at, "podman exec"),), "b": (Login(at, "podman attach"),)}
    assert unseen == {}


def test_events_that_podman_has_dropped_are_said_to_be_missing() -> None:
    said = OLD.format(name="a", status="exec")
    came, unseen = examining.find_logins(
        "p", [container("a"), container("new", int(NOW.timestamp()) - 1)], NOW, asked(said)
    )
    assert list(came) == ["a"]
    assert unseen == {"a": (Unseen("logins", "podman has dropped its events before 2026-11-30 09:43:06 UTC"),)}


def test_a_podman_that_keeps_no_events_makes_logins_unseen_not_clean() -> None:
    came, unseen = examining.find_logins("p", [container("a")], NOW, asked(Problem("events are off")))
    assert came == {}
    assert "events are off" in unseen["a"][0].why


# ---- systemd -------------------------------------------------------------------------------------------------------


@pytest.fixture
def bus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[socket.socket], None]], None]:
    """A server's message bus that does as a test says."""

    def serve(answer: Callable[[socket.socket], None]) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(tmp_path / "bus"))
        listener.listen()

        def once() -> None:
            connection, _ = listener.accept()
            with connection, listener:
                answer(connection)

        threading.Thread(target=once, daemon=True).start()

    monkeypatch.setattr(units, "_opened", lambda _: nullcontext(str(tmp_path / "bus")))
    return serve


def test_a_bus_that_hangs_up_is_no_answer(bus: Callable[[Callable[[socket.socket], None]], None]) -> None:
    bus(lambda connection: None)
    with pytest.raises(units.NoAnswer):
        units.failed_units(1)


def test_a_bus_that_says_nothing_is_not_waited_for_long(
    bus: Callable[[Callable[[socket.socket], None]], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "PATIENCE", 0.1)
    over = threading.Event()

    def wait(_: socket.socket) -> None:
        over.wait(10)

    bus(wait)
    with pytest.raises(units.NoAnswer, match="did not answer"):
        units.failed_units(1)
    over.set()


def test_a_bus_that_says_too_much_is_not_listened_to_for_ever(
    bus: Callable[[Callable[[socket.socket], None]], None],
) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"OK 0123456789abcdef\r\n")
        connection.recv(1000)
        # The head of a message that is as long as one may be, and then more and more of it.
        connection.sendall(b"l\x02\x00\x01" + (1 << 26).to_bytes(4, "little") + bytes(8))
        try:
            while True:
                connection.sendall(bytes(65536))
        except OSError:
            return

    bus(talk)
    with pytest.raises(units.NoAnswer, match="too long"):
        units.failed_units(1)


def test_a_bus_that_talks_nonsense_is_no_answer(bus: Callable[[Callable[[socket.socket], None]], None]) -> None:
    def talk(connection: socket.socket) -> None:
        connection.recv(1000)
        connection.sendall(b"\xff" * 64 + b"\r\n")

    bus(talk)
    with pytest.raises(units.NoAnswer):
        units.failed_units(1)


def test_a_server_without_a_bus_is_not_looked_at() -> None:
    with pytest.raises(units.NoAnswer):
        units.failed_units(2**22 + 1)


def test_files_are_unseen_where_the_root_is_no_overlay() -> None:
    root = Mount("0:1", "/", frozenset({"ro"}), "fuse.fuse-overlayfs", {})
    changed, packages, unseen = examining.find_changes(
        container("a"), processes.Init(os.getpid(), root, None), Path("/nowhere"), parse_status
    )
    assert packages == []
    assert {gap.aspect for gap in unseen} == {"files", "packages"}
    assert all(isinstance(change, FileChange) for change in changed)
