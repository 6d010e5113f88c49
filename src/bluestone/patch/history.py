"""How exposed a project was over time: what each look came to, a line of JSON each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

import msgspec

from bluestone.patch.policy import Standing

SPACING = timedelta(hours=1)
"""Looks that show the same are kept no closer than this."""

MOST = 20_000
"""Looks that are kept, the newest: two years of hours."""


class Look(msgspec.Struct, frozen=True):
    """What a look at all groups came to: how many stand where; servers with anything affected in them; feeds' troubles.

    `oldest` is the moment since which the oldest fix is there that is not on all servers.
    """

    at: datetime
    counts: dict[str, int]
    outcome: str
    servers: int
    oldest: datetime | None = None
    feeds: dict[str, bool] = {}

    def of(self, standing: Standing) -> int:
        """How many stand there."""
        return self.counts.get(standing, 0)


def parse(lines: Iterable[bytes]) -> list[Look]:
    """The looks of a file; a line that is none, such as half of one, is passed over."""
    decoder = msgspec.json.Decoder(Look)
    found = []
    for line in lines:
        try:
            found.append(decoder.decode(line))
        except msgspec.DecodeError:
            continue
    return found


def line(look: Look) -> bytes:
    """A look as a line."""
    return msgspec.json.encode(look) + b"\n"


def is_news(look: Look, before: Look | None) -> bool:
    """Whether a look is kept after another."""
    if before is None or look.at - before.at >= SPACING:
        return True
    return _shown(look) != _shown(before)


def _shown(look: Look) -> tuple[Mapping[str, int], str, int, Mapping[str, bool]]:
    return look.counts, look.outcome, look.servers, look.feeds
