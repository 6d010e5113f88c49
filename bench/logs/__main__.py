"""`./dev bench logs [--events N] [--keep DIRECTORY]`: the log store against VictoriaLogs; the last line is JSON.

Both get the same events over HTTP from the same number of connections, and are asked the same. What each answers is
compared with a brute-force count before it is measured.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import tempfile
from pathlib import Path

from bench.logs import ours, peer, truth

DEFAULT = 3_000_000
FASTER = ("rare_word", "host_hour", "histogram", "top10", "word_count", "top10_of_errors")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench logs")
    parser.add_argument("--events", type=int, default=DEFAULT)
    parser.add_argument("--cache", type=Path, default=Path.home() / ".cache" / "bluestone-bench", help="for the peer")
    parser.add_argument("--without-peer", action="store_true")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="bs-logs-", dir="/var/tmp"))
    try:
        values, ratios = measure(directory, asked.events, None if asked.without_peer else peer.find(asked.cache))
        values |= _shipping(directory)
    finally:
        shutil.rmtree(directory)
    values["load"] = os.getloadavg()[0]
    named = {"peer": f"VictoriaLogs {peer.VERSION}" if ratios else "none", **values}
    print(json.dumps({"bench": "logs", "ratios": ratios, "values": named}))


def measure(directory: Path, count: int, program: Path | None) -> tuple[dict[str, float], dict[str, float]]:
    """Values of ours and of the peer, and their ratios."""
    events = directory / "events"
    true = truth.write(events, count)
    print(f"{true.events} events, {true.bytes / 1e6:.0f} MB of JSON", flush=True)
    mine = ours.ingest(directory / "ours", events)
    print(f"ours: {mine}", flush=True)
    mine |= ours.ask(directory / "ours", true)
    mine["reading_mb"] = ours.reading_memory(directory / "ours")
    mine["store_mb"] = max(mine["receiver_mb"] + mine["sealer_mb"], mine["reading_mb"])
    print(f"ours: {mine}", flush=True)
    if program is None:
        return mine, {}
    other = peer.Peer(program, directory / "peer")
    try:
        theirs = other.ingest(events)
        print(f"peer: {theirs}", flush=True)
        theirs |= other.ask(true) | {"store_mb": other.memory()}
    finally:
        other.stop()
    print(f"peer: {theirs}", flush=True)
    ratios = {
        "ingest_vs_peer": mine["ingest_per_s"] / theirs["ingest_per_s"],
        "sealed_vs_peer": mine["sealed_per_s"] / theirs["ingest_per_s"],
        "ingest_cpu_vs_peer": theirs["ingest_cpu_s"] / mine["ingest_cpu_s"],
        "disk_vs_peer": mine["disk_mb"] / theirs["disk_mb"],
        **{f"{name}_vs_peer": theirs[f"{name}_ms"] / mine[f"{name}_ms"] for name in FASTER},
    }
    return mine | {f"peer_{name}": value for name, value in theirs.items()}, ratios


def _shipping(directory: Path) -> dict[str, float]:
    """What the way from a server costs, if that part is there."""
    if importlib.util.find_spec("bench.logs.shipping") is None:
        return {}
    measured: dict[str, float] = importlib.import_module("bench.logs.shipping").measure(directory)
    return measured


if __name__ == "__main__":
    main()
