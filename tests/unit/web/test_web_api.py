"""The API over a real store."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime

import pytest

from bluestone.app.logs.reads import reads
from bluestone.web.reference import ENDPOINTS, PAGE, reference
from web_client import Client
from web_served import Served
from web_shop import Shop

API = "/api/v1/logs"


def pages(client: Client, **parameters: str) -> list[str]:
    """The names of all lines, page after page."""
    found: list[str] = []
    before = ""
    while before is not None:
        answer = client.get(f"{API}/search", **parameters, **({"before": before} if before else {})).json
        found += [line["name"] for line in answer["lines"]]
        before = answer["older"]
    return found


def test_pages_hold_each_line_once_the_newest_first(shop: Served) -> None:
    client = shop.client("rita")
    hour = {"since": "2026-11-23T11:00:00Z", "until": "2026-11-23T12:00:00Z"}
    whole = client.get(f"{API}/search", size="10000", **hour).json
    assert whole["older"] is None
    names = [line["name"] for line in whole["lines"]]
    assert len(names) == len(set(names)) == 806
    assert [line["at"] for line in whole["lines"]] == sorted((line["at"] for line in whole["lines"]), reverse=True)
    assert pages(client, size="300", **hour) == names
    some = client.get(f"{API}/search", q="refused", target="web", since="2026-11-23T11:00:00Z", size="5").json
    assert all("refused" in line["message"] for line in some["lines"])


def test_lines_of_one_instant_are_not_lost_between_pages(fresh: Served) -> None:
    shop = Shop(fresh.project.logs)
    at = datetime(2026, 11, 23, 8, tzinfo=UTC)
    shop.write("web-1", *({"MESSAGE": f"line {number}"} for number in range(25)), at=at)
    shop.write("web-2", {"MESSAGE": "older"}, at=at.replace(hour=7))
    shop.close()
    names = pages(fresh.client("rita"), size="4")
    assert len(names) == len(set(names)) == 26


def test_counts_are_those_of_the_lines(shop: Served) -> None:
    client = shop.client("rita")
    bars = client.get(f"{API}/histogram", q="refused").json["bars"]
    assert sum(bar["lines"] for bar in bars) == sum(bar["errors"] for bar in bars) == 245
    assert client.get(f"{API}/histogram", step="1h").json["step_seconds"] == 3600
    top = client.get(f"{API}/top", field="status", count="1").json
    assert top["distinct"] == 2
    assert top["values"][0]["value"] == "200"
    fields = {field["name"] for field in client.get(f"{API}/fields").json["fields"]}
    assert {"severity", "server", "status", "path"} <= fields


def test_a_line_is_found_by_its_name_with_what_is_around(shop: Served) -> None:
    client = shop.client("rita")
    line = client.get(f"{API}/search", q="refused", size="1").json["lines"][0]
    seen = client.get(f"{API}/lines/{line['name']}", around="3").json
    assert seen["line"] == line
    around = [*seen["before"], seen["line"], *seen["after"]]
    assert len(around) == 7
    assert {each["server"] for each in around} == {line["server"]}
    assert [each["at"] for each in around] == sorted(each["at"] for each in around)
    missing = client.get(f"{API}/lines/{line['name'][:-1]}{'0' if line['name'][-1] != '0' else '1'}")
    assert missing.status == 400
    assert "not in the store" in missing.json["error"]["what"]


def test_operators_take_lines_away_and_readers_do_not(shop: Served) -> None:
    lines = shop.client("anna").get(f"{API}/download", q="refused")
    assert lines.headers["content-disposition"] == 'attachment; filename="shop-logs.ndjson"'
    assert len([json.loads(line) for line in lines.text.splitlines()]) == 245
    text = shop.client("anna").get(f"{API}/download", format="text", most="10000", q="unit:nginx.service").text
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(shop.client("anna").get(f"{API}/download", most="7").text.splitlines()) == 7
    refused = shop.client("rita").get(f"{API}/download")
    assert refused.status == 403
    assert "reader" in refused.json["error"]["what"]


def test_holds_are_for_operators(shop: Served) -> None:
    anna, rita = shop.client("anna"), shop.client("rita")
    assert rita.post(f"{API}/holds", target="web", reason="case 17").status == 403
    assert anna.post(f"{API}/holds", target="web").json["error"]["mend"]
    assert anna.post(f"{API}/holds", target="web", reason="case 17").status == 201
    assert [hold["target"] for hold in rita.get(f"{API}/holds").json] == ["web"]
    assert rita.delete(f"{API}/holds/web").status == 403
    assert anna.delete(f"{API}/holds/web").status == 204
    assert rita.get(f"{API}/holds").json == []


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("search", {"q": "(a"}),
        ("search", {"q": "x" * 5000}),
        ("search", {"since": "the day before"}),
        ("search", {"size": "1000000"}),
        ("search", {"before": "1.2.3"}),
        ("search", {"target": "nobody"}),
        ("search", {"severity": "loud"}),
        ("top", {"field": 'a" OR "b'}),
        ("top", {}),
        ("histogram", {"step": "1ms"}),
        ("lines/../../etc/passwd", {}),
        ("tail", {"after": "x"}),
        ("download", {"format": "exe"}),
    ],
)
def test_what_cannot_be_asked_is_explained(shop: Served, path: str, parameters: dict[str, str]) -> None:
    answer = shop.client("anna").get(f"{API}/{path}", **parameters)
    if "passwd" in path:
        assert answer.status == 404
        return
    assert answer.status == 400
    assert answer.json["error"]["what"]
    assert answer.json["error"]["mend"]


def test_a_query_error_says_where(shop: Served) -> None:
    assert shop.client("rita").get(f"{API}/search", q="error AND (a").json["error"]["at"] == 12


def test_nobody_reads_without_a_good_token(shop: Served) -> None:
    for each in ENDPOINTS:
        if each.method == "GET":
            assert shop.client().get(each.path.replace("{name}", "x")).status == 401, each.path
    assert Client(shop.app, "x" * 43, address="10.9.9.9").get(f"{API}/search").status == 401


def test_who_guesses_is_slowed_down(fresh: Served) -> None:
    guesser = Client(fresh.app, "wrong", address="10.1.1.1")
    answers = [guesser.get(f"{API}/search") for _ in range(7)]
    assert [answer.status for answer in answers] == [401] * 5 + [429] * 2
    assert int(answers[-1].headers["retry-after"]) >= 1
    # Nor is a good token taken from there while it must wait; from elsewhere it is.
    assert Client(fresh.app, fresh.tokens["rita"], address="10.1.1.1").get("/api/v1/whoami").status == 429
    assert fresh.client("rita").get("/api/v1/whoami").json == {"name": "rita", "role": "reader"}


def test_all_reads_are_noted(fresh: Served) -> None:
    shop = Shop(fresh.project.logs)
    shop.write("web-1", {"MESSAGE": "one"}, {"MESSAGE": "two"})
    shop.close()
    anna = fresh.client("anna")
    name = anna.get(f"{API}/search", q="one").json["lines"][0]["name"]
    anna.get(f"{API}/lines/{name}")
    anna.get(f"{API}/download")
    fresh.client("rita").stream(f"{API}/tail", lambda body: b"alive" in body)
    noted = [(read.who, read.what, read.lines) for read in reads(fresh.project).reads]
    assert noted == [
        ("anna", "search", 1),
        ("anna", "line", 1),
        ("anna", "download", None),
        ("anna", "download ended", 2),
        ("rita", "tail", None),
        ("rita", "tail ended", 0),
    ]
    # Where it cannot be noted, nothing is shown.
    (fresh.project.state / "reads" / "reads.ndjson").write_text("nonsense\n")
    assert anna.get(f"{API}/search").status == 400
    assert b"one" not in anna.get(f"{API}/search").body


def test_a_tail_goes_on_where_it_was_also_when_the_log_was_sealed(fresh: Served) -> None:
    shop = Shop(fresh.project.logs)
    shop.write("web-1", {"MESSAGE": "before"})
    client = fresh.client("rita")

    def messages(body: bytes) -> list[str]:
        said = [json.loads(data) for data in re.findall(rb"^data: (.+)$", body, re.MULTILINE)]
        return [line["message"] for line in said if line]

    def position(body: bytes) -> str:
        found: list[bytes] = re.findall(rb"^id: (.+)$", body, re.MULTILINE)
        return found[-1].decode()

    first = client.stream(f"{API}/tail", lambda body: b"alive" in body)
    assert messages(first) == []
    shop.write("web-1", {"MESSAGE": "one"}, {"MESSAGE": "two"})
    second = client.stream(f"{API}/tail?after={position(first)}", lambda body: b"two" in body)
    assert messages(second) == ["one", "two"]
    shop.write("web-2", {"MESSAGE": "three"})
    third = client.stream(f"{API}/tail", lambda body: b"three" in body, {"Last-Event-ID": position(second)})
    assert messages(third) == ["three"]
    shop.write("web-2", {"MESSAGE": "four"})
    shop.seal()
    shop.write("web-2", {"MESSAGE": "five"})
    shop.close()
    last = client.stream(f"{API}/tail", lambda body: b"five" in body, {"Last-Event-ID": position(third)})
    assert {"four", "five"} <= set(messages(last))
    assert messages(last).count("four") == messages(last).count("five") == 1


def test_a_user_who_is_removed_reads_no_further(fresh: Served) -> None:
    client = fresh.client("rita")

    def remove(body: bytes) -> bool:
        if b"alive" in body and fresh.users.named("rita"):
            fresh.users.remove("rita")
        return False

    client.stream(f"{API}/tail", remove)  # it ends by itself
    assert client.get("/api/v1/whoami").status == 401


def test_the_page_about_it_is_up_to_date() -> None:
    assert PAGE.read_text() == reference()
