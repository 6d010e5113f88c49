"""`init`: a declaration to begin with."""

from __future__ import annotations

import re
from pathlib import Path

from bluestone.declaration.template import template
from bluestone.image.archive import host_base
from bluestone.model.ids import MAX_NAME
from bluestone.model.problem import Problem


def write_declaration(file: Path, project: str | None) -> None:
    """Write a commented declaration; the project is named after the directory if no name is given.

    Raises `Problem` rather than write over a file.
    """
    base = host_base()
    text = template(project or _name_of(file), f"{base.distribution}:{base.suite}")
    try:
        with file.open("x") as new:
            new.write(text)
    except FileExistsError as error:
        raise Problem(f"{file} exists already", mend="name another file with --file, or move it away") from error
    except OSError as error:
        raise Problem(f"cannot write {file}: {error.strerror}", mend="name another file with --file") from error


def _name_of(file: Path) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", file.absolute().parent.name.lower()).strip("-")
    name = name.lstrip("0123456789-")[:MAX_NAME].rstrip("-")
    return name or "project"
