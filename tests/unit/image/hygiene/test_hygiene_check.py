"""The gate: permissions, logins, waivers, and a whole tree looked over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.hygiene.check import check
from bluestone.image.hygiene.finding import MOST_SHOWN, Finding, judge, refusal, waives
from bluestone.image.hygiene.logins import accounts, doors, in_file
from bluestone.image.hygiene.modes import modes
from bluestone.image.tree import Entry, manifest
from bluestone.model.recipe import FindingKind, Waiver
from sbom_tree import put

TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzAbC"


def entry(kind: str, mode: int, path: str = "x", *, content: bytes = b"", capability: bytes = b"") -> Entry:
    return Entry(path.encode(), kind, mode, 0, 33, 1, content=content, capability=capability)


@pytest.mark.parametrize(
    ("kind", "mode", "brought", "laid"),
    [
        ("file", 0o4755, [], ["setuid"]),
        ("file", 0o2755, [], ["setuid"]),
        ("file", 0o6755, [], ["setuid"]),
        ("dir", 0o2775, [], []),
        ("file", 0o0644, [], []),
        ("file", 0o0666, ["world-writable"], ["world-writable"]),
        ("file", 0o4777, ["world-writable"], ["setuid", "world-writable"]),
        ("fifo", 0o0622, ["world-writable"], ["world-writable"]),
        ("dir", 0o0777, ["world-writable"], ["world-writable"]),
        ("dir", 0o1777, [], []),
        ("dir", 0o0775, [], []),
        ("link", 0o0777, [], []),
    ],
)
def test_permissions(kind: str, mode: int, brought: list[str], laid: list[str]) -> None:
    assert [each.kind for each in modes(entry(kind, mode), changed=False)] == brought
    assert [each.kind for each in modes(entry(kind, mode), changed=True)] == laid


def test_capabilities_that_no_package_brought() -> None:
    pinging = entry("file", 0o755, capability=b"\1\0\0\2")
    assert [each.kind for each in modes(pinging, changed=True)] == ["capability"]
    assert list(modes(pinging, changed=False)) == []


@given(st.sampled_from(["file", "dir", "fifo", "link"]), st.integers(0, 0o7777), st.booleans())
def test_what_nobody_else_gains_by_is_let_through(kind: str, mode: int, is_changed: bool) -> None:
    found = {each.kind for each in modes(entry(kind, mode), changed=is_changed)}
    assert ("setuid" in found) == (kind == "file" and is_changed and mode & 0o6000 != 0)
    opened = kind != "link" and mode & 0o002 != 0 and not (kind == "dir" and mode & 0o1000)
    assert ("world-writable" in found) == opened


@pytest.mark.parametrize(
    ("passwd", "shadow", "whys"),
    [
        ("root:x:0:0:root:/root:/bin/bash", "root:!*:1::::::", []),
        ("root:*:0:0::/:/bin/sh\nnobody:!:65534:65534::/:/bin/sh", "root:*:1::::::\n_apt:!:1::::::", []),
        ("root::0:0:root:/root:/bin/bash", "", ["the account root has no password, and needs none"]),
        ("admin:$6$salt$hash:0:0::/:/bin/sh", "", ["the account admin has a password"]),
        ("admin:x:0:0::/:/bin/sh", "admin:$y$j9T$x:1::::::", ["the account admin has a password"]),
        ("admin:x:0:0::/:/bin/sh", "admin::1::::::", ["the account admin has no password, and needs none"]),
        ("", "", []),
    ],
)
def test_accounts(passwd: str, shadow: str, whys: list[str]) -> None:
    assert [each.why for each in accounts(passwd, shadow)] == whys


def enabled(unit: str, target: str = "multi-user.target") -> Entry:
    return entry("link", 0o777, f"etc/systemd/system/{target}.wants/{unit}", content=b"/usr/lib/systemd/system/x")


def masked(unit: str) -> Entry:
    return entry("link", 0o777, f"etc/systemd/system/{unit}", content=b"/dev/null")


@pytest.mark.parametrize(
    "unit",
    [
        "getty@tty1.service",
        "serial-getty@ttyS0.service",
        "console-getty.service",
        "debug-shell.service",
        "ssh.service",
        "sshd.socket",
        "dropbear.service",
        "cockpit.socket",
        "ttyd.service",
        "xrdp.service",
        "lightdm.service",
    ],
)
def test_units_that_let_people_in(unit: str) -> None:
    (found,) = doors([enabled(unit)])
    assert found.kind == "login"
    assert found.path == f"/etc/systemd/system/multi-user.target.wants/{unit}"
    assert list(doors([enabled(unit), masked(unit)])) == []
    assert list(doors([entry("file", 0o644, f"usr/lib/systemd/system/{unit}")])) == [], "it is not enabled"
    assert list(doors([enabled(unit, "rescue.target")])) == []


def test_an_instance_is_masked_with_its_template() -> None:
    assert list(doors([enabled("getty@tty1.service", "getty.target"), masked("getty@.service")])) == []


@pytest.mark.parametrize("unit", ["nginx.service", "ssh-agent-of-app.service", "remote-fs.target", "budgetty.timer"])
def test_other_units_may_be_enabled(unit: str) -> None:
    assert list(doors([enabled(unit)])) == []


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("home/app/.ssh/authorized_keys", True),
        ("srv/.ssh/authorized_keys2", True),
        ("etc/ssh/authorized_keys/app", True),
        ("etc/hosts.equiv", True),
        ("home/app/.rhosts", True),
        ("home/app/.ssh/known_hosts", False),
        ("usr/share/doc/authorized_keys", False),
    ],
)
def test_files_that_name_who_may_come_in(path: str, found: bool) -> None:
    assert bool(list(doors([entry("file", 0o600, path)]))) is found


@pytest.mark.parametrize(
    ("path", "content", "why"),
    [
        ("etc/systemd/system/a.service", "ExecStart=-/sbin/agetty -o '-p -- \\u' 38400 tty1", "agetty"),
        ("usr/lib/systemd/system/a.service", "ExecStart=/bin/sh -c 'exec /usr/sbin/sshd -D'", "sshd"),
        ("etc/systemd/system/a.service", "ExecStart=\\\n  /usr/bin/ttyd bash", "ttyd"),
        ("etc/systemd/system/a.service.d/x.conf", "[Service]\nExecStart=\nExecStart=/usr/sbin/dropbear -F", "dropbear"),
        ("etc/systemd/system/a.service", "ExecStart=/bin/bash\nStandardInput=tty-force", "/bin/bash on a terminal"),
        ("etc/systemd/system/a.service", "ExecStart=/bin/bash /srv/app\n", ""),
        ("etc/systemd/system/a.service", "Description=a getty\nExecStart=/usr/bin/az login --identity", ""),
        ("srv/page.txt", "ExecStart=/usr/sbin/sshd", ""),
        ("etc/pam.d/login", "auth sufficient pam_permit.so\n", "PAM"),
        ("etc/pam.d/app", "auth\t[success=done default=ignore]\tpam_permit.so\n", "PAM"),
        (
            "etc/pam.d/common-auth",
            "auth [success=1 default=ignore] pam_unix.so nullok\nauth required pam_permit.so\n",
            "",
        ),
        ("etc/pam.d/app", "account sufficient pam_permit.so\n#auth sufficient pam_permit.so\n", ""),
    ],
)
def test_files_that_open_a_way_in(path: str, content: str, why: str) -> None:
    found = list(in_file(path.encode(), content.encode()))
    assert bool(found) is bool(why)
    assert not found or why in found[0].why


@given(st.binary(max_size=500), st.sampled_from([b"etc/systemd/system/a.service", b"etc/pam.d/x", b"x"]))
def test_any_file_is_judged(content: bytes, path: bytes) -> None:
    assert all(each.kind == "login" for each in in_file(path, content))


@pytest.mark.parametrize(
    ("glob", "path", "covers"),
    [
        ("/usr/bin/x", "/usr/bin/x", True),
        ("/usr/bin/x", "/usr/bin/xy", False),
        ("/usr/bin/*", "/usr/bin/x", True),
        ("/usr/*", "/usr/bin/x", False),
        ("/usr/**", "/usr/bin/x", True),
        ("/opt/**/bin/p?ng", "/opt/a/b/bin/ping", True),
        ("/opt/[a]", "/opt/a", False),
        ("/opt/[a]", "/opt/[a]", True),
        ("/opt/.x", "/opt/ax", False),
    ],
)
def test_what_a_waiver_covers(glob: str, path: str, covers: bool) -> None:
    assert waives(Waiver("setuid", glob, "r"), Finding("setuid", path, "", "")) is covers
    assert not waives(Waiver("secret", glob, "r"), Finding("setuid", path, "", ""))


kinds = st.sampled_from(["secret", "setuid", "capability", "world-writable", "login"])
paths = st.sampled_from(["/a", "/a/b", "/c"])


@given(
    st.lists(st.builds(Finding, kinds, paths, st.just("w"), st.just("m"))),
    st.lists(st.builds(Waiver, kinds, st.one_of(paths, st.sampled_from(["/a/*", "/a**"])), st.just("r")), unique=True),
)
def test_nothing_is_waived_unsaid(findings: list[Finding], waivers: list[Waiver]) -> None:
    judgement = judge(findings, waivers)
    waived = [each for each in findings if any(waives(waiver, each) for waiver in waivers)]
    assert sorted(map(repr, [*waived, *judgement.refused])) == sorted(map(repr, findings))
    for waiver in waivers:
        assert (waiver in judgement.unused) != any(waives(waiver, each) for each in findings)


def test_a_refusal_says_what_where_why_and_how_to_go_on() -> None:
    kind: FindingKind = "setuid"
    many = [Finding(kind, f"/x{number}\x1b", "it is", "do") for number in range(MOST_SHOWN + 2)]
    problem = refusal(many)
    assert problem.what.startswith("32 things are in the image that must not be in one:\n     setuid /x0\\x1b: it is\n")
    assert problem.what.endswith("and 2 more")
    assert '[[image.waivers]] finding = "setuid", path = "/x0\\x1b", reason = "..."' in problem.mend
    assert refusal(many[:1]).what.startswith("1 thing is in the image")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    put(root, "etc/passwd", "root:x:0:0::/root:/bin/bash\n")
    put(root, "etc/shadow", "root:!*:1::::::\n")
    put(root, "usr/bin/su", "of a package")
    (root / "usr/bin/su").chmod(0o4755)
    put(root, "usr/share/doc/keys.txt", f"a token of a package's tests: {TOKEN}")
    put(root, "srv/kept", "as it was")
    return root


def found_in(root: Path, before: str = "") -> list[tuple[str, str]]:
    return [(each.kind, each.path) for each in look(root, before)]


def look(root: Path, before: str) -> list[Finding]:
    """What is found where the packages alone had this manifest."""
    now = manifest(root)
    return check(root, now, {Entry.parse(line).path for line in {*now.splitlines()} - {*before.splitlines()}})


def test_what_packages_brought_is_let_through_and_the_same_laid_anew_is_not(root: Path) -> None:
    assert found_in(root, manifest(root)) == []
    assert found_in(root) == [("setuid", "/usr/bin/su"), ("secret", "/usr/share/doc/keys.txt")]


def test_another_name_of_a_file_with_rights_is_seen(root: Path) -> None:
    before = manifest(root)
    os.link(root / "usr/bin/su", root / "usr/bin/other")
    (root / "usr/share").chmod(0o777)
    assert found_in(root, before) == [("setuid", "/usr/bin/other"), ("world-writable", "/usr/share")]


def test_names_that_are_no_text_and_links_out_of_the_tree(root: Path, tmp_path: Path) -> None:
    before = manifest(root)
    (tmp_path / "outside").write_text(TOKEN)
    (root / "srv/link").symlink_to(tmp_path / "outside")
    put(root, os.fsdecode(b"srv/\xff %"), TOKEN)
    assert [kind for kind, _ in found_in(root, before)] == ["secret"]
    assert "srv/\\xff" in str(refusal(look(root, before)))


def test_accounts_behind_a_link_are_not_believed(root: Path) -> None:
    (root / "etc/passwd").rename(root / "etc/other")
    (root / "etc/passwd").symlink_to("other")
    with pytest.raises(OSError, match="symbolic links"):
        check(root, manifest(root), set())
