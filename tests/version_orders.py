"""Programs that know an order of versions, and pairs of versions to ask them about."""

from __future__ import annotations

import json
import random
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

NPM = (Path("/usr/lib/node_modules/npm/node_modules/semver"), Path("/usr/share/nodejs/semver"))
"""Where the library is that npm orders versions by."""

Pair = tuple[str, str]

_APT = (
    "import apt_pkg, json, sys, time; apt_pkg.init_system(); pairs = json.load(sys.stdin); t = time.process_time();"
    "found = [apt_pkg.version_compare(a, b) for a, b in pairs];"
    "json.dump([found, time.process_time() - t], sys.stdout)"
)


def debian_pairs(rng: random.Random, count: int, real: Sequence[str] = ()) -> list[Pair]:
    """Pairs of versions: of those on this machine (or `real`), of mutants of these, and of made-up ones."""
    known = list(real) or _run(["dpkg-query", "-W", "-f", "${Version}\n"]).split()
    pairs = []
    for _ in range(count):
        one = rng.choice(known) if rng.random() < 0.7 else _made_up(rng)
        draw = rng.random()
        pairs.append((one, _mutant(rng, one) if draw < 0.6 else rng.choice(known) if draw < 0.8 else _made_up(rng)))
    return pairs


def apt(pairs: Sequence[Pair]) -> list[int]:
    """apt_pkg's answers (-1, 0, 1), none where the system's Python lacks it."""
    return apt_timed(pairs)[0]


def apt_timed(pairs: Sequence[Pair]) -> tuple[list[int], float]:
    """The same, and the CPU seconds that they took."""
    run = ["/usr/bin/python3", "-I", "-c", _APT]
    try:
        answered = subprocess.run(run, input=json.dumps(pairs), text=True, capture_output=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return [], 0.0
    values, took = json.loads(answered)
    return [(value > 0) - (value < 0) for value in values], took


def dpkg(pairs: Iterable[Pair]) -> list[int]:
    """dpkg's answers: slow, and always there."""
    return [_true(one, "gt", other) - _true(one, "lt", other) for one, other in pairs]


def sign(one: Any, other: Any) -> int:
    """-1, 0 or 1, as one key is less than the other, equal or greater."""
    return int(other < one) - int(one < other)


def _true(one: str, relation: str, other: str) -> bool:
    return subprocess.run(["dpkg", "--compare-versions", one, relation, other], check=False).returncode == 0


def _run(arguments: list[str]) -> str:
    return subprocess.run(arguments, text=True, capture_output=True, check=True).stdout


def _made_up(rng: random.Random) -> str:
    epoch = rng.choice(["", "", "", "0:", "1:", "01:"])
    upstream = rng.choice("0129") + "".join(rng.choices("0019aAzZ.+~", k=rng.randrange(8)))
    revision = "-" + "".join(rng.choices("0019az.+~", k=rng.randrange(1, 6))) if rng.random() < 0.7 else ""
    return epoch + upstream + revision


def _mutant(rng: random.Random, version: str) -> str:
    """The same with one to three characters put in, taken out or changed, where that leaves a version."""
    epoch, colon, rest = version.rpartition(":")
    upstream, dash, revision = rest.rpartition("-") if "-" in rest else (rest, "", "")
    for _ in range(rng.randrange(1, 4)):
        if dash and rng.random() < 0.6:
            revision = _changed(rng, revision)
        else:
            upstream = upstream[:1] + _changed(rng, upstream[1:])
    return epoch + colon + upstream + (f"-{revision}" if revision else "")


def _changed(rng: random.Random, text: str) -> str:
    at, new = rng.randrange(len(text) + 1), rng.choice("0019aZ.+~")
    return text[:at] + rng.choice([new, "", new]) + text[at + rng.choice([0, 1, 1]) :]
