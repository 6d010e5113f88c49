"""The commented file that `bluestone init` writes."""

from __future__ import annotations

from pathlib import Path

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.keys import BaseTable
from bluestone.declaration.shorthand import base as read_base
from bluestone.declaration.texts.naming import name
from bluestone.model.problem import Problem


def template(project: str, base: str) -> str:
    """The file for a project's name and a base (`debian:trixie`). Raises `Problem` if one is wrong."""
    try:
        name(project)
    except Fault as fault:
        raise Problem(fault.what, mend=fault.mend) from fault
    try:
        BaseTable.model_validate(read_base(base))
    except ValueError as error:
        raise Problem(f"{quoted(base)} cannot be a base", mend='name one such as "debian:trixie"') from error
    text = Path(__file__).with_name("template.toml").read_text(encoding="utf-8")
    return text.replace("@PROJECT@", project).replace("@BASE@", base)
