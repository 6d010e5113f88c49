"""How many lines of a server there are, and whether it said goodbye: pure."""

from __future__ import annotations

from typing import NamedTuple

from bluestone.logs.store.wal import Share


class Tally(NamedTuple):
    """Lines that its shipper sent, and the count in its goodbye, while that is its last word."""

    lines: int
    goodbye: int | None

    def after(self, share: Share) -> Tally:
        """And once these came as well."""
        goodbye = None if share.counted else self.goodbye
        return Tally(self.lines + share.counted, share.goodbye if share.goodbye is not None else goodbye)
