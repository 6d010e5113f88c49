"""The failed units of a server, asked of its systemd over the server's own message bus.

The socket is reached through /proc, so nothing is run on the server for it. systemd's private socket, which needs no
bus, refuses whoever has no process id on the server. What comes over the socket is bounded in size and time: whoever
rules the server may answer what he likes, but not for ever.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from jeepney import DBusAddress, MessageType, Properties, message_bus, new_method_call
from jeepney.auth import Authenticator
from jeepney.low_level import Message, Parser
from jeepney.wrappers import unwrap_msg

from bluestone.model.drift import FailedUnit
from bluestone.model.path import shown

PATIENCE = 2.0
"""Seconds for all that is asked of one server."""

LARGEST = 1 << 20
"""Bytes that one server may answer with."""

MOST = 20
"""Failed units of one server that are asked for their details."""

SOCKET = ("run", "dbus", "system_bus_socket")
SYSTEMD = DBusAddress("/org/freedesktop/systemd1", "org.freedesktop.systemd1", "org.freedesktop.systemd1.Manager")


class NoAnswer(Exception):
    """The server's systemd did not answer, or not what was asked."""


def failed_units(pid: int) -> list[FailedUnit]:
    """The failed units of the server whose init has this process id here. Raises `NoAnswer`."""
    try:
        with _Bus(pid) as bus:
            (units,) = bus.ask(new_method_call(SYSTEMD, "ListUnitsFiltered", "as", (["failed"],)))
            return [_details(bus, str(unit[0]), str(unit[6])) for unit in units[:MOST]]
    except NoAnswer:
        raise
    except OSError as error:
        raise NoAnswer(error.strerror or str(error)) from error
    except Exception as error:
        raise NoAnswer(f"its answer cannot be understood ({type(error).__name__})") from error


def _details(bus: _Bus, name: str, path: str) -> FailedUnit:
    at = int(_property(bus, path, "Unit", "StateChangeTimestamp") or 0)
    result = str(_property(bus, path, "Service", "Result") or "") if name.endswith(".service") else ""
    return FailedUnit(shown(name[:256]), shown(result[:64]), datetime.fromtimestamp(at / 1e6, UTC) if at else None)


def _property(bus: _Bus, path: str, kind: str, name: str) -> Any:
    where = DBusAddress(path, "org.freedesktop.systemd1", f"org.freedesktop.systemd1.{kind}")
    ((_, value),) = bus.ask(Properties(where).get(name))
    return value


class _Bus:
    """A connection to a server's message bus."""

    def __init__(self, pid: int) -> None:
        self._until = time.monotonic() + PATIENCE
        self._left = LARGEST
        self._serial = 0
        self._parser = Parser()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            with _opened(pid) as address:
                self._socket.connect(address)
            self._greet()
            self.ask(message_bus.Hello())
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> _Bus:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, question: Message) -> tuple[Any, ...]:
        """The body of the answer to a method call."""
        self._serial += 1
        self._send(question.serialise(self._serial))
        while True:
            message = self._parser.get_next_message()
            if message is None:
                self._parser.add_data(self._receive())
            elif message.header.fields.get(5) == self._serial:  # REPLY_SERIAL
                if message.header.message_type is not MessageType.method_return:
                    raise NoAnswer("its systemd refused to answer")
                body: tuple[Any, ...] = unwrap_msg(message)
                return body

    def _greet(self) -> None:
        """Say who we are (SASL EXTERNAL); the kernel vouches for it."""
        login = Authenticator()
        for line in login:
            self._send(line)
            login.feed(self._receive())
        self._send(b"BEGIN\r\n")

    def _send(self, data: bytes) -> None:
        self._socket.settimeout(self._time_left())
        self._socket.sendall(data)

    def _receive(self) -> bytes:
        self._socket.settimeout(self._time_left())
        try:
            data = self._socket.recv(65536)
        except TimeoutError as error:
            raise NoAnswer(f"its systemd did not answer within {PATIENCE:g} s") from error
        self._left -= len(data)
        if not data or self._left < 0:
            raise NoAnswer("its message bus closed the connection" if not data else "its answer is too long")
        return data

    def _time_left(self) -> float:
        return max(0.001, self._until - time.monotonic())


@contextmanager
def _opened(pid: int) -> Iterator[str]:
    """The path of a server's bus, opened step by step: a link on the server would lead to a place of this machine."""
    descriptor = os.open(f"/proc/{pid}/root", os.O_PATH | os.O_DIRECTORY)
    try:
        for name in SOCKET:
            inner = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)
