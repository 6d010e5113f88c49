"""Prices from a provider's interface, told by a double that is honest until it is asked to lie.

It answers as the interface is documented: several prices for one machine's name, of Windows, of machines that may be
taken away, of reservations, in pages. Its lies are the names in `LIES`. It filters nothing, and may be asked as often
as one likes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

import pytest

from bluestone.hours.prices import parse, text_of, together, with_news
from bluestone.hours.sources import azure
from bluestone.hours.sources.azure import AzureRetail
from bluestone.model.cost import Price, PriceList, PricesFrom, Size
from bluestone.model.problem import Problem

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)

LIES = {
    "another currency": "came in USD, not EUR",
    "no such machine": "no price is told of Standard_B1s in westeurope",
    "zero": "is said to cost 0",
    "negative": "is said to cost -1",
    "two at once": "several prices are told of Standard_B1s in westeurope: 0.0104, 0.0208",
    "not yet": "no price is told",
    "another region": "no price is told",
    "a page for each month": "no price is told",
    "a login page": "cannot be read",
    "cut short": r"cannot be (read|fetched)",
    "huge": "is larger than",
    "elsewhere": "go on at another place: http://198.51.100.1",
    "in clear": "go on at another place: http://",
    "without end": "more than 10 pages",
    "away": "refused with status 302",
    "busy": "refused with status 429",
    "hung up": "cannot be fetched",
}


def item(**changes: object) -> dict[str, object]:
    """A price as it is told."""
    return {
        "currencyCode": "EUR",
        "tierMinimumUnits": 0.0,
        "retailPrice": 0.0104,
        "unitPrice": 0.0104,
        "armRegionName": "westeurope",
        "location": "EU West",
        "effectiveStartDate": "2026-08-01T00:00:00Z",
        "meterName": "B1s",
        "productName": "Virtual Machines BS Series",
        "skuName": "B1s",
        "serviceName": "Virtual Machines",
        "unitOfMeasure": "1 Hour",
        "type": "Consumption",
        "isPrimaryMeterRegion": True,
        "armSkuName": "Standard_B1s",
    } | changes


OTHERS = [
    item(productName="Virtual Machines BS Series Windows", retailPrice=0.0144),
    item(skuName="B1s Spot", meterName="B1s Spot", retailPrice=0.0021),
    item(skuName="B1s Low Priority", retailPrice=0.003),
    item(type="Reservation", unitOfMeasure="1 Hour", retailPrice=55.0),
    item(effectiveStartDate="2025-01-01T00:00:00Z", retailPrice=0.0204),
    item(effectiveStartDate="2027-01-01T00:00:00Z", retailPrice=0.0304),
]
TOLD: dict[str, list[dict[str, object]]] = {
    "another currency": [item(currencyCode="USD")],
    "no such machine": [],
    "zero": [item(retailPrice=0)],
    "negative": [item(retailPrice=-1)],
    "two at once": [item(), item(retailPrice=0.0208)],
    "not yet": [item(effectiveStartDate="2027-01-01T00:00:00Z")],
    "another region": [item(armRegionName="northeurope")],
    "a page for each month": [item(unitOfMeasure="1 Month")],
}


class Double(BaseHTTPRequestHandler):
    """The interface."""

    lie: ClassVar[str] = ""
    asked: ClassVar[list[dict[str, list[str]]]] = []

    def do_GET(self) -> None:
        query = parse_qs(urlsplit(self.path).query)
        self.asked.append(query)
        assert isinstance(self.server, ThreadingHTTPServer)
        here = f"http://127.0.0.1:{self.server.server_port}/api/retail/prices"
        page: dict[str, Any] = {"BillingCurrency": "EUR", "Items": TOLD.get(self.lie, [item()]), "NextPageLink": None}
        if not self.lie and "$skip" not in query:
            page |= {"Items": OTHERS, "NextPageLink": f"{here}?$skip=100"}
        places = {"elsewhere": "http://198.51.100.1/", "in clear": here.replace("127.0.0.1", "localhost")}
        if self.lie in places or self.lie == "without end":
            page["NextPageLink"] = places.get(self.lie, f"{here}?$skip={len(self.asked)}")
        content = json.dumps(page).encode()
        if self.lie == "a login page":
            content = b"<html>please log in</html>"
        if self.lie == "huge":
            content = b" " * (azure.LARGEST + 1)
        if self.lie == "hung up":
            self.close_connection = True
            return
        self.send_response({"away": 302, "busy": 429}.get(self.lie, 200))
        if self.lie == "away":
            self.send_header("Location", "http://198.51.100.1/")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if self.lie == "cut short" else content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def asked() -> Iterator[PricesFrom]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Double)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    Double.lie, Double.asked = "", []
    size = Size("small", "Standard_B1s", 1.0, 1 << 30)
    yield PricesFrom("azure-retail", "azure", "westeurope", (size,), f"http://127.0.0.1:{server.server_address[1]}/p")
    server.shutdown()
    server.server_close()


def test_the_price_of_linux_on_demand_that_holds_now_is_told(asked: PricesFrom) -> None:
    (price,) = AzureRetail().prices(asked, "EUR", NOW)
    assert price == Price(date(2026, 11, 30), "azure", Decimal("0.0104"), "small", 1.0, 1 << 30)
    first = Double.asked[0]
    assert first["currencyCode"] == ["'EUR'"]
    assert "armSkuName eq 'Standard_B1s'" in first["$filter"][0]
    assert "armRegionName eq 'westeurope'" in first["$filter"][0]


@pytest.mark.parametrize("lie", LIES)
def test_what_cannot_be_relied_on_is_no_price(asked: PricesFrom, lie: str) -> None:
    Double.lie = lie
    with pytest.raises(Problem, match=LIES[lie]):
        AzureRetail().prices(asked, "EUR", NOW)


def test_prices_in_clear_from_elsewhere_are_not_asked_for() -> None:
    asked = PricesFrom("azure-retail", "azure", "westeurope", (Size("s", "S"),), "http://198.51.100.1/p")
    with pytest.raises(Problem, match="could be anybody's"):
        AzureRetail().prices(asked, "EUR", NOW)


def test_only_a_price_that_differs_is_new_and_what_was_paid_stays() -> None:
    old = Price(date(2026, 1, 1), "azure", Decimal("0.01"), "small", 1.0, None)
    same, dearer = (Price(date(2026, 11, 30), "azure", Decimal(hour), "small", 1.0, None) for hour in ("0.01", "0.02"))
    assert with_news((old,), [same]) == (old,)
    assert with_news((old,), [dearer]) == (old, dearer)
    assert with_news((old, dearer), [dearer]) == (old, dearer)


def test_a_list_is_read_back_as_it_was_written() -> None:
    price = Price(date(2026, 1, 1), 'a"z', Decimal("1E-7"), "s\\m", 0.5, 1 << 30, 60, 3600)
    prices = PriceList("EUR", date(2026, 11, 30), (price, Price(date(2026, 2, 1), "b", Decimal("0.5"))))
    assert parse(text_of(prices), "prices.toml") == prices


def test_sources_are_named_in_the_file_of_prices() -> None:
    head = 'currency = "EUR"\ndated = 2026-11-01\n[[source]]\nkind = "azure-retail"\nprovider = "azure"\n'
    found = parse(
        f'{head}region = "westeurope"\nsizes = {{ small = {{ sku = "Standard_B1s", cpus = 1 }} }}\n', "p.toml"
    )
    assert found.sources == (
        PricesFrom("azure-retail", "azure", "westeurope", (Size("small", "Standard_B1s", 1.0, None),)),
    )
    for wrong, what in (
        ("", "the region"),
        ('region = "we\'st"', "the region"),
        ('region = "w"', "no sizes"),
        ('region = "w"\nsizes = { s = { sku = "a\'b" } }', "the sku of s"),
        ('region = "w"\nsizes = { s = { sku = "a", cpu = 1 } }', 'unknown key "cpu" of s'),
    ):
        with pytest.raises(Problem, match=what):
            parse(f"{head}{wrong}\n", "p.toml")


def test_prices_in_another_currency_are_left_out() -> None:
    declared = PriceList("EUR", date(2026, 11, 1), ())
    euros, dollars = (
        PriceList(c, date(2026, 11, 2), (Price(date(2026, 1, 1), c, Decimal(1)),)) for c in ("EUR", "USD")
    )
    found = together(declared, {"a": euros, "b": dollars})
    assert ([price.provider for price in found.prices], found.fetched) == (["EUR"], {"a": date(2026, 11, 2)})
