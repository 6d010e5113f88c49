"""Events and who is told of them: by a real HTTP server and real programs, once at least, across restarts."""

from __future__ import annotations

import http.server
import io
import json
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bluestone.daemon import notices
from bluestone.daemon import receivers as told
from bluestone.daemon.log import Log
from bluestone.daemon.metrics import Metrics
from bluestone.daemon.notifier import Notifier
from bluestone.daemon.receivers import Program, Unwanted, WebHook
from bluestone.fleet.controller.journal import Entry, Journal
from bluestone.fleet.journals.sqlite import SqliteJournal
from bluestone.model import notify as model
from bluestone.model.event import Event
from bluestone.model.group import SecretRef
from bluestone.model.notify import MUST_SEE, NotifyPolicy
from bluestone.model.problem import Problem
from daemon_world import until

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
EVENT = notices.as_data("shop", Event(7, NOW, "rollout.halted", "web", "web-1", "it is bad", {"generation": 2}))


class Hook(http.server.BaseHTTPRequestHandler):
    """A web hook that answers what it is told to, and keeps what it got."""

    server: Site

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 204
        if status < 300:
            self.server.got.append((dict(self.headers), json.loads(body)))
        self.send_response(status)
        if status == 302:
            self.send_header("Location", self.server.url + "elsewhere")
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        return


class Site(http.server.ThreadingHTTPServer):
    """Listens on the loopback."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Hook)
        self.got: list[tuple[dict[str, str], dict[str, Any]]] = []
        self.answers: list[int] = []
        self.url = f"http://127.0.0.1:{self.server_port}/hook"

    def sequences(self) -> list[int]:
        return [body["sequence"] for _, body in self.got]


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as made:
        thread = threading.Thread(target=made.serve_forever, args=(0.01,))
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return SqliteJournal(tmp_path / "journal.db")


@pytest.fixture
def notifier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[NotifyPolicy], Notifier]]:
    """Starts a notifier on the journal; retries come at once, more or less."""
    monkeypatch.setattr(notices, "FIRST_RETRY", timedelta(milliseconds=5))
    begun: list[Notifier] = []

    def start(policy: NotifyPolicy) -> Notifier:
        made = Notifier("shop", lambda: SqliteJournal(tmp_path / "journal.db"), Log("shop", io.StringIO()), Metrics())
        made.follow(policy)
        begun.append(made)
        return made

    yield start
    for each in begun:
        each.stop()


def policy(site: Site, **changes: Any) -> NotifyPolicy:
    return NotifyPolicy(webhook=model.WebHook(site.url), **changes)


def record(journal: Journal, *kinds: str, **data: Any) -> int:
    journal.record(NOW, [Entry(kind, "web", message="why", data=data) for kind in kinds])
    return journal.head().sequence


def ready(journal: Journal) -> None:
    until(lambda: journal.last(("notice.began",)) is not None, "it has begun")


def test_which_events_a_person_must_see() -> None:
    def chosen(kind: str, **data: Any) -> bool:
        return notices.is_chosen(Event(1, NOW, kind, data=data), MUST_SEE)

    assert chosen("rollout.halted")
    assert chosen("rollout.started", failed=3)
    assert not chosen("rollout.started", by="eve")
    assert chosen("rollout.paused")
    assert chosen("server.tainted")
    assert chosen("fleet.unseen")
    assert not chosen("rollout.finished")
    assert not chosen("server.died")
    only = Event(1, NOW, "rollout.halted", data={"declared": ""})
    assert not notices.is_chosen(only, ["quarantined"])
    assert set(notices.CHOICES) == set(model.Notable.__args__)  # type: ignore[attr-defined]


def test_waits_double_up_to_a_bound() -> None:
    waits = [notices.wait_after(attempts).total_seconds() for attempts in range(1, 12)]
    assert waits[:4] == [1, 2, 4, 8]
    assert waits[-1] == notices.wait_after(10**6).total_seconds() == 300


def test_a_web_hook_gets_the_event_and_the_token(site: Site, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("t0ken\n")
    WebHook(model.WebHook(site.url, SecretRef("token", "file", str(secret)))).tell(EVENT)
    ((headers, body),) = site.got
    assert headers["Authorization"] == "Bearer t0ken"
    assert body == EVENT
    assert body["text"] == "bluestone shop: rollout halted web-1: it is bad"


@pytest.mark.parametrize(("answer", "unwanted"), [(400, True), (404, True), (302, True), (429, False), (503, False)])
def test_what_a_web_hook_answers_is_told_without_its_address(site: Site, answer: int, unwanted: bool) -> None:
    site.answers = [answer]
    with pytest.raises(Problem, match=f"127.0.0.1 answers {answer}") as refused:
        WebHook(model.WebHook(site.url + "/s3cret")).tell(EVENT)
    assert isinstance(refused.value, Unwanted) == unwanted
    assert "s3cret" not in str(refused.value)
    assert site.got == []


def test_a_web_hook_that_nobody_serves_is_tried_again(site: Site) -> None:
    with Site() as gone:
        address = gone.url
    with pytest.raises(Problem, match="cannot be reached") as refused:
        WebHook(model.WebHook(address)).tell(EVENT)
    assert not isinstance(refused.value, Unwanted)


def test_a_program_gets_the_event_and_none_of_our_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", "hunter2")
    script = f'cat > {tmp_path}/body; env > {tmp_path}/env; echo "$1" > {tmp_path}/args'
    Program(["/bin/sh", "-c", script, "sh", "ops; rm"]).tell(EVENT)
    assert json.loads((tmp_path / "body").read_bytes()) == EVENT
    assert (tmp_path / "args").read_text() == "ops; rm\n"
    variables = (tmp_path / "env").read_text()
    assert "BLUESTONE_KIND=rollout.halted" in variables
    assert "hunter2" not in variables


def test_a_program_that_fails_or_hangs_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Unwanted, match="ended with 3: no"):
        Program(["/bin/sh", "-c", "echo no >&2; exit 3"]).tell(EVENT)
    with pytest.raises(Unwanted, match="cannot be run: No such file"):
        Program([str(tmp_path / "none")]).tell(EVENT)
    monkeypatch.setattr(told, "RUN_TIMEOUT", 0.2)
    with pytest.raises(Unwanted, match="did not end within"):
        Program(["/bin/sh", "-c", f"sleep 60 & echo $! > {tmp_path}/pid; wait"]).tell(EVENT)
    child = Path(f"/proc/{(tmp_path / 'pid').read_text().strip()}/stat")
    until(lambda: not child.exists() or " Z " in child.read_text(), "its child is ended with it")


def test_each_event_is_told_once_in_order_and_others_are_not(
    site: Site, journal: Journal, notifier: Callable[[NotifyPolicy], Notifier]
) -> None:
    record(journal, "rollout.halted")
    made = notifier(policy(site))
    ready(journal)
    first = record(journal, "rollout.halted")
    record(journal, "rollout.finished", "server.died")
    second = record(journal, "rollout.paused")
    made.wake()
    until(lambda: len(site.got) == 2, "told")
    until(lambda: len(journal.select(("notice.sent",))) == 2, "noted")
    assert site.sequences() == [first, second], "not of what was before anybody listened"


def test_a_receiver_that_is_away_is_told_when_it_is_back(
    site: Site, journal: Journal, notifier: Callable[[NotifyPolicy], Notifier]
) -> None:
    made = notifier(policy(site))
    ready(journal)
    site.answers = [503] * 5
    numbers = [record(journal, "rollout.halted"), record(journal, "rollout.paused")]
    made.wake()
    until(lambda: len(site.got) == 2, "told in the end")
    assert site.sequences() == numbers


def test_what_was_not_told_before_the_end_is_told_by_whoever_starts_next(
    site: Site, journal: Journal, notifier: Callable[[NotifyPolicy], Notifier]
) -> None:
    made = notifier(policy(site))
    ready(journal)
    told_of = record(journal, "rollout.halted")
    made.wake()
    until(lambda: journal.last(("notice.sent",)) is not None, "told")
    site.answers = [503] * 1000
    missed = record(journal, "rollout.paused")
    made.wake()
    until(lambda: len(site.answers) < 1000, "tried")
    made.stop()
    also = record(journal, "fleet.unseen")
    site.answers = []
    notifier(policy(site))
    until(lambda: len(site.got) == 3, "told")
    assert site.sequences() == [told_of, missed, also]


def test_a_receiver_that_refuses_an_event_does_not_keep_the_others_from_it(
    site: Site, journal: Journal, notifier: Callable[[NotifyPolicy], Notifier]
) -> None:
    made = notifier(policy(site))
    ready(journal)
    site.answers = [400] * notices.MOST_REFUSALS
    refused, fine = record(journal, "rollout.halted"), record(journal, "rollout.paused")
    made.wake()
    until(lambda: len(site.got) == 1, "the next one is told")
    assert site.sequences() == [fine]
    lost = journal.last(("notice.lost",))
    assert lost is not None
    assert lost.data == {"to": "webhook", "event": refused}
    assert "answers 400" in lost.message


def test_a_slow_receiver_holds_up_no_other(
    site: Site, journal: Journal, tmp_path: Path, notifier: Callable[[NotifyPolicy], Notifier]
) -> None:
    both = policy(site, exec=("/bin/sh", "-c", f"cat >> {tmp_path}/got"))
    made = notifier(both)
    until(lambda: len(journal.select(("notice.began",))) == 2, "both have begun")
    site.answers = [503] * 100_000
    record(journal, "rollout.halted")
    made.wake()
    until((tmp_path / "got").exists, "the program is told")
    made.follow(NotifyPolicy())
    assert made._desks == []
