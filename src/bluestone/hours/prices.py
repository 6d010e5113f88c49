"""The dated file of prices -> values, and which price holds for a server. Pure.

    currency = "EUR"
    dated = 2026-11-01
    [[price]]
    provider = "podman"
    size = "small"
    cpus = 1
    memory = "1GiB"
    hour = "0.0084"

Amounts stand in quotes: they are decimal numbers, which a binary floating-point number is not.
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from bluestone.declaration.fault import Fault
from bluestone.declaration.quantities import size
from bluestone.model.cost import Price, PriceList
from bluestone.model.problem import Place, Problem

MAX_BYTES = 1 << 20
KEYS = ("provider", "hour", "size", "cpus", "memory", "since", "step", "least")


def parse(text: str, file: str) -> PriceList:
    """A list from its text. Raises `Problem` for the first thing that is wrong."""
    try:
        toml = tomllib.loads(text)
    except ValueError as error:
        raise Problem(f"{file} is not valid TOML: {error}", mend="see docs/howto/count-the-money.md") from error
    if unknown := sorted(toml.keys() - {"currency", "dated", "price"}):
        raise _wrong(file, text, unknown[0], f'unknown key "{unknown[0]}"', "keys here: currency, dated, price")
    currency, dated = toml.get("currency"), toml.get("dated")
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isupper()):
        raise _wrong(file, text, "currency", "the currency is missing or none", 'write its ISO 4217 code: "EUR"')
    if type(dated) is not date:
        raise _wrong(file, text, "dated", "the date of the prices is missing", "write dated = 2026-11-01")
    prices = toml.get("price")
    if not isinstance(prices, list) or not prices or not all(isinstance(each, dict) for each in prices):
        raise _wrong(file, text, "price", "there is no price", 'add [[price]] with provider = "podman", hour = "0.01"')
    return PriceList(currency, dated, tuple(_price(each, dated, file, text) for each in prices))


def price_at(
    prices: Sequence[Price], provider: str, cpus: float | None, memory: int | None, at: datetime
) -> Price | None:
    """The price of a server at an instant: of the newest that hold by then, the cheapest that is large enough.

    A server without a limit only fits a price without one.
    """
    holds = [p for p in prices if p.provider == provider and _fits(cpus, p.cpus) and _fits(memory, p.memory)]
    newest: dict[tuple[str, float | None, int | None], Price] = {}
    for price in sorted(holds, key=lambda price: price.since):
        if datetime.combine(price.since, time(), UTC) <= at:
            newest[price.size, price.cpus, price.memory] = price
    return min(newest.values(), key=lambda price: price.hour, default=None)


def _fits(wanted: float | None, offered: float | None) -> bool:
    return offered is None or (wanted is not None and wanted <= offered)


def _price(table: dict[str, Any], dated: date, file: str, text: str) -> Price:
    if unknown := sorted(table.keys() - set(KEYS)):
        raise _wrong(file, text, unknown[0], f'unknown key "{unknown[0]}"', f"keys here: {', '.join(KEYS)}")
    provider, since, cpus = table.get("provider"), table.get("since", dated), table.get("cpus")
    if not isinstance(provider, str) or not provider:
        raise _wrong(file, text, "provider", "a price is for no provider", 'write provider = "podman"')
    if type(since) is not date:
        raise _wrong(file, text, "since", "since is no date", "write since = 2026-11-01")
    if cpus is not None and not (isinstance(cpus, int | float) and not isinstance(cpus, bool) and cpus > 0):
        raise _wrong(file, text, "cpus", f"cpus cannot be {cpus}", "write a number of cores")
    memory = table.get("memory")
    try:
        found = size(memory) if memory is not None else None
    except (Fault, TypeError) as error:
        raise _wrong(file, text, "memory", f"memory cannot be {memory}", 'write it like "1GiB"') from error
    step, least = (_seconds(table, key, low, file, text) for key, low in (("step", 1), ("least", 0)))
    name = table.get("size", "")
    hour = _amount(table.get("hour"), file, text)
    return Price(since, provider, hour, str(name), float(cpus) if cpus else None, found, step, least)


def _amount(value: object, file: str, text: str) -> Decimal:
    mend = 'write a decimal number in quotes: hour = "0.0084"'
    if not isinstance(value, str):
        raise _wrong(file, text, "hour", "the price of an hour is missing, or stands without quotes", mend)
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise _wrong(file, text, "hour", f'"{value}" is no amount', mend) from error
    if not amount.is_finite() or not 0 <= amount < 1_000_000:
        raise _wrong(file, text, "hour", f'"{value}" is no price', mend)
    return amount


def _seconds(table: dict[str, Any], key: str, low: int, file: str, text: str) -> int:
    value = table.get(key, low)
    if type(value) is not int or not low <= value <= 86400:
        raise _wrong(file, text, key, f"{key} cannot be {value}", f"write whole seconds, from {low} to 86400")
    return value


def _wrong(file: str, text: str, key: str, what: str, mend: str) -> Problem:
    lines = text.split("\n")
    number = next((n for n, line in enumerate(lines, 1) if line.lstrip().startswith(key)), 1)
    return Problem(what, mend=mend, place=Place(file, number, key, lines[number - 1]))
