"""`[serve]` and `[notify]`: what they come to, and what is refused."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from bluestone.declaration import parse
from bluestone.model.declaration import Declaration
from bluestone.model.group import SecretRef
from bluestone.model.notify import MUST_SEE, NotifyPolicy, ServePolicy, WebHook
from bluestone.model.problem import Problem, Problems

HEAD = 'project = "p"\n[image]\nbase = "debian:trixie"\n'


def read(text: str) -> Declaration:
    return parse(HEAD + text, "bluestone.toml", Path("/shop"))


def refused(text: str) -> Problem:
    with pytest.raises(Problems) as raised:
        read(text)
    (problem,) = raised.value.problems
    assert problem.mend
    assert problem.place
    return problem


def test_without_them_nobody_is_told_and_nothing_listens() -> None:
    assert (read("").serve, read("").notify) == (ServePolicy(timedelta(seconds=10), None), NotifyPolicy())
    assert read("").notify.events == MUST_SEE


def test_all_of_it() -> None:
    found = read(
        '[serve]\nevery = "1m"\nlisten = "[::1]:9464"\n'
        '[notify]\nexec = ["/bin/page", "a b"]\nevents = ["died"]\n'
        'webhook = { address = "file:hook", token = "env:TOKEN" }\n'
    )
    assert found.serve == ServePolicy(timedelta(minutes=1), "[::1]:9464")
    hook = WebHook(SecretRef("webhook", "file", "/shop/hook"), SecretRef("token", "env", "TOKEN"))
    assert found.notify == NotifyPolicy(hook, ("/bin/page", "a b"), ("died",))
    assert read('[notify]\nwebhook = "https://h/x"').notify.webhook == WebHook("https://h/x")


@pytest.mark.parametrize("address", ["0.0.0.0:9464", "127.0.0.1", "127.0.0.1:0", "127.0.0.1:99999", "localhost:9464"])
def test_what_it_tells_is_told_on_the_loopback_alone(address: str) -> None:
    assert "is not a loopback address with a port" in refused(f'[serve]\nlisten = "{address}"').what


@pytest.mark.parametrize("address", ["ftp://h/x", "https://", "h/x", "https://user:pw@h/x", "https://h/a b"])
def test_what_is_no_address_of_a_web_hook_is_refused_and_not_shown(address: str) -> None:
    problem = refused(f'[notify]\nwebhook = "{address}"')
    assert "no http(s) address" in problem.what
    assert problem.place
    assert problem.place.text == "", "it may hold a secret"


def test_a_token_travels_by_tls_or_not_at_all() -> None:
    hook = '[notify]\nwebhook = {{ address = "{}", token = "env:T" }}'
    assert "in clear" in refused(hook.format("http://chat.example.org/x")).what
    read(hook.format("http://127.0.0.1:8080/x"))
    read(hook.format("https://chat.example.org/x"))


def test_a_program_is_named_by_its_whole_path_and_events_by_their_words() -> None:
    assert "not the whole path" in refused('[notify]\nexec = ["page"]').what
    assert "unknown" in refused('[notify]\nevents = ["halt"]').what
    assert "twice" in refused('[notify]\nevents = ["died", "died"]').what
