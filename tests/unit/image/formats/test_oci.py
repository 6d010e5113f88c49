import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from bluestone.image.formats.oci import Blob, OciOrder, configuration, write
from bluestone.image.normalise import EPOCH, backdate
from bluestone.image.tree import manifest
from bluestone.model.problem import Problem

STATUS = "Package: dpkg\nStatus: install ok installed\nVersion: 1.22\nArchitecture: arm64\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    tree = tmp_path / "image" / "root"
    (tree / "var/lib/dpkg").mkdir(parents=True)
    (tree / "var/lib/dpkg/status").write_text(STATUS)
    backdate(tree)
    (tree.parent / "manifest").write_text(manifest(tree))
    return tree


def order(root: Path, work: Path, *, archive: bool, name: str = "web:1") -> OciOrder:
    work.mkdir()
    return OciOrder(root, None, work, work / "out", name, "none", archive)


def blob(layout: Path, digest: str) -> bytes:
    content = (layout / "blobs" / digest.replace(":", "/")).read_bytes()
    assert "sha256:" + hashlib.sha256(content).hexdigest() == digest
    return content


def test_each_file_of_a_layout_names_the_next_by_its_digest(root: Path, tmp_path: Path) -> None:
    facts = write(order(root, tmp_path / "a", archive=False))
    layout = tmp_path / "a" / "out"
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    (described,) = json.loads((layout / "index.json").read_text())["manifests"]
    assert described["digest"] == facts.digest
    text = blob(layout, facts.digest)
    assert len(text) == described["size"]
    told = json.loads(text)
    tree = "sha256:" + hashlib.sha256((root.parent / "manifest").read_bytes()).hexdigest()
    assert told["annotations"] == {"bluestone.image": tree}
    config = json.loads(blob(layout, told["config"]["digest"]))
    assert config["architecture"] == "arm64"
    assert config["config"]["Entrypoint"] == ["/sbin/init"]
    assert config["config"]["StopSignal"] == "SIGRTMIN+3"
    assert config["config"]["Labels"] == {"bluestone.image": tree}
    (layer,) = told["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]
    assert len(blob(layout, layer["digest"])) == layer["size"]
    assert facts.size == sum(path.stat().st_size for path in layout.rglob("*") if path.is_file())


def test_the_manifest_depends_neither_on_the_name_nor_on_the_form(root: Path, tmp_path: Path) -> None:
    directory = write(order(root, tmp_path / "a", archive=False))
    archive = write(order(root, tmp_path / "b", archive=True, name="other:2"))
    assert directory.digest == archive.digest
    with tarfile.open(tmp_path / "b" / "out") as members:
        names = members.getnames()
        told = json.loads((members.extractfile("./manifest.json") or pytest.fail()).read())
        assert all(member.mtime == EPOCH and member.uid == 0 for member in members)
    assert told[0]["RepoTags"] == ["localhost/other:2"]
    assert "./" + told[0]["Layers"][0] in names
    assert "./" + told[0]["Config"] in names
    found = {"./" + str(path.relative_to(tmp_path / "a" / "out")) for path in (tmp_path / "a" / "out").rglob("*")}
    assert set(names) - {"./manifest.json"} == found


def test_json_has_one_form() -> None:
    assert Blob.of({"b": 1, "a": [2]}).content == b'{"a":[2],"b":1}'


def test_an_architecture_without_a_name_is_refused() -> None:
    with pytest.raises(Problem, match="architecture hppa"):
        configuration("hppa", "sha256:0", "sha256:0")
