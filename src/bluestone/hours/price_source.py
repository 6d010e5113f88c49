"""The price source port: a provider's own interface that tells what its servers cost."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from bluestone.model.cost import Price, PricesFrom


class PriceSource(Protocol):
    """Tells prices.

    The contract:

    - Each size that is asked about gets one price, in the currency that is asked for, of servers to be had on demand.
    - What is missing, zero, ambiguous or in another currency raises `Problem`: a wrong price is worse than an old one.
    - What is read is bounded, in bytes and in time.
    """

    def prices(self, asked: PricesFrom, currency: str, now: datetime) -> Sequence[Price]:
        """The prices of these sizes, as they hold now, `since` today. Raises `Problem`."""
