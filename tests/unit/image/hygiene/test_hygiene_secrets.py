"""Secrets that are found, what only looks like one, and that what is said never gives one away."""

from __future__ import annotations

import base64
import json
import string

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from bluestone.image.hygiene.secrets import secrets

VARIED = "aB3dE5fG7hJ9kL1mN2pQ4rS6tU8vW0xYzAbCdEfGhIjKlMnOpQrStUvWxYz0123456789aBcDeFgHiJkLmNoPqRsTuVwXyZ"
"""Text of 100 characters that no scanner takes for a stand-in. Tokens are put together here, so that none is in this
file."""


def jwt(head: dict[str, str]) -> str:
    parts = (json.dumps(head), json.dumps({"sub": "somebody", "iat": 1}))
    return ".".join([*(base64.urlsafe_b64encode(part.encode()).decode().rstrip("=") for part in parts), VARIED[:43]])


def pem(kind: str) -> bytes:
    if kind == "openssh":
        key = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.OpenSSH
    elif kind == "pkcs1":
        return rsa.generate_private_key(65537, 2048).private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    elif kind == "encrypted":
        return ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(b"x"),
        )
    else:
        key = ed25519.Ed25519PrivateKey.generate()
        form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


KINDS = ("openssh", "pkcs1", "encrypted", "pkcs8")


@pytest.mark.parametrize("kind", KINDS)
def test_private_keys_are_found_in_any_file(kind: str) -> None:
    key = pem(kind)
    assert secrets("/etc/app.key", key) == ["a private key (line 1)"]
    assert secrets("/usr/bin/app", b"\x7fELF\0\0\n" + key) == ["a private key (line 2)"]
    assert secrets("/windows", key.replace(b"\n", b"\r\n")) == ["a private key (line 1)"]
    inside = json.dumps({"type": "service_account", "private_key": key.decode()}, indent=1)
    assert secrets("/srv/account.json", inside.encode()) == ["a private key (line 3)"]


def test_a_marker_alone_is_no_key() -> None:
    for text in (
        b"-----BEGIN PRIVATE KEY-----",
        b"if line == '-----BEGIN RSA PRIVATE KEY-----':\n    return load_the_private_key_from_this(line)\n",
        b"\0-----BEGIN RSA PRIVATE KEY-----\0-----BEGIN EC PRIVATE KEY-----\0ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ",
        b"-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n",
        b"-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n",
        b"-----BEGIN CERTIFICATE-----\nMIIBozCCAUmgAwIBAgIUfFBnVpDYLh8rC2l1PyZ5hG9mKZIwCgYIKoZIzj0EAwIw\n",
    ):
        assert secrets("/x", text) == []


TOKENS = {
    "a key of AWS": f"AKIA{VARIED[:16].upper().translate(str.maketrans('0189', 'QRST'))}",
    "a secret key of AWS": f"aws_secret_access_key = {VARIED[:40]}",
    "a token of GitHub": f"ghp_{VARIED[:36]}",
    "a token of GitLab": f"glpat-{VARIED[:20]}",
    "a token of Slack": f"xoxb-{VARIED[:12]}-{VARIED[12:36]}",
    "an address of Slack that takes messages": f"https://hooks.slack.com/services/{VARIED[:9]}/{VARIED[:9]}/{VARIED[:24]}",
    "a key of Google": f"AIza{VARIED[:35]}",
    "a secret of Google": f"GOCSPX-{VARIED[:28]}",
    "a key of Stripe": f"sk_live_{VARIED[:24]}",
    "a token of npm": f"npm_{VARIED[:36]}",
    "a token of PyPI": f"pypi-AgE{VARIED[:60]}",
    "a token of Docker": f"dckr_pat_{VARIED[:27]}",
    "a token of Vault": f"hvs.{VARIED[:90]}",
    "a key of SendGrid": f"SG.{VARIED[:22]}.{VARIED[:43]}",
    "a token of DigitalOcean": "dop_v1_" + "0123456789abcdef" * 4,
    "a token of Hugging Face": f"hf_{VARIED[:34]}",
    "a key of Anthropic": f"sk-ant-api03-{VARIED[:93]}",
    "a key of Azure storage": f"AccountName=x;AccountKey={VARIED[:86]}==;",
    "a signed web token (JWT)": jwt({"alg": "HS256", "typ": "JWT"}),
    "a password in a URL": "DATABASE=postgres://app:Tr0ub4dor@db.internal/app",
}


@pytest.mark.parametrize("what", TOKENS)
@pytest.mark.parametrize("form", ["{}", "KEY={}\n", '  "key": "{}",\n', "export KEY='{}' # x\n", "<key>{}</key>"])
def test_tokens_are_found_in_text(what: str, form: str) -> None:
    content = b"# one\n\n" + form.format(TOKENS[what]).encode()
    assert secrets("/srv/settings", content) == [f"{what} (line 3)"]


@pytest.mark.parametrize("what", TOKENS)
def test_tokens_are_not_looked_for_in_what_is_no_text(what: str) -> None:
    assert secrets("/usr/bin/program", b"\x7fELF\0" + TOKENS[what].encode()) == []


NONE = (
    "AKIAIOSFODNN7EXAMPLE",
    "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "ghp_" + "x" * 36,
    "a word that has ghp_ in it, and a glpat- too",
    "npm_config_registry npm_package_name npm_lifecycle_event npm_execpath",
    f"XAKIA{VARIED[:16].upper()}",
    "sk_test_" + VARIED[:24],
    jwt({"alg": "none"}),
    jwt({"typ": "JWT"}),
    f"eyJ{VARIED[:20]}.eyJ{VARIED[:20]}.{VARIED[:30]}",
    "https://user:password@example.org/",
    "postgres://app:$PASSWORD@db/app",
    "postgres://app:${PASSWORD}@db/app redis://:{{ password }}@x amqp://u:%s@h mysql://u:<password>@h",
    "http://localhost:8080/@scope and http://[::1]:80/ and ssh://git@host:22/x",
    "proxy_pass http://127.0.0.1:3000; # mail root@localhost",
    "sha256:" + "ab12" * 16,
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE somebody@host",
)


@pytest.mark.parametrize("text", NONE)
def test_what_only_looks_like_a_secret_is_let_through(text: str) -> None:
    assert secrets("/srv/page.html", text.encode()) == []


CREDENTIALS = {
    "/root/.netrc": "machine x login me password s3cr3t",
    "/etc/apt/auth.conf.d/mirror.conf": "machine mirror.example.org\nlogin me\npassword s3cr3t\n",
    "/var/lib/postgresql/.pgpass": "# host:port:database:user:password\n*:5432:*:app:s3cr3t\n",
    "/srv/app/.npmrc": "//registry.npmjs.org/:_authToken=s3cr3t\n",
    "/root/.pypirc": "[pypi]\nusername = __token__\npassword = s3cr3t\n",
    "/root/.docker/config.json": '{"auths": {"registry.example.org": {"auth": "bWU6czNjcjN0"}}}',
    "/root/.git-credentials": "https://me:s3cr3t@git.example.org\n",
    "/root/.my.cnf": "[client]\npassword = s3cr3t\n",
    "/root/.kube/config": "users:\n- name: me\n  user:\n    client-key-data: s3cr3t\n",
    "/root/.vault-token": "s3cr3t\n",
    "/root/.config/gh/hosts.yml": "github.com:\n  oauth_token: s3cr3t\n",
    "/root/.cargo/credentials.toml": '[registry]\ntoken = "s3cr3t"\n',
    "/root/.s3cfg": "[default]\nsecret_key = s3cr3t\n",
}


@pytest.mark.parametrize("path", CREDENTIALS)
def test_credentials_are_known_by_where_they_are(path: str) -> None:
    content = CREDENTIALS[path].encode()
    assert secrets(path, content)
    elsewhere = secrets("/srv/page.txt", content)
    assert elsewhere == (["a password in a URL (line 1)"] if "git-cred" in path else [])
    assert secrets(path, content.replace(b"s3cr3t", b"${TOKEN}").replace(b"bWU6czNjcjN0", b"${TOKEN}")) == []
    assert "s3cr3t" not in str(secrets(path, content))


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("/etc/app/server.p12", True),
        ("/etc/app/KEYS.JKS", True),
        ("/etc/krb5.keytab", True),
        ("/root/.gnupg/private-keys-v1.d/AB12.key", True),
        ("/etc/ssl/certs/java/cacerts.jks", False),
        ("/etc/app/truststore.p12", False),
        ("/etc/apache2/.htpasswd", False),
    ],
)
def test_key_stores_are_known_by_their_names(path: str, found: bool) -> None:
    assert bool(secrets(path, b"\xfe\xed\xfe\xed\0")) is found
    assert secrets(path, b"") == []


@given(st.binary(max_size=4000), st.sampled_from([*sorted(CREDENTIALS), "/x", "/a.p12"]))
def test_any_bytes_are_judged(content: bytes, path: str) -> None:
    assert all(text.isprintable() for text in secrets(path, content))


@given(
    st.text(string.ascii_letters + string.digits, min_size=36, max_size=36), st.text(max_size=200), st.text(max_size=80)
)
def test_a_token_is_found_wherever_it_stands_and_never_told(value: str, before: str, after: str) -> None:
    if len(set(value[-16:])) < 6 or "EXAMPLE" in value.upper():
        return
    before, after = before.replace("\0", "") + "\n", "\n" + after.replace("\0", "")
    found = secrets("/srv/x", f"{before}token ghp_{value}{after}".encode("utf-8", "replace"))
    assert any(each.startswith("a token of GitHub (line ") for each in found)
    assert value not in str(found)


def test_repeated_beginnings_of_tokens_take_no_time_that_grows_with_their_square() -> None:
    """It is about coming back at all: were each beginning read to the end, this would take hours."""
    for piece in (b"eyJa.", b"eyJ", b"a://b:c", b"AccountKey=", b"-----BEGIN PRIVATE KEY-----\n", b"aws_", b"ghp_a"):
        content = piece * (2_000_000 // len(piece))
        assert secrets("/root/.netrc", content) == []
