"""Indexes and Release files as archives publish them, pins as apt reads them, and what apt's complaints mean."""

from __future__ import annotations

from pathlib import Path

import pytest
from msgspec.structs import replace

from bluestone.image.archive import ResolvedBase
from bluestone.image.lock import index, trouble
from bluestone.image.lock.agree import disagreements, stale_inputs
from bluestone.image.lock.archives import list_name, source_line
from bluestone.image.lock.pins import Upgrade, blamed, preferences, suite_of
from bluestone.image.lock.resolve import install, uris
from bluestone.image.lock.wanted import Wanted
from bluestone.image.sources import Source
from bluestone.model.problem import Problem
from lock_examples import DAY, LOCK, package

PACKAGES = """\
Package: libz1
Source: zlib (1:1.2-3)
Version: 1:1.2-3+b1
Essential: yes
Architecture: amd64
Description: of several
 lines, one of which is
 Filename: no/path
Filename: ./pool/libz1_1.2-3+b1_amd64.deb
Size: 42
SHA256: 3333333333333333333333333333333333333333333333333333333333333333

Package: nameless
Version: 1
"""
RELEASE = """\
Origin: Debian
Label: Debian-Security
Suite: stable-security
Codename: trixie-security
Date: Fri, 20 Nov 2026 08:30:00 UTC
Valid-Until: Fri, 27 Nov 2026 08:30:00 UTC
SHA256:
 aa 1 main/binary-amd64/Packages
"""
SIGNED = (
    f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{RELEASE}"
    "-----BEGIN PGP SIGNATURE-----\n\niQ==\n-----END PGP SIGNATURE-----\n"
)
MAIN = Source("http://m.example.org/debian", "trixie", ("main",))
SECURITY = Source("http://m.example.org/debian-security", "trixie-security", ("main",), archive="security")
BASE = ResolvedBase("debian", "trixie", "amd64", Path("/k.gpg"), (MAIN, SECURITY))
UBUNTU = ResolvedBase(
    "ubuntu", "noble", "amd64", Path("/u.gpg"), (Source("http://u.example.org/ubuntu", "noble", ("main", "universe")),)
)


def test_an_index_is_read_as_the_lock_needs_it() -> None:
    found = index.stanzas(PACKAGES)
    assert list(found) == ["pool/libz1_1.2-3+b1_amd64.deb"], "what names no file cannot be fetched"
    (stanza,) = found.values()
    locked = index.locked(stanza, "pool/libz1_1.2-3+b1_amd64.deb", "main", "trixie")
    assert locked == replace(
        package("libz1", "1:1.2-3+b1", "3", path="pool/libz1_1.2-3+b1_amd64.deb"),
        source="zlib",
        source_version="1:1.2-3",
    )
    whole = index.Index("main", "trixie", MAIN.uri, found)
    assert whole.names("Essential: yes") == {"libz1"}
    assert list(whole.versions({"libz1", "libz2"})) == [("libz1", "1:1.2-3+b1", "amd64")]
    assert list(whole.versions({"libz"})) == []


def test_one_field_is_found_as_among_all_of_them() -> None:
    stanza = index.Stanza(
        "Package: a\nDescription: b\n Version: not this one\nPre-Version: nor this\nVersion:  1:2-3 \nSize: 4"
    )
    assert [stanza.first(name) for name in ("Package", "Version", "Size")] == ["a", "1:2-3", "4"]
    assert stanza.first("Filename") == stanza.first("ersion") == ""
    assert all(stanza.first(name) == value for name, value in stanza.fields.items())


def test_an_index_that_does_not_say_enough_is_refused() -> None:
    stanza = index.Stanza(PACKAGES.partition("\n\n")[0].replace("Size: 42\n", ""))
    with pytest.raises(Problem, match="does not say 'Size' of the package libz1"):
        index.locked(stanza, "x.deb", "main", "trixie")


def test_a_release_is_the_same_with_and_without_its_signature() -> None:
    plain, signed = (index.release(text, "security", "trixie-security") for text in (RELEASE, SIGNED))
    assert plain == signed
    assert plain.date == DAY
    assert plain.valid_until is not None
    assert plain.codename == "trixie-security"
    with pytest.raises(Problem, match="has no date"):
        index.release(RELEASE.replace("Date", "Day"), "main", "trixie")


def test_dash_escaped_lines_are_read_as_they_were_signed() -> None:
    text = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n- -x\na\n-----BEGIN PGP SIGNATURE-----\n"
    assert index.signed_text(text) == "-x\na\n"


def test_pins_are_above_what_is_installed_or_newer() -> None:
    assert preferences([package()]) == "Package: web\nPin: version 1.0-1\nPin-Priority: 1001\n"
    assert suite_of(RELEASE) == ["o=Debian", "l=Debian-Security", "a=stable-security", "n=trixie-security"]
    both = preferences([package()], suite_of(RELEASE))
    assert "Pin: version 1.0-1\n" in both
    assert "Pin: release o=Debian,l=Debian-Security,a=stable-security,n=trixie-security\n" in both


def test_an_upgrade_moves_packages_by_the_names_of_binaries_and_sources() -> None:
    named = Upgrade(names=frozenset({"zlib", "dbus", "nginx"}))
    assert [each.name for each in LOCK.packages if named.moves(each)] == ["dbus", "libz1"]
    assert named.unknown(LOCK) == ["nginx"]
    assert all(Upgrade(everything=True).moves(each) for each in LOCK.every)
    assert not any(Upgrade(security=True).moves(each) for each in LOCK.every)


def test_pins_that_are_in_the_way_are_found_in_what_apt_says() -> None:
    said = [
        "Reading package lists...",
        "The following packages have unmet dependencies:",
        " extra : Depends: libz1 (>= 2) but 1:1.2-3+b1 is to be installed",
        "E: Unable to correct problems, you have held broken packages.",
    ]
    assert blamed(said, LOCK.packages) == {"libz1:amd64"}
    assert blamed(["E: Unable to locate package web"], LOCK.packages) == set()


def test_names_are_never_taken_for_options() -> None:
    command = install(["--allow-unauthenticated"])
    assert command[command.index("--") + 1 :] == ["--allow-unauthenticated"]
    assert "--no-remove" in command


def test_what_apt_would_fetch_is_read() -> None:
    said = ["Reading...", "'http://m.example.org/pool/a%2bb_1.deb' a+b_1.deb 42 SHA256:33", "0 upgraded"]
    assert uris(said) == ["http://m.example.org/pool/a+b_1.deb"]


def test_sources_are_whole_lines_with_their_own_keys() -> None:
    assert source_line(UBUNTU.sources[0], "signed-by=/k") == (
        "deb [signed-by=/k] http://u.example.org/ubuntu noble main universe\n"
    )
    flat = Source("http://f.example.org/x", "./", ())
    assert source_line(flat, "signed-by=/k") == "deb [signed-by=/k] http://f.example.org/x ./\n"


@pytest.mark.parametrize(
    ("uri", "name"),
    [
        ("http://m.example.org/debian/dists/trixie/", "m.example.org_debian_dists_trixie_"),
        ("http://m.example.org/my_own//", "m.example.org_my%5fown_"),
        ("http://m.example.org:3142/x/./", "m.example.org:3142_x_._"),
        ("file:///srv/a/", "_srv_a_"),
    ],
)
def test_the_file_of_an_index_is_where_apt_puts_it(uri: str, name: str) -> None:
    assert list_name(uri) == name


def test_a_lock_that_fits_has_nothing_against_it() -> None:
    wanted = Wanted(BASE, LOCK.asked, tools={"puppet": ("puppet",)}, inputs=LOCK.inputs)
    assert disagreements(LOCK, wanted) == []
    others = replace(wanted, asked=("dbus", "nginx"), base=replace(BASE, sources=(MAIN,)), tools={})
    assert disagreements(LOCK, others) == [
        "the lock lacks packages that are asked for: nginx",
        "the lock has packages that are not asked for: web",
        "the lock has suites that are not asked for: security trixie-security",
        "the lock has tools that are not asked for: puppet",
    ]
    assert disagreements(LOCK, Wanted(UBUNTU, LOCK.asked))[0] == (
        "the lock is of debian:trixie, and the declaration of ubuntu:noble"
    )


def test_files_decide_no_package_but_keys_and_local_packages_do() -> None:
    wanted = Wanted(BASE, LOCK.asked, tools={"puppet": ()}, inputs={'image.files."/srv"': "0" * 64})
    assert stale_inputs(LOCK, wanted.inputs) == ['image.files."/srv"']
    assert disagreements(LOCK, wanted) == []
    keyed = replace(wanted, inputs={"image.archives.tools.key": "0" * 64})
    assert disagreements(LOCK, keyed) == ["image.archives.tools.key is not what was locked"]


@pytest.mark.parametrize(
    ("said", "what", "mend"),
    [
        (
            "E: Release file for http://m.example.org/debian/dists/x/InRelease is expired (invalid since 9d 2h).",
            "expired, 9d 2h ago: http://m.example.org/debian/dists/x/InRelease",
            "mirror",
        ),
        (
            "E: Release file for http://m/x is not valid yet (invalid for another 2h 3s). Updates",
            "of the future, by 2h 3s",
            "clock",
        ),
        (
            "E: The repository 'http://m.example.org/debian trixei Release' does not have a Release file.",
            "the archive http://m.example.org/debian has no suite called trixei",
            "image.base",
        ),
        (
            "E: Failed to fetch http://m.example.org/debian/dists/trixie/InRelease  Could not resolve 'm.example.org'",
            "cannot be reached: http://m.example.org/debian",
            "network",
        ),
        (
            "W: GPG error: http://m.example.org/debian trixie InRelease: ... NO_PUBKEY 6ED0E7B82643E131",
            "http://m.example.org/debian is not signed by a key in /k.gpg",
            "debian-archive-keyring",
        ),
        (
            "E: Failed to fetch http://m.example.org/debian/dists/trixie/InRelease  401  Unauthorized [IP: 10.0.0.1]",
            "the archive refuses this machine: http://m.example.org/debian: 401 Unauthorized",
            "auth.conf.d",
        ),
        ("E: Failed to fetch http://m.example.org/x  Hash Sum mismatch", "not consistent", "some minutes"),
        ("E: write: No space left on device", "the disk is full", "TMPDIR"),
        ("E: something else", "cannot be read:\n     E: something else", "mend that"),
    ],
)
def test_why_an_archive_cannot_be_used_is_explained(said: str, what: str, mend: str) -> None:
    (problem,) = trouble.of_update(["Hit:1 http://m.example.org/debian trixie InRelease", said], BASE).problems
    assert what in problem.what
    assert mend in problem.mend
    assert problem.left == "the lock is as it was"


def test_an_archive_is_not_blamed_for_one_whose_address_begins_alike() -> None:
    said = (
        "W: GPG error: http://m.example.org/debian-security trixie-security InRelease: ... NO_PUBKEY 6ED0E7B82643E131"
    )
    (problem,) = trouble.of_update([said], BASE).problems
    assert "the archive http://m.example.org/debian-security is not signed" in problem.what


def test_an_archive_is_not_blamed_for_another_port_of_its_host() -> None:
    said = [
        "E: Failed to fetch http://h.example.org:1/d/InRelease  Could not connect to h.example.org:1 (10.0.0.1).",
        "E: Failed to fetch http://h.example.org:2/d/InRelease  Could not resolve 'h.example.org'",
    ]
    base = replace(BASE, sources=tuple(replace(MAIN, uri=f"http://h.example.org:{port}/d") for port in (1, 2)))
    assert [each.what.splitlines()[0] for each in trouble.of_update(said, base).problems] == [
        "the archive cannot be reached: http://h.example.org:1/d"
    ]


@pytest.mark.parametrize(
    ("said", "what", "mend"),
    [
        ("E: Unable to locate package nginx-lihgt", "no package called nginx-lihgt", "apt-cache search nginx-lihgt"),
        ("E: Package 'old' has no installation candidate", "no package called old", "image.packages"),
        (
            "The following packages have unmet dependencies:\n a : Depends: b (>= 2) but 1 is to be installed\nE: x",
            "cannot be installed together:\n      a : Depends: b (>= 2)",
            "--upgrade",
        ),
        ("E: something else", "cannot be resolved:\n     E: something else", "apt"),
    ],
)
def test_why_packages_cannot_be_installed_is_explained(said: str, what: str, mend: str) -> None:
    problem = trouble.of_install(said.splitlines(), BASE)
    assert what in problem.what
    assert mend in problem.mend
