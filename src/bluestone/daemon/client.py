"""Has the daemon that leads a project carry out commands, and hears how they go."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import msgspec
from msgspec.structs import replace

from bluestone import __version__
from bluestone.app.fleet.goals import secret_variables
from bluestone.app.fleet.rollout import Notify
from bluestone.app.fleet.up import Arrival
from bluestone.app.project import Project
from bluestone.daemon.connection import Connection
from bluestone.daemon.messages import (
    VERSION,
    Ask,
    Ended,
    Failed,
    Granted,
    Message,
    Recorded,
    Said,
    Stands,
    Verb,
    decode,
    encode,
)
from bluestone.daemon.presence import socket_of
from bluestone.model.plan import Progress
from bluestone.model.problem import Problem

Watch = Callable[[Sequence[Progress]], None]
"""Is told how far each group is."""


class StillWorking(KeyboardInterrupt):
    """A person has stopped waiting; the daemon goes on."""


def command(
    project: Project,
    verb: Verb,
    *,
    plan_id: str | None = None,
    exact: bool = False,
    groups: tuple[str, ...] = (),
    take_over: bool = False,
    notify: Notify,
    watch: Watch,
    progress: Callable[[str], None],
) -> Arrival:
    """Have the daemon carry out a command, and wait for its end. Raises what the daemon raised, and `StillWorking`."""
    ask = replace(_ask(project, verb), plan_id=plan_id, exact=exact, groups=groups, take_over=take_over)
    try:
        with _conversation(project, ask) as messages:
            for message in messages:
                match message:
                    case Said():
                        progress(message.text)
                    case Recorded():
                        notify(message.at, message.entry())
                    case Stands():
                        watch(message.progress)
                    case Ended():
                        return message.arrival
    except KeyboardInterrupt as interrupt:
        raise StillWorking(
            f"the daemon goes on with `bluestone {verb}`: `bluestone status` shows how far it is; another command "
            "takes its place"
        ) from interrupt
    raise _broken()


@contextmanager
def stood_by(project: Project) -> Iterator[None]:
    """Have the daemon do nothing meanwhile. Raises `Problem` where it is at work for somebody."""
    ask = _ask(project, "stand-by")
    with _conversation(project, ask) as messages:
        if not isinstance(next(messages, None), Granted):
            raise _broken()
        yield


def _ask(project: Project, verb: Verb) -> Ask:
    mine = project.caller.variables
    variables = {name: mine[name] for name in secret_variables(project) if name in mine}
    return Ask(verb, project.caller.name, str(project.file.absolute()), variables=variables)


@contextmanager
def _conversation(project: Project, ask: Ask) -> Iterator[Iterator[Message]]:
    """Send a command, and hear what the daemon says until the end of the block."""
    with closing(Connection(socket_of(project))) as connection:
        try:
            headers = {"Content-Type": "application/json", VERSION: __version__}
            connection.request("POST", "/v1/commands", encode(ask), headers)
            # The answer begins when the command is taken, and goes on for as long as it takes.
            answer = connection.getresponse()
            connection.no_timeout()
            if answer.status != 200:
                _raise(answer.read())
        except (OSError, http.client.HTTPException) as error:
            raise _broken() from error
        yield _messages(answer)


def _messages(answer: http.client.HTTPResponse) -> Iterator[Message]:
    while True:
        try:
            line = answer.readline()
        except (OSError, http.client.HTTPException) as error:
            raise _broken() from error
        if not line:
            return
        message = decode(line)
        if isinstance(message, Failed):
            raise message.error()
        yield message


def _raise(body: bytes) -> None:
    try:
        said = decode(body)
    except msgspec.DecodeError:
        raise _broken() from None
    if isinstance(said, Failed):
        raise said.error()


def _broken() -> Problem:
    return Problem(
        "the daemon has ended in the middle of it",
        mend="start it anew, or run this again: either goes on with what was begun",
        left="what it had begun goes on; servers serve",
    )
