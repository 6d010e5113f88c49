from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bluestone.logs.ship.shipper.traces import LONGEST_WAIT, MAX_LINES, QUIET, Traces

PYTHON = """Traceback (most recent call last):
  File "/srv/app.py", line 3, in <module>
\tsell(None)
ValueError: no "price"
During handling of the above exception, another exception occurred:
Traceback (most recent call last):
  File "/srv/app.py", line 5, in <module>
shop.errors.Closed: gone"""

JAVA = """Exception in thread "main" java.lang.IllegalStateException: closed
\tat org.example.Shop.sell(Shop.java:17)
\tat org.example.Main.main(Main.java:3)
Caused by: java.io.IOException: disk
\tat org.example.Disk.write(Disk.java:9)
\t... 2 more"""


def entry(message: str, pid: int = 1, number: int = 0) -> bytes:
    return json.dumps({"__CURSOR": f"s=1;i={number:x}", "MESSAGE": message, "_PID": str(pid)}).encode()


def joined(*lines: bytes) -> list[str]:
    traces = Traces()
    for line in lines:
        traces.add(line, 0.0)
    return [json.loads(line)["MESSAGE"] for line in traces.take()]


@pytest.mark.parametrize("trace", [PYTHON, JAVA])
def test_a_trace_is_one_line_and_its_neighbours_stay(trace: str) -> None:
    lines = [entry("before"), *map(entry, trace.split("\n")), entry("after"), entry("  indented, of no trace")]
    assert joined(*lines) == ["before", trace, "after", "  indented, of no trace"]


def test_traces_of_two_programs_at_once_are_told_apart() -> None:
    mixed = [
        entry(text, pid)
        for pair in zip(PYTHON.split("\n"), JAVA.split("\n"), strict=False)
        for pid, text in enumerate(pair)
    ]
    short = "\n".join(PYTHON.split("\n")[:6])
    assert joined(*mixed, entry("other", 7)) == [short, JAVA, "other"]


def test_the_first_lines_fields_stay_and_tell_how_many_it_was() -> None:
    traces = Traces()
    for number, text in enumerate(JAVA.split("\n")):
        traces.add(entry(text, number=number), 0.0)
    (line,) = map(json.loads, traces.take())
    assert (line["__CURSOR"], line["_BLUESTONE_JOINED"]) == ("s=1;i=0", "6")


def test_only_an_open_trace_is_waited_for_and_not_for_long() -> None:
    traces = Traces()
    traces.add(entry("plain"), 10.0)
    assert traces.wait(10.0) == 0
    traces.add(entry("Traceback (most recent call last):"), 10.0)
    assert traces.wait(10.0) == pytest.approx(QUIET)
    for tick in range(100):
        traces.add(entry("  still"), 10.0 + tick / 50)
    assert traces.wait(10.0 + LONGEST_WAIT) == 0


def test_a_trace_without_end_is_cut() -> None:
    traces = Traces()
    for _ in range(3 * MAX_LINES):
        traces.add(entry("java.lang.StackOverflowError" if not len(traces) else "\tat x"), 0.0)
    longest = max(line.count(b"\\n") for line in traces.take())
    assert longest < MAX_LINES


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from([*PYTHON.split("\n"), *JAVA.split("\n"), "x", ""]), st.integers(0, 2))))
def test_no_text_is_lost_or_changes_places_within_its_program(said: list[tuple[str, int]]) -> None:
    traces = Traces()
    for text, pid in said:
        traces.add(entry(text, pid), 0.0)
    out = [json.loads(line) for line in traces.take()]
    for program in range(3):
        mine = "\n".join(line["MESSAGE"] for line in out if line["_PID"] == str(program))
        assert mine == "\n".join(text for text, pid in said if pid == program)
