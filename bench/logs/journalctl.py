"""A `journalctl` that reads a file of lines, for measuring and testing shippers where no journal is."""

from __future__ import annotations

JOURNALCTL = """\
import os, sys, time
parent = os.getppid()
cursor = sys.argv[-1].partition("--cursor=")[2]
with open(JOURNAL) as journal:
    if cursor:
        for line in iter(journal.readline, ""):
            if f'"{cursor}"' in line:
                sys.stdout.write(line)
                break
    rest = ""
    while True:
        line = journal.readline()
        rest += line
        if rest.endswith("\\n"):
            sys.stdout.write(rest)
            rest = ""
        elif not line:
            sys.stdout.flush()
            if "--follow" not in sys.argv or os.getppid() != parent:
                break
            time.sleep(0.01)
"""
"""The program, but for its first line, which names the file: `JOURNAL = PATH`."""
