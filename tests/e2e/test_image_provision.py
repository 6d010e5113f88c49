"""Images that real Puppet and Ansible work on, offline, by tools that are not left in them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from bluestone.image import build as build_module
from bluestone.image.assembly import Assembly
from bluestone.image.build import build, build_key, staged, tool_files
from bluestone.image.builders.own.engine import Own
from bluestone.image.sandbox import enclosed
from bluestone.image.store import ImageStore
from bluestone.image.tree import differences
from bluestone.model.image import Image
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem
from bluestone.model.recipe import Ansible, Base, Puppet, Recipe
from locked import build_locked, hand_over, lock_of
from ordinary_user import ordinary_user, run_in_session

__all__ = ["ordinary_user"]

pytestmark = pytest.mark.e2e

SITES = Path(__file__).parents[1] / "provisioned"
RECIPE = Recipe(
    Base("debian", "trixie"),
    packages=("nginx-light",),
    puppet=Puppet(SITES / "puppet", facts={"colour": "blue"}),
    ansible=Ansible(SITES / "ansible", variables={"title": "Played"}),
)

MADE = {
    *("/etc/group", "/etc/gshadow", "/etc/passwd", "/etc/shadow"),
    *("/etc/nginx/nginx.conf", "/etc/nginx/sites-enabled/default"),
    *("/etc/default/shipper", "/etc/shipper", "/etc/shipper/shipper.yml"),
    *("/etc/shipper/inputs.d", "/etc/shipper/inputs.d/journal.yml", "/etc/shipper/inputs.d/nginx.yml"),
    *("/etc/systemd/system/shipper.service", "/etc/systemd/system/multi-user.target.wants/shipper.service"),
    *("/etc/systemd/system/page.service", "/etc/systemd/system/multi-user.target.wants/page.service"),
    *("/srv/flag-one", "/srv/flag-two", "/srv/flags"),
    *("/srv/page", "/srv/page/index.html", "/srv/page/static", "/srv/page/static/style.css"),
    *("/srv/played", "/srv/played/index.html", "/srv/played/stamp"),
}
"""Every path that the two sites make, change or remove, and no other."""

COPIED = """
import sys
from functools import partial
from bluestone.image import assemble, worker
from bluestone.image.assembly import Assembly
from bluestone.image.provision import apply
apply.provision = partial(apply.provision, overlay=False)
sys.exit(worker.serve(Assembly, assemble._carry_out))
"""
"""An assembly on a kernel that mounts no overlay for its tools."""


@pytest.fixture(scope="module")
def store(shared_home: Path) -> ImageStore:
    return ImageStore(shared_home / "images")


@pytest.fixture(scope="module")
def lock(store: ImageStore) -> Lock:
    return lock_of(RECIPE, store)


@pytest.fixture(scope="module")
def image(store: ImageStore) -> Image:
    return build_locked(RECIPE, store)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Path]:
    """A directory to write a site in."""
    directory = tmp_path / "site"
    directory.mkdir()
    yield directory


def manifest(image: Image) -> str:
    return (image.root.parent / "manifest").read_text()


def only(store: ImageStore, image: Image, **changes: object) -> Recipe:
    """The recipe with these hooks alone; its base is there."""
    assert image
    return replace(RECIPE, **{"puppet": None, "ansible": None, **changes})


def failing(store: ImageStore, lock: Lock, recipe: Recipe, *, twice: bool = False) -> Problem:
    """The problem that a recipe ends with. Nothing of it may stay."""
    before = {image.digest for image in store.list()}
    with pytest.raises(Problem) as raised:
        build(recipe, lock, store, Own(), progress=print, twice=twice)
    assert {image.digest for image in store.list()} == before
    assert list(store.directory.glob(".work-*")) == []
    assert str(store.directory) not in Path("/proc/mounts").read_text()
    assert "/run/bluestone" not in str(raised.value)
    return raised.value


def puppet(site: Path, manifest: str) -> Puppet:
    (site / "site.pp").write_text(manifest)
    return Puppet(site, "site.pp")


def ansible(site: Path, playbook: str) -> Ansible:
    (site / "site.yml").write_text(playbook)
    return Ansible(site)


def test_a_manifest_is_applied_with_its_modules_and_data(image: Image) -> None:
    page = (image.root / "srv/page/index.html").read_text().splitlines()
    assert page[:5] == [
        "<h1>From Hiera FROM HIERA!</h1>",
        "os: Debian trixie Debian",
        "page: blue, Linux ",
        "host: localhost localhost",
        "colour: blue",
    ]
    assert (image.root / "srv/flags").read_text() == "2\n"
    users = {line.split(":")[0]: line.split(":") for line in (image.root / "etc/passwd").read_text().splitlines()}
    line = next(line for line in manifest(image).splitlines() if line.endswith(" srv/page"))
    assert line.split(" ")[:4] == ["dir", "0750", users["page"][2], users["page"][3]]
    assert users["page"][5:] == ["/srv/page", "/usr/sbin/nologin"]


def test_a_module_as_the_forge_has_them_brings_data_of_its_own(image: Image) -> None:
    """As those for Elastic's programs: layers of data that are merged, contained classes, a purged directory."""
    place = image.root / "etc/shipper"
    assert (place / "shipper.yml").read_text().splitlines() == [
        "# Managed by Puppet on Debian.",
        "output.elasticsearch:",
        "  bulk_max_size: 512",
        "  hosts: [https://logs.example.org:9200]",
        "  index: web-trixie",
    ]
    assert {path.name for path in (place / "inputs.d").iterdir()} == {"journal.yml", "nginx.yml"}
    assert (place / "inputs.d/nginx.yml").read_text().splitlines()[-1] == "  tags: [web]"
    assert (image.root / "etc/default/shipper").read_text() == "CONF_DIR=/etc/shipper\nFAMILY=Debian\nHEAP=unknown\n"
    assert (image.root / "etc/systemd/system/multi-user.target.wants/shipper.service").is_symlink()


def test_a_playbook_is_played_with_its_roles_and_collections(image: Image) -> None:
    played = image.root / "srv/played"
    assert (played / "index.html").read_text().splitlines()[:3] == [
        "<h1>Played</h1>",
        "os: Debian trixie Debian",
        "host: localhost localhost",
    ]
    assert (played / "stamp").is_file()
    assert (image.root / "etc/nginx/nginx.conf").read_text().endswith("# Ansible was here.\n")


def test_nothing_of_the_machine_that_builds_is_known(image: Image) -> None:
    """Not its memory, processors, kernel or time since its start: the templates ask for them."""
    for page in ("page", "played"):
        assert (image.root / "srv" / page / "index.html").read_text().splitlines()[-1] == "machine: ."


def test_services_are_enabled_and_none_was_started(image: Image) -> None:
    wants = image.root / "etc/systemd/system/multi-user.target.wants"
    assert (wants / "page.service").is_symlink()
    assert (wants / "nginx.service").is_symlink()
    assert list((image.root / "run").iterdir()) == []
    assert [path for path in (image.root / "var/log").rglob("*") if path.is_file()] == []
    mine = [p for p in Path("/proc").glob("[0-9]*/root") if os.path.realpath(p).startswith(str(image.root.parent))]
    assert mine == []


def test_what_they_did_is_in_the_image_and_their_tools_are_not(image: Image, store: ImageStore, lock: Lock) -> None:
    plain = build(only(store, image), lock, store, Own(), progress=print)
    assert set(differences(manifest(plain), manifest(image))) == MADE
    brought = {each.name for each in lock.every} - {each.name for each in lock.packages}
    assert {"puppet-agent", "ruby", "ansible-core", "python3"} <= brought
    assert brought & {package.name for package in image.packages} == set()
    bills = [path.read_text() for path in image.root.parent.glob("sbom.*")]
    assert bills
    for bill in bills:
        json.loads(bill)
        assert not any(name in bill for name in ("puppet", "facter", "ansible", "ruby3"))


def test_a_second_time_nothing_changes(image: Image, store: ImageStore, lock: Lock) -> None:
    """And where the kernel refuses an overlay, the same comes out as by one."""
    work = store.directory / "twice"
    work.mkdir()
    try:
        with staged(RECIPE, lock, store, Own(), print) as stage:
            wanted = Assembly(stage.directory, work, RECIPE, 300, tool_files(lock, store.packages), twice=True)
            order = msgspec.json.encode(wanted, enc_hook=str)
            command = enclosed([sys.executable, "-c", COPIED])
            done = subprocess.run(command, input=order, capture_output=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        said = [json.loads(line).get("text", "") for line in done.stdout.splitlines()]
        again = said.index("the same a second time, which must change nothing")
        first, second = said[:again], said[again:]
        assert [line for line in first if line.endswith(" changes")] == ["Puppet: 25 changes", "Ansible: 5 changes"]
        assert [line for line in second if line.endswith("changed")] == [
            "Puppet: nothing changed",
            "Ansible: nothing changed",
        ]
        assert differences(manifest(image), (work / "manifest").read_text()) == []
        assert not {"puppet", "ansible"} & {path.name for path in work.iterdir()}
    finally:
        shutil.rmtree(work)


def test_what_changes_again_is_refused_when_it_is_tried_twice(
    image: Image, store: ImageStore, lock: Lock, site: Path
) -> None:
    """While for one without such a change the same image comes out, and one without hooks has nothing to try."""
    text = 'file { "/srv/x": content => "x" }\nexec { "count": command => "/bin/sh -c \'date >> /srv/count\'" }\n'
    problem = failing(store, lock, only(store, image, puppet=puppet(site, text)), twice=True)
    assert "changes the image when it is applied a second time:\n     Puppet: Main/Exec[count]/returns:" in problem.what
    assert "/srv/x" not in problem.what
    assert "creates" in problem.mend
    assert "nothing to apply twice" in failing(store, lock, only(store, image), twice=True).what


def test_built_elsewhere_without_root_and_network_it_is_the_same(
    image: Image, store: ImageStore, lock: Lock, ordinary_user: tuple[str, Path]
) -> None:
    """By the lock, the packages and the sites, which lie in other places there."""
    user, directory = ordinary_user
    images = directory / "images"
    kept = hand_over(RECIPE, store, ImageStore(images))
    shutil.copytree(SITES, directory / "sites")
    recipe = replace(
        RECIPE,
        puppet=replace(RECIPE.puppet, directory=directory / "sites/puppet"),  # type: ignore[type-var]
        ansible=replace(RECIPE.ansible, directory=directory / "sites/ansible"),  # type: ignore[type-var]
    )
    (directory / "recipe.json").write_bytes(msgspec.json.encode(recipe, enc_hook=str))
    subprocess.run(["chown", "-R", user, str(directory)], check=True)
    code = f"""
from pathlib import Path
import msgspec
from bluestone.image.build import build
from bluestone.image.builders.own.engine import Own
from bluestone.image.lock.stored import read
from bluestone.image.store import ImageStore
from bluestone.image.verify import verify
from bluestone.model.recipe import Recipe
text = Path({str(directory / "recipe.json")!r}).read_bytes()
recipe = msgspec.json.decode(text, type=Recipe, dec_hook=lambda kind, text: kind(text))
store = ImageStore(Path({str(images)!r}))
image = build(recipe, read(Path({str(kept)!r})), store, Own(), progress=print)
print(image.digest, verify(image))
store.remove(image.digest)
"""
    done = run_in_session(user, directory, sys.executable, "-c", code, timeout=500)
    assert done.returncode == 0, done.stdout
    assert "Puppet: 25 changes" in done.stdout
    assert done.stdout.splitlines()[-1] == f"{image.digest} []"


def test_other_contents_of_a_site_are_another_image(image: Image, store: ImageStore, lock: Lock, site: Path) -> None:
    """As are other facts by which the same manifest is applied."""
    applied = replace(puppet(site, 'file { "/srv/colour": content => $facts["colour"] }'), facts={"colour": "blue"})
    recipe = only(store, image, puppet=applied)
    keys = {build_key(recipe, lock), build_key(replace(recipe, puppet=replace(applied, facts={"colour": "red"})), lock)}
    (site / "more.pp").touch()
    keys.add(build_key(recipe, lock))
    assert len(keys) == 3


@pytest.mark.parametrize(
    ("text", "what", "mend"),
    [
        ("include nowhere", "Could not find class ::nowhere", "must be in the directory `modules`"),
        (
            "file { '/srv/x': content => 'x' }\nexec { 'it': command => '/bin/sh -c \"echo why; exit 7\"' }",
            "site.pp, line: 2",
            "without a network",
        ),
        ("package { 'cowsay': ensure => installed }", '"cowsay"', 'add "cowsay" to image.packages'),
        ("package { 'nginx-light': ensure => purged }", "changed the packages of the image: nginx-light", "packages"),
    ],
)
def test_what_puppet_cannot_do_is_said(
    image: Image, store: ImageStore, lock: Lock, site: Path, text: str, what: str, mend: str
) -> None:
    problem = failing(store, lock, only(store, image, puppet=puppet(site, text)))
    assert what in problem.what
    assert mend in problem.mend


@pytest.mark.parametrize(
    ("tasks", "what", "mend"),
    [
        ("hosts: web", "its hosts are none that an image is", '"hosts: all"'),
        (
            "hosts: all\n  gather_facts: false\n  tasks:\n"
            "    - name: It\n      ansible.builtin.command: sh -c 'echo why >&2; exit 7'",
            'the task "It" failed',
            "without a network",
        ),
        (
            "hosts: all\n  gather_facts: false\n  tasks:\n"
            "    - ansible.builtin.apt:\n        name: cowsay\n        update_cache: true",
            '"cowsay"',
            'add "cowsay" to image.packages',
        ),
    ],
)
def test_what_ansible_cannot_do_is_said(
    image: Image, store: ImageStore, lock: Lock, site: Path, tasks: str, what: str, mend: str
) -> None:
    problem = failing(store, lock, only(store, image, ansible=ansible(site, f"- {tasks}\n")))
    assert what in problem.what
    if "why" in tasks:
        assert f"({site}/site.yml:4)" in problem.what
        assert "why" in problem.what
    assert mend in problem.mend


def test_one_that_never_ends_is_ended(
    image: Image, store: ImageStore, lock: Lock, site: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "COMMAND_LIMIT", 4.0)
    text = "exec { '/bin/sleep 4714': timeout => 0 }"
    problem = failing(store, lock, only(store, image, puppet=puppet(site, text)))
    assert "Puppet did not end within 4 s" in problem.what


def test_a_damaged_package_of_a_tool_is_noticed(image: Image, store: ImageStore, lock: Lock) -> None:
    deb = store.packages.path(lock.tools["puppet"][0].sha256)
    kept = deb.with_suffix(".kept")
    deb.rename(kept)
    try:
        content = bytearray(kept.read_bytes())
        content[-1] ^= 1
        deb.write_bytes(content)
        problem = failing(store, lock, only(store, image, puppet=RECIPE.puppet))
    finally:
        kept.replace(deb)
    assert f"{deb} was damaged" in problem.what
