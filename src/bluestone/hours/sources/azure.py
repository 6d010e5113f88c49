"""Prices of Azure's virtual machines, by its Retail Prices API: public, and without an account.

What is asked for is `GET /api/retail/prices?api-version=...&currencyCode='EUR'&$filter=...`; the answer is JSON with
`Items` and, where there are more, a `NextPageLink`
(https://learn.microsoft.com/rest/api/cost-management/retail-prices/azure-retail-prices). One machine's name comes with
many prices: of Windows, of machines that may be taken away (Spot, Low Priority), of reservations. Here the one of Linux
on demand is looked for.
"""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from bluestone.model.cost import Price, PricesFrom, Size
from bluestone.model.problem import Problem

ADDRESS = "https://prices.azure.com/api/retail/prices"
VERSION = "2023-01-01-preview"
TIMEOUT = 20.0
"""Seconds without a byte."""

LONGEST = 60.0
"""Seconds for all pages of one size."""

LARGEST = 4 << 20
"""Bytes of a page; it has at most 1,000 items of some 700 bytes."""

PAGES = 10
"""One name in one region has some 10 prices, which is less than a page."""

BY_HAND = "write the price by hand until that is mended"


class Item(msgspec.Struct, rename="camel"):
    """What is needed of a price."""

    retail_price: Decimal
    currency_code: str
    arm_region_name: str
    arm_sku_name: str
    effective_start_date: datetime
    product_name: str
    sku_name: str
    unit_of_measure: str
    type: str
    tier_minimum_units: Decimal = Decimal(0)

    def is_of(self, size: Size, region: str, now: datetime) -> bool:
        """Whether it is the price of such a machine with Linux, on demand, by now."""
        return (
            self.arm_sku_name == size.sku
            and self.arm_region_name == region
            and self.type == "Consumption"
            and self.unit_of_measure == "1 Hour"
            and not self.tier_minimum_units
            and "Windows" not in self.product_name
            and not any(word in self.sku_name for word in ("Spot", "Low Priority"))
            and self.effective_start_date <= now
        )


class Page(msgspec.Struct, rename={"items": "Items", "following": "NextPageLink"}):
    """An answer."""

    items: list[Item]
    following: str | None = None


class AzureRetail:
    """The price source port on Azure's interface."""

    def prices(self, asked: PricesFrom, currency: str, now: datetime) -> Sequence[Price]:
        """The price of each size, asked for one after the other."""
        address = asked.address or ADDRESS
        _require_safe(address)
        return [self._price(address, asked, size, currency, now) for size in asked.sizes]

    def _price(self, address: str, asked: PricesFrom, size: Size, currency: str, now: datetime) -> Price:
        where = f"{size.sku} in {asked.region}"
        query = {"api-version": VERSION, "currencyCode": f"'{currency}'", "$filter": _filter(size.sku, asked.region)}
        items = [
            item
            for item in _items(f"{address}?{urlencode(query, quote_via=quote)}")
            if item.is_of(size, asked.region, now)
        ]
        if others := {item.currency_code for item in items} - {currency}:
            raise Problem(f"the price of {where} came in {', '.join(sorted(others))}, not {currency}", mend=BY_HAND)
        # A newer price replaces an older one of the same machine.
        newest = max((item.effective_start_date for item in items), default=None)
        found = {item.retail_price for item in items if item.effective_start_date == newest}
        if not found:
            raise Problem(
                f"no price is told of {where}",
                mend="write sku and region as Azure does, such as Standard_B1s and westeurope",
            )
        if len(found) > 1:
            several = ", ".join(str(each) for each in sorted(found))
            raise Problem(f"several prices are told of {where}: {several}", mend=BY_HAND)
        (hour,) = found
        if not (hour.is_finite() and 0 < hour < 1_000_000):
            raise Problem(f"{where} is said to cost {hour}", mend=BY_HAND)
        return Price(now.astimezone(UTC).date(), asked.provider, hour, size.name, size.cpus, size.memory)


def _filter(sku: str, region: str) -> str:
    return (
        f"serviceName eq 'Virtual Machines' and armRegionName eq '{region}' and armSkuName eq '{sku}' "
        "and priceType eq 'Consumption'"
    )


def _items(address: str) -> Iterator[Item]:
    """The items of all pages. Raises `Problem`."""
    until, host = time.monotonic() + LONGEST, urlsplit(address)[:2]
    following: str | None = address
    for _ in range(PAGES):
        page = _page(following or "")
        yield from page.items
        following = page.following
        if not following:
            return
        here = urlsplit(following)
        if (here.scheme, here.netloc.removesuffix(":443")) != (host[0], host[1].removesuffix(":443")):
            raise Problem(f"the prices go on at another place: {here.scheme}://{here.netloc}", mend=BY_HAND)
        if time.monotonic() > until:
            raise Problem(f"the prices did not come within {LONGEST:g} s", mend="try again later")
    raise Problem(f"the prices have more than {PAGES} pages", mend=BY_HAND)


def _page(address: str) -> Page:
    request = urllib.request.Request(address, headers={"User-Agent": "bluestone", "Accept": "application/json"})  # noqa: S310
    try:
        with urllib.request.build_opener(_NoRedirects).open(request, timeout=TIMEOUT) as answer:
            content: bytes = answer.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise Problem(f"a page of prices is larger than {LARGEST} bytes", mend=BY_HAND)
        return msgspec.json.decode(content, type=Page)
    except msgspec.DecodeError as error:
        raise Problem(f"the prices cannot be read: {error}", mend="try again later") from error
    except urllib.error.HTTPError as error:
        raise Problem(f"the prices are refused with status {error.code}", mend="try again later") from error
    except (OSError, http.client.HTTPException) as error:
        what = getattr(error, "reason", None) or error
        raise Problem(f"the prices cannot be fetched: {what}", mend="try again later") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """None is followed: it ends as an error with its status."""


def _require_safe(address: str) -> None:
    """Raise `Problem` for an address whose answers could be anybody's."""
    parts = urlsplit(address)
    if parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in ("127.0.0.1", "::1", "localhost")):
        return
    raise Problem(f"prices from {address} could be anybody's", mend="write an https address")
