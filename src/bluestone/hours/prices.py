"""The dated file of prices -> values, and which price holds for a server. Pure.

    currency = "EUR"
    dated = 2026-11-01
    [[price]]
    provider = "podman"
    size = "small"
    cpus = 1
    memory = "1GiB"
    hour = "0.0084"

    [[storage]]
    provider = "podman"
    kind = "volume"
    gib_month = "0.05"
    unsized = "20GiB"

    [[source]]
    kind = "azure-retail"
    provider = "azure"
    region = "westeurope"
    sizes = { small = { sku = "Standard_B1s", cpus = 1, memory = "1GiB" } }

Amounts stand in quotes: they are decimal numbers, which a binary floating-point number is not.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation
from typing import Any

from msgspec.structs import replace

from bluestone.declaration.fault import Fault
from bluestone.declaration.quantities import size
from bluestone.model.cost import Price, PriceList, PricesFrom, Size, StorageKind, StoragePrice
from bluestone.model.problem import Place, Problem

MAX_BYTES = 1 << 20
PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,200}|")
SKU = re.compile(r"[A-Za-z0-9][A-Za-z0-9._ -]{0,100}")
SOURCE = 'write kind = "azure-retail", provider, region = "westeurope", sizes = { small = { sku = "Standard_B1s" } }'
KEYS = ("provider", "hour", "size", "cpus", "memory", "since", "step", "least")
STORAGE_KEYS = ("provider", "kind", "gib_month", "unsized", "since")


def parse(text: str, file: str) -> PriceList:
    """A list from its text. Raises `Problem` for the first thing that is wrong."""
    try:
        toml = tomllib.loads(text)
    except ValueError as error:
        raise Problem(f"{file} is not valid TOML: {error}", mend="see docs/howto/count-the-money.md") from error
    if unknown := sorted(toml.keys() - {"currency", "dated", "price", "storage", "source"}):
        keys = "keys here: currency, dated, price, storage, source"
        raise _wrong(file, text, unknown[0], f'unknown key "{unknown[0]}"', keys)
    currency, dated = toml.get("currency"), toml.get("dated")
    if not (isinstance(currency, str) and len(currency) == 3 and currency.isupper()):
        raise _wrong(file, text, "currency", "the currency is missing or none", 'write its ISO 4217 code: "EUR"')
    if type(dated) is not date:
        raise _wrong(file, text, "dated", "the date of the prices is missing", "write dated = 2026-11-01")
    prices, storage, sources = (toml.get(key, []) for key in ("price", "storage", "source"))
    if not _tables(prices) or not _tables(sources) or not _tables(storage) or not (prices or sources):
        raise _wrong(file, text, "price", "there is no price", 'add [[price]] with provider = "podman", hour = "0.01"')
    found = tuple(_price(each, dated, file, text) for each in prices)
    asked = tuple(_source(each, file, text) for each in sources)
    return PriceList(currency, dated, found, asked, tuple(_storage(each, dated, file, text) for each in storage))


def together(declared: PriceList, fetched: Mapping[str, PriceList]) -> PriceList:
    """The prices that a person wrote down, and those that were fetched (by provider), in the same currency."""
    alike = {provider: each for provider, each in fetched.items() if each.currency == declared.currency}
    prices = declared.prices + tuple(price for each in alike.values() for price in each.prices)
    return replace(declared, prices=prices, fetched={provider: each.dated for provider, each in alike.items()})


def with_news(known: Sequence[Price], told: Sequence[Price]) -> tuple[Price, ...]:
    """The prices of before, and of those that are told now the ones that differ: what was paid stays what it was."""
    newest = {(price.provider, price.size): price for price in sorted(known, key=lambda price: price.since)}
    fresh = []
    for price in told:
        before = newest.get((price.provider, price.size))
        if before is None or replace(before, since=price.since) != price:
            fresh.append(price)
    again = {(price.provider, price.size, price.since) for price in fresh}
    return (*(p for p in known if (p.provider, p.size, p.since) not in again), *fresh)


def text_of(prices: PriceList) -> str:
    """A list as its file, which `parse` reads back."""
    lines = [f'currency = "{prices.currency}"', f"dated = {prices.dated}"]
    for price in prices.prices:
        lines += ["", "[[price]]", f"provider = {_quoted(price.provider)}", f'hour = "{price.hour:f}"']
        lines += [f"size = {_quoted(price.size)}"] if price.size else []
        lines += [f"cpus = {price.cpus:g}"] if price.cpus is not None else []
        lines += [f'memory = "{price.memory}B"'] if price.memory is not None else []
        lines += [f"since = {price.since}", f"step = {price.step}", f"least = {price.least}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    # TOML's basic strings escape what JSON's do.
    return json.dumps(text, ensure_ascii=False)


def _tables(found: object) -> bool:
    return isinstance(found, list) and all(isinstance(each, dict) for each in found)


def _source(table: dict[str, Any], file: str, text: str) -> PricesFrom:
    keys = ("kind", "provider", "region", "sizes", "address")
    if unknown := sorted(table.keys() - set(keys)):
        raise _wrong(file, text, unknown[0], f'unknown key "{unknown[0]}"', f"keys here: {', '.join(keys)}")
    for key in keys:
        value = table.get(key, "" if key == "address" else None)
        if key != "sizes" and not (isinstance(value, str) and PLAIN.fullmatch(value)):
            raise _wrong(file, text, key, f"the {key} of a source of prices is missing or none", SOURCE)
    sizes = table.get("sizes")
    if not isinstance(sizes, dict) or not sizes or not all(isinstance(each, dict) for each in sizes.values()):
        raise _wrong(file, text, "sizes", "no sizes are named whose prices are to be fetched", SOURCE)
    found = tuple(_size(name, each, file, text) for name, each in sizes.items())
    return PricesFrom(table["kind"], table["provider"], table["region"], found, table.get("address", ""))


def _size(name: str, table: dict[str, Any], file: str, text: str) -> Size:
    if unknown := sorted(table.keys() - {"sku", "cpus", "memory"}):
        raise _wrong(file, text, "sizes", f'unknown key "{unknown[0]}" of {name}', "keys here: sku, cpus, memory")
    sku = table.get("sku")
    if not (isinstance(sku, str) and SKU.fullmatch(sku)):
        raise _wrong(file, text, "sizes", f"the sku of {name} is missing or none", SOURCE)
    cpus, memory = _limits(table, file, text)
    return Size(name, sku, cpus, memory)


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


def storage_price_at(
    prices: Sequence[StoragePrice], provider: str, kind: StorageKind, at: datetime
) -> StoragePrice | None:
    """The newest price of storage at a provider that holds by then."""
    alike = (price for price in prices if (price.provider, price.kind) == (provider, kind))
    holds = [price for price in alike if datetime.combine(price.since, time(), UTC) <= at]
    return max(holds, key=lambda price: price.since, default=None)


def _fits(wanted: float | None, offered: float | None) -> bool:
    return offered is None or (wanted is not None and wanted <= offered)


def _price(table: dict[str, Any], dated: date, file: str, text: str) -> Price:
    if unknown := sorted(table.keys() - set(KEYS)):
        raise _wrong(file, text, unknown[0], f'unknown key "{unknown[0]}"', f"keys here: {', '.join(KEYS)}")
    provider, since = _whose(table, dated, file, text)
    step, least = (_seconds(table, key, low, file, text) for key, low in (("step", 1), ("least", 0)))
    cpus, memory = _limits(table, file, text)
    hour = _amount(table, "hour", file, text)
    return Price(since, provider, hour, str(table.get("size", "")), cpus, memory, step, least)


def _storage(table: dict[str, Any], dated: date, file: str, text: str) -> StoragePrice:
    if unknown := sorted(table.keys() - set(STORAGE_KEYS)):
        raise _wrong(file, text, unknown[0], f'unknown key "{unknown[0]}"', f"keys here: {', '.join(STORAGE_KEYS)}")
    provider, since = _whose(table, dated, file, text)
    kind = table.get("kind")
    if kind not in ("volume", "snapshot"):
        raise _wrong(file, text, "kind", "the kind of storage is missing or none", 'write "volume" or "snapshot"')
    unsized = _bytes(table, "unsized", file, text)
    return StoragePrice(since, provider, kind, _amount(table, "gib_month", file, text), unsized)


def _whose(table: dict[str, Any], dated: date, file: str, text: str) -> tuple[str, date]:
    """The provider that a price is of, and since when."""
    provider, since = table.get("provider"), table.get("since", dated)
    if not isinstance(provider, str) or not provider:
        raise _wrong(file, text, "provider", "a price is for no provider", 'write provider = "podman"')
    if type(since) is not date:
        raise _wrong(file, text, "since", "since is no date", "write since = 2026-11-01")
    return provider, since


def _limits(table: dict[str, Any], file: str, text: str) -> tuple[float | None, int | None]:
    """The most cores and bytes of memory that a server may have for a price; None where they do not matter."""
    cpus = table.get("cpus")
    if cpus is not None and not (isinstance(cpus, int | float) and not isinstance(cpus, bool) and cpus > 0):
        raise _wrong(file, text, "cpus", f"cpus cannot be {cpus}", "write a number of cores")
    return float(cpus) if cpus else None, _bytes(table, "memory", file, text)


def _bytes(table: dict[str, Any], key: str, file: str, text: str) -> int | None:
    value = table.get(key)
    try:
        return size(value) if value is not None else None
    except (Fault, TypeError) as error:
        raise _wrong(file, text, key, f"{key} cannot be {value}", 'write it like "1GiB"') from error


def _amount(table: dict[str, Any], key: str, file: str, text: str) -> Decimal:
    mend, value = f'write a decimal number in quotes: {key} = "0.0084"', table.get(key)
    if not isinstance(value, str):
        raise _wrong(file, text, key, f"the price ({key}) is missing, or stands without quotes", mend)
    try:
        amount = Decimal(value)
    except InvalidOperation as error:
        raise _wrong(file, text, key, f'"{value}" is no amount', mend) from error
    if not amount.is_finite() or not 0 <= amount < 1_000_000:
        raise _wrong(file, text, key, f'"{value}" is no price', mend)
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
