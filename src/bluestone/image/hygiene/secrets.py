"""Finds keys, tokens and passwords in a file's content. Pure. What is said of them never quotes them.

It knows secrets by a form that little else has: a prefix that their issuer gave them, or a file whose name says that
it holds credentials. What has neither (a password in a configuration file of a program's own) is not found.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

LEAST_VARIED = 6
"""Different characters that a token has at least; what has fewer stands for one (`ghp_xxxx`)."""

TEXT_HEAD = 8192
"""Bytes at the beginning of a file; one with a NUL among them is no text."""

_START = rb"(?<![A-Za-z0-9_-])"
_END = rb"(?![A-Za-z0-9_-])"


class _Token(NamedTuple):
    """`literal` is in every file that has one: looking for it first costs little.

    `pattern` is compiled when a file has the literal: compiling all would take longer than a small image's files.
    """

    what: str
    literal: bytes
    pattern: bytes
    is_one: Callable[[bytes], bool] = lambda _: True


class _Credentials(NamedTuple):
    """A file that is known by its path; group 1 of `pattern` is the secret in it."""

    what: str
    path: re.Pattern[str]
    pattern: bytes


def _token(what: str, literal: str, pattern: str) -> _Token:
    return _Token(what, literal.encode(), _START + pattern.encode() + _END)


def _is_web_token(token: bytes) -> bool:
    """Whether the head of what looks like a JSON Web Token (RFC 7519) says how it is signed."""
    head = token.partition(b".")[0]
    try:
        said = json.loads(base64.urlsafe_b64decode(head + b"=" * (-len(head) % 4)))
    except (ValueError, RecursionError):
        return False
    return isinstance(said, dict) and str(said.get("alg", "none")).lower() != "none"


_LINE_END = rb"(?:\r?\n|\\r\\n|\\n)"
"""Also as programs write it in a string, such as in JSON."""

_KEYS = (
    _Token(
        "a private key",
        b"PRIVATE KEY",
        # A marker alone is in every program that reads keys; only what follows makes it one.
        (
            rb"-----BEGIN (?:[A-Z0-9]+ ){0,3}PRIVATE KEY(?: BLOCK)?-----[ \t]*"
            + _LINE_END
            + rb"(?:[A-Za-z-]+: [^\r\n]*"
            + _LINE_END
            + rb"){0,8}(?:[ \t]*"
            + _LINE_END
            + rb")?[A-Za-z0-9+/=]{32}"
        ),
    ),
    _Token("a private key of PuTTY's", b"PuTTY-User-Key-File-", rb"(?m)^PuTTY-User-Key-File-[0-9]+: "),
    _token("a secret key of age", "AGE-SECRET-KEY-1", "AGE-SECRET-KEY-1[0-9A-Z]{58}"),
)
"""Looked for in any file."""

_TOKENS = (
    _token("a key of AWS", "A", "(?:AKIA|ASIA|ABIA|ACCA)[A-Z2-7]{16}"),
    _Token(
        "a secret key of AWS",
        b"aws_",
        rb"(?i)aws_(?:secret_access_key|session_token)[\"']?\s{0,8}[=:]\s{0,8}[\"']?([A-Za-z0-9/+=]{40,})",
    ),
    _token("a token of GitHub", "gh", "gh[pousr]_[A-Za-z0-9]{36,255}"),
    _token("a token of GitHub", "github_pat_", "github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"),
    _token("a token of GitLab", "gl", "gl(?:pat|dt|rt|cbt|ptt|ft|soat|agent|imt|oas|ffct)-[A-Za-z0-9_.-]{20,300}"),
    _token("a token of Slack", "xox", "xox[abeoprs]-[A-Za-z0-9-]{10,250}"),
    _token("a token of Slack", "xapp-", "xapp-[0-9]-[A-Z0-9]{5,20}-[0-9]{5,20}-[a-z0-9]{10,200}"),
    _token(
        "an address of Slack that takes messages",
        "hooks.slack.com",
        "hooks[.]slack[.]com/(?:services|workflows)/[A-Za-z0-9+/]{40,60}",
    ),
    _token("a key of Google", "AIza", "AIza[A-Za-z0-9_-]{35}"),
    _token("a secret of Google", "GOCSPX-", "GOCSPX-[A-Za-z0-9_-]{28}"),
    _token("a token of Google", "ya29.", "ya29[.][A-Za-z0-9_-]{50,1024}"),
    _token("a key of Stripe", "k_live_", "(?:sk|rk)_live_[A-Za-z0-9]{16,247}"),
    _token("a token of npm", "npm_", "npm_[A-Za-z0-9]{36}"),
    _token("a token of PyPI", "pypi-AgE", "pypi-AgE[A-Za-z0-9_-]{50,1000}"),
    _token("a token of Docker", "dckr_", "dckr_(?:pat|oat)_[A-Za-z0-9_-]{27,60}"),
    _token("a token of Vault", "hvs.", "hv[sbr][.][A-Za-z0-9_-]{24,300}"),
    _token("a key of SendGrid", "SG.", "SG[.][A-Za-z0-9_-]{22}[.][A-Za-z0-9_-]{43}"),
    _token("a token of DigitalOcean", "_v1_", "do[opr]_v1_[a-f0-9]{64}"),
    _token("a token of Hugging Face", "hf_", "hf_[A-Za-z0-9]{34}"),
    _token("a key of Anthropic", "sk-ant-", "sk-ant-[a-z0-9]{3,12}-[A-Za-z0-9_-]{80,200}"),
    _Token("a key of Azure storage", b"AccountKey=", rb"AccountKey=([A-Za-z0-9+/]{86}==)"),
    _Token(
        "a signed web token (JWT)",
        b"eyJ",
        _START + rb"(eyJ[A-Za-z0-9_-]{8,2048}[.]eyJ[A-Za-z0-9_-]{8,8192}[.][A-Za-z0-9_-]{20,2048})" + _END,
        _is_web_token,
    ),
    _Token(
        "a password in a URL",
        b"://",
        rb"(?<=[a-z0-9])://[^\s/:@\"'<>${}%()\[\]]{1,64}:([^\s/@\"'<>()]{3,128})@[A-Za-z0-9\[]",
    ),
)
"""Looked for in text alone. Where a pattern has a group, that is the secret in it."""

_CREDENTIALS = tuple(
    _Credentials(what, re.compile(path), pattern.encode())
    for what, path, pattern in (
        (
            "a password (netrc)",
            r".*/[._]?netrc|.*/apt/auth\.conf(\.d/.*)?",
            r"(?:^|\s)password\s+(\S+)",
        ),
        ("a password of PostgreSQL's", r".*/\.pgpass", r"(?m)^(?!\s*#)(?:(?:[^:\\\n]|\\.)*:){4}([^\n]+)$"),
        ("a token of npm's", r".*/\.?npmrc", r"(?m)^[^#;\n]*(?:_authToken|_auth|_password)\s*=\s*(\S+)"),
        ("a password of Python's package index", r".*/\.pypirc", r"(?m)^\s*password\s*[=:]\s*(\S+)"),
        (
            "a password of a container registry",
            r".*/\.docker/config\.json|.*/\.dockercfg|.*/containers/auth\.json",
            r'"(?:auth|identitytoken|registrytoken|password)"\s*:\s*"([^"]+)"',
        ),
        ("a password of git's", r".*/\.git-credentials|.*/git/credentials", r"://[^:/\s]*:([^@\s]+)@"),
        ("a password of MySQL's", r".*/\.my\.cnf|.*/mysql/debian\.cnf", r"(?m)^\s*password\s*=\s*(\S+)"),
        (
            "a credential of Kubernetes",
            r".*/\.kube/config|.*/kubeconfig|.*/kubernetes/[^/]*\.conf",
            r"(?m)^[\s-]*(?:token|client-key-data|password)\s*:\s*(\S+)",
        ),
        ("a token of Vault", r".*/\.vault-token", r"\A\s*(\S+)"),
        ("a token of GitHub's command line", r".*/gh/hosts\.yml", r"(?m)^\s*oauth_token\s*:\s*(\S+)"),
        ("a token of Rust's package index", r".*/\.cargo/credentials(\.toml)?", r'(?m)^\s*token\s*=\s*"([^"]+)"'),
        ("a key of S3", r".*/\.s3cfg", r"(?m)^\s*secret_key\s*=\s*(\S+)"),
    )
)

_KEY_STORES = re.compile(
    r".*\.(p12|pfx|jks|keystore|keytab|kdbx)|.*/secring\.gpg|.*/private-keys-v1\.d/[^/]+\.key", re.IGNORECASE
)
_OF_CERTIFICATES = re.compile(r".*(trust|cacerts)[^/]*", re.IGNORECASE)
"""Stores in the format of key stores that hold what is public."""

_STAND_INS = re.compile(
    rb"(?i)[$<{%@].*|.*\$\{.*|\*+|.*example.*|(?:your|my)?[_-]?(?:pass|passwd|password|pwd|pw|secret|token)|\.\.\."
)


def secrets(path: str, content: bytes) -> list[str]:
    """What is secret in a file, each with its line: `a token of GitHub (line 3)`. `path` begins with `/`."""
    found: dict[str, int] = {}
    for what, offset in _found(path, content):
        found.setdefault(what, content.count(b"\n", 0, offset) + 1)
    kept = [f"{what} (line {line})" for what, line in found.items()]
    if content and _KEY_STORES.fullmatch(path) and not _OF_CERTIFICATES.fullmatch(path):
        kept.append("a store of private keys, by its name")
    return kept


def _found(path: str, content: bytes) -> Iterator[tuple[str, int]]:
    for token in _KEYS:
        yield from _of_token(token, content)
    if b"\0" in content[:TEXT_HEAD]:
        return
    for token in _TOKENS:
        yield from _of_token(token, content)
    for kind in _CREDENTIALS:
        if kind.path.fullmatch(path):
            for match in re.finditer(kind.pattern, content):
                if not _STAND_INS.fullmatch(match[1].strip()):
                    yield kind.what, match.start()


def _of_token(token: _Token, content: bytes) -> Iterator[tuple[str, int]]:
    """The first of a kind that is no stand-in for one."""
    if token.literal not in content:
        return
    for match in re.finditer(token.pattern, content):
        value = match[match.lastindex or 0]
        if _is_meant(value, whole=not match.lastindex) and token.is_one(value):
            yield token.what, match.start()
            return


def _is_meant(value: bytes, *, whole: bool) -> bool:
    """Whether this is a secret rather than what stands for one in an explanation."""
    if whole:
        # Its prefix is alike in all of them.
        return b"EXAMPLE" not in value.upper() and len(set(value[-16:])) >= LEAST_VARIED
    return not _STAND_INS.fullmatch(value)
