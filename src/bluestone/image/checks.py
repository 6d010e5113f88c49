"""What can be checked of an image in the store against what was signed about it."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bluestone.image import provenance
from bluestone.image.lock.file import digest as lock_digest
from bluestone.image.lock.stored import read as read_lock
from bluestone.image.provenance import Statement
from bluestone.image.sbom import bills, cyclonedx
from bluestone.image.signing import PublicKey, Unsigned, unseal
from bluestone.image.store import LOCK, ImageStore
from bluestone.image.tree import content_size
from bluestone.image.verify import verify
from bluestone.model.image import Image
from bluestone.model.intoto import PAYLOAD_TYPE
from bluestone.model.lock import Lock
from bluestone.model.problem import Problem, Problems

SHOWN = 10
"""Paths or names that one check lists."""

MOST_ENVELOPES = 1000
"""Signed statements on one image that are looked at."""

REPLACE = "do not use it: remove it, and build it anew by `bluestone build`"
UNSIGNED = "nothing that is signed says how it must be"


class Check(Struct, frozen=True):
    """One thing that was checked: `what` says what was found, `mend` what to do if it is not `ok`."""

    name: str
    ok: bool
    what: str
    mend: str = ""


def signature(image: Image, keys: Sequence[PublicKey]) -> tuple[Check, Statement | None]:
    """Whether one of these keys signed a statement on the image, and that statement."""
    found = sorted((image.root.parent / provenance.DIRECTORY).glob(f"*{provenance.SUFFIX}"))[:MOST_ENVELOPES]
    # What a project's key signed is the file of that name; others are looked at too, as a name proves nothing.
    wanted = {f"{key.id}{provenance.SUFFIX}" for key in keys}
    reasons = []
    for file in sorted(found, key=lambda path: path.name not in wanted):
        try:
            payload, key = unseal(file.read_bytes(), PAYLOAD_TYPE, keys)
            said = provenance.read(payload)
        except (Unsigned, ValueError, OSError) as error:
            reasons.append(f"{file.name[:12]}...: {error}")
            continue
        if said.image != image.digest:
            reasons.append(f"{file.name[:12]}...: it is on another image, {said.image}")
            continue
        return Check("signature", True, f"by {key.name}, {key.id[:16]}, on {said.finished:%Y-%m-%d %H:%M} UTC"), said
    what = "no statement on the image is signed by a key that is trusted here"
    mend = "name the key of whoever built it by --key FILE, or have it signed by this project: bluestone build"
    return Check("signature", False, what + listed(reasons or ["there is none"]), mend), None


def lock(image: Image, statement: Statement | None) -> tuple[Check, Lock | None]:
    """Whether the lock beside the image is the one that was signed; and the lock, if it can be read."""
    file = image.root.parent / LOCK
    try:
        found = read_lock(file)
    except (Problem, Problems) as error:
        return Check("lock", False, f"{file} cannot be read:\n     {error}", REPLACE), None
    if found is None:
        return Check("lock", False, f"there is no {file}", REPLACE), None
    if statement is None:
        return Check("lock", False, f"{UNSIGNED} ({len(found.packages)} packages)"), found
    packages, inputs = provenance.locked(found)
    unlike = sorted({uri for uri, _ in {*packages} ^ {*statement.packages}})
    unlike += sorted(key for key in {*inputs, *statement.inputs} if inputs.get(key) != statement.inputs.get(key))
    if unlike:
        return Check("lock", False, f"{file} is not what was signed{listed(unlike)}", REPLACE), found
    if lock_digest(found) != statement.lock:
        return Check("lock", False, f"{file} has the packages that were signed, and is another text", REPLACE), found
    count = len(found.every)
    return Check("lock", True, f"as signed: {count} packages and {len(inputs)} other inputs, by their digests"), found


def tree(image: Image) -> Check:
    """Whether every byte of the tree is what the image is named after. Raises `Problem`."""
    unlike = verify(image)
    if unlike:
        return Check("tree", False, f"it is not what the image is named after{listed(unlike)}", REPLACE)
    size, files = content_size((image.root.parent / "manifest").read_text())
    return Check("tree", True, f"{files} files of {size / 2**20:.0f} MiB are what the image is named after")


def sbom(image: Image, statement: Statement | None, store: ImageStore) -> Check:
    """Whether the bills are those that were signed, and say what is in the tree now. Raises `Problem`."""
    directory = image.root.parent
    if unlike := _bills_unlike(directory, store):
        return Check("sbom", False, unlike, "remove both bills: they are then written anew, and no longer as signed")
    if statement is None:
        return Check("sbom", False, f"{UNSIGNED}; it tells what the tree holds")
    changed = [name for name, digest in sorted(statement.files.items()) if _sha256(directory / name) != digest]
    if changed or not statement.files:
        what = f"not the text that was signed, though it tells what the tree holds{listed(changed)}"
        mend = f"have them signed anew: remove {directory / provenance.DIRECTORY}, and run `bluestone build`"
        return Check("sbom", False, what, mend)
    return Check("sbom", True, f"as signed, and as the tree has it: {', '.join(sorted(statement.files))}")


def _bills_unlike(directory: Path, store: ImageStore) -> str:
    """How the bills differ from those of the tree as it is; empty if they do not."""
    with store.workplace() as work:
        (work / "root").symlink_to(directory / "root")
        (work / "manifest").symlink_to(directory / "manifest")
        bills.scan_apart(work)
        for name in (bills.CYCLONEDX, bills.SPDX):
            if not (directory / name).is_file():
                return f"there is no {directory / name}"
        now, kept = ((each / bills.CYCLONEDX).read_bytes() for each in (work, directory))
        try:
            ours, theirs = cyclonedx.read(now), cyclonedx.read(kept)
        except ValueError as error:
            return f"{directory / bills.CYCLONEDX} is damaged: {error}"
        if ours != theirs:
            unlike = {each.purl for each in {*ours.components} ^ {*theirs.components}}
            unlike |= {each.path for each in {*ours.files} ^ {*theirs.files}}
            return f"it is not what the tree holds{listed(sorted(unlike))}"
        # Where the one is the same to the byte, the same bluestone wrote it, and must have written the other too.
        if now == kept and (work / bills.SPDX).read_bytes() != (directory / bills.SPDX).read_bytes():
            return f"{directory / bills.SPDX} is not what the tree holds"
    return ""


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else ""


def listed(names: Sequence[str]) -> str:
    """The first names, each on a line of its own, to stand at the end of a sentence."""
    more = f"\n     and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return (":" if names else "") + "".join(f"\n     {name}" for name in names[:SHOWN]) + more
