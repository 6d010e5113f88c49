"""Instants as people write them: `15m ago`, `2h`, `today`, `14:30`, `2026-11-23 08:00`."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta

from bluestone.model.problem import Problem

SECONDS = {
    "s": 1,
    "sec": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "hour": 3600,
    "d": 86_400,
    "day": 86_400,
    "week": 604_800,
}
UNIT = r"(sec|min|hour|day|week|s|m|h|d)"
SPAN = re.compile(rf"(?:\d{{1,9}} ?{UNIT}s? ?)+")
PART = re.compile(rf"(\d+) ?{UNIT}")
CLOCK = re.compile(r"\d\d:\d\d(:\d\d)?")
LONGEST = 64


def parse_moment(written: str, now: datetime) -> datetime:
    """The instant that a text means at `now` (aware; its zone is the reader's).

    A span (`90s`, `1h 30m`, `2 days`, with or without `ago`) is counted back from now; `today` and
    `yesterday` begin at midnight; `14:30` is today's; a date or time of ISO 8601 without a zone is in the
    reader's.
    Raises `Problem`.
    """
    text = written.strip().lower()
    moment = _named(text, now) or _ago(text, now) or _clock(text, now) or _iso(text, now)
    if moment is None:
        raise Problem(
            f'"{written[:LONGEST]}" is not a time',
            mend='write it like "15m ago", "2h", "today", "yesterday", "14:30" or "2026-11-23 08:00"',
        )
    return moment


def _named(text: str, now: datetime) -> datetime | None:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return {"now": now, "today": midnight, "yesterday": midnight - timedelta(days=1)}.get(text)


def _ago(text: str, now: datetime) -> datetime | None:
    span = text.removesuffix("ago").strip()
    if len(span) > LONGEST or not SPAN.fullmatch(span):
        return None
    seconds = sum(int(amount) * SECONDS[unit] for amount, unit in PART.findall(span))
    try:
        return now - timedelta(seconds=seconds)
    except OverflowError:
        return None


def _clock(text: str, now: datetime) -> datetime | None:
    if not CLOCK.fullmatch(text):
        return None
    try:
        return datetime.combine(now.date(), time.fromisoformat(text), now.tzinfo)
    except ValueError:
        return None


def _iso(text: str, now: datetime) -> datetime | None:
    if len(text) > LONGEST or not re.match(r"\d{4}-\d\d-\d\d", text):
        return None
    try:
        moment = datetime.fromisoformat(text.upper())
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=now.tzinfo)
