"""An image as the Open Container Initiative has it: a layout of files, or the same in one tar archive.

The image's tree is the one layer. Nothing depends on the day, on this machine or on its programs: the same tree has
the same manifest, byte for byte, whoever writes it. (OCI Image Format Specification 1.1.)
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from msgspec import Struct

from bluestone.host.files import flush
from bluestone.image import worker
from bluestone.image.formats import tools
from bluestone.image.formats.layer import BLOCK, CHUNK, END, entries, header, read, stream
from bluestone.image.normalise import EPOCH
from bluestone.image.packages import parse_status
from bluestone.image.remove import remove_tree
from bluestone.image.tree import Entry, hash_file
from bluestone.model.problem import Problem

Compression = Literal["none", "gzip", "zstd"]

LIMIT = 3600.0
"""Seconds that packing an image may take."""

COMPRESSORS: Mapping[Compression, tuple[str, ...]] = {
    "gzip": ("gzip", "-n", "-6", "-c"),
    # Its output does not depend on the number of threads.
    "zstd": ("zstd", "-3", "-T0", "-q", "-c"),
}
SUFFIXES: Mapping[Compression, str] = {"none": "", "gzip": "+gzip", "zstd": "+zstd"}

ARCHITECTURES: Mapping[str, Mapping[str, str]] = {
    "amd64": {"architecture": "amd64"},
    "arm64": {"architecture": "arm64"},
    "armhf": {"architecture": "arm", "variant": "v7"},
    "ppc64el": {"architecture": "ppc64le"},
    "riscv64": {"architecture": "riscv64"},
    "s390x": {"architecture": "s390x"},
}
"""Debian's architectures in the words of OCI."""

LABEL = "bluestone.image"
"""Label and annotation with the digest of the tree, which is what names the image."""

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


class OciOrder(Struct, frozen=True):
    """What to pack, and where: `destination` does not exist yet. `name` is `NAME:TAG`, for those who load it."""

    image: Path
    tools: Path | None
    work: Path
    destination: Path
    name: str
    compression: Compression
    archive: bool


class OciFacts(Struct, frozen=True):
    """A finished layout: the digest of its manifest, and the size of all files in bytes."""

    digest: str
    size: int


class Blob(Struct, frozen=True):
    """A file of a layout, named by its digest; `content` is None for what is too large to keep at hand."""

    digest: str
    size: int
    content: bytes | None = None

    @classmethod
    def of(cls, value: Any) -> Blob:
        """A value as JSON that has one form alone."""
        content = _json(value)
        return cls("sha256:" + hashlib.sha256(content).hexdigest(), len(content), content)

    def described(self, media_type: str, **more: Any) -> dict[str, Any]:
        """The blob as others refer to it."""
        return {"mediaType": media_type, "digest": self.digest, "size": self.size, **more}

    @property
    def path(self) -> str:
        """Its place in a layout."""
        return "blobs/" + self.digest.replace(":", "/")


def make_oci(
    image_root: Path,
    destination: Path,
    name: str,
    progress: Callable[[str], None],
    *,
    archive: bool,
    compression: Compression = "none",
    tools_root: Path | None = None,
) -> OciFacts:
    """Make an OCI layout of an image in the store, a directory or (`archive`) a tar, at a place that is free.

    It is there as a whole, or not at all. Compressing needs `tools_root`. Raises `Problem`.
    """
    work = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    try:
        draft = work / "layout"
        order = OciOrder(image_root, tools_root, work, draft, name, compression, archive)
        facts = worker.carry_out(__name__, order, OciFacts, progress=progress, timeout=LIMIT)
        draft.rename(destination)
    finally:
        remove_tree(work)
    return facts


def write(order: OciOrder) -> OciFacts:
    """Write the layout. Raises `Problem` and `OSError`."""
    known = entries(order.image)
    tree = "sha256:" + hashlib.sha256((order.image.parent / "manifest").read_bytes()).hexdigest()
    worker.say("packing the tree")
    packed = order.work / "layer"
    layer, content_digest = _write_layer(order, known, packed)
    config = Blob.of(configuration(_architecture(known, order.image), content_digest, tree))
    manifest = Blob.of(manifest_of(config, layer, order.compression, tree))
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index(manifest, order.name)),
        config.path: config.content or b"",
        manifest.path: manifest.content or b"",
    }
    if order.archive:
        files["manifest.json"] = _json(docker_manifest(config, layer, order.name))
        _write_archive(order.destination, files, layer, packed)
    else:
        _write_directory(order.destination, files, layer, packed)
    return OciFacts(manifest.digest, layer.size + sum(map(len, files.values())))


def configuration(architecture: str, content_digest: str, tree: str) -> dict[str, Any]:
    """What the image is like as a container: systemd as the first process, stopped as systemd wants it.

    Raises `Problem` for an architecture that OCI has no name for.
    """
    if architecture not in ARCHITECTURES:
        raise Problem(f"containers have no name for the architecture {architecture}", mend="use the format tar")
    created = datetime.fromtimestamp(EPOCH, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        **ARCHITECTURES[architecture],
        "os": "linux",
        "created": created,
        "config": {"Entrypoint": ["/sbin/init"], "StopSignal": "SIGRTMIN+3", "Labels": {LABEL: tree}},
        "rootfs": {"type": "layers", "diff_ids": [content_digest]},
        "history": [{"created": created, "created_by": "bluestone"}],
    }


def manifest_of(config: Blob, layer: Blob, compression: Compression, tree: str) -> dict[str, Any]:
    """The manifest, whose digest is what registries call the image."""
    return {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.described(CONFIG_TYPE),
        "layers": [layer.described(LAYER_TYPE + SUFFIXES[compression])],
        "annotations": {LABEL: tree},
    }


def index(manifest: Blob, name: str) -> dict[str, Any]:
    """What a layout begins with. `name` is not a part of the image: it is how podman and containerd call it."""
    names = {"org.opencontainers.image.ref.name": name, "io.containerd.image.name": f"localhost/{name}"}
    return {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [manifest.described(MANIFEST_TYPE, annotations=names)],
    }


def docker_manifest(config: Blob, layer: Blob, name: str) -> list[dict[str, Any]]:
    """What `docker load` looks for where docker does not keep its images in containerd."""
    return [{"Config": config.path, "RepoTags": [f"localhost/{name}"], "Layers": [layer.path]}]


def _write_layer(order: OciOrder, known: list[Entry], target: Path) -> tuple[Blob, str]:
    """Write the layer; return it, and the digest of what it holds once it is unpacked."""
    content = hashlib.sha256()

    def pieces() -> Iterator[bytes]:
        for piece in stream(known, order.image):
            content.update(piece)
            yield piece

    if order.compression == "none":
        with target.open("wb") as file:
            file.writelines(pieces())
        digest = content.hexdigest()
    else:
        assert order.tools, "compressing needs tools"
        tools.open_tools(order.tools, order.work)
        tools.feed(order.tools, COMPRESSORS[order.compression], pieces(), target)
        digest = hash_file(os.fsencode(target))
    return Blob(f"sha256:{digest}", target.stat().st_size), f"sha256:{content.hexdigest()}"


def _write_directory(target: Path, files: Mapping[str, bytes], layer: Blob, packed: Path) -> None:
    (target / layer.path).parent.mkdir(parents=True)
    packed.rename(target / layer.path)
    for name, content in files.items():
        (target / name).write_bytes(content)
    for path in [*target.rglob("*"), target]:
        flush(path)


def _write_archive(target: Path, files: Mapping[str, bytes], layer: Blob, packed: Path) -> None:
    """The layout as a tar; small files first, so that it can be read as it comes."""
    with target.open("wb") as file:
        for name in ("blobs", "blobs/sha256"):
            file.write(header(Entry(name.encode(), "dir", 0o755, 0, 0, EPOCH)))
        for name, content in sorted(files.items()):
            file.writelines(_member(name, len(content), [content]))
        with packed.open("rb") as content_of_layer:
            pieces = iter(lambda: content_of_layer.read(CHUNK), b"")
            file.writelines(_member(layer.path, layer.size, pieces))
        file.write(END)
        file.flush()
        os.fsync(file.fileno())


def _member(name: str, size: int, pieces: Iterable[bytes]) -> Iterator[bytes]:
    yield header(Entry(name.encode(), "file", 0o644, 0, 0, EPOCH, size))
    yield from pieces
    yield b"\0" * (-size % BLOCK)


def _architecture(known: list[Entry], root: Path) -> str:
    """The tree's architecture in Debian's words: that of its dpkg."""
    for entry in known:
        if entry.path == b"var/lib/dpkg/status" and entry.kind == "file":
            for package in parse_status(read(entry, root).decode()):
                if package.name == "dpkg":
                    return package.architecture
    raise Problem("it cannot be told which machines the image is for: it has no dpkg", mend="keep /var/lib/dpkg")


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


if __name__ == "__main__":
    sys.exit(worker.serve(OciOrder, write))
