"""Text -> tables -> model. Whatever is wrong is found at once, each with its place and how to mend it."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from operator import itemgetter
from pathlib import Path

from bluestone.declaration.checks import check
from bluestone.declaration.convert import declaration
from bluestone.declaration.fault import Finding, KeyPath, dotted, upwards
from bluestone.declaration.fit import Toml, fit
from bluestone.model.declaration import Declaration
from bluestone.model.problem import Place, Problem, Problems

MAX_BYTES = 1024 * 1024
"""Largest file, in bytes. One that a person wrote is a thousandth of it."""

MAX_SHOWN = 160
"""Longest line that is shown whole, in characters."""

_SYNTAX_MENDS = (
    ("Cannot (overwrite|declare|redefine|mutate)", "a key or table may stand only once: join the two"),
    ("Duplicate inline table key", "a key may stand only once: leave one out"),
    ('Illegal character|Unterminated|Expected "\'"', "close the quotes on the line where they were opened"),
    ("Unclosed array", "close the array with ]"),
    (
        "Unclosed inline table|Invalid initial character",
        "a table in braces stands on one line, without a last comma",
    ),
    ("Invalid value", 'put text in quotes: key = "value"'),
    ("Expected '='", "write key = value, and put a key with unusual characters in quotes"),
    ("Expected newline or end of document", "write one key = value on each line"),
)


def read(path: Path) -> Declaration:
    """A declaration from its file. Raises `Problems` with all that is wrong."""
    return parse(_text(path), str(path), path.parent.resolve())


def parse(text: str, file: str, directory: Path) -> Declaration:
    """A declaration from its text.

    `file` is what people call the text; relative paths in it begin in `directory`. Raises `Problems` with all
    that is wrong, in the order of the lines.
    """
    try:
        toml = _toml(text, file)
        table, findings = fit(toml)
        findings += _new(check(table, directory.absolute()), findings)
        if findings:
            raise Problems(_placed(findings, text, file))
        return declaration(table, directory)
    except RecursionError as error:
        mend = "write it flat: nothing in a declaration is nested deeply"
        raise Problems([Problem(f"{file} is nested too deeply", mend=mend)]) from error


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            raise Problems([Problem(f"{path} is no file", mend="name a file with --file")])
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        mend = "run `bluestone init` to write one, or name another with --file"
        raise Problems([Problem(f"there is no file {path}", mend=mend)]) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise Problems([Problem(f"cannot read {path}: {reason}", mend="make it readable for you")]) from error
    if len(content) > MAX_BYTES:
        mend = "a declaration is small: put large contents into files beside it, and name them as source"
        raise Problems([Problem(f"{path} is larger than {MAX_BYTES} bytes", mend=mend)])
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        text = content.decode(errors="replace").split("\n")[line - 1]
        place = Place(str(path), line, "", _shown(text))
        mend = "save it as UTF-8 in your editor"
        raise Problems([Problem("the file is not UTF-8", mend=mend, place=place)]) from error


def _toml(text: str, file: str) -> Toml:
    try:
        return tomllib.loads(text)
    except ValueError as error:
        raise Problems([_syntax_problem(str(error), text, file)]) from error


def _syntax_problem(said: str, text: str, file: str) -> Problem:
    """The problem for what `tomllib` said, such as `Invalid value (at line 3, column 9)`."""
    lines = text.split("\n")
    what, _, where = said.partition(" (at ")
    number = re.match(r"line (\d+)", where)
    # Without a line, tomllib stopped at the end, or at a number of thousands of digits.
    line = int(number[1]) if number else len(text.rstrip().split("\n"))
    mends = (mend for pattern, mend in _SYNTAX_MENDS if re.match(pattern, what))
    mend = next(mends, "see https://toml.io for how TOML is written")
    return Problem(f"not valid TOML: {what}", mend=mend, place=Place(file, line, "", _shown(lines[line - 1])))


def _new(found: Iterable[Finding], known: list[Finding]) -> list[Finding]:
    """Those that do not merely follow from something that is known to be wrong."""
    wrong = {path for finding in known for path in (finding.path, finding.meant) if path}
    with_wrong_parts = {above for path in wrong for above in upwards(path)}

    def follows(finding: Finding) -> bool:
        premises = (finding.path, *finding.rests_on)
        return any(above in wrong for premise in premises for above in upwards(premise)) or any(
            premise in with_wrong_parts for premise in finding.rests_on
        )

    return [finding for finding in found if not follows(finding)]


def _placed(findings: list[Finding], text: str, file: str) -> list[Problem]:
    """Problems with their places, in the order of the lines."""
    # Imported here: places are needed only when something is wrong.
    from bluestone.declaration.locate import locate

    lines = locate(text)
    written = ["", *text.split("\n")]
    placed = sorted(((*_nearest(finding.path, lines), finding.fault) for finding in findings), key=itemgetter(0))
    secret = {line for line, _, fault in placed if fault.hidden}
    return [
        Problem(
            fault.what,
            mend=fault.mend,
            place=Place(file, line or 1, dotted(path), "" if line in secret else _shown(written[line])),
        )
        for line, path, fault in placed
    ]


def _nearest(path: KeyPath, lines: dict[KeyPath, int]) -> tuple[int, KeyPath]:
    """The line of a key, and the key; those of the table that lacks it; line 0 if the whole file does."""
    return next(((lines[above], above) for above in upwards(path) if above in lines), (0, path))


def _shown(line: str) -> str:
    line = line.strip()
    line = line if len(line) <= MAX_SHOWN else line[: MAX_SHOWN - 1] + "…"
    return "".join(character if character.isprintable() else " " for character in line).strip()
