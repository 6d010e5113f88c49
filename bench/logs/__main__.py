"""`./dev bench logs [--events N]`: the log store against VictoriaLogs; the last line is JSON.

Both get the same events over HTTP from the same number of connections, by turns (`sending`), and are asked the same
over HTTP, by turns too (`asking`): ours by `bluestone web`. What ours takes in a process that has the store open,
without HTTP, has `inside` in its name. Ours acknowledges what is on the disk, the peer what is in its memory.
What each answers is compared with a brute-force count before it is measured. Three million events take some quarter of
an hour on two quiet cores, and as long again where the peer is built first.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from bench.logs import asking, ours, peer, sending, served, truth
from bench.logs.files import Files
from bench.logs.truth import Truth

DEFAULT = 3_000_000
CACHE = Path.home() / ".cache" / "bluestone-bench"
FASTER = ("rare_word", "host_hour", "histogram", "top10", "word_count", "top10_of_errors")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="./dev bench logs")
    parser.add_argument("--events", type=int, default=DEFAULT)
    parser.add_argument("--cache", type=Path, default=CACHE, help="for the peer's program, and the events of last time")
    parser.add_argument(
        "--peer", choices=("victorialogs", "files", "none"), help="the first that can be had, if not said"
    )
    parser.add_argument("--without-shipping", action="store_true")
    asked = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="bs-logs-", dir="/var/tmp"))
    try:
        values, ratios = measure(directory, asked.events, asked.cache, _opener(asked.peer, asked.cache))
        values |= {} if asked.without_shipping else _shipping(directory)
    finally:
        shutil.rmtree(directory)
    values["load"] = os.getloadavg()[0]
    print(json.dumps({"bench": "logs", "ratios": ratios, "values": values}))


def _opener(name: str | None, cache: Path) -> Callable[[Path, Truth], peer.Peer | Files] | None:
    """What opens the peer over a directory; None for no peer."""
    program = peer.find(cache) if name in (None, "victorialogs") else None
    if program:
        return lambda directory, true: peer.Peer(program, directory, true)
    return Files if name in (None, "files") and shutil.which("zstd") else None


def measure(
    directory: Path, count: int, cache: Path, opener: Callable[[Path, Truth], peer.Peer | Files] | None
) -> tuple[dict[str, float | str], dict[str, float]]:
    """Values of ours and of the peer, and their ratios."""
    began = time.monotonic()
    events, true = truth.prepared(cache, count)
    print(
        f"{true.events} events, {true.bytes / 1e6:.0f} MB of JSON, ready in {time.monotonic() - began:.0f} s",
        flush=True,
    )
    store = ours.Ours(directory / "ours")
    other = opener(directory / "peer", true) if opener else None
    stores: list[sending.Taking] = [store, other] if other else [store]
    try:
        sending.send(events, stores)
        mine = sending.alone(stores, store, store.finish)
        print(f"ours: {mine}", flush=True)
        theirs = other.finish(true.events) if other else {}
        with (
            closing(ours.Reading(directory / "ours", true)) as inside,
            closing(served.Served(directory / "served", directory / "ours" / "store", true)) as reading,
        ):
            asked = asking.ask([inside, reading, other] if other else [inside, reading])
        mine |= {f"inside_{name}": value for name, value in asked[0].items()} | asked[1]
        mine["reading_mb"] = ours.reading_memory(directory / "ours")
        mine["store_mb"] = max(mine["receiver_mb"] + mine["sealer_mb"], mine["reading_mb"])
        print(f"ours: {mine}", flush=True)
        if other is None:
            return {"peer": "none", "events": true.events, **mine}, {}
        theirs |= asked[2] | {"store_mb": other.memory()}
    finally:
        store.stop()
        if other:
            other.stop()
    print(f"{other.name}: {theirs}", flush=True)
    ratios = {
        "ingest_vs_peer": mine["ingest_per_s"] / theirs["ingest_per_s"],
        "sealed_vs_peer": mine["sealed_per_s"] / theirs["ingest_per_s"],
        "ingest_cpu_vs_peer": theirs["ingest_cpu_s"] / mine["ingest_cpu_s"],
        "disk_vs_peer": mine["disk_mb"] / theirs["disk_mb"],
        **_faster(theirs, mine, "ms", "vs_peer", ""),
        **_faster(theirs, mine, "ms", "inside_vs_peer", "inside_"),
        **_faster(theirs, mine, "cpu_ms", "cpu_vs_peer", ""),
    }
    of_peer = {f"peer_{name}": value for name, value in theirs.items()}
    return {"peer": other.name, "events": true.events, **mine, **of_peer}, ratios


def _faster(theirs: dict[str, float], mine: dict[str, float], unit: str, called: str, way: str) -> dict[str, float]:
    """By how much ours answers faster, where both were asked."""
    both = [name for name in FASTER if f"{name}_{unit}" in theirs and mine.get(f"{way}{name}_{unit}")]
    return {f"{name}_{called}": theirs[f"{name}_{unit}"] / mine[f"{way}{name}_{unit}"] for name in both}


def _shipping(directory: Path) -> dict[str, float]:
    """What the way from a server costs, if that part is there."""
    if importlib.util.find_spec("bench.logs.shipping") is None:
        return {}
    measured: dict[str, float] = importlib.import_module("bench.logs.shipping").measure(directory)
    return measured


if __name__ == "__main__":
    main()
