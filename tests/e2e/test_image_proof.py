"""A real build is refused for what must not be in it; what is built is signed, verified, compared, built again."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bluestone.image import provenance
from bluestone.image.sbom import bills
from bluestone.image.store import LOCK
from machine import Machine

pytestmark = pytest.mark.e2e

TOKEN = "ghp_" + "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzAbC"


def images(machine: Machine) -> set[str]:
    return {path.name for path in (machine.home / "images").iterdir() if len(path.name) == 64}


def built(machine: Machine, title: str) -> Path:
    """The directory of the image of a page that no other test has."""
    machine.page(f"{title} {machine.project}")
    out, err = machine.popen("build", "--json").communicate(timeout=300)
    assert out, err
    return machine.home / "images" / str(json.loads(out)["digest"]).removeprefix("sha256:")


def signatures(place: Path) -> set[Path]:
    """The signed statements on an image in its directory."""
    return set((place / provenance.DIRECTORY).glob(f"*{provenance.SUFFIX}"))


def checks(machine: Machine, *arguments: str, expect: int = 0) -> dict[str, str]:
    """What `verify` said of each check: `ok`, or what is wrong."""
    process = machine.popen("verify", "--json", *arguments)
    out, err = process.communicate(timeout=300)
    assert process.returncode == expect, out + err
    said = json.loads(out)
    assert said["ok"] is (expect == 0)
    return {each["name"]: "ok" if each["ok"] else each["what"] for each in said["checks"]}


def test_what_must_not_be_in_an_image_refuses_the_build_and_can_be_waived(machine: Machine) -> None:
    machine.page(f"refused {machine.project}")
    (machine.directory / "site" / "token.txt").write_text(f"token: {TOKEN}\n")
    run = (
        'run = ["nginx -t", "cp /usr/bin/true /usr/local/bin/root; chmod 4755 /usr/local/bin/root", '
        '"mkdir -m 777 /srv/open", "mkdir -p /srv/.ssh; touch /srv/.ssh/authorized_keys"]\n'
    )
    machine.set('run = ["nginx -t"]\n', run)
    before = images(machine)
    refused = machine.run("build", expect=1)
    assert "4 things are in the image that must not be in one" in refused
    for found in (
        "secret /var/www/site/token.txt: a token of GitHub (line 1)",
        "setuid /usr/local/bin/root: mode 4755",
        "world-writable /srv/open: mode 0777",
        "login /srv/.ssh/authorized_keys: whoever it names may log in",
    ):
        assert found in refused
    assert TOKEN not in refused
    assert images(machine) == before
    assert list((machine.home / "images").glob(".work-*")) == []
    waived = (
        ("secret", "/var/www/**"),
        ("setuid", "/usr/local/bin/*"),
        ("world-writable", "/srv/open"),
        ("login", "/srv/.ssh/*"),
        ("capability", "/usr/local/bin/*"),
    )
    tables = ", ".join(f'{{ finding = "{kind}", path = "{path}", reason = "a test" }}' for kind, path in waived)
    machine.set(run, f"{run}waivers = [{tables}]\n")
    said = machine.run("build")
    assert "the waiver of capability at /usr/local/bin/* waives nothing" in said
    assert len(images(machine) - before) == 1


def test_an_image_is_signed_and_anything_changed_is_named(machine: Machine, tmp_path: Path) -> None:
    place = built(machine, "verified")
    assert checks(machine) == dict.fromkeys(("signature", "lock", "tree", "sbom"), "ok")
    private = machine.home / "projects" / machine.project / "signing.key"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    secret = private.read_text().splitlines()[1]
    beside = [file.read_bytes() for file in place.rglob("*.json") if "root" not in file.relative_to(place).parts]
    assert beside
    assert secret.encode() not in b"".join(beside)

    (envelope,) = signatures(place)
    signed = envelope.read_bytes()
    for content, what in (
        (signed.replace(b"=", b"A", 1), "no statement"),
        (b"", "no statement"),
        (signed + b"\n", "form"),
    ):
        envelope.write_bytes(content)
        assert what in checks(machine, expect=1)["signature"]
    refused = machine.run("up", expect=1)
    assert "starts no servers of the image" in refused
    assert "bluestone verify" in refused
    assert machine.servers() == []
    envelope.write_bytes(signed)

    changes: tuple[tuple[str, str, Callable[[bytes], bytes]], ...] = (
        (LOCK, "lock", lambda text: text.replace(b"\ndate = ", b"\ndate = 1")),
        (bills.CYCLONEDX, "sbom", lambda text: text.replace(b"nginx-light", b"nginx-heavy")),
        (bills.SPDX, "sbom", lambda text: text.replace(b"nginx-light", b"nginx-heavy")),
        ("root/var/www/site/index.html", "tree", lambda text: text + b"x"),
    )
    for name, check, change in changes:
        file = place / name
        kept = file.read_bytes()
        file.write_bytes(change(kept))
        found = checks(machine, expect=1)
        file.write_bytes(kept)
        assert found[check] != "ok"
        assert found["signature"] == "ok"
        assert [each for each, said in found.items() if said != "ok" and each not in (check, "sbom")] == []

    public = tmp_path / "web.pem"
    public.write_text(machine.run("key"))
    private.rename(tmp_path / "signing.key")
    assert "trusted" in checks(machine, expect=1)["signature"]
    assert checks(machine, "--key", str(public), expect=1)["signature"] == "ok"
    assert not private.exists(), "asking makes no key"
    assert "private key" in machine.run("verify", "--key", str(tmp_path / "signing.key"), expect=1)


def test_it_comes_out_again_and_what_differs_is_shown(machine: Machine) -> None:
    old = built(machine, "first")
    assert checks(machine, "--rebuild")["rebuild"] == "ok"
    assert list((machine.home / "images").glob(".work-*")) == []
    with (machine.directory / "nginx-site.conf").open("a") as site:
        site.write("# a line of this test\n")
    (machine.directory / "site" / "new.txt").write_text("new\n")
    unlike = checks(machine, old.name, "--rebuild", expect=1)
    for key in ("/etc/nginx/sites-enabled/default", "/var/www/site"):
        assert f'\n     image.files."{key}"' in unlike["rebuild"]
    assert unlike["tree"] == "ok"
    new = built(machine, "second")
    shown = machine.run("diff", old.name[:12])
    assert shown.startswith(
        f"{old.name[:8]} -> {new.name[:8]}\nconfiguration\n~ changed    /etc/nginx/sites-enabled/default"
    )
    assert "     +# a line of this test" in shown
    assert "+ added      /var/www/site/new.txt" in shown
    assert "~ changed    /var/www/site/index.html  content" in shown
    assert shown.endswith("packages: none; files: 1 added, 2 changed\n")
    told = json.loads(machine.run("diff", "--json", old.name, new.name))
    assert {each["path"] for each in told["files"]} == {
        "/etc/nginx/sites-enabled/default",
        "/var/www/site/index.html",
        "/var/www/site/new.txt",
    }
    assert "are the same image" in machine.run("diff", old.name, old.name)

    page = old / "root/var/www/site/index.html"
    kept = page.read_bytes()
    page.write_bytes(b"of an attacker")
    assert "/var/www/site/index.html" in checks(machine, old.name, expect=1)["tree"]
    page.write_bytes(kept)


def test_two_projects_sign_one_image_each_by_its_own_key(machine: Machine) -> None:
    place = built(machine, "shared")
    first = signatures(place)
    (machine.home / "projects" / machine.project / "signing.key").unlink()
    machine.run("build")
    both = signatures(place)
    assert len(first) == 1
    assert len(both) == 2
    assert checks(machine)["signature"] == "ok"
    (place / provenance.FILE).write_bytes(b"{}")
    (machine.home / "projects" / machine.project / "signing.key").unlink()
    assert "cannot be signed" in machine.run("build", expect=1)
    shutil.rmtree(place)
