"""systemd's side of the daemon: the unit that starts it, and what it tells systemd of itself (sd_notify(3))."""

from __future__ import annotations

import os
import re
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from bluestone.app.project import Project
from bluestone.host.commands import CommandFailed, run
from bluestone.model.problem import MissingTool, Problem

WATCHDOG = 300
"""Seconds without a sign of life after which systemd starts the daemon anew. The longest single call takes a third."""

STOP = 180
"""Seconds that the daemon has for actions which have begun, when it is asked to end."""

UNIT = """\
# Written by `bluestone serve --install`; change it in a drop-in: systemctl {user}edit {name}
[Unit]
Description=bluestone: keeps the servers of {project}
Documentation=https://www.freedesktop.org/software/systemd/man/systemd.service.html
Wants=network-online.target
After=network-online.target
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={command}
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={directory}
{environment}
# Secrets that come from variables (env:NAME) stand here, one NAME=value to a line, readable by their owner alone.
EnvironmentFile=-{secrets}
Restart=always
RestartSec=2
WatchdogSec={watchdog}
TimeoutStopSec={stop}

# Only the daemon itself is ended: servers, balancer and log receiver are its children and serve on.
KillMode=process
# Should one of them run out of memory, that is no reason to end the daemon.
OOMPolicy=continue
Delegate=yes
TasksMax=infinity
LimitNOFILE=1048576

# It makes mounts and containers that outlive it and that others must see, so it has no view of its own of the file
# system (PrivateTmp=, ProtectSystem=, ...) and no filter of system calls, which containers would inherit.

[Install]
WantedBy={target}
"""


def unit_name(project: str) -> str:
    """The unit of a project."""
    return f"bluestone-{project}.service"


def unit(project: Project, options: tuple[str, ...] = (), *, root: bool | None = None) -> str:
    """The text of a project's unit: a user's own unless `root`."""
    as_root = os.getuid() == 0 if root is None else root
    # -P: no module of the project's directory takes the place of one of Python's.
    command = [sys.executable, "-P", "-m", "bluestone", "serve", "--file", str(project.file.absolute()), *options]
    kept = {name: value for name in ("BLUESTONE_HOME", "PATH") if (value := os.environ.get(name))}
    return UNIT.format(
        project=project.name,
        name=unit_name(project.name),
        user="" if as_root else "--user ",
        command=" ".join(_quoted(word.replace("$", "$$")) for word in command),
        directory=_escaped(str(project.file.absolute().parent)),
        environment="\n".join(f"Environment={_quoted(f'{name}={value}')}" for name, value in kept.items()),
        secrets=_escaped(str(project.state / "variables.env")),
        watchdog=WATCHDOG,
        stop=STOP,
        target="multi-user.target" if as_root else "default.target",
    )


def install(project: Project, options: tuple[str, ...] = ()) -> tuple[Path, bool]:
    """Write the unit where systemd finds it; return where, and whether systemd has read it. Raises `Problem`."""
    as_root = os.getuid() == 0
    place = Path("/etc/systemd/system") if as_root else _user_units()
    path = place / unit_name(project.name)
    try:
        place.mkdir(parents=True, exist_ok=True)
        path.write_text(unit(project, options))
    except OSError as error:
        raise Problem(f"cannot write {path}: {error.strerror}", mend="or print it: --print-unit") from error
    try:
        run(["systemctl", *([] if as_root else ["--user"]), "daemon-reload"], timeout=30)
    except (CommandFailed, MissingTool):
        return path, False
    return path, True


class Notifier:
    """Tells systemd how the daemon is; does nothing where systemd did not start it."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        env = os.environ if environment is None else environment
        self._address = env.get("NOTIFY_SOCKET", "")
        micros = env.get("WATCHDOG_USEC", "")
        mine = env.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        self.interval = int(micros) / 2e6 if micros.isdigit() and mine and self._address else None
        """Seconds between two signs of life that systemd waits for; None if it does not."""

    def tell(self, **state: str) -> None:
        """Send what changed: `READY="1"`, `STOPPING="1"`, `WATCHDOG="1"`, `STATUS="..."`."""
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        text = "\n".join(f"{name}={_line(value)}" for name, value in state.items())
        # systemd that does not listen is no reason for servers to be left alone.
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
            channel.connect(address)
            channel.send(text.encode())


def _user_units() -> Path:
    config = os.environ.get("XDG_CONFIG_HOME")
    return (Path(config) if config else Path.home() / ".config") / "systemd" / "user"


def _line(text: str) -> str:
    return " ".join(text.split())


def _escaped(text: str) -> str:
    """A value in which systemd replaces nothing (systemd.unit(5), specifiers)."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word of a command line as systemd.service(5) reads it."""
    escaped = _escaped(word).replace("\\", "\\\\").replace('"', '\\"')
    return escaped if re.fullmatch(r"[A-Za-z0-9_@%+=:,.$/-]+", escaped) else f'"{escaped}"'
