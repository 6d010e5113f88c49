"""Orders to Puppet and Ansible, what they say, what a directory holds, and how a tool is lent to a tree."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.provision import ansible, hooks, project, puppet
from bluestone.image.provision.facts import Facts, ansible_facts, merged, os_release, puppet_facts
from bluestone.image.provision.layer import carry, merge, take_out
from bluestone.model.problem import Problem
from bluestone.model.recipe import Ansible, Base, Puppet, Recipe

TRIXIE = Facts("Debian", "13.2", "trixie", "amd64", "x86_64")
PUPPET = Puppet(Path("/site"))
ANSIBLE = Ansible(Path("/site"))


def test_tools_are_asked_for_where_they_are_used() -> None:
    recipe = Recipe(Base("debian", "trixie"))
    assert (hooks.tools(recipe), hooks.inputs(recipe), hooks.own_part(recipe)) == ({}, {}, [])
    both = Recipe(recipe.base, puppet=PUPPET, ansible=ANSIBLE)
    assert list(hooks.tools(both)) == ["puppet", "ansible"]
    assert [hook.title for hook in hooks.hooks(both)] == ["Puppet", "Ansible"]


def test_puppet_tells_what_it_did() -> None:
    said = ["Notice: /Stage[main]/Main/File[/x]/ensure: defined", "Notice: Applied catalog in 0.01 seconds"]
    assert puppet.verdict(PUPPET, 2, said) == ("Main/File[/x]/ensure: defined",)
    assert puppet.verdict(PUPPET, 0, said[1:]) == ()
    for status, what in ((1, "cannot make sense of /site/manifests"), (4, "could not apply"), (6, "could not apply")):
        with pytest.raises(Problem, match=what) as raised:
            puppet.verdict(PUPPET, status, ["Warning: w", "Error: e (file: /site/x.pp, line: 3)"])
        assert "line: 3" in raised.value.what
        assert "Warning" not in raised.value.what
    with pytest.raises(Problem) as raised:
        puppet.verdict(PUPPET, 4, ["Error: E: Unable to locate package cowsay"])
    assert 'add "cowsay" to image.packages' in raised.value.mend


def test_ansible_tells_what_it_did() -> None:
    end = json.dumps({"kind": "end", "ok": 3, "changed": 1, "failures": 0})
    task = json.dumps({"kind": "task", "name": "It"})
    changed = json.dumps({"kind": "changed", "name": "It"})
    assert ansible.verdict(ANSIBLE, 0, [task, changed, end]) == ("It",)
    assert ansible.verdict(ANSIBLE, 0, [task, end]) == ()
    assert (ansible.heard(task), ansible.heard(end), ansible.heard("plain")) == ("Ansible: It", "", "")
    failed = json.dumps({"kind": "failed", "name": "It", "place": "/site/site.yml:4", "said": ["why\nso"]})
    with pytest.raises(Problem, match=r'"It" failed \(/site/site.yml:4\)\n     why\n     so'):
        ansible.verdict(ANSIBLE, 2, [task, failed, end])
    with pytest.raises(Problem, match="its hosts are none"):
        ansible.verdict(ANSIBLE, 0, [json.dumps({"kind": "nobody"})])
    with pytest.raises(Problem, match=r"cannot make sense of /site/site.yml\n     ERROR! no"):
        ansible.verdict(ANSIBLE, 4, ["ERROR! no"])


def test_facts_are_those_of_the_image() -> None:
    told = os_release('ID=debian\n# no\nNAME="Debian GNU/Linux"\n')
    assert told == {"ID": "debian", "NAME": "Debian GNU/Linux"}
    assert puppet_facts(TRIXIE)["os"]["release"] == {"full": "13.2", "major": "13", "minor": "2"}
    noble = Facts("Ubuntu", "24.04", "noble", "amd64", "x86_64")
    assert puppet_facts(noble)["os"]["release"] == {"full": "24.04", "major": "24.04"}
    assert ansible_facts(TRIXIE)["distribution_major_version"] == "13"
    joined = merged(puppet_facts(TRIXIE), {"os": {"name": "Other"}, "more": 1})
    assert (joined["os"]["name"], joined["os"]["family"], joined["more"]) == ("Other", "Debian", 1)


def test_a_directory_is_its_contents(tmp_path: Path) -> None:
    site = tmp_path / "site"
    (site / "modules").mkdir(parents=True)
    (site / "run.sh").write_text("x")
    (site / "run.sh").chmod(0o700)
    (site / "link").symlink_to("modules")
    before = project.contents(site, "image.puppet")
    (site / ".git").mkdir()
    (site / ".git/HEAD").write_text("x")
    assert project.contents(site, "image.puppet") == before
    project.copy(site, tmp_path / "copy", "image.puppet")
    assert project.contents(tmp_path / "copy", "image.puppet") == before
    assert (tmp_path / "copy/run.sh").stat().st_mode & 0o777 == 0o755
    (site / "run.sh").write_text("y")
    assert project.contents(site, "image.puppet") != before


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside", "modules/../../outside"])
def test_a_link_out_of_the_directory_is_refused(tmp_path: Path, target: str) -> None:
    (tmp_path / "site/modules").mkdir(parents=True)
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "site/link").symlink_to(target)
    with pytest.raises(Problem, match="leads out of"):
        project.contents(tmp_path / "site", "image.puppet")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(Problem, match="neither a file nor a directory"):
        project.contents(tmp_path, "image.ansible")
    with pytest.raises(Problem, match="cannot be read"):
        project.contents(tmp_path / "nowhere", "image.ansible")


_NAMES = st.sampled_from(["a", "b", "c"])
_TREES = st.dictionaries(st.lists(_NAMES, min_size=1, max_size=3).map("/".join), st.sampled_from("xy"), max_size=6)


def make(root: Path, files: dict[str, str]) -> None:
    """Files by path; one that is in the way of another wins."""
    root.mkdir()
    for name, text in sorted(files.items()):
        try:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        except (FileExistsError, NotADirectoryError, IsADirectoryError):
            continue


def seen(root: Path) -> dict[str, str]:
    return {str(path.relative_to(root)): path.read_text() if path.is_file() else "/" for path in root.rglob("*")}


@given(tree=_TREES, tool=_TREES, change=st.none() | _NAMES)
def test_a_tool_that_was_lent_is_gone_and_what_it_made_stays(
    tree: dict[str, str], tool: dict[str, str], change: str | None
) -> None:
    place = Path(tempfile.mkdtemp())
    try:
        make(place / "root", tree)
        make(place / "tool", tool)
        before = seen(place / "root")
        brought = merge(place / "tool", place / "root")
        assert seen(place / "root").items() >= before.items()
        made = place / "root" / (change or "") / "made"
        if change and made.parent.is_dir():
            made.write_text("new")
            before |= {change: "/", f"{change}/made": "new"}
        take_out(brought, place / "root", place / "tool")
        assert seen(place / "root") == before
    finally:
        shutil.rmtree(place)


def test_what_an_overlay_wrote_is_carried(tmp_path: Path) -> None:
    make(tmp_path / "root", {"etc/kept": "old", "etc/changed": "old", "was/directory": "old"})
    make(tmp_path / "tool", {"usr/tool": "tool", "usr/touched": "tool"})
    make(tmp_path / "upper", {"etc/changed": "new", "etc/added": "new", "usr/touched": "tool", "usr/mine": "new"})
    (tmp_path / "upper/was").symlink_to("etc")
    carry(tmp_path / "upper", tmp_path / "root", tmp_path / "tool")
    assert {name: text for name, text in seen(tmp_path / "root").items() if text != "/" and "was" not in name} == {
        "etc/kept": "old",
        "etc/changed": "new",
        "etc/added": "new",
        "usr/mine": "new",
    }
    assert (tmp_path / "root/was").readlink() == Path("etc")
