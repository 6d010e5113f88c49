"""A store that was asked stays open for the next question, and not for long."""

from __future__ import annotations

from pathlib import Path

import pytest

from bluestone.app.logs.logs import Asked, Reading
from bluestone.app.logs.ready import IDLE, MOST, Ready
from bluestone.model.problem import Problem
from web_served import Served
from web_shop import fill


def newest(found: Reading) -> str:
    return [record.message for record in found.lines()][-1]


def opened(found: Reading) -> int:
    return id(found._backend)


def test_the_same_store_is_asked_again_and_sees_what_has_come(fresh: Served) -> None:
    ready = Ready(fresh.project)
    with ready.reading(Asked(limit=1)) as found:
        first = opened(found)
        assert list(found.lines()) == []
    fill(fresh.project.logs)
    with ready.reading(Asked(limit=1)) as found:
        assert opened(found) == first
        assert newest(found)


def test_two_at_once_have_a_store_each(shop: Served) -> None:
    ready = Ready(shop.project)
    with ready.reading(Asked(limit=1)) as one, ready.reading(Asked(limit=1)) as other:
        assert opened(one) != opened(other)
        assert newest(one) == newest(other)


def descriptors(below: Path) -> int:
    links = (link for link in Path("/proc/self/fd").iterdir() if link.is_symlink())
    return sum(str(link.readlink()).startswith(str(below)) for link in links)


def test_what_nobody_asks_is_closed(tmp_path: Path, fresh: Served) -> None:
    fill(fresh.project.logs)
    now = [0.0]
    ready = Ready(fresh.project, lambda: now[0])
    with ready.reading(Asked(limit=1)) as found:
        assert newest(found)
    del found
    assert ready.close_idle()
    assert descriptors(tmp_path)
    now[0] = IDLE
    assert not ready.close_idle()
    assert descriptors(tmp_path) == 0


def test_after_a_question_that_is_none_it_is_opened_anew(shop: Served) -> None:
    ready = Ready(shop.project)
    with pytest.raises(Problem), ready.reading(Asked(query="(")):
        pass
    assert not ready.close_idle()
    with ready.reading(Asked(limit=1)) as found:
        assert newest(found)


def test_no_more_stay_open_than_are_asked_at_once(shop: Served) -> None:
    ready = Ready(shop.project)
    askings = [ready.reading(Asked(limit=1)) for _ in range(MOST + 2)]
    for asking in askings:
        asking.__enter__()
    for asking in askings:
        asking.__exit__(None, None, None)
    assert len(ready._idle) == MOST
