"""Who is told of events: a web hook, and a program. Each takes one event at a time and says how that went."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from bluestone import __version__
from bluestone.app.fleet.outfit import read_secret
from bluestone.model import notify as model
from bluestone.model.group import SecretRef
from bluestone.model.problem import Problem

TIMEOUT = 10.0
"""Seconds that a web hook may take to answer."""

RUN_TIMEOUT = 30.0
"""Seconds that a program may take."""

BUSY = (408, 425, 429)
"""Answers that ask for the same again, later, besides those from 500 on."""

HANDED_ON = ("PATH", "HOME", "LANG", "TZ", "XDG_RUNTIME_DIR")
"""The daemon's own variables that a program sees: others of them may be secrets."""


class Unwanted(Problem):
    """A receiver was reached, and will not have the event."""


class Receiver(Protocol):
    """Somebody who is told of events. `name` stands in the journal."""

    name: str

    def tell(self, event: Mapping[str, Any]) -> None:
        """Hand over one event. Raises `Unwanted` where it is refused, `Problem` where nobody is reached."""


class WebHook:
    """An HTTP POST of the event as JSON; any answer of 2xx is a yes. Redirections are not followed."""

    name = "webhook"

    def __init__(self, hook: model.WebHook) -> None:
        self._where = hook.address
        self._token = hook.token
        self._opener = urllib.request.build_opener(_NoRedirection)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Post it. What it is posted to may be a secret, so no error names more than its host."""
        url = read_secret(self._where).decode().strip() if isinstance(self._where, SecretRef) else self._where
        host = urlsplit(url).hostname or "nowhere"
        headers = {"Content-Type": "application/json", "User-Agent": f"bluestone/{__version__}"}
        if self._token:
            headers["Authorization"] = f"Bearer {read_secret(self._token).decode().strip()}"
        try:
            request = urllib.request.Request(url, msgspec.json.encode(event), headers, method="POST")  # noqa: S310
            if request.type not in ("http", "https"):
                raise Unwanted("the address of the web hook is no http(s) address", mend="correct notify.webhook")
            with self._opener.open(request, timeout=TIMEOUT) as answer:
                answer.read(1024)
        except urllib.error.HTTPError as error:
            refused = error.code < 500 and error.code not in BUSY
            kind = Unwanted if refused else Problem
            raise kind(f"the web hook at {host} answers {error.code}", mend="see to notify.webhook") from None
        except (OSError, http.client.HTTPException, ValueError) as error:
            why = getattr(error, "reason", None) or type(error).__name__
            raise Problem(f"the web hook at {host} cannot be reached: {why}", mend="see to notify.webhook") from None


class Program:
    """A program that gets the event as JSON on its standard input; status 0 is a yes."""

    name = "exec"

    def __init__(self, command: Sequence[str]) -> None:
        self._command = tuple(command)

    def tell(self, event: Mapping[str, Any]) -> None:
        """Run it."""
        variables = {name: value for name in HANDED_ON if (value := os.environ.get(name)) is not None}
        variables |= {f"BLUESTONE_{name.upper()}": str(event[name]) for name in ("project", "kind", "group", "server")}
        try:
            process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env=variables,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:
            raise Unwanted(f"{self._command[0]} cannot be run: {error.strerror}", mend="correct notify.exec") from None
        with process:
            try:
                _, said = process.communicate(msgspec.json.encode(event), timeout=RUN_TIMEOUT)
            except subprocess.TimeoutExpired:
                # With all that it started: one of them may hold the pipe that is read here.
                os.killpg(process.pid, signal.SIGKILL)
                raise Unwanted(f"{self._command[0]} did not end within {RUN_TIMEOUT:g} s", mend="see to it") from None
        if process.returncode:
            last = said.decode(errors="replace").strip()[-200:]
            raise Unwanted(f"{self._command[0]} ended with {process.returncode}: {last}", mend="see to it")


def receivers(policy: model.NotifyPolicy) -> list[Receiver]:
    """Everybody whom the declaration wants told."""
    found: list[Receiver] = []
    if policy.webhook:
        found.append(WebHook(policy.webhook))
    if policy.exec:
        found.append(Program(policy.exec))
    return found


class _NoRedirection(urllib.request.HTTPRedirectHandler):
    """A redirection would take the token elsewhere."""

    def redirect_request(self, *_: Any) -> None:
        """None: the answer is an error then."""
