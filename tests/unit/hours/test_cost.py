from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bluestone.hours.ledger import cents, ledger
from bluestone.hours.picture import DARK, HEIGHT, LIGHT, WIDTH, chart, page
from bluestone.hours.prices import parse, price_at
from bluestone.model.cost import Price, PriceList, Stay
from bluestone.model.problem import Problem

BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
END = datetime(2026, 12, 1, tzinfo=UTC)
TEXT = """\
currency = "EUR"
dated = 2026-10-01
[[price]]
provider = "podman"
size = "small"
cpus = 1
memory = "1GiB"
hour = "0.01"
[[price]]
provider = "podman"
size = "large"
hour = "0.10"
"""
LIST = parse(TEXT, "prices.toml")


def at(day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def a_stay(began: datetime, ended: datetime | None = None, **more: datetime | None) -> Stay:
    return replace(Stay("web-1", "web", "sha256:a", "podman", 1.0, 1 << 30, began, ended), **more)


def test_a_server_has_the_cheapest_price_that_is_large_enough() -> None:
    def size(cpus: float | None, memory: int | None) -> str:
        found = price_at(LIST.prices, "podman", cpus, memory, at(1))
        return found.size if found else ""

    assert [size(1, 1 << 30), size(0.5, 1), size(2, 1 << 30), size(None, 1), size(1, None)] == [
        "small",
        "small",
        "large",
        "large",
        "large",
    ]
    assert price_at(LIST.prices, "qemu", 1, 1, at(1)) is None
    assert price_at(LIST.prices, "podman", 1, 1, datetime(2026, 9, 30, tzinfo=UTC)) is None, "it did not hold yet"


def test_an_existence_is_cut_by_what_it_was_for() -> None:
    stay = a_stay(at(2, 7, 50), at(2, 18, 3), attached=at(2, 7, 55), detached=at(2, 18, 0), opening=at(2, 8))
    found = ledger([stay], LIST, BEGIN, END)
    assert [(line.cause, line.end - line.begin) for line in found.lines] == [
        ("lead", timedelta(minutes=5)),
        ("lead", timedelta(minutes=5)),
        ("served", timedelta(hours=10)),
        ("overlap", timedelta(minutes=3)),
    ]
    assert found.total == Fraction(613, 60) / 100
    assert cents(found.total) == Decimal("0.10")


def test_what_never_served_failed_and_what_still_boots_did_not() -> None:
    failed = ledger([a_stay(at(2), at(2, 1))], LIST, BEGIN, END)
    assert {line.cause for line in failed.lines} == {"failed"}
    assert {line.cause for line in ledger([a_stay(at(2))], LIST, BEGIN, at(2, 1)).lines} == {"overlap"}


def test_another_price_holds_from_its_day_on() -> None:
    dearer = Price(date(2026, 11, 3), "podman", Decimal("0.02"), "small", 1.0, 1 << 30)
    prices = replace(LIST, prices=(*LIST.prices, dearer))
    found = ledger([a_stay(at(2), at(4), attached=at(2))], prices, BEGIN, END)
    assert [(line.since.isoformat(), line.amount) for line in found.lines] == [
        ("2026-10-01", Fraction(24, 100)),
        ("2026-11-03", Fraction(48, 100)),
    ]


def test_whole_steps_and_at_least_so_much_are_counted() -> None:
    by_hour = PriceList("EUR", date(2026, 1, 1), (Price(date(2026, 1, 1), "podman", Decimal("0.60"), step=3600),))
    assert ledger([a_stay(at(2), at(2, 1, 1), attached=at(2))], by_hour, BEGIN, END).total == Fraction(120, 100)
    least = PriceList("EUR", date(2026, 1, 1), (Price(date(2026, 1, 1), "podman", Decimal("0.60"), least=600),))
    assert ledger([a_stay(at(2), at(2, 0, 1))], least, BEGIN, END).total == Fraction(10, 100)


def test_servers_without_a_price_are_named() -> None:
    found = ledger([replace(a_stay(at(2)), provider="qemu")], LIST, BEGIN, END)
    assert found.unpriced == ("web-1",)
    assert found.total == 0


def stay_of(began: timedelta, lasts: timedelta, up: float, down: float) -> Stay:
    start = BEGIN + began
    left = start + lasts * max(up, down)
    return a_stay(start, start + lasts, attached=start + lasts * up, detached=left, opening=start + lasts * down)


SHARES = st.floats(0, 1)
STAYS = st.builds(
    stay_of,
    st.timedeltas(timedelta(days=-40), timedelta(days=40)),
    st.timedeltas(timedelta(0), timedelta(days=40)),
    SHARES,
    SHARES,
)


@given(st.lists(STAYS, max_size=5), st.timedeltas(timedelta(0), timedelta(days=30)))
def test_two_parts_of_a_month_cost_what_the_month_does(stays: list[Stay], cut: timedelta) -> None:
    whole = ledger(stays, LIST, BEGIN, END)
    parts = [ledger(stays, LIST, BEGIN, BEGIN + cut), ledger(stays, LIST, BEGIN + cut, END)]
    assert whole.total == sum((part.total for part in parts), Fraction(0))
    causes = whole.by(lambda line: line.cause)
    assert sum((amount for _, amount in causes.values()), Fraction(0)) == whole.total


@given(st.fractions(min_value=-1000, max_value=1000))
def test_cents_are_the_nearest_and_half_goes_to_even(exact: Fraction) -> None:
    found = cents(exact)
    assert abs(Fraction(found) - exact) <= Fraction(1, 200)
    assert cents(Fraction(1, 200)) == Decimal("0.00")
    assert cents(Fraction(3, 200)) == Decimal("0.02")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (('currency = "EUR"', 'currency = "Euro"'), "the currency is missing or none"),
        (("dated = 2026-10-01", ""), "the date of the prices is missing"),
        (('hour = "0.01"', "hour = 0.01"), "stands without quotes"),
        (('hour = "0.01"', 'hour = "NaN"'), "no price"),
        (('hour = "0.01"', 'hour = "-1"'), "no price"),
        (('memory = "1GiB"', 'memory = "much"'), "memory cannot be"),
        (("cpus = 1", 'cpus = "1"'), "cpus cannot be"),
        (("cpus = 1", "cores = 1"), 'unknown key "cores"'),
        (('provider = "podman"', ""), "for no provider"),
        (("[[price]]", "[[prices]]"), "unknown key"),
    ],
)
def test_prices_that_cannot_be_taken_are_explained(change: tuple[str, str], what: str) -> None:
    with pytest.raises(Problem, match=what) as refused:
        parse(TEXT.replace(*change, 1 if change[0] != "[[price]]" else 2), "prices.toml")
    assert refused.value.mend


def test_the_page_needs_nothing_from_elsewhere() -> None:
    found = ledger([a_stay(at(2), at(4), attached=at(2, 1))], LIST, BEGIN, END)
    drawn = page(found, "<shop>", "EUR", {"web": 3}, [("web", "48.00", "0.48")])
    assert "&lt;shop&gt;" in drawn
    assert "http" not in drawn.replace("http://www.w3.org/2000/svg", "")
    assert chart(found, 3).count('<rect class="served"') == 3, "two days, and what the colour means"
    assert "prefers-color-scheme" in chart(found, 3)
    assert "prefers-color-scheme" not in chart(found, 3, theme=DARK)


def test_a_chart_is_drawn_with_its_words_in_light_and_dark() -> None:
    from bluestone.app.hours.drawing import ZOOM, png

    found = ledger([a_stay(at(2), at(4), attached=at(2, 1))], LIST, BEGIN, END)
    light, dark = (png(chart(found, 3, "<shop> & co", theme)) for theme in (LIGHT, DARK))
    for drawn in (light, dark):
        assert drawn.startswith(b"\x89PNG\r\n")
        size = int.from_bytes(drawn[16:20]), int.from_bytes(drawn[20:24])
        assert size == (WIDTH * ZOOM, HEIGHT * ZOOM)
    assert light != dark
    assert png(chart(found, 3, "other words", LIGHT)) != light
