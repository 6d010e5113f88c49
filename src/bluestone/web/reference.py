"""The API's endpoints: who may ask for what, and how. `python -m bluestone.web.reference` writes their page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from bluestone.model.user import Right

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "http-api.md"


class Endpoint(Struct, frozen=True):
    """What can be asked for. `search`: it takes what narrows the lines; `more` are further parameters."""

    name: str
    method: str
    path: str
    right: Right
    says: str
    answers: str
    search: bool = False
    more: tuple[tuple[str, str], ...] = ()


LINE = '{"name", "at", "server", "group", "generation", "image", "unit", "severity", "message", "fields": {...}}'

SEARCH = (
    ("q", "A query of the [query language](query-language.md)."),
    ("target", "A group or a server, by name."),
    ("since", "From when on: `15m ago`, `2h`, `today`, or a date and time of ISO 8601. Left out: all time."),
    ("until", "Up to when, in the same words."),
    ("severity", "Only lines as severe as this or more: `error`, `warning`, `info`, ... or 0 to 7."),
)

TAIL = """\
Lines as they arrive, as server-sent events, without end. Who comes back sends the last `id` as `Last-Event-ID` and
gets all that arrived in between. It may get lines again, of a batch that broke off or when the log was sealed
meanwhile: their `name` tells. Of what was sealed meanwhile, lines that reached the store more than an hour after they
were written are left out: search for them."""

INTRODUCTION = """\
# The HTTP API

Written by `./dev docs` from the code. `bluestone web` serves it, see
[search logs in a browser](../howto/search-logs-in-a-browser.md).

Say who you are by `Authorization: Bearer TOKEN`, with a token of `bluestone users add`. Readers may *search*; operators
may *export* and *hold* as well. An error is `{"error": {"what", "mend"}}`, of a query that cannot be read with the
character `at` which that shows: 400 for what cannot be asked, 401 for nobody, 403 for what a role may not, 429 and 503
with `Retry-After`. Every read is noted: `bluestone logs reads`. Times are ISO 8601.

## What narrows the lines
"""

ENDPOINTS = (
    Endpoint(
        "search",
        "GET",
        "/api/v1/logs/search",
        Right.SEARCH,
        "A page of lines, the newest first. `older` is where the next page begins: give it as `before`.",
        f'{{"lines": [{LINE}], "older": "..." or null, "damaged": [files that could not be read]}}',
        search=True,
        more=(("size", "Lines of a page, 1 to 10000; usually 100."), ("before", "`older` of the page before.")),
    ),
    Endpoint(
        "histogram",
        "GET",
        "/api/v1/logs/histogram",
        Right.SEARCH,
        "How many lines there are over time, exactly; bars without lines are left out.",
        '{"step_seconds": 60.0, "bars": [{"at", "lines", "errors"}]}',
        search=True,
        more=(("step", "How wide a bar is: `30s`, `5m`, `1d`. Left out: so that there are at most 60."),),
    ),
    Endpoint(
        "top",
        "GET",
        "/api/v1/logs/top",
        Right.SEARCH,
        "The values of a field that most lines have, exactly.",
        '{"field", "values": [{"value", "lines"}], "distinct", "lines"}',
        search=True,
        more=(("field", "Which."), ("count", "How many values, 1 to 1000; usually 10.")),
    ),
    Endpoint(
        "fields",
        "GET",
        "/api/v1/logs/fields",
        Right.SEARCH,
        "The fields that the newest 500 lines have, and how many of these have each.",
        '{"fields": [{"name", "lines"}], "sample": 500}',
        search=True,
    ),
    Endpoint(
        "line",
        "GET",
        "/api/v1/logs/lines/{name}",
        Right.SEARCH,
        "A line by its name, which stays as long as the line does.",
        f'{{"line": {LINE}, "before": [lines of the same server], "after": [...]}}',
        more=(("around", "How many lines before it, and after it, 0 to 500; usually 0."),),
    ),
    Endpoint(
        "tail",
        "GET",
        "/api/v1/logs/tail",
        Right.SEARCH,
        TAIL,
        f"`data: {LINE}` for a line; `event: alive` every 15 s without one; `event: trouble` before it ends",
        search=True,
        more=(("after", "As `Last-Event-ID`, for who cannot set a header."),),
    ),
    Endpoint(
        "download",
        "GET",
        "/api/v1/logs/download",
        Right.EXPORT,
        "The lines of a search, the oldest first.",
        "a line of JSON per line, or text as `bluestone logs` prints it",
        search=True,
        more=(("format", "`ndjson` or `text`."), ("most", "How many lines, 1 to 1000000; usually 1000000.")),
    ),
    Endpoint(
        "holds",
        "GET",
        "/api/v1/logs/holds",
        Right.SEARCH,
        "Groups and servers whose lines are kept whatever the rules say.",
        '[{"target", "reason", "since"}]',
    ),
    Endpoint(
        "hold",
        "POST",
        "/api/v1/logs/holds",
        Right.HOLD,
        "Keep the lines of a group or server, by a form with `target` and `reason`.",
        '201: {"held": target}',
    ),
    Endpoint(
        "release",
        "DELETE",
        "/api/v1/logs/holds/{target}",
        Right.HOLD,
        "Have the rules again for lines that were held.",
        "204",
    ),
    Endpoint(
        "fleet",
        "GET",
        "/api/v1/fleet",
        Right.SEARCH,
        "Groups and servers now.",
        "as `bluestone status --json`, without the daemon",
    ),
    Endpoint("whoami", "GET", "/api/v1/whoami", Right.SEARCH, "Who you are.", '{"name", "role"}'),
)


def reference() -> str:
    """The page."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield INTRODUCTION
    yield from _parameters(SEARCH)
    for each in ENDPOINTS:
        yield from ("", f"## {each.method} {each.path}", "", f"{each.says} *Right: {each.right}.*", "")
        if each.search:
            yield "Takes what narrows the lines" + ("; and:" if each.more else ".")
            yield ""
        if each.more:
            yield from _parameters(each.more)
            yield ""
        yield f"Answer: {each.answers if each.answers.startswith('`') or '`' in each.answers else f'`{each.answers}`'}"


def _parameters(parameters: tuple[tuple[str, str], ...]) -> Iterator[str]:
    yield "| parameter | |"
    yield "|---|---|"
    for name, says in parameters:
        yield f"| `{name}` | {says} |"


if __name__ == "__main__":
    PAGE.write_text(reference())
