"""`simulate`: a declaration against faults."""

from __future__ import annotations

from pathlib import Path

import click

from bluestone.app.project import FILE, Project
from bluestone.cli import options
from bluestone.cli.options import json_option, table

FEW, COLUMNS = 100, 60


@click.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=FILE)
@click.option(
    "--faults",
    default="all",
    show_default=True,
    help="Kinds, with commas between: slow, lost, twice, stale, partial, blind, held, die, flap, lie, drift, broken, "
    "quota, zone, down, crash, forget, kill, two; `none`; or `all` but broken.",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first history.")
@click.option("--histories", type=click.IntRange(1, 1_000_000), default=FEW, show_default=True, help="How many.")
@click.option("--picture", type=click.Path(path_type=Path, dir_okay=False), help="Write capacity over time as an SVG.")
@json_option
def simulate(file: Path, faults: str, seed: int, histories: int, picture: Path | None, as_json: bool) -> int:
    """Try the declaration FILE against faults, on virtual time: nothing real is touched.

    Each history replaces all servers once while things go wrong, with the same controller that `up` is. Exits 1 if
    something did not hold that always must; the same seed and faults give the same history again.
    """
    from bluestone.app.fleet.simulate import simulate as try_out
    from bluestone.host.files import write_atomically
    from bluestone.simulation.picture import sparkline, svg

    kinds = [kind.strip() for kind in faults.split(",") if kind.strip() not in ("", "none")]
    found = try_out(Project.open(file), kinds, seed, histories)
    caption = f"{found.histories} histories from seed {seed}, faults: {', '.join(found.faults) or 'none'}"
    if picture is not None:
        write_atomically(picture, svg(found.panels, caption).encode())
    if as_json:
        click.echo(options.as_json(found))
        return 1 if found.broken else 0
    click.echo(caption)
    rows = [
        (g.name, g.strategy, g.count, f"{g.lowest} (floor {g.floor})", f"{g.highest} (cap {g.cap})", _below(g.below))
        for g in found.groups
    ]
    click.echo(table(("GROUP", "STRATEGY", "COUNT", "LOWEST SERVING", "MOST EXISTING", "BELOW THE FLOOR"), rows))
    for panel in found.panels:
        every = max(1, len(panel.serving) // COLUMNS)
        values = [min(panel.serving[i : i + every]) for i in range(0, len(panel.serving), every)]
        click.echo(f"{sparkline(values, max(panel.existing))}  {panel.title}, {panel.seconds:.0f} s")
    ended = ", ".join(f"{number} {state}" for state, number in sorted(found.states.items()))
    click.echo(
        f"a rollout takes {found.took[0]:g} s (median), {found.took[1]:g} s at most; {ended}; {found.kills} kills"
    )
    for broken in found.broken:
        again = f"bluestone simulate {file} --faults {faults} --seed {broken.seed} --histories 1"
        click.echo(f"broken: {broken.what}\n  again: {again}")
    if not found.broken:
        click.echo("violations: none. What was below a floor was taken by the faults, never by a rollout.")
    if picture is not None:
        click.echo(f"picture: {picture}")
    return 1 if found.broken else 0


def _below(seconds: float) -> str:
    return f"{seconds:g} s at worst" if seconds else "never"
