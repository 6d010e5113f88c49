"""Finds ways to log in to a server: accounts, keys, units, PAM. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from bluestone.image.hygiene.finding import Finding
from bluestone.image.tree import Entry
from bluestone.model.path import shown

PROGRAMS = frozenset(
    (
        *("agetty", "cockpit-tls", "cockpit-ws", "dropbear", "getty", "gotty", "in.rlogind", "in.rshd", "in.telnetd"),
        *("login", "mgetty", "mingetty", "rlogind", "rshd", "shellinaboxd", "sshd", "sulogin", "telnetd", "tinysshd"),
        *("ttyd", "x11vnc", "xrdp", "Xvnc"),
    )
)
"""Programs that let somebody in when a unit runs them."""

UNIT = re.compile(
    r"(?:[a-z-]*getty(?:@.*|-.*)?|autovt@.*|debug-shell|sshd?(?:@.*|-unix-local|-vsock)?|dropbear(?:@.*)?"
    r"|(?:inetutils-)?telnetd?(?:@.*)?|tinysshd(?:@.*)?|r(?:login|sh)d?(?:@.*)?|cockpit(?:-.*)?|shellinabox|ttyd|gotty"
    r"|xrdp(?:-.*)?|(?:x11|x|tiger)?vnc(?:server)?(?:@.*)?|gdm3?|lightdm|sddm|emergency|rescue)"
    r"\.(?:service|socket|target)"
)
"""Units that let somebody in."""

_SYSTEMD = ("etc/systemd/system/", "usr/lib/systemd/system/", "usr/local/lib/systemd/system/", "lib/systemd/system/")
_ENABLED = re.compile(rb"(?:%s)[^/]+\.(?:wants|requires|upholds)/([^/]+)" % b"|".join(p.encode() for p in _SYSTEMD))
_NOT_AT_BOOT = (b"emergency.target.", b"rescue.target.", b"kexec.target.", b"halt.target.")
"""Targets that no server gets to: what they want is not started."""

_MASK = re.compile(rb"etc/systemd/system/([^/]+)")
_UNIT_FILE = re.compile(
    rb"(?:etc|run|usr/lib|usr/local/lib|lib)/systemd/system/(?:[^/]+\.(?:service|socket)|[^/]+\.d/[^/]+\.conf)"
)
_KEYS = re.compile(
    rb"(?:.*/)?(?:\.ssh/authorized_keys2?|\.[rs]hosts|\.k5login)|etc/(?:hosts\.equiv|shosts\.equiv)"
    rb"|etc/(?:ssh|dropbear)/authorized_keys(?:[./].*)?",
    re.DOTALL,
)
_EXEC = re.compile(r"(?m)^[ \t]*Exec(?:Start|StartPre|StartPost|Reload)[ \t]*=[ \t]*[-@:+!|]*[ \t]*(.*)$")
_CONSOLE = re.compile(r"(?m)^[ \t]*StandardInput[ \t]*=[ \t]*tty")
_SHELL = re.compile(r"/(?:usr/)?bin/(?:ba|da|z|k|c|tc|fi)?sh")
_OPEN_PAM = re.compile(
    r"(?m)^[ \t]*-?auth[ \t]+(?:sufficient|\[[^]\n]*success=(?:done|[1-9])[^]\n]*\])[ \t]+(?:\S*/)?pam_permit\.so"
)


def accounts(passwd: str, shadow: str) -> Iterator[Finding]:
    """Accounts of passwd(5) and shadow(5) whose password somebody could type."""
    for path, text in (("/etc/passwd", passwd), ("/etc/shadow", shadow)):
        for line in text.splitlines():
            name, _, rest = line.partition(":")
            password = rest.partition(":")[0]
            if not name or name.startswith("#") or (path == "/etc/passwd" and password == "x"):  # noqa: S105 - shadowed
                continue
            if not password.startswith(("!", "*")):
                has = "a password" if password else "no password, and needs none"
                yield Finding("login", path, f"the account {shown(name)} has {has}", f"lock it: usermod --lock {name}")


def doors(entries: Iterable[Entry]) -> Iterator[Finding]:
    """Units that are enabled, and files by whose name somebody may come in."""
    masked: set[str] = set()
    enabled: list[tuple[str, str]] = []
    for entry in entries:
        if entry.kind == "link":
            if (match := _MASK.fullmatch(entry.path)) and entry.content == b"/dev/null":
                masked.add(_text(match[1]))
            elif (match := _ENABLED.fullmatch(entry.path)) and not any(each in entry.path for each in _NOT_AT_BOOT):
                enabled.append((_text(match[1]), _path(entry)))
        if entry.kind in ("file", "link") and _KEYS.fullmatch(entry.path):
            mend = "leave it out: nobody logs in to an immutable server"
            yield Finding("login", _path(entry), "whoever it names may log in", mend)
    for unit, path in sorted(enabled):
        if UNIT.fullmatch(unit) and not masked & {unit, _template(unit)}:
            yield Finding("login", path, f"{unit} is enabled, and lets people log in", "disable it, or mask it")


def interesting(path: bytes) -> bool:
    """Whether `doors` has something to say about an entry of this path."""
    return b"systemd/system/" in path or _KEYS.fullmatch(path) is not None


def in_file(path: bytes, content: bytes) -> Iterator[Finding]:
    """What a file that the recipe laid or changed opens: a unit that runs a login, a PAM service that lets all in."""
    text = content.decode(errors="replace")
    where = f"/{_text(path)}"
    if _UNIT_FILE.fullmatch(path):
        for program in sorted(_logins(text)):
            yield Finding("login", where, f"the unit runs {program}, which lets people log in", "leave the unit out")
    elif path.startswith(b"etc/pam.d/") and _OPEN_PAM.search(text):
        yield Finding("login", where, "PAM lets everybody in: auth by pam_permit.so is sufficient", "take the line out")


def _logins(text: str) -> set[str]:
    """The programs of a unit's text that let people in."""
    found: set[str] = set()
    for match in _EXEC.finditer(text.replace("\\\n", " ")):
        words = [word for word in re.split(r"[\s\"';|&()]+", match[1]) if word]
        if words and _CONSOLE.search(text) and _SHELL.fullmatch(words[0]):
            found.add(f"{words[0]} on a terminal")
        named = [word for index, word in enumerate(words) if index == 0 or word.startswith("/")]
        found |= {name for word in named if (name := word.rpartition("/")[2]) in PROGRAMS}
    return found


def _template(unit: str) -> str:
    """The unit that an instance is one of: `getty@.service` of `getty@tty1.service`."""
    name, at, rest = unit.partition("@")
    return f"{name}@.{rest.rpartition('.')[2]}" if at else unit


def _path(entry: Entry) -> str:
    return f"/{_text(entry.path)}"


def _text(path: bytes) -> str:
    return path.decode("utf-8", "surrogateescape")
