"""bluestone's command line in this very process: starting another for each command takes longer than most commands."""

from __future__ import annotations

import os
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from unittest.mock import patch

from bluestone.cli.main import main


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    returncode: int
    stdout: str
    stderr: str


def bluestone(directory: Path, home: Path, *arguments: str) -> Ended:
    """Run a verb in a directory, with a home of its own. What a person would see as a traceback is raised."""
    out, err, code = StringIO(), StringIO(), 0
    with (
        chdir(directory),
        patch.dict(os.environ, {"BLUESTONE_HOME": str(home)}),
        patch.object(sys, "argv", ["bluestone", *arguments]),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            assert isinstance(ended.code, int)
            code = ended.code
    return Ended(code, out.getvalue(), err.getvalue())
