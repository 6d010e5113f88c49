"""What servers cost: the prices that a person wrote down, and those that were fetched from providers' own interfaces.

Nothing is fetched unless somebody asks for it. What was fetched is a file for each provider in the project's state,
dated, in the form of the declared one; an answer that cannot be relied on leaves it as it is.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from bluestone.app import wiring
from bluestone.app.project import Project
from bluestone.fleet.controller.journal import Entry
from bluestone.host.files import write_atomically
from bluestone.host.paths import private_directory
from bluestone.hours.prices import MAX_BYTES, parse, text_of, together, with_news
from bluestone.model.cost import PriceList, PricesFrom
from bluestone.model.problem import Problem

REFRESHED = "prices.refreshed"
"""A provider's prices were fetched."""


class Refreshed(Struct, frozen=True):
    """What became of one source: how many of its prices are new, or why it told none.

    `dated` is the day of those that hold now; None if there are none.
    """

    provider: str
    changed: int
    dated: date | None
    problem: Problem | None = None


def price_list(project: Project) -> PriceList:
    """The prices that hold. Raises `Problem` where there are none."""
    declared = _declared(project)
    return together(declared, _fetched(project, declared))


def refresh(project: Project, now: datetime) -> list[Refreshed]:
    """Ask every source that the file of prices names; those that fail keep what they told before.

    Raises `Problem` where the file names none.
    """
    declared = _declared(project)
    if not declared.sources:
        raise Problem(
            "the file of prices names no source, so there is nobody to ask",
            mend="add [[source]] to it; see docs/howto/count-the-money.md",
        )
    return [_refresh(project, source, declared.currency, now) for source in declared.sources]


def _refresh(project: Project, source: PricesFrom, currency: str, now: datetime) -> Refreshed:
    path = _place(project, source.provider)
    before: PriceList | None = None
    try:
        before = _read(path) if path.exists() else None
        if before is not None and before.currency != currency:
            before = None  # of no use any more
        told = wiring.price_source(source.kind).prices(source, currency, now)
        known = before.prices if before else ()
        prices = with_news(known, told)
        private_directory(path.parent)
        today = now.astimezone(UTC).date()
        write_atomically(path, text_of(PriceList(currency, today, prices)).encode())
    except Problem as problem:
        return Refreshed(source.provider, 0, before.dated if before else None, problem)
    changed = len(set(prices) - set(known))
    text = f"{source.provider}: {len(told)} prices, {changed} of them new"
    project.journal.record(now, [Entry(REFRESHED, message=text, data={"provider": source.provider, "new": changed})])
    return Refreshed(source.provider, changed, today)


def _declared(project: Project) -> PriceList:
    policy = project.declaration.cost
    if policy is None:
        raise Problem("no prices are declared", mend='add [cost] with prices = "prices.toml"; see the howto on money')
    return _read(Path(policy.prices))


def _fetched(project: Project, declared: PriceList) -> dict[str, PriceList]:
    places = {source.provider: _place(project, source.provider) for source in declared.sources}
    return {provider: replace(_read(path), sources=()) for provider, path in places.items() if path.exists()}


def _place(project: Project, provider: str) -> Path:
    return project.state / "prices" / f"{provider}.toml"


def _read(path: Path) -> PriceList:
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
        if len(content) > MAX_BYTES:
            raise Problem(
                f"{path} is larger than {MAX_BYTES} bytes", mend="a list of prices is small: correct the path"
            )
        return parse(content.decode(), str(path))
    except OSError as error:
        raise Problem(
            f"the prices {path} cannot be read: {error.strerror}", mend="make the file, or correct the path"
        ) from error
    except UnicodeDecodeError as error:
        raise Problem(f"{path} is not UTF-8", mend="save it as UTF-8") from error
