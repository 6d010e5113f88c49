"""Where the web process listens, and whom it would let in."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path

import pytest
import uvicorn
from cryptography import x509
from msgspec.structs import replace

from bluestone.model.problem import Problem
from bluestone.model.user import Role
from bluestone.model.web import WebPolicy
from bluestone.web.serve import serve
from web_client import Client
from web_served import Served
from web_served import serve as served_in


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[uvicorn.Config]:
    """What would have been served."""
    found: list[uvicorn.Config] = []
    monkeypatch.setattr(uvicorn.Server, "run", lambda server, _: found.append(server.config))
    return found


@pytest.mark.parametrize(("listen", "terminal"), [("127.0.0.1:0", False), ("0.0.0.0:0", True), ("192.0.2.1:0", True)])
def test_without_users_it_starts_for_a_terminal_on_the_loopback_only(
    tmp_path: Path, ran: list[uvicorn.Config], listen: str, terminal: bool
) -> None:
    with pytest.raises(Problem, match=r"there are no users") as raised:
        serve(served_in(tmp_path, users=False).project, listen, print, terminal=terminal)
    assert "bluestone users add" in raised.value.mend
    assert ran == []


def test_the_address_that_lets_in_is_told_anew_until_there_is_a_user(tmp_path: Path, ran: list[uvicorn.Config]) -> None:

    said: list[str] = []
    one = served_in(tmp_path, users=False)
    serve(one.project, "127.0.0.1:0", said.append, terminal=True)
    assert "/login?key=" in said[1]
    app = ran[0].app
    assert not isinstance(app, str)
    key = said[1].rpartition("key=")[2]
    assert Client(app).get("/login", key=key).status == 303  # type: ignore[arg-type]
    newer = said[2].rpartition("key=")[2]
    assert newer != key
    one.users.add("anna", Role.READER, datetime.now(UTC))
    assert Client(app).get("/login", key=newer).status == 401  # type: ignore[arg-type]


def test_off_the_loopback_it_speaks_tls_under_its_names(fresh: Served, ran: list[uvicorn.Config]) -> None:

    said: list[str] = []
    policy = WebPolicy("0.0.0.0:0", ("logs.example.org",))
    project = replace(fresh.project, declaration=replace(fresh.project.declaration, web=policy))
    serve(project, None, said.append, terminal=False)
    assert said[0].startswith("shop is at https://logs.example.org:")
    assert ran[0].ssl
    assert ran[0].ssl.minimum_version == ssl.TLSVersion.TLSv1_2
    certificate = x509.load_pem_x509_certificate((project.logs / "tls" / "receiver.pem").read_bytes())
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert {"logs.example.org", socket.gethostname()} <= {str(name.value) for name in names}


def test_a_bad_certificate_and_a_taken_port_are_explained(
    fresh: Served, tmp_path: Path, ran: list[uvicorn.Config]
) -> None:
    (tmp_path / "bad.pem").write_text("nonsense")
    policy = WebPolicy("127.0.0.1:0", (), tmp_path / "bad.pem")
    project = replace(fresh.project, declaration=replace(fresh.project.declaration, web=policy))
    with pytest.raises(Problem, match=r"cannot serve with the certificate"):
        serve(project, None, print, terminal=False)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(Problem, match=r"cannot listen") as raised:
        serve(fresh.project, f"127.0.0.1:{taken.getsockname()[1]}", print, terminal=False)
    assert "--listen" in raised.value.mend
    assert ran == []
