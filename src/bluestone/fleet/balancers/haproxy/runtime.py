"""HAProxy's runtime API: one question and its answer at a time, over the master's socket.

The master passes a question on to a worker: `@1` is the one that serves, `@!PID` one that a reload has
replaced and that still finishes its requests. Commands and their answers: HAProxy's management guide, section
9. An answer that is not one of those expected is a `Problem` that quotes it.
"""

from __future__ import annotations

import csv
import re
import socket
from collections.abc import Sequence
from pathlib import Path

from msgspec import Struct

from bluestone.model.inventory import Counters
from bluestone.model.problem import Problem

CURRENT = "@1"
MAX_ANSWER = 64 * 1024 * 1024
"""Longest answer in bytes; a line of `show stat` has about 500."""

# `srv_admin_state` and `srv_op_state`: management guide, "show servers state".
DRAIN = 0x08
MAINTENANCE = 0x01 | 0x02 | 0x04 | 0x20 | 0x40
RUNNING = 2
NEVER_CHECKED = (0, 1)
"""`srv_check_status` before a first check has ended. (`srv_check_result` is reset whenever a check begins.)"""

MANY = 1_000_000
"""A limit of connections that no server reaches."""

CHECKED = {
    "L4TOUT": "nothing answers at its address",
    "L4CON": "it takes no connections",
    "L6TOUT": "it takes connections and answers nothing in time",
    "L6RSP": "it closes connections without an answer",
    "L7TOUT": "it takes connections and answers nothing in time",
    "L7RSP": "it does not answer in HTTP",
    "L7STS": "it answers with {}",
}
"""What a health check that failed came to, by `check_status` (management guide, 9.1), with its `check_code`."""

NOBODY = "no-such-server"
NO_SERVER = "No such server."
NO_KEY = "Key not found."
NO_MAP = "Unknown map identifier. Please use #<id> or <file>."
NO_SESSION = "No such session (use 'show sess')."
NO_WORKER = "Can't find the target PID"


class NotRunning(Problem):
    """Nobody listens on HAProxy's socket."""


class Unsettled(Problem):
    """HAProxy's answer was cut short or came from nobody, as happens during a reload: ask again."""


class Entry(Struct, frozen=True):
    """A server in one proxy, as the serving worker reports it.

    `attached` is whether it gets new requests, `asleep` whether it is in maintenance (no checks either).
    `running` is HAProxy's own verdict, `checked` whether a check has ever ended, `failing` whether it does not
    run and the last check failed.
    """

    proxy: str
    server: str
    attached: bool
    asleep: bool
    running: bool
    checked: bool
    failing: bool

    @property
    def up(self) -> bool:
        """Whether HAProxy holds it for healthy, and has asked it."""
        return self.running and self.checked


class Statistics(Struct, frozen=True):
    """By (proxy, server): how many sessions it holds, what was counted, and how its last check failed, if it did."""

    sessions: dict[tuple[str, str], int]
    counted: dict[tuple[str, str], Counters]
    failures: dict[tuple[str, str], str]


class Runtime:
    """Asks the HAProxy behind a socket.

    Every method raises `Problem`; `timeout` in seconds bounds each wait.
    """

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self.path = path
        self.timeout = timeout

    def ask(self, command: str) -> str:
        """Send one command and return the whole answer."""
        if not command.isprintable() or ";" in command:
            raise Problem(f"{command!r} is not one command to HAProxy")
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as channel:
                channel.settimeout(self.timeout)
                channel.connect(str(self.path))
                channel.sendall(command.encode() + b"\n")
                # The master keeps the connection open for a next command unless told that none comes.
                channel.shutdown(socket.SHUT_WR)
                answer = _read(channel)
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise NotRunning(f"HAProxy does not run ({self.path})", mend="run `bluestone up`") from error
        except TimeoutError as error:
            raise Problem(
                f"HAProxy did not answer `{command}` within {self.timeout:g} s",
                mend="see what its process does; `bluestone down` ends it",
            ) from error
        except (ConnectionResetError, BrokenPipeError) as error:
            raise Unsettled(f"HAProxy broke off its answer to `{command}`") from error
        except OSError as error:
            raise Problem(f"HAProxy cannot be asked `{command}`: {self.path}: {error.strerror}") from error
        if answer.startswith(NO_WORKER):
            raise Unsettled(f"HAProxy has no worker to answer `{command}`")
        return answer

    def command(self, text: str, *expected: str, worker: str = CURRENT) -> str:
        """Give one command whose answer must be one of `expected` (without white space around it)."""
        answer = self.ask(f"{worker} {text}").strip()
        if answer not in expected:
            raise Problem(f"HAProxy answered `{text}` with {answer[:300]!r}")
        return answer

    def table(self, text: str, worker: str = CURRENT) -> str:
        """Ask for a listing, which must be whole: HAProxy ends it with an empty line."""
        answer = self.ask(f"{worker} {text}".strip())
        if not answer.endswith("\n\n"):
            raise Unsettled(f"HAProxy's answer to `{text}` was cut short: {answer[-100:]!r}")
        return answer

    def description(self) -> str:
        """The `description` that the serving worker was configured with."""
        return parse_description(self.table("show info"))

    def states(self) -> str:
        """What HAProxy wants to read again after a reload, as it says it itself."""
        return self.table("show servers state")

    def entries(self) -> tuple[Entry, ...]:
        """Every server in every proxy."""
        return parse_states(self.states())

    def sessions(self, worker: str) -> dict[tuple[str, str], int]:
        """How many sessions each (proxy, server) of a worker holds."""
        return parse_sessions(self.table("show stat -1 4 -1", worker))

    def statistics(self) -> Statistics:
        """What the serving worker tells of each (proxy, server)."""
        text = self.table("show stat -1 4 -1")
        return Statistics(parse_sessions(text), parse_counters(text), parse_failures(text))

    def arrivals(self) -> dict[str, int]:
        """How many requests, or connections, came to each proxy of the serving worker."""
        return parse_arrivals(self.table("show stat -1 1 -1"))

    def replaced_workers(self) -> tuple[str, ...]:
        """The workers that a reload has replaced and that still finish their requests."""
        return tuple(f"@!{pid}" for pid in parse_replaced_workers(self.table("show proc", worker="")))

    def add(self, proxy: str, server: str, address: str, options: Sequence[str]) -> None:
        """Add a server; it starts in maintenance."""
        self.command(f"add server {proxy}/{server} {address} {' '.join(options)}", "New server registered.")

    def check(self, proxy: str, server: str) -> None:
        """Have a server checked that gets no requests; it counts as down until `rise` checks have passed.

        The order matters: HAProxy takes a server that leaves maintenance for healthy, unasked.
        """
        self.command(f"set server {proxy}/{server} state drain", "")
        self.command(f"set server {proxy}/{server} health down", "")
        self.command(f"enable health {proxy}/{server}", "")

    def ask_for(self, checks_file: Path, server: str, path: str) -> None:
        """Have a server checked by this page from now on."""
        self.forget_page(checks_file, server)
        self.command(f"add map {checks_file} {server} {path}", "")

    def forget_page(self, checks_file: Path, server: str) -> None:
        """Drop the page by which a server was checked. Idempotent."""
        self.command(f"del map {checks_file} {server}", "", NO_KEY, NO_MAP)

    def set_state(self, proxy: str, server: str, state: str) -> None:
        """Put a server into the state `ready`, `drain` or `maint`."""
        self.command(f"set server {proxy}/{server} state {state}", "")

    def shut(self, proxy: str, server: str) -> None:
        """Have what is held not go to this server any more, which still takes what was let through; see `open`.

        A request that was let through and not given to a server yet would else find none when this one is drained.
        """
        self.command(f"set maxconn server {proxy}/{server} {MANY}", "")

    def open(self, proxy: str, server: str) -> None:
        """Undo `shut`."""
        self.command(f"set maxconn server {proxy}/{server} 0", "")

    def catch_up(self, proxy: str) -> None:
        """Return once every request that was let through has a server.

        To delete a server HAProxy first has all its threads finish what they are at, and a request is given its server
        in the same step in which it is let through. There is no server of this name.
        """
        self.command(f"del server {proxy}/{NOBODY}", NO_SERVER)

    def sever(self, server: str, worker: str = CURRENT) -> None:
        """End the sessions of a server, one by one: a replaced worker refuses to end all those of a server."""
        for session in parse_session_ids(self.table("show sess", worker), server):
            self.command(f"shutdown session {session}", "", NO_SESSION, worker=worker)

    def delete(self, proxy: str, server: str) -> bool:
        """Delete a server in maintenance; False while HAProxy still has connections to it."""
        answer = self.ask(f"{CURRENT} del server {proxy}/{server}").strip()
        if answer in ("Server deleted.", NO_SERVER):
            return True
        if answer.startswith("Server still has connections attached to it"):
            return False
        raise Problem(f"HAProxy answered `del server {proxy}/{server}` with {answer[:300]!r}")


def parse_description(text: str) -> str:
    """The `description` in an answer to `show info`."""
    for line in text.splitlines():
        key, found, value = line.partition(": ")
        if found and key == "description":
            return value
    raise Unsettled(f"HAProxy's `show info` has no description: {text[:300]!r}")


def parse_states(text: str) -> tuple[Entry, ...]:
    """The servers in an answer to `show servers state`: a version, a line of names, a line per server."""
    version, _, rest = text.strip().partition("\n")
    names, *lines = rest.splitlines() or [""]
    if version != "1" or not names.startswith("# "):
        raise Problem(f"HAProxy's `show servers state` is in no known form: {text[:300]!r}")
    columns = names[2:].split(" ")
    return tuple(_entry(_row(columns, line.split(" "), line)) for line in lines)


def parse_sessions(text: str) -> dict[tuple[str, str], int]:
    """Current sessions by (proxy, server) in an answer to `show stat`, which is CSV."""
    return {(row["pxname"], row["svname"]): _number(row, "scur", line) for row, line in _stat_rows(text)}


def parse_counters(text: str) -> dict[tuple[str, str], Counters]:
    """What was counted by (proxy, server) in an answer to `show stat` (management guide, 9.1).

    Failed are 5xx answers, broken answers (`eresp`) and connections that could not be made (`econ`). `stot` are the
    requests that a server was given, or connections, where those are shared out. `rtime` is the mean of the last 1024.
    """
    counted = {}
    for row, line in _stat_rows(text):
        errors = sum(_number(row, name, line) for name in ("hrsp_5xx", "econ", "eresp") if row.get(name))
        requests = _number(row, "stot", line) if row.get("stot") else 0
        timed = float(_number(row, "rtime", line)) if row.get("rtime") else None
        counted[row["pxname"], row["svname"]] = Counters(max(requests, errors), errors, timed)
    return counted


def parse_failures(text: str) -> dict[tuple[str, str], str]:
    """How the last health check of each (proxy, server) failed, if it did, by an answer to `show stat`."""
    failed = {}
    for row, _ in _stat_rows(text):
        # While a check is under way, `* ` stands before what the one before it came to, whose code is 0 by then.
        if (words := CHECKED.get(row.get("check_status", "").lstrip("* "))) is not None:
            code = row.get("check_code", "")
            failed[row["pxname"], row["svname"]] = words.format(
                f"status {code}" if code.strip("0") else "a status that is no success"
            )
    return failed


def parse_arrivals(text: str) -> dict[str, int]:
    """What came to each proxy, by an answer to `show stat` (management guide, 9.1): requests, or connections."""
    rows = _stat_rows(text)
    return {row["pxname"]: _number(row, "req_tot" if row.get("req_tot") else "stot", line) for row, line in rows}


def parse_session_ids(text: str, server: str) -> tuple[str, ...]:
    """The ids of a server's sessions in an answer to `show sess`: `0x55d0: proto=tcpv4 ... srv=web-0 ...`."""
    found = []
    for line in text.splitlines():
        session, colon, rest = line.partition(": ")
        if line and not (colon and re.fullmatch(r"0x[0-9a-f]+", session)):
            raise Problem(f"HAProxy's `show sess` has a line in no known form: {line[:300]!r}")
        if f"srv={server}" in rest.split():
            found.append(session)
    return tuple(found)


def parse_replaced_workers(text: str) -> tuple[int, ...]:
    """The process ids under `# old workers` in an answer to `show proc`."""
    if not text.startswith("#<PID>"):
        raise Unsettled(f"HAProxy's `show proc` is in no known form: {text[:300]!r}")
    section, pids = "", []
    for line in text.splitlines():
        if line.startswith("# "):
            section = line[2:]
        elif line and not line.startswith("#"):
            pid = line.split()[0]
            if not pid.isdigit():
                raise Problem(f"HAProxy's `show proc` has a line in no known form: {line!r}")
            if section == "old workers":
                pids.append(int(pid))
    return tuple(pids)


def _stat_rows(text: str) -> list[tuple[dict[str, str], str]]:
    names, *lines = text.strip().splitlines() or [""]
    if not names.startswith("# pxname,svname,"):
        raise Problem(f"HAProxy's `show stat` is in no known form: {text[:300]!r}")
    columns = names[2:].split(",")
    return [(_row(columns, fields, line), line) for line, fields in zip(lines, csv.reader(lines), strict=True)]


def _entry(row: dict[str, str]) -> Entry:
    line = " ".join(row.values())
    admin = _number(row, "srv_admin_state", line)
    running = _number(row, "srv_op_state", line) == RUNNING
    checked = _number(row, "srv_check_status", line) not in NEVER_CHECKED
    return Entry(
        proxy=row["be_name"],
        server=row["srv_name"],
        attached=admin == 0,
        asleep=bool(admin & MAINTENANCE),
        running=running,
        checked=checked,
        # A server that is not running yet counts the checks that it has passed in a row.
        failing=checked and not running and _number(row, "srv_check_health", line) == 0,
    )


def _row(columns: list[str], fields: list[str], line: str) -> dict[str, str]:
    if len(fields) != len(columns):
        raise Unsettled(f"HAProxy gave {len(fields)} values where {len(columns)} are named: {line[:300]!r}")
    return dict(zip(columns, fields, strict=True))


def _number(row: dict[str, str], column: str, line: str) -> int:
    text = row.get(column, "")
    if not (text.isascii() and text.isdigit()):
        raise Problem(f"HAProxy gave no number as {column}: {line[:300]!r}")
    return int(text)


def _read(channel: socket.socket) -> str:
    """Everything until HAProxy closes, `MAX_ANSWER` bytes at most."""
    answer = bytearray()
    while chunk := channel.recv(65536):
        answer += chunk
        if len(answer) > MAX_ANSWER:
            raise Problem(f"HAProxy's answer is longer than {MAX_ANSWER} bytes")
    return answer.decode(errors="replace")
