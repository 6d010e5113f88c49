"""What a server is handed at its start: environment, secrets, and the credential for its log lines."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from bluestone.model.group import SecretRef
from bluestone.model.problem import Problem

MAX_SECRET = 64 * 1024
"""Largest secret, in bytes."""


def environment_file(environment: Mapping[str, str]) -> bytes:
    """The variables in the syntax of environment.d(5), every value quoted."""
    escapes = str.maketrans({character: f"\\{character}" for character in '\\"$`'})
    lines = [f'{name}="{value.translate(escapes)}"\n' for name, value in sorted(environment.items())]
    return "".join(lines).encode()


def read_secret(ref: SecretRef, environment: Mapping[str, str] | None = None) -> bytes:
    """A secret's value. Raises `Problem` if there is none, or if it is larger than `MAX_SECRET`."""
    variables = os.environ if environment is None else environment
    if ref.kind == "env":
        if ref.where not in variables:
            raise Problem(
                f"the secret {ref.name} is to come from the variable {ref.where}, which is not set",
                mend=f"set it for this command: {ref.where}=... bluestone ...",
            )
        value = variables[ref.where].encode()
    else:
        try:
            with Path(ref.where).open("rb") as file:
                value = file.read(MAX_SECRET + 1)
        except OSError as error:
            raise Problem(
                f"the secret {ref.name} cannot be read from {ref.where}: {error.strerror}",
                mend="write the file, or correct its path in the declaration",
            ) from error
    if len(value) > MAX_SECRET:
        raise Problem(f"the secret {ref.name} is larger than {MAX_SECRET} bytes", mend="hand over a smaller one")
    return value


def read_secrets(refs: Iterable[SecretRef], variables: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The values of secrets by name, of variables from those given (else this process's own). Raises `Problem`."""
    return {ref.name: read_secret(ref, variables) for ref in refs}


def secrets_digest(secrets: Mapping[str, bytes], key: bytes) -> str:
    """A keyed hash (BLAKE2b, RFC 7693) of names and values: it changes with a secret, and gives none away."""
    if not secrets:
        return ""
    digest = hashlib.blake2b(key=key, digest_size=16)
    for name, value in sorted(secrets.items()):
        digest.update(f"{len(name)} {name} {len(value)} ".encode() + value)
    return digest.hexdigest()


def bootfiles(environment: Mapping[str, str], secrets: Mapping[str, bytes]) -> dict[str, bytes]:
    """The files that appear under `/run/bluestone` on the server."""
    files = {f"secrets/{name}": value for name, value in secrets.items()}
    return {"environment": environment_file(environment), **files}
