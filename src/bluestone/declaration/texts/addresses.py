"""Addresses, secrets, and other places. Each reader returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import parse_qs, urlsplit

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import matching, printable
from bluestone.declaration.texts.naming import VARIABLE

STORE = r"^postgres(ql)?://\S*$"
SECRET = rf"^(env:{VARIABLE[1:-1]}|file:.+)$"
HOST_NAME = r"^(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]{0,62})(\.[A-Za-z0-9]([A-Za-z0-9-]{0,62}))*$"
ADDRESS = r"^(127\.[0-9.]+|\[::1\]):[0-9]{1,5}$"
WEBHOOK = rf"^(https?://.+|env:{VARIABLE[1:-1]}|file:.+)$"
PLACE = r"^(https?://\S+|[^:\s][^:]*)$"
"""An http(s) address, or a path, which has no colon."""
INDEX = r"^[a-z0-9][a-z0-9._-]{0,199}$"
HEALTH_PATH = r"^/[A-Za-z0-9._~!&()*+,;=:@/?%-]*$"
"""What a URI's path and query may hold (RFC 3986), less the marks that quote in HAProxy's configuration."""


def secret(text: str) -> str:
    """Where a secret comes from: `env:VARIABLE` or `file:PATH`."""
    if not re.fullmatch(SECRET, text) or not printable(text):
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
    if uri.scheme not in ("postgresql", "postgres") or not re.fullmatch(STORE, text) or not printable(text):
        raise Fault(
            f"{quoted(text)} is not the address of a database",
            'write it as "postgresql://USER@HOST:PORT/DATABASE"',
        )
    return text


def health_path(text: str) -> str:
    """What the balancer asks a server for by HTTP."""
    return matching(
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
        return matching(HOST_NAME, text, "a host name", 'write it as senders do, such as "logs.example.org"')


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
    if re.fullmatch(SECRET, text) and printable(text):
        return text
    try:
        address = urlsplit(text)
        right = address.scheme in ("http", "https") and bool(address.hostname) and address.username is None
    except ValueError:
        right = False
    if not right or re.search(r"\s", text) or not printable(text):
        raise Fault(
            "the web hook is no http(s) address, and does not say where one is kept",
            'write "https://HOST/PATH", or "env:VARIABLE" or "file:PATH" if the address is a secret',
            hidden=True,
        )
    return text


def sink(text: str) -> str:
    """The address of a sink for log lines: by TLS, unless it is on this machine."""
    try:
        where = urlsplit(text)
        host, scheme, secret, _ = where.hostname or "", where.scheme, where.username is not None, where.port
    except ValueError:
        host, scheme, secret = "", "", False
    if secret:
        raise Fault(
            "the address has a secret in it", "leave it out, and name a file with the key: key_file", hidden=True
        )
    if not host or not printable(text) or scheme not in ("http", "https") or (scheme == "http" and not _is_here(host)):
        raise Fault(
            f"{quoted(text)} is no address that lines can go to",
            'write "https://HOST:PORT"; "http://127.0.0.1:PORT" is taken too, for this machine',
        )
    return text


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def index(text: str) -> str:
    """The name of an index or data stream, as Elasticsearch has them."""
    return matching(INDEX, text, "the name of an index", "use small letters, digits and . _ - only")


def place(text: str) -> str:
    """Where a file is fetched from, or is."""
    if re.fullmatch(PLACE, text) is None or not printable(text):
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
