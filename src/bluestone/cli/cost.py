"""`cost`: what servers and storage cost."""

from __future__ import annotations

import csv
import io
import sys
from datetime import UTC, date, datetime
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bluestone.app.project import Project
from bluestone.cli import options
from bluestone.cli.options import file_option
from bluestone.model.problem import Problem

if TYPE_CHECKING:
    from bluestone.app.hours.cost import Bill, Forecast
    from bluestone.model.cost import Line

WORDS = {
    "served": "served, or was there to",
    "lead": "was up ahead of an opening",
    "failed": "never served",
    "overlap": "was on its way in or out beside others",
    "volume": "data on volumes",
    "snapshot": "data in snapshots, while its group slept",
}


@click.command()
@click.option("--month", "text", metavar="YYYY-MM", help="Which month, by UTC. Left out: this one, so far.")
@click.option("--by", type=click.Choice(["group", "image", "cause"]), default="group", help="What to sum up by.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "json", "csv", "html", "svg", "png"]),
    default="text",
    help="csv: every line of the ledger. html: a page with a chart. svg, png: the chart. All on standard output.",
)
@click.option("--dark", is_flag=True, help="svg, png: light on dark. Left out, an svg is as its reader prefers.")
@click.option(
    "--what-if",
    "other",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="What the next 30 days would cost if this were the declaration.",
)
@click.option(
    "--refresh-prices",
    is_flag=True,
    help="Ask the sources that the file of prices names, and nothing else. Nothing is ever fetched without this.",
)
@file_option
def cost(
    text: str | None, by: str, form: str, dark: bool, other: Path | None, refresh_prices: bool, file: Path
) -> None:
    """Show what servers and storage cost, what always-on would have, and what went for nothing."""
    from bluestone.app.hours import cost as use_case

    project, now = Project.open(file), datetime.now(UTC)
    if refresh_prices:
        _refresh(project, now)
        return
    if other is not None:
        if form not in ("text", "json"):
            raise click.UsageError(f"a forecast has no form {form}: text or json")
        _show_forecast(use_case.what_if(project, Project.open(other), now), as_json=form == "json")
        return
    if dark and form not in ("svg", "png"):
        raise click.UsageError("--dark is for svg and png")
    found = use_case.bill(project, now, _month(text))
    groups = {group.name: group.count for group in project.groups}
    if form == "html":
        from bluestone.hours.picture import page

        drawn = page(found.ledger, project.name, found.currency, groups, _rows(found, by), _caption(found))
        click.echo(drawn, nl=False)
    elif form in ("svg", "png"):
        _draw(found, f"{project.name}, {_caption(found)}", sum(groups.values()), form, dark=dark)
    elif form == "csv":
        click.echo(_csv(found), nl=False)
    elif form == "json":
        click.echo(options.as_json(_data(found, by)))
    else:
        click.echo(_text(found, by))


def _refresh(project: Project, now: datetime) -> None:
    from bluestone.app.hours.pricing import refresh

    found = refresh(project, now)
    for each in found:
        if each.problem is None:
            click.echo(f"{each.provider}: {each.changed} prices are new")
        else:
            each.problem.left = _age(each.provider, each.dated, now)
            click.echo(str(each.problem), err=True)
    if any(each.problem for each in found):
        raise SystemExit(1)


def _age(provider: str, dated: date | None, now: datetime) -> str:
    if dated is None:
        return f"no prices of {provider} were ever fetched"
    days = (now.date() - dated).days
    return f"the prices of {provider} are of {dated}, {'today' if not days else f'{days} days ago'}"


def _draw(found: Bill, caption: str, declared: int, form: str, *, dark: bool) -> None:
    from bluestone.hours.picture import DARK, LIGHT, chart

    if form == "svg":
        click.echo(chart(found.ledger, declared, caption, DARK if dark else None))
        return
    from bluestone.app.hours.drawing import png

    if sys.stdout.isatty():
        raise click.UsageError("a PNG is not for a terminal: write it to a file, as in `> month.png`")
    click.echo(png(chart(found.ledger, declared, caption, DARK if dark else LIGHT)), nl=False)


def _caption(bill: Bill) -> str:
    from bluestone.hours.ledger import cents

    share = f" ({float(bill.saved / bill.always_on):.1%})" if bill.always_on else ""
    spent = f"{cents(bill.ledger.total)} of {cents(bill.always_on)} {bill.currency} if always on"
    return f"{bill.ledger.begin:%B %Y}: {spent}, saved {cents(bill.saved)}{share}"


def _month(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m").date()  # noqa: DTZ007 - a month has no zone
    except ValueError as error:
        raise Problem(f'"{text}" is no month', mend="write it like 2026-11") from error


def _key(line: Line, by: str) -> str:
    return str(getattr(line, by))


def _rows(bill: Bill, by: str) -> list[tuple[str, str, str]]:
    """What, its server-hours (none for storage), and its amount."""
    from bluestone.hours.ledger import cents
    from bluestone.model.ids import short

    found = bill.ledger.by(lambda line: _key(line, by))
    named = {key: (short(key) if key else "storage") if by == "image" else key for key in found}
    shown = {key: f"{float(hours):.2f}" if hours else "" for key, (hours, _) in found.items()}
    return [(named[key], shown[key], str(cents(amount))) for key, (_, amount) in sorted(found.items())]


def _text(bill: Bill, by: str) -> str:
    from bluestone.hours.ledger import cents

    total, currency = bill.ledger.total, bill.currency
    begin, end = bill.ledger.begin, bill.ledger.end
    lines = [f"{begin:%d %b %Y} to {end:%d %b %Y %H:%M} UTC, in {currency} by the prices of {bill.dated}"]
    lines += [f"  {_age(provider, dated, datetime.now(UTC))}" for provider, dated in sorted(bill.fetched.items())]
    lines += [
        f"  {name:<24} {hours:>12} {'h' if hours else ' '} {amount:>12}" for name, hours, amount in _rows(bill, by)
    ]
    lines.append(f"  {'total':<24} {'':>12}   {cents(total)!s:>12}")
    share = f"  ({float(bill.saved / bill.always_on):.1%})" if bill.always_on else ""
    lines.append(f"  {'always on':<24} {'':>12}   {cents(bill.always_on)!s:>12}")
    lines.append(f"  {'saved':<24} {'':>12}   {cents(bill.saved)!s:>12}{share}")
    waste = {cause: amount for cause, (_, amount) in bill.ledger.by(lambda line: line.cause).items()}
    for cause in ("lead", "failed", "overlap", "volume", "snapshot"):
        if cause in waste:
            lines.append(f"  {cause:<24} {'':>12}   {cents(waste[cause])!s:>12}  {WORDS[cause]}")
    if bill.ledger.unpriced:
        unpriced = bill.ledger.unpriced
        lines.append(f"  no price is known for {len(unpriced)} servers or volumes, such as {unpriced[0]}")
    return "\n".join(lines)


def _data(bill: Bill, by: str) -> dict[str, Any]:
    from bluestone.hours.ledger import cents

    causes = bill.ledger.by(lambda line: line.cause)
    return {
        "begin": bill.ledger.begin.isoformat(),
        "end": bill.ledger.end.isoformat(),
        "currency": bill.currency,
        "prices_dated": bill.dated.isoformat(),
        "prices_fetched": {provider: dated.isoformat() for provider, dated in bill.fetched.items()},
        "by": by,
        "rows": [{"what": name, "hours": hours, "amount": amount} for name, hours, amount in _rows(bill, by)],
        "total": str(cents(bill.ledger.total)),
        "always_on": str(cents(bill.always_on)),
        "saved": str(cents(bill.saved)),
        "waste": {cause: str(cents(causes[cause][1])) for cause in ("lead", "failed", "overlap") if cause in causes},
        "storage": {cause: str(cents(causes[cause][1])) for cause in ("volume", "snapshot") if cause in causes},
        "unpriced": list(bill.ledger.unpriced),
    }


def _csv(bill: Bill) -> str:
    from bluestone.hours.ledger import GIB, hours_of

    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    head = ("server", "group", "image", "cause", "begin", "end", "hours", "price_of_an_hour", "price_since")
    writer.writerow((*head, "amount", "currency", "gib", "price_of_a_gib_month"))
    for line in bill.ledger.lines:
        hours, amount = f"{float(hours_of(line.end - line.begin)):.6f}", f"{float(line.amount):.8f}"
        named = (line.server, line.group, line.image, line.cause, line.begin.isoformat(), line.end.isoformat())
        price: tuple[object, object, object] = (line.price, "", "")
        if line.stored is not None:
            price = ("", f"{line.stored / GIB:.6f}", line.price)
        writer.writerow((*named, hours, price[0], line.since.isoformat(), amount, bill.currency, *price[1:]))
    return out.getvalue()


def _show_forecast(found: Forecast, *, as_json: bool) -> None:
    from bluestone.hours.ledger import cents

    groups = sorted({*found.now, *found.then})
    none = Fraction(0)
    rows = [(name, cents(found.now.get(name, none)), cents(found.then.get(name, none))) for name in groups]
    now, then = cents(sum(found.now.values(), none)), cents(sum(found.then.values(), none))
    if as_json:
        data = {"currency": found.currency, "days": 30, "now": str(now), "then": str(then)}
        named = [{"group": name, "now": str(before), "then": str(after)} for name, before, after in rows]
        click.echo(options.as_json(data | {"groups": named}))
        return
    click.echo(f"the next 30 days, in {found.currency}: {'as declared':>22} {'what if':>12} {'difference':>12}")
    for name, before, after in [*rows, ("total", now, then)]:
        click.echo(f"  {name:<24} {before!s:>28} {after!s:>12} {after - before!s:>12}")
