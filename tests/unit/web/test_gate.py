"""Who is let in, and to what."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from bluestone.app.users import Users, hash_of
from bluestone.model.problem import Problem
from bluestone.model.user import RIGHTS, Right, Role, User
from bluestone.web.gate import own_path
from bluestone.web.headers import Guarded
from bluestone.web.sessions import LIFE, OneTime, Sessions
from bluestone.web.throttle import FREE, LONGEST, Throttle

NOW = datetime(2026, 11, 30, 12, 0, tzinfo=UTC)


def test_tokens_are_random_and_kept_as_hashes(tmp_path: Path) -> None:
    users = Users(tmp_path)
    tokens = {users.add("anna", Role.OPERATOR, NOW), users.add("rita", Role.READER, NOW)}
    assert all(len(token) == 43 for token in tokens)
    kept = (tmp_path / "users.json").read_text()
    assert not any(token in kept for token in tokens)
    assert (tmp_path / "users.json").stat().st_mode & 0o777 == 0o600
    held = [users.holder(token) for token in tokens]
    assert {each.name for each in held if each} == {"anna", "rita"}
    assert users.holder("") is None
    assert users.holder("x" * 100_000) is None


def test_another_process_sees_changes_at_once(tmp_path: Path) -> None:
    one, other = Users(tmp_path), Users(tmp_path)
    old = one.add("anna", Role.READER, NOW)
    assert other.holder(old)
    new = one.rotate("anna", NOW)
    assert other.holder(old) is None
    assert other.holder(new)
    one.remove("anna")
    assert other.holder(new) is None


def test_what_is_wrong_with_a_user_is_explained(tmp_path: Path) -> None:
    users = Users(tmp_path)
    users.add("anna", Role.READER, NOW)
    wrong: tuple[Callable[[], object], ...] = (
        lambda: users.add("anna", Role.READER, NOW),
        lambda: users.add("../x", Role.READER, NOW),
        lambda: users.rotate("ana", NOW),
        lambda: users.remove("otto"),
    )
    for attempt in wrong:
        with pytest.raises(Problem) as raised:
            attempt()
        assert raised.value.mend
    (tmp_path / "users.json").write_text('[{"name": "anna", "role": "root"}]')
    with pytest.raises(Problem, match=r"users.json cannot be read"):
        Users(tmp_path).holder("x")


def test_roles() -> None:
    reader, operator = User("r", Role.READER), User("o", Role.OPERATOR)
    assert [reader.may(right) for right in Right] == [True, False, False]
    assert all(operator.may(right) for right in Right)
    assert RIGHTS.keys() == set(Role)


def test_sessions_end_by_themselves_and_by_logging_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluestone.web.sessions.MOST", 10)
    sessions, user = Sessions(), User("anna", Role.READER)
    secret = sessions.begin(user, hash_of("t"), NOW)
    found = sessions.find(secret, NOW + LIFE - timedelta(seconds=1))
    assert found
    assert found.user == user
    assert sessions.find(secret, NOW + LIFE) is None
    other = sessions.begin(user, None, NOW)
    sessions.end(other)
    assert sessions.find(other, NOW) is None
    assert sessions.find("", NOW) is None
    first = sessions.begin(user, None, NOW)
    for _ in range(10):
        sessions.begin(user, None, NOW)
    assert sessions.find(first, NOW) is None


def test_sessions_by_tokens_outlive_the_process_and_end_in_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bluestone.web.sessions.MOST", 3)
    kept, user = tmp_path / "kept", User("anna", Role.READER)
    before = Sessions(kept)
    secret, once = before.begin(user, hash_of("t"), NOW), before.begin(user, None, NOW)
    assert before.find(once, NOW)
    assert secret not in "".join(path.name + path.read_text() for path in kept.iterdir())
    assert {path.stat().st_mode & 0o777 for path in (kept, *kept.iterdir())} == {0o700, 0o600}
    after = Sessions(kept)
    found = after.find(secret, NOW)
    assert found
    assert found == before.find(secret, NOW)
    assert after.find(once, NOW) is None
    assert after.find("../kept", NOW) is None
    after.end(secret)
    assert before.find(secret, NOW) is None
    for minute in range(5):
        newest = after.begin(user, hash_of("t"), NOW + timedelta(minutes=minute))
    assert len(list(kept.iterdir())) == 3
    assert Sessions(kept).find(newest, NOW)
    after.begin(user, hash_of("t"), NOW + 2 * LIFE)
    assert len(list(kept.iterdir())) == 1  # those that ended are gone


def test_a_session_that_cannot_be_written_down_ends_with_the_process(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("no directory")
    sessions = Sessions(tmp_path / "kept")
    secret = sessions.begin(User("anna", Role.READER), hash_of("t"), NOW)
    assert sessions.find(secret, NOW)
    sessions.end(secret)
    assert sessions.find(secret, NOW) is None


def test_a_one_time_key_is_good_once() -> None:
    told: list[str] = []
    once = OneTime(told.append)
    key = once.key
    assert not once.redeem(key + "x")
    assert once.redeem(key)
    assert not once.redeem(key)
    assert told == [once.key]
    assert once.redeem(told[0])


def test_who_guesses_waits_ever_longer() -> None:
    throttle, now = Throttle(), NOW
    waits = []
    for _ in range(FREE + 12):
        throttle.fail("10.0.0.1", now)
        waits.append(throttle.wait("10.0.0.1", now))
        now += waits[-1]
    assert waits[: FREE - 1] == [timedelta(0)] * (FREE - 1)
    assert waits[FREE - 1 : FREE + 2] == [timedelta(seconds=each) for each in (1, 2, 4)]
    assert waits[-1] == LONGEST
    assert throttle.wait("10.0.0.2", now) == timedelta(0)
    throttle.succeed("10.0.0.1")
    assert throttle.wait("10.0.0.1", now) == timedelta(0)


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("127.0.0.1:8700", True),
        ("localhost:8700", True),
        ("[::1]:8700", True),
        ("logs.example.org", True),
        ("LOGS.example.org.:443", True),
        ("evil.example.com", False),
        ("127.0.0.1.evil.example.com", False),
        ("", False),
    ],
)
def test_only_own_names_are_answered_to(host: str, known: bool) -> None:
    async def nothing(*_: object) -> None:
        await asyncio.sleep(0)

    assert Guarded(nothing, ["logs.example.org"], secure=True).known(host) is known


@pytest.mark.parametrize("path", ["//evil.example", "https://evil.example", "/\\evil", "/a\nb", "", "evil"])
def test_a_login_leads_nowhere_else(path: str) -> None:
    assert own_path(path) == "/"
    assert own_path("/logs?q=a") == "/logs?q=a"
