"""The keys of `[cost]`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field

from bluestone.declaration.forms import Written
from bluestone.declaration.keys.table import Name, Table, key
from bluestone.declaration.texts import naming, paths


class CostTable(Table):
    """What servers cost, and how much a month may."""

    prices: Annotated[str, Written(paths.source, "path")] = key(
        "The file of prices: provider and size -> price of an hour.", example="prices.toml"
    )
    budget: Annotated[Decimal, Written(naming.amount, "amount in quotes", naming.AMOUNT)] | None = key(
        "The most that a month (by UTC) may cost, in the currency of the prices. Left out: no limit.",
        example="500.00",
        default=None,
    )
    warn_at: Annotated[int, Field(ge=1, le=100)] = key(
        "The share of the budget, in percent, from which on a person is told.", example=90, default=80
    )
    optional: list[Name] = key(
        "Groups with hours that are ended for the rest of the month when the budget is spent.",
        example=["web"],
        default=[],
    )
