"""`bluestone`: the verbs, and what a person sees when one fails."""

from __future__ import annotations

import errno
import importlib
import json
import os
import sys
from typing import Any

import click

from bluestone import __version__
from bluestone.cli.verbs import VERBS
from bluestone.model.problem import Problem, Problems


class Verbs(click.Group):
    """Finds a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The verbs, in the order in which a newcomer needs them."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """A verb by its name."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(f"bluestone.cli.{VERBS[cmd_name].module}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """The verbs in a list, by what is written down of them: loading them all takes seconds."""
        room = formatter.width - 6 - max(len(verb) for verb in VERBS)
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, click.Command(name, help=verb.help).get_short_help_str(room)) for name, verb in VERBS.items()]
            )


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="bluestone")
def bluestone() -> None:
    """Immutable servers, end to end, from one file."""


def main() -> None:
    """Run a verb.

    Exits 0 if all is well, 1 on an error, 2 when `plan`, `drift`, `where`, `exposures` or `logs check` shows some,
    3 when `where`, `exposures` or `feeds` cannot tell, 130 if interrupted.
    """
    try:
        status = bluestone.main(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(1)
    except BrokenPipeError:
        # Whoever read our output (`| head`) has seen enough. Keep Python from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (Problem, Problems) as problem:
        _show(problem)
        sys.exit(1)
    except OSError as error:
        _show(_of_system(error))
        sys.exit(1)
    except (KeyboardInterrupt, click.Abort) as interrupt:
        # click raises its own in the place of the one that says who goes on.
        said = str(interrupt) or str(interrupt.__cause__ or "")
        click.echo(f"interrupted: {said or 'what had begun was finished; run the same again to go on'}", err=True)
        sys.exit(130)
    sys.exit(status if isinstance(status, int) else 0)


def _show(problem: Problem | Problems) -> None:
    if "--json" in sys.argv:
        found = problem.problems if isinstance(problem, Problems) else (problem,)
        click.echo(json.dumps({"errors": [_as_data(each) for each in found]}))
    click.echo(str(problem), err=True)


def _of_system(error: OSError) -> Problem:
    """What the system refused, where no adapter has put it into words."""
    where = f"{error.filename}: " if error.filename else ""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    mend = "free some space, then run the same again" if full else "mend that, then run the same again"
    return Problem(f"{where}{error.strerror or error}", mend=mend, left="what had begun was finished")


def _as_data(problem: Problem) -> dict[str, Any]:
    place = problem.place
    where = {"file": place.file, "line": place.line, "key": place.key} if place else None
    return {"what": problem.what, "where": where, "mend": problem.mend, "left": problem.left}
