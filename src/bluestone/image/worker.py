"""A step of bluestone's own as a process that owns an image's tree: root, or the root of a user namespace.

One side gives an order (`carry_out`), the other serves it (`serve`). Between them are lines of JSON: how far it is
(`Said`), what went wrong (`Trouble`), and in the end the result (`Done`).
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from bluestone.model.problem import Problem

Result = TypeVar("Result")


class Said(msgspec.Struct, tag=True):
    """How far it is."""

    text: str


class Trouble(msgspec.Struct, tag=True):
    """A `Problem`, on its way to the process that gave the order."""

    what: str
    mend: str


class Done(msgspec.Struct, tag=True):
    """It is finished."""

    result: msgspec.Raw


def carry_out(
    module: str, order: object, result: type[Result], *, progress: Callable[[str], None], timeout: float
) -> Result:
    """Have `python -m MODULE` carry out an order; it ends with this process. Raises `Problem`. `timeout` in seconds."""
    # Those who serve need none of these, and their start counts.
    from bluestone.image.child import follow
    from bluestone.image.sandbox import enclosed, require_namespaces

    require_namespaces()
    troubles: list[Trouble] = []
    results: list[Done] = []

    def hear(line: str) -> None:
        try:
            message = msgspec.json.decode(line, type=Said | Trouble | Done)
        except msgspec.DecodeError:
            return  # What else is said is quoted if it ends badly.
        if isinstance(message, Said):
            progress(message.text)
        elif isinstance(message, Trouble):
            troubles.append(message)
        else:
            results.append(message)

    stdin = msgspec.json.encode(order, enc_hook=str)
    ending = follow(enclosed([sys.executable, "-m", module]), hear, timeout=timeout, stdin=stdin)
    if troubles:
        raise Problem(troubles[0].what, mend=troubles[0].mend)
    if ending.status != 0 or not results:
        what = "did not end in time" if ending.status is None else "failed"
        raise Problem(f"{module} {what}:{ending.quoted()}", mend="mend what it says and try again")
    return msgspec.json.decode(results[0].result, type=result)


def serve(order: Any, work: Callable[[Any], object]) -> int:
    """Read an order of this type from the standard input and carry it out; return the exit status."""
    given = msgspec.json.decode(sys.stdin.buffer.read(), type=order, dec_hook=_decode)
    try:
        result = work(given)
    except (Problem, OSError) as error:
        problem = _explain(error) if isinstance(error, OSError) else error
        _tell(Trouble(problem.what, problem.mend))
        return 1
    _tell(Done(msgspec.Raw(msgspec.json.encode(result, enc_hook=str))))
    return 0


def say(text: str) -> None:
    """Tell the process that gave the order how far it is."""
    _tell(Said(text))


def _tell(message: Said | Trouble | Done) -> None:
    print(msgspec.json.encode(message).decode(), flush=True)


def _decode(kind: type, value: str) -> object:
    if kind is Path:
        return Path(value)
    raise NotImplementedError


def _explain(error: OSError) -> Problem:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return Problem(
            "the disk is full",
            mend="free some space, choose a place on a larger disk, or set BLUESTONE_HOME to a directory on one",
        )
    where = f" ({error.filename})" if error.filename else ""
    return Problem(f"{error.strerror}{where}", mend="mend what it says and try again")
