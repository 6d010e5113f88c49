import re

from hypothesis import given
from hypothesis import strategies as st

from bluestone.image import lockdown
from bluestone.image.assemble import lock_passwords
from bluestone.image.packages import parse_status
from bluestone.image.provision.shell import shown
from bluestone.model.image import Package

STATUS = """\
Package: nginx
Status: install ok installed
Architecture: amd64
Version: 1.26.3-3+deb13u1
Description: server
 Status: not a field

Package: gone
Status: deinstall ok config-files
Architecture: amd64
Version: 1:2

Package: bash
Essential: yes
Status: install ok installed
Architecture: amd64
Version: 5.2.37-2+b5
"""


def test_only_what_is_installed_is_told_sorted() -> None:
    assert parse_status(STATUS) == (
        Package("bash", "5.2.37-2+b5", "amd64"),
        Package("nginx", "1.26.3-3+deb13u1", "amd64"),
    )


@given(st.lists(st.lists(st.text("abc!*$.", max_size=5), min_size=2, max_size=9), max_size=5))
def test_no_password_stays(rows: list[list[str]]) -> None:
    text = "".join(":".join(row) + "\n" for row in rows)
    locked = [line.split(":") for line in lock_passwords(text).splitlines()]
    assert [row[1] for row in locked] == ["!*"] * len(rows)
    assert [[row[0], *row[2:]] for row in locked] == [[row[0], *row[2:]] for row in rows]


def test_what_patches_in_place_and_what_lets_in_is_masked() -> None:
    for unit in ("apt-daily.timer", "apt-daily-upgrade.service", "getty@.service", "systemd-logind.service"):
        assert lockdown.LINKS[f"/etc/systemd/system/{unit}"] == "/dev/null"
    assert lockdown.LINKS["/etc/systemd/system-generators/systemd-ssh-generator"] == "/dev/null"


def test_names_are_units_and_patterns_stay_in_the_tree() -> None:
    for unit in lockdown.MASKED:
        assert re.fullmatch(r"[a-z0-9_.-]+@?\.(service|socket|timer|target|path)", unit)
    for pattern in (*lockdown.REMOVED, *lockdown.EMPTIED, *lockdown.EMPTIED_OF_FILES, *lockdown.EMPTY_FILES):
        assert not pattern.startswith("/")
        assert ".." not in pattern


def test_a_command_is_shown_on_one_short_line() -> None:
    assert shown("nginx -t") == "nginx -t"
    assert shown("first\nsecond") == "first..."
    assert len(shown("x" * 200)) == 80
    assert shown("\n") == ""


def test_a_container_ends_when_the_last_service_has() -> None:
    """What ships the journal stops last; what ends the container is ordered to stop after it, and before any mount."""
    (halt,) = (file for file in lockdown.FILES if file.target.endswith("/bluestone-halt.service"))
    lines = (halt.content or "").splitlines()
    assert "Before=bluestone-shipper.service sysinit.target shutdown.target" in lines
    assert "After=local-fs.target" in lines
    assert "ConditionVirtualization=container" in lines
    wants = "/etc/systemd/system/sysinit.target.wants/bluestone-halt.service"
    assert lockdown.LINKS[wants] == halt.target
