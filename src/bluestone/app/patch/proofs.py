"""Proofs of patches: those of a project, and whether one holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bluestone.app.image.provenance import known_key
from bluestone.app.patch.closing import DIRECTORY, SUFFIX
from bluestone.app.project import Project
from bluestone.image.signing import LARGEST_ENVELOPE, PublicKey, Unsigned, read_public, unseal
from bluestone.model.intoto import PAYLOAD_TYPE
from bluestone.model.problem import Problem, Problems
from bluestone.patch.proof import Proof, read


class Vouched(Struct, frozen=True):
    """A proof that holds, its file, and whose key signed it."""

    file: Path
    proof: Proof
    key: PublicKey


class Refused(Struct, frozen=True):
    """A file that is no proof that holds, and why."""

    file: Path
    why: str


def list_proofs(project: Project) -> list[Vouched | Refused]:
    """The project's proofs, the oldest first."""
    files = sorted((project.state / DIRECTORY).glob(f"*{SUFFIX}"))
    key = known_key(project)
    found: list[Vouched | Refused] = []
    for file in files:
        try:
            found.append(_checked(file, [key] if key else []))
        except Problem as problem:
            found.append(Refused(file, problem.what))
    return found


def find_proof(project: Project, name: str | None) -> Path:
    """The file of a patch's proof; without a name, of the newest. Raises `Problem`."""
    files = {file.name.removesuffix(SUFFIX): file for file in (project.state / DIRECTORY).glob(f"*{SUFFIX}")}
    if not files:
        raise Problem(
            f"{project.name} has no proofs yet", mend="`bluestone patch` writes one when no server is exposed"
        )
    if name is None:
        return files[max(files)]
    if name not in files:
        raise Problem(f"there is no proof of a patch {name}", mend=f"choices: {', '.join(sorted(files)[-5:])}")
    return files[name]


def verify_proof(declaration: Path, file: Path, keys: Sequence[Path]) -> Vouched:
    """A proof from its file, if a trusted key signed it and it agrees with itself. Needs no network, and no journal.

    Trusted are `keys`; where none is given, the key of the project that is declared here. Raises `Problem`.
    """
    trusted = [read_public(each) for each in keys]
    if not trusted:
        trusted = _own(declaration)
    return _checked(file, trusted)


def _own(declaration: Path) -> list[PublicKey]:
    try:
        key = known_key(Project.open(declaration))
    except Problems as wrong:
        raise Problem(
            f"it is not known whose key to trust: {wrong.problems[0].what}",
            mend="name a file with what `bluestone key` printed: --key FILE",
        ) from wrong
    return [key] if key else []


def _checked(file: Path, trusted: Sequence[PublicKey]) -> Vouched:
    try:
        with file.open("rb") as opened:
            payload, key = unseal(opened.read(LARGEST_ENVELOPE + 1), PAYLOAD_TYPE, trusted)
        return Vouched(file, read(payload), key)
    except OSError as error:
        raise Problem(f"{file} cannot be read: {error.strerror}", mend="correct the path") from error
    except (Unsigned, ValueError) as error:
        raise Problem(
            f"{file} proves nothing: {error}", mend="take the file from where it was kept, or name the right key: --key"
        ) from error
