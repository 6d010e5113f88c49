"""Debian packages and where they come from. Each reader returns the text as the model wants it, or raises `Fault`."""

from __future__ import annotations

import re
from posixpath import normpath
from urllib.parse import urlsplit

from bluestone.declaration.fault import Fault, quoted
from bluestone.declaration.texts.matching import matching, printable

SUITE = r"^[a-z][a-z0-9.-]*$"
PACKAGE = r"^[a-z0-9][a-z0-9+.-]+$"
"""A package's name by Debian Policy 5.6.1: at least two characters."""
ARCHIVE_SUITE = r"^[A-Za-z0-9.][A-Za-z0-9._~+/-]*$"
COMPONENT = r"^[A-Za-z0-9][A-Za-z0-9._+/-]*$"
DEB = r"^[^/].*\.deb$"
LOGIN_PACKAGES = {
    *("cockpit-ws", "dropbear", "dropbear-bin", "dropbear-initramfs", "dropbear-run", "inetutils-telnetd"),
    *("lsh-server", "openssh-server", "rsh-redone-server", "rsh-server", "shellinabox", "ssh"),
    *("task-ssh-server", "telnetd", "telnetd-ssl", "tinysshd", "ttyd", "xrdp"),
}
"""Debian packages that open a way to log in: those that provide ssh-server or telnet-server, their
metapackages, and the remote shells and desktops beside them."""


def suite(text: str) -> str:
    """A suite of a distribution's archive."""
    return matching(SUITE, text, "a suite's name", 'write its code name, such as "trixie" or "noble"')


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
    matching(PACKAGE, text, "a Debian package's name", "use small letters, digits and + - . only")
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
    return matching(ARCHIVE_SUITE, text, "a suite's name", mend)


def component(text: str) -> str:
    """A component of an archive."""
    return matching(COMPONENT, text, "a component's name", 'write what the archive says, such as "main"')


def deb(text: str) -> str:
    """A package file below the declaration's directory."""
    if text.startswith("/") or ".." in text.split("/"):
        raise Fault(
            f"the package file {quoted(text)} is not below the directory of this file",
            "put it beside or below, and write the path from here: the lock names it by that path, on every machine",
        )
    if not text.endswith(".deb") or not printable(text) or re.search(r"[\\?#]", text):
        raise Fault(f"{quoted(text)} is not a package file", 'name one whose name ends in ".deb"')
    return normpath(text)
