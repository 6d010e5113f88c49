"""Readers of single texts: each returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

import importlib
import ipaddress
import re
from decimal import Decimal
from math import isfinite
from posixpath import normpath
from typing import Any
from urllib.parse import parse_qs, urlsplit

from bluestone.declaration.fault import Fault, quoted
from bluestone.model.ids import MAX_NAME
from bluestone.model.ids import NAME as _NAME

NAME = f"^{_NAME.pattern}$"
STORE = r"^postgres(ql)?://\S*$"
SUITE = r"^[a-z][a-z0-9.-]*$"
PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
"""A package's name by Debian Policy 5.6.1: at least two characters."""
ARCHIVE_SUITE = r"^[A-Za-z0-9.][A-Za-z0-9._~+/-]*$"
COMPONENT = r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$"
DEB = r"^[^/].*\.deb$"
UNIT_SUFFIXES = ("service", "socket", "timer", "path", "target", "mount", "automount", "swap", "slice")
"""Kinds of units that can be enabled (systemd.unit(5))."""
UNIT = r"^[A-Za-z0-9:_.\\-]+(@[A-Za-z0-9:_.\\-]*)?\.(" + "|".join(UNIT_SUFFIXES) + ")$"
OWNER = r"^([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9})(:([a-z_][a-z0-9_-]{0,31}|[0-9]{1,9}))?$"
MODE = r"^(0o)?[0-7]{3,4}$"
VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
SECRET = rf"^(env:{VARIABLE[1:-1]}|file:.+)$"
MAX_MASK, MAX_REPEATS = 500, 16
MAX_NUMBER = 2**53
"""Largest whole number that is the same in every reader of JSON (RFC 8259, section 6)."""
MAX_PATH = 1024
"""Longest path, in characters; the kernel takes 4096 bytes (PATH_MAX in limits.h)."""
HOST_NAME = r"^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$"
ADDRESS = r"^(127\.[0-9.]+|\[::1\]):[0-9]{1,5}$"
COUNTRY = "^[A-Z]{2}$"
REGION = "^[A-Z0-9-]{1,6}$"
CALENDAR = r"^.+\.ics$"
AMOUNT = r"^[0-9]{1,9}(\.[0-9]{1,2})?$"
MAX_HOURS = 1000
"""Longest text of opening hours, in characters."""
WEBHOOK = rf"^(https?://.+|env:{VARIABLE[1:-1]}|file:.+)$"
PLACE = r"^(https?://\S+|[^:\s][^:]*)$"
"""An http(s) address, or a path, which has no colon."""
HEALTH_PATH = r"^/[A-Za-z0-9._~!&()*+,;=:@/?%-]*$"
"""What a URI's path and query may hold (RFC 3986), less the marks that quote in HAProxy's configuration."""
ABSOLUTE = "^/"
VOLUME_PATH = r"^/[A-Za-z0-9._+@=/-]+$"
"""A path that no program between here and the server takes for a pattern, or for a path and options."""
WAIVED = r"^/[^*?/]+(/|$)"
"""A path whose first directory is named: a waiver for everything would be none."""

ADVISORY = r"^[A-Za-z0-9][A-Za-z0-9._:+~ /-]*$"
"""An advisory's name: `CVE-2026-12345`, `DSA-6001-1`, `openssl 3.5.6-1~deb13u1`."""

UNIT_PATTERN = r"^[A-Za-z0-9:_.@*?-]+\.(service|socket|timer|path|mount|target|swap|scope|slice|device|automount)$"
"""A unit's name, perhaps with wildcards."""

LOGIN_PACKAGES = {
    *("cockpit-ws", "dropbear", "dropbear-bin", "dropbear-initramfs", "dropbear-run", "inetutils-telnetd"),
    *("lsh-server", "openssh-server", "rsh-redone-server", "rsh-server", "shellinabox", "ssh"),
    *("task-ssh-server", "telnetd", "telnetd-ssl", "tinysshd", "ttyd", "xrdp"),
}
"""Debian packages that open a way to log in: those that provide ssh-server or telnet-server, their
metapackages, and the remote shells and desktops beside them."""

_LOGIN_UNIT = re.compile(r"(.*getty@?.*|debug-shell|rescue|emergency|sshd?(@.*)?|dropbear(@.*)?)\.[a-z]+")

MOUNTED_AT_START = ("/dev", "/proc", "/run", "/sys", "/tmp", "/var/run")  # noqa: S108 - names, nothing is opened
"""Where something else is mounted when a server starts: what an image has there is never seen."""

NEEDED_FROM_IMAGE = ("/", "/bin", "/boot", "/etc", "/lib", "/lib64", "/sbin", "/usr", "/var", "/var/lib")
"""Directories so large, or so needed as they are, that none of them can be held in memory and written to."""

_LIKE_NAMES = "use small letters, digits and single hyphens, and begin with a letter"


def name(text: str) -> str:
    """A project's or group's name."""
    if len(text) > MAX_NAME:
        raise Fault(f"the name {quoted(text)} is too long", f"use at most {MAX_NAME} characters")
    return _matching(NAME, text, "a name that a host could have", f"{_LIKE_NAMES}, such as web-2")


def provider(text: str) -> str:
    """A provider's name. Which ones there are is not known here."""
    return _matching(NAME, text, "a provider's name", f'{_LIKE_NAMES}, such as "podman"')


def suite(text: str) -> str:
    """A suite of a distribution's archive."""
    return _matching(SUITE, text, "a suite's name", 'write its code name, such as "trixie" or "noble"')


def archive(text: str) -> str:
    """The URI of a package archive."""
    try:
        uri = urlsplit(text)
        secret = uri.username is not None or uri.password is not None
        whole = bool(uri.netloc or uri.path) if uri.scheme == "file" else bool(uri.hostname)
    except ValueError:
        secret, whole = False, False
    if secret or "@" in text.partition("//")[2].partition("/")[0]:
        raise Fault(
            "the archive's URI has a user name or password in it, which would be kept in the image",
            "use an archive that needs none, or a mirror on this machine",
            hidden=True,
        )
    if not whole or uri.scheme not in ("http", "https", "file") or re.search(r"[\s\[\]\"'\\]", text):
        raise Fault(
            f"{quoted(text)} is not the URI of an archive",
            'write it whole, such as "https://mirror.example.org/debian"; http, https and file are known',
        )
    return text


def package(text: str) -> str:
    """A Debian package's name."""
    alone = re.split("[=/:]", text)[0]
    if alone != text and re.fullmatch(PACKAGE, alone):
        raise Fault(
            f"{quoted(text)} asks for a version, a suite or an architecture",
            f"write the name alone, {quoted(alone)}: the archive decides the rest",
        )
    _matching(PACKAGE, text, "a Debian package's name", "use small letters, digits and + - . only")
    if text in LOGIN_PACKAGES:
        raise Fault(
            f"the package {text} opens a login, and nobody logs in to an immutable server",
            "leave it out; read what a server wrote with `bluestone logs`",
        )
    return text


def archive_suite(text: str) -> str:
    """The suite of an archive that is not a distribution's; one that ends in `/` is the path of an index."""
    if ".." in text.split("/"):
        raise Fault(f'the suite {quoted(text)} has ".." in it', "write the path that is meant")
    mend = 'write what stands after the URI in the line that the archive tells for apt, such as "stable" or "./"'
    return _matching(ARCHIVE_SUITE, text, "a suite's name", mend)


def component(text: str) -> str:
    """A component of an archive."""
    return _matching(COMPONENT, text, "a component's name", 'write what the archive says, such as "main"')


def deb(text: str) -> str:
    """A package file below the declaration's directory."""
    if text.startswith("/") or ".." in text.split("/"):
        raise Fault(
            f"the package file {quoted(text)} is not below the directory of this file",
            "put it beside or below, and write the path from here: the lock names it by that path, on every machine",
        )
    if not text.endswith(".deb") or not _printable(text) or re.search(r"[\\?#]", text):
        raise Fault(f"{quoted(text)} is not a package file", 'name one whose name ends in ".deb"')
    return normpath(text)


def unit(text: str) -> str:
    """A systemd unit that can be enabled."""
    if re.fullmatch(r"[A-Za-z0-9:_-]+(@[A-Za-z0-9:_-]*)?", text):
        raise Fault(f"the unit {quoted(text)} has no suffix", f'write its whole name: "{text}.service"')
    kinds = ", ".join(f".{suffix}" for suffix in UNIT_SUFFIXES)
    _matching(UNIT, text, "a unit that can be enabled", f"end its name in one of {kinds}")
    if _LOGIN_UNIT.fullmatch(text):
        raise Fault(f"the unit {text} opens a login, and nobody logs in to an immutable server", "leave it out")
    return text


def command(text: str) -> str:
    """A command for the shell, run while the image is built."""
    if not text.strip() or "\0" in text:
        raise Fault(f"{quoted(text)} is not a command", 'write what a shell can run, such as "nginx -t"')
    return text


def login(text: str) -> str:
    """How one may log in: not at all."""
    if text != "none":
        raise Fault(
            f"login = {quoted(text)} is refused: whatever is changed by hand is lost with the server",
            'write login = "none", or leave it out; change the declaration and run `bluestone up`',
        )
    return text


def target(text: str) -> str:
    """Where a file is laid on the server: an absolute path."""
    path = _absolute(text)
    for mount in MOUNTED_AT_START:
        if _below(path, mount):
            raise Fault(f"a file in {mount} is hidden as soon as the server starts", "choose another place")
    return text


def writable(text: str) -> str:
    """A directory that is in memory on the server."""
    path = _absolute(text)
    if path in NEEDED_FROM_IMAGE:
        raise Fault(
            f"{path} cannot be writable: it is what makes the server immutable",
            "name the directories below it that a program writes to",
        )
    for mount in MOUNTED_AT_START:
        if _below(path, mount):
            raise Fault(f"{path} is no part of the image: {mount} is mounted at the start", "leave it out")
    return path


def log_file(text: str) -> str:
    """A file whose lines are shipped; its name may be a pattern."""
    path = _absolute(text)
    directory, _, name = path.rpartition("/")
    if re.search(r"[*?]", directory) or not name.strip("*?."):
        raise Fault(
            f"{quoted(text)} is no file whose lines could be shipped",
            'write a whole path; "*" and "?" may stand in its last part, such as "/var/log/app/*.log"',
        )
    return path


def mask(text: str) -> str:
    """A regular expression for what must not leave a server."""
    if len(text) > MAX_MASK:
        raise Fault(f"the rule is {len(text)} characters long", f"use at most {MAX_MASK}, and several rules")
    try:
        pattern = re.compile(text)
        nested = _star_height(_parsed(text)) > 1
    except (re.error, OverflowError, RecursionError) as error:
        raise Fault(
            f"{quoted(text)} is not a regular expression: {error}", "write it as Python's module re does"
        ) from None
    if not _printable(text):
        raise Fault(f"{quoted(text)} has a character that cannot be seen", 'write it as an escape, such as "\\t"')
    if pattern.fullmatch("") or pattern.match(""):
        raise Fault(f"{quoted(text)} matches nothing at all, and so everywhere", "say what must be there")
    if nested:
        raise Fault(
            f"{quoted(text)} repeats what repeats, which can take for ever on some lines",
            'write it with one repetition, such as "a+" for "(a+)+"',
        )
    return text


def _parsed(text: str) -> Any:
    # The standard library's own parser: it has no public name since Python 3.11, and no other way in.
    return importlib.import_module("re._parser").parse(text)


def _star_height(parsed: Any) -> int:
    """How deep repetitions without an end are nested in a parsed regular expression."""
    deepest = 0
    for operator, argument in parsed:
        name = str(operator)
        if name in ("MAX_REPEAT", "MIN_REPEAT"):
            _, most, below = argument
            # Up to so many repetitions cost no more than a longer line does.
            deepest = max(deepest, _star_height(below) + (int(most) > MAX_REPEATS))
        elif name == "SUBPATTERN":
            deepest = max(deepest, _star_height(argument[-1]))
        elif name == "BRANCH":
            deepest = max(deepest, *(_star_height(branch) for branch in argument[1]))
        elif name in ("ASSERT", "ASSERT_NOT"):
            deepest = max(deepest, _star_height(argument[1]))
        elif name in ("ATOMIC_GROUP", "POSSESSIVE_REPEAT"):
            continue  # what they matched is never tried again
    return deepest


def volume_path(text: str) -> str:
    """A directory of the server that is on a volume."""
    path = _absolute(text)
    if path in NEEDED_FROM_IMAGE:
        raise Fault(
            f"{path} cannot be on a volume: what it holds comes from the image",
            "name the directory below it that a program writes to",
        )
    for mount in MOUNTED_AT_START:
        if _below(path, mount):
            raise Fault(f"{path} cannot be on a volume: {mount} is mounted at the start", "choose another directory")
    return _matching(VOLUME_PATH, path, "a path for a volume", "use letters, digits and . _ + @ = - only")


def waived(text: str) -> str:
    """The path of a waiver, perhaps with `*`, `?` and `**`."""
    path = _absolute(text)
    if not re.match(WAIVED, path):
        raise Fault(
            f"{quoted(text)} would waive what nobody has looked at",
            'name the directory at least, such as "/opt/tool/**", or better the file',
        )
    return path


def may_differ(text: str) -> str:
    """A path or a unit, perhaps with wildcards, that may differ on a server from what the image says."""
    if not text.startswith("/"):
        mend = 'write a path such as "/tmp/jna-*", or a unit such as "flaky.service"'
        return _matching(UNIT_PATTERN, text, "a path or a unit", mend)
    path = _absolute(text)
    if not re.match(WAIVED, path):
        raise Fault(
            f"{quoted(text)} would have nearly everything differ unnoticed",
            'name the directory at least, such as "/opt/tool/**", or better the file',
        )
    return path


def reason(text: str) -> str:
    """Why something is as it is."""
    if not text.strip() or not _printable(text):
        raise Fault(f"{quoted(text)} is no reason", "write in one line why it is right, for whoever reads this next")
    return text.strip()


def advisory(text: str) -> str:
    """An advisory's name."""
    return _matching(ADVISORY, text, "an advisory's name", 'write it as `bluestone exposures` does: "CVE-2026-12345"')


def source(text: str) -> str:
    """A path on this machine, not looked at yet."""
    if not text.strip() or not _printable(text):
        raise Fault(f"{quoted(text)} is not a path", "name a file or directory beside the declaration")
    return text


def within(text: str) -> str:
    """A path below a directory that is named beside it."""
    if text.startswith("/") or ".." in text.split("/") or not text.strip() or not _printable(text):
        raise Fault(f"{quoted(text)} is not a path below the directory", "write it relative to the directory")
    return normpath(text)


def plain(value: object) -> object:
    """A value that a tool is handed as it is: text, a number, a boolean, an array or a table."""
    if isinstance(value, dict):
        return {name: plain(each) for name, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, bool | str) or (isinstance(value, int) and abs(value) <= MAX_NUMBER):
        return value
    if isinstance(value, float) and isfinite(value):
        return value
    raise Fault(f"{quoted(value)} is no value that can be handed on", "write it as a string in quotes")


def owner(text: str) -> str:
    """`user` or `user:group`, by name or number."""
    return _matching(OWNER, text, "an owner", 'write "user" or "user:group", such as "www-data:www-data"')


def mode(text: str) -> int:
    """A file's permissions, in octal."""
    return int(_matching(MODE, text, "a file's mode", 'write it in octal, such as "0644"'), 8)


def variable(text: str) -> str:
    """The name of a variable or secret."""
    return _matching(VARIABLE, text, "a variable's name", "use letters, digits and _; begin with no digit")


def environment_value(text: str) -> str:
    """A variable's value: one line."""
    if not _printable(text.replace("\t", "")):
        raise Fault("a variable's value has a line break or a control character in it", "write it on one line")
    return text


def secret(text: str) -> str:
    """Where a secret comes from: `env:VARIABLE` or `file:PATH`."""
    if not re.fullmatch(SECRET, text) or not _printable(text):
        raise Fault(
            "a secret names where its value comes from, and is never the value itself",
            'write "env:VARIABLE" for a variable of your own, or "file:PATH" for a file on this machine',
            hidden=True,
        )
    return text


def store(text: str) -> str:
    """The address of a PostgreSQL database, without a password."""
    try:
        uri = urlsplit(text)
        secret = uri.password is not None or "password" in parse_qs(uri.query)
    except ValueError:
        uri, secret = urlsplit(""), "@" in text
    if secret:
        raise Fault(
            "the store's address has a password in it",
            'leave it out, and write where it comes from: password = "env:VARIABLE" or "file:PATH"',
            hidden=True,
        )
    if uri.scheme not in ("postgresql", "postgres") or not re.fullmatch(STORE, text) or not _printable(text):
        raise Fault(
            f"{quoted(text)} is not the address of a database",
            'write it as "postgresql://USER@HOST:PORT/DATABASE"',
        )
    return text


def health_path(text: str) -> str:
    """What the balancer asks a server for by HTTP."""
    return _matching(
        HEALTH_PATH,
        text,
        "a path to check",
        'begin with "/", such as "/health"; percent-encode what is unusual',
    )


def bind(text: str) -> str:
    """An IP address of this machine to listen on."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise Fault(
            f"{quoted(text)} is not an IP address to listen on",
            'write "127.0.0.1" for this machine alone, "0.0.0.0" for everyone',
        ) from None


def listen(text: str) -> str:
    """An address of this machine and a port on it."""
    host, _, port = text.rpartition(":")
    try:
        address = ipaddress.ip_address(host.strip("[]"))
        if 0 < int(port) < 65536 and (address.version == 4 or host.startswith("[")):
            return text
    except ValueError:
        pass
    raise Fault(f"{quoted(text)} is not an IP address with a port", 'write "192.0.2.10:6514", or "[2001:db8::1]:6514"')


def host_name(text: str) -> str:
    """A name or an address by which a machine is reached."""
    try:
        return str(ipaddress.ip_address(text))
    except ValueError:
        return _matching(HOST_NAME, text, "a host name", 'write it as senders do, such as "logs.example.org"')


def loopback(text: str) -> str:
    """A loopback address and a port on it."""
    host, _, port = text.rpartition(":")
    try:
        if ipaddress.ip_address(host.strip("[]")).is_loopback and 0 < int(port) < 65536:
            return text
    except ValueError:
        pass
    raise Fault(
        f"{quoted(text)} is not a loopback address with a port",
        'write "127.0.0.1:9464": what it tells is for this machine; put a proxy before it for others',
    )


def webhook(text: str) -> str:
    """The address of a web hook, or where it is kept."""
    if re.fullmatch(SECRET, text) and _printable(text):
        return text
    try:
        address = urlsplit(text)
        right = address.scheme in ("http", "https") and bool(address.hostname) and address.username is None
    except ValueError:
        right = False
    if not right or re.search(r"\s", text) or not _printable(text):
        raise Fault(
            "the web hook is no http(s) address, and does not say where one is kept",
            'write "https://HOST/PATH", or "env:VARIABLE" or "file:PATH" if the address is a secret',
            hidden=True,
        )
    return text


def place(text: str) -> str:
    """Where a file is fetched from, or is."""
    if re.fullmatch(PLACE, text) is None or not _printable(text):
        raise Fault(f"{quoted(text)} is neither an http(s) address nor a path", 'write "https://..." or a path')
    try:
        uri = urlsplit(text)
        secret = uri.username is not None or uri.password is not None
        whole = uri.scheme == "" or bool(uri.hostname)
    except ValueError:
        secret, whole = False, False
    if secret:
        raise Fault(
            "the address has a user name or password in it",
            "use an address that needs none, or a copy here",
            hidden=True,
        )
    if not whole:
        raise Fault(f"{quoted(text)} is no whole address", 'write it such as "https://mirror.example.org/kev.json"')
    return text


def opening_hours(text: str) -> str:
    """Rules of opening hours."""
    if len(text) > MAX_HOURS:
        raise Fault(f"{quoted(text)} is longer than {MAX_HOURS} characters", "put single days into a calendar (ICS)")
    # Imported here, as few declarations have them.
    from bluestone.model import openings

    try:
        openings.check(text)
    except openings.Misread as error:
        raise Fault(f"{quoted(text)}: {error.what}", error.mend) from error
    return text


def zone(text: str) -> str:
    """An IANA time zone."""
    from difflib import get_close_matches
    from zoneinfo import ZoneInfo, available_timezones

    try:
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        close = get_close_matches(text, available_timezones(), 1)
        guess = f'did you mean "{close[0]}"?' if close else 'write one such as "Europe/Berlin", or "UTC"'
        raise Fault(f"{quoted(text)} is no time zone that is known here", guess) from error
    return text


def country(text: str) -> str:
    """A country whose holidays are known."""
    from holidays.utils import list_supported_countries

    if text not in list_supported_countries(include_aliases=False):
        raise Fault(
            f"the holidays of the country {quoted(text)} are not known",
            'write its code by ISO 3166, such as "DE"; or put its holidays into a calendar (ICS)',
        )
    return text


def region(text: str) -> str:
    """The code of a part of a country."""
    return _matching(REGION, text, "the code of a region", 'write it by ISO 3166-2, such as "BW", without the country')


def calendar(text: str) -> str:
    """The path of an ICS file."""
    return _matching(CALENDAR, text, "the path of an ICS file", 'write a path that ends in ".ics"')


def amount(text: str) -> Decimal:
    """An amount of money."""
    return Decimal(_matching(AMOUNT, text, "an amount of money", 'write it in quotes: "500.00"'))


def argument(text: str) -> str:
    """An argument of a command."""
    if "\0" in text:
        raise Fault(f"{quoted(text)} cannot be an argument", "leave the NUL out")
    return text


def normal(path: str) -> str:
    """An absolute path without what does not change its meaning: `/etc//motd/` is `/etc/motd`."""
    return "/" + normpath(path).lstrip("/")


def _matching(pattern: str, text: str, wanted: str, mend: str) -> str:
    if not re.fullmatch(pattern, text):
        raise Fault(f"{quoted(text)} is not {wanted}", mend)
    return text


def _absolute(text: str) -> str:
    if not text.startswith("/"):
        raise Fault(f"{quoted(text)} is not an absolute path", f'begin with "/": "/{text}"')
    if len(text) > MAX_PATH:
        raise Fault(f"{quoted(text)} is too long for a path", f"use at most {MAX_PATH} characters")
    if ".." in text.split("/"):
        raise Fault(f'{quoted(text)} has ".." in it', "write the path that is meant")
    if not _printable(text):
        raise Fault(f"{quoted(text)} has a control character in it", "write a path without")
    return normal(text)


def _printable(text: str) -> bool:
    return not any(ord(character) < 32 or ord(character) == 127 for character in text)


def _below(path: str, directory: str) -> bool:
    return path == directory or path.startswith(directory + "/")
