"""How an image came about, as an in-toto statement (v1) with SLSA's provenance (v1). Pure.

A build records what it alone knows in a `Build`, beside the image; nobody vouches for that yet, since the store belongs
to no project. From it, the lock and the digests of the bills `statement` makes what a project's key signs.

Of the build type `BUILD_TYPE`: `externalParameters` is the recipe, in the words of the declaration, without what is
named by digests below. `resolvedDependencies` are the lock, the releases of archives, every package by its purl, and
every other input by the key of the declaration that names it: the SHA-256 there is the one that the lock has (of a
directory, of a description of all that is in it). `internalParameters` has the build key. Subjects are the image, whose
SHA-256 is that of its manifest, and its bills.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from bluestone.image.sbom.purl import purl
from bluestone.model.intoto import STATEMENT_TYPE, Resource, by_sha256
from bluestone.model.lock import Lock, LockedPackage
from bluestone.model.recipe import OverlayFile, Recipe

FILE = "build.json"
"""The file of a `Build`, beside the tree."""

DIRECTORY = "provenance"
"""The directory beside a tree with the signed statements on it, one for each key that signed."""

SUFFIX = ".dsse.json"
PREDICATE_TYPE = "https://slsa.dev/provenance/v1"
BUILD_TYPE = "urn:bluestone:build:image:v1"
BUILDER = "urn:bluestone:builder:own-machine:v1"
"""A machine of whoever holds the key: bluestone's command line there, and all that may write to its store."""

IMAGE = "image"
"""What the image is called among the subjects; the others are called as their files are."""


class Build(Struct, frozen=True):
    """What is known of a build when it has ended. `key` names its inputs; `invocation` is a name that no other has.

    `recipe` is what `parameters` makes of it.
    """

    key: str
    recipe: dict[str, Any]
    lock: str
    engine: str
    engine_version: str
    bluestone: str
    invocation: str
    started: datetime
    finished: datetime


class _BuildDefinition(msgspec.Struct, rename="camel"):
    build_type: str
    external_parameters: dict[str, Any]
    internal_parameters: dict[str, Any]
    resolved_dependencies: list[Resource]


class _Builder(msgspec.Struct):
    id: str
    version: dict[str, str]


class _Metadata(msgspec.Struct, rename="camel"):
    invocation_id: str
    started_on: datetime
    finished_on: datetime


class _RunDetails(msgspec.Struct):
    builder: _Builder
    metadata: _Metadata


class _Predicate(msgspec.Struct, rename="camel"):
    build_definition: _BuildDefinition
    run_details: _RunDetails


class _Statement(msgspec.Struct, rename="camel"):
    type: str = msgspec.field(name="_type")
    subject: list[Resource]
    predicate_type: str
    predicate: _Predicate


class Statement(Struct, frozen=True):
    """What of a signed statement is checked: digests are hexadecimal SHA-256.

    `files` are the bills by the names of their files; `packages` package URLs with the digests of their files; `inputs`
    everything else of the lock that decides the image, as the lock has it.
    """

    image: str
    files: dict[str, str]
    lock: str
    packages: tuple[tuple[str, str], ...]
    inputs: dict[str, str]
    parameters: dict[str, Any]
    key: str
    engine: str
    finished: datetime


def parameters(recipe: Recipe) -> dict[str, Any]:
    """A recipe without what belongs to a machine: of paths the last part, of mirrors nothing, of contents digests."""
    base = replace(recipe.base, archive=None)
    plain = _plain(replace(recipe, base=base))
    assert isinstance(plain, dict)
    return plain


def statement(image: str, build: Build, lock: Lock, bills: Mapping[str, str]) -> bytes:
    """The statement on an image of this digest (`sha256:...`); `bills` are digests by file. The same for the same."""
    definition = _BuildDefinition(
        build_type=BUILD_TYPE,
        external_parameters=build.recipe,
        internal_parameters={"buildKey": build.key},
        resolved_dependencies=list(_dependencies(lock, build.lock)),
    )
    version = {"bluestone": build.bluestone, build.engine: build.engine_version}
    details = _RunDetails(_Builder(BUILDER, version), _Metadata(build.invocation, build.started, build.finished))
    subjects = [Resource(IMAGE, digest=by_sha256(image))]
    subjects += [Resource(name, digest=by_sha256(sha256)) for name, sha256 in sorted(bills.items())]
    return msgspec.json.encode(_Statement(STATEMENT_TYPE, subjects, PREDICATE_TYPE, _Predicate(definition, details)))


def read(payload: bytes) -> Statement:
    """What a statement that `statement` made says. Raises `ValueError` for any other."""
    try:
        said = msgspec.json.decode(payload, type=_Statement)
        definition, builder = said.predicate.build_definition, said.predicate.run_details.builder
        if (said.type, said.predicate_type) != (STATEMENT_TYPE, PREDICATE_TYPE):
            raise ValueError(f"it is {said.predicate_type}")
        if (definition.build_type, builder.id) != (BUILD_TYPE, BUILDER):
            raise ValueError(f"it is of a build of another type, {definition.build_type}")
        subjects = {each.name: each.digest["sha256"] for each in said.subject}
        named = {each.name: each.digest["sha256"] for each in definition.resolved_dependencies if not each.uri}
        packages = [(each.uri, each.digest["sha256"]) for each in definition.resolved_dependencies if each.uri]
        return Statement(
            image=f"sha256:{subjects.pop(IMAGE)}",
            files=subjects,
            lock=named.pop("bluestone.lock"),
            packages=tuple(packages),
            inputs=named,
            parameters=definition.external_parameters,
            key=str(definition.internal_parameters["buildKey"]),
            engine=", ".join(f"{name} {version}" for name, version in builder.version.items() if name != "bluestone"),
            finished=said.predicate.run_details.metadata.finished_on,
        )
    except (msgspec.MsgspecError, KeyError) as error:
        raise ValueError(f"it is no statement of bluestone's: {error}") from error


def locked(lock: Lock) -> tuple[tuple[tuple[str, str], ...], dict[str, str]]:
    """What a statement has as `packages` and as `inputs` where this is the lock."""
    resources = list(_dependencies(lock, ""))
    packages = tuple((each.uri, each.digest["sha256"]) for each in resources if each.uri)
    return packages, {each.name: each.digest["sha256"] for each in resources if not each.uri and each.digest["sha256"]}


def _dependencies(lock: Lock, sha256: str) -> Iterator[Resource]:
    yield Resource("bluestone.lock", digest=by_sha256(sha256))
    for release in sorted(lock.releases, key=lambda each: (each.archive, each.suite)):
        name, about = f"release {release.archive} {release.suite}", {"date": f"{release.date:%Y-%m-%dT%H:%M:%SZ}"}
        yield Resource(name, digest=by_sha256(release.sha256), annotations=about)
    for key, digest in sorted(lock.inputs.items()):
        yield Resource(key, digest=by_sha256(digest))
    yield from (_package(lock, package, "") for package in sorted(lock.packages, key=lambda each: each.key))
    for tool, packages in sorted(lock.tools.items()):
        yield from (_package(lock, package, tool) for package in sorted(packages, key=lambda each: each.key))


def _package(lock: Lock, package: LockedPackage, tool: str) -> Resource:
    distribution = lock.base.partition(":")[0]
    uri = purl("deb", distribution, package.name, package.version, arch=package.architecture)
    about = {
        "archive": package.archive,
        "suite": package.suite,
        "path": package.path,
        "source": package.source,
        "sourceVersion": package.source_version,
    }
    return Resource(uri=uri, digest=by_sha256(package.sha256), annotations=about | ({"tool": tool} if tool else {}))


def _plain(value: object) -> object:
    """A value of the model as JSON has it, the same whether it was just made or has been read back from JSON."""
    if isinstance(value, OverlayFile):
        laid = {"target": value.target, "owner": value.owner} | ({"mode": f"{value.mode:04o}"} if value.mode else {})
        if value.content is None:
            return laid
        return laid | {"sha256": hashlib.sha256(value.content.encode()).hexdigest()}
    if isinstance(value, Struct):
        held = ((name, getattr(value, name)) for name in value.__struct_fields__)
        return {name: _plain(each) for name, each in held if each not in (None, ())}
    if isinstance(value, Path):
        return value.name
    if isinstance(value, Mapping):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value
