"""The pages without a script, over a real store."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest

from web_client import Client
from web_served import Served, serve
from web_shop import HOSTILE, Shop


class Page(HTMLParser):
    """What a browser would make of it: elements, and their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.said = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.said += data

    def all(self, tag: str, **attributes: str) -> list[dict[str, str]]:
        return [have for name, have in self.tags if name == tag and attributes.items() <= have.items()]


def logged_in(served: Served, name: str) -> Client:
    client = served.client()
    answer = client.post("/login", token=served.tokens[name], next="/logs")
    assert (answer.status, answer.headers["location"]) == (303, "/logs")
    return client


def form_token(page: Page) -> str:
    return page.all("input", name="form_token")[0]["value"]


@pytest.fixture(scope="module")
def anna(shop: Served) -> Client:
    return logged_in(shop, "anna")


def test_the_search_page_shows_lines_counts_and_fields(anna: Client) -> None:
    page = Page(anna.get("/logs", q="refused", since="", open="path").text)
    assert "245" in page.said
    lines = [have for _, have in page.tags if "data-name" in have]
    assert len(lines) == 100
    assert page.all("a", id="older")
    assert page.all("rect", **{"class": "bad"})
    narrowed = [have["href"] for have in page.all("a", **{"class": "value"}) if "path" in have["href"]]
    only = Page(anna.get("/logs", **_parameters(narrowed[0])).text)
    assert re.search(r"\b\d\d lines", only.said.replace("\n", " "))
    older = Page(anna.get("/logs", **_parameters(page.all("a", id="older")[0]["href"])).text)
    assert {line["data-name"] for line in lines}.isdisjoint(
        have["data-name"] for _, have in older.tags if "data-name" in have
    )


def test_what_a_line_says_is_text_and_nothing_else(anna: Client) -> None:
    answers = [anna.get("/logs", q="unit:nginx.service", since="", open="agent")]
    page = Page(answers[0].text)
    place = page.all("a", **{"class": "at"})[0]["href"]
    answers += [anna.get(place), anna.get(place, part="fields")]
    for answer in answers:
        page = Page(answer.text)
        assert [have["src"] for have in page.all("script")] in ([], ["/static/page.js"])
        assert not page.all("svg", onload="alert(2)")
        assert all(have["src"] == "/static/icon.svg" for have in page.all("img"))
        assert not any(name.startswith("on") or name == "style" for _, have in page.tags for name in have)
        assert "<script>document.title" in page.said
        assert not any(hidden in answer.text for hidden in ("\u202e", "\x1b"))
    assert HOSTILE not in answers[0].text


def test_what_an_address_says_is_text_too(anna: Client) -> None:
    text = """'"><script>alert(1)</script><input autofocus onfocus=alert(1) """
    for name in ("q", "since", "until", "target", "severity", "open", "before"):
        page = Page(anna.get("/logs", **{"since": "", "size": "1", name: text}).text)
        assert len(page.all("script")) == 1
        assert not any(attribute.startswith("on") for _, have in page.tags for attribute in have)


def test_a_query_error_is_shown_at_its_place(anna: Client) -> None:
    answer = anna.get("/logs", q="error AND )x", since="")
    assert answer.status == 400
    assert "error AND <mark>)</mark>x" in answer.text
    assert Page(answer.text).all("input", id="q", value="error AND )x")


def test_pages_allow_no_script_but_their_own(anna: Client) -> None:
    for path in ("/logs", "/logs/holds", "/login", "/nowhere"):
        headers = anna.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"


def test_a_permalink_says_the_same_later(shop: Served) -> None:
    client = logged_in(shop, "rita")
    page = Page(client.get("/logs", q="refused", since="2026-11-23 11:00", until="2026-11-23 12:00").text)
    links = [have["href"] for have in page.all("a") if have.get("title", "").startswith("This search at the moments")]
    parameters = _parameters(links[0])
    assert parameters["q"] == "refused"
    assert re.match(r"2026-11-23T11:00:00[+-]", parameters["since"])
    assert re.match(r"2026-11-23T12:00:00[+-]", parameters["until"])


def test_nobody_gets_to_the_login_and_then_where_they_wanted(shop: Served) -> None:
    client = shop.client()
    answer = client.get("/logs", q="refused", since="")
    assert answer.status == 303
    login = client.get("/login", **_parameters(answer.headers["location"]))
    following = Page(login.text).all("input", name="next")[0]["value"]
    assert (
        client.post("/login", token=shop.tokens["rita"], next=following).headers["location"] == "/logs?q=refused&since="
    )
    assert client.post("/login", token="wrong").status == 401
    assert client.post("/login", {"origin": "https://evil.example"}, token=shop.tokens["rita"]).status == 403


def test_cookies_are_out_of_reach_of_scripts_and_other_sites(tmp_path: Path) -> None:
    for secure in (False, True):
        (tmp_path / str(secure)).mkdir()
        served = serve(tmp_path / str(secure), secure=secure)
        cookie = served.client().post("/login", token=served.tokens["rita"]).headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert ("secure" in cookie) == cookie.startswith("__host-") == secure


def test_forms_of_other_sites_change_nothing(fresh: Served) -> None:
    shop = Shop(fresh.project.logs)
    shop.write("web-1", {"MESSAGE": "one"})
    shop.close()
    client = logged_in(fresh, "anna")
    token = form_token(Page(client.get("/logs/holds").text))
    hold = {"target": "web", "reason": "case 17", "do": "hold"}
    assert client.post("/logs/holds", **hold).status == 403
    assert client.post("/logs/holds", **hold, form_token="x").status == 403
    assert client.post("/logs/holds", {"origin": "https://evil.example"}, **hold, form_token=token).status == 403
    assert client.post("/logs/holds", **hold, form_token=token).status == 303
    assert "case 17" in client.get("/logs/holds").text
    assert client.post("/logs/holds", target="web", do="release", form_token=token).status == 303
    assert "Nothing is held" in client.get("/logs/holds").text
    assert client.post("/logout", form_token=token).status == 303
    assert client.get("/logs").status == 303


def test_a_reader_sees_no_way_to_take_lines_away(shop: Served) -> None:
    client = logged_in(shop, "rita")
    page = client.get("/logs", since="").text
    assert "download" not in page
    token = form_token(Page(client.get("/logs/holds").text))
    refused = client.post("/logs/holds", target="web", reason="x", form_token=token)
    assert refused.status == 403
    assert "a reader may not hold" in Page(refused.text).said


def test_a_new_token_or_role_ends_what_was_logged_in(fresh: Served) -> None:
    client = logged_in(fresh, "rita")
    assert client.get("/logs").status == 200
    fresh.users.rotate("rita", datetime.now(UTC))
    assert client.get("/logs").status == 303


def test_without_users_an_address_lets_in_once(tmp_path: Path) -> None:
    served = serve(tmp_path, users=False)
    assert served.gate.one_time
    key = served.gate.one_time.key
    client = served.client()
    assert client.get("/login", key=key).status == 303
    assert client.get("/logs").status == 200
    assert served.client().get("/login", key=key).status == 401
    assert client.get("/logs/holds").text.count("operator") >= 1


def test_themes_are_remembered(shop: Served) -> None:
    client = logged_in(shop, "rita")
    token = form_token(Page(client.get("/logs/holds").text))
    session = client.cookie
    client.post("/theme", theme="dark", next="/logs/holds", form_token=token)
    client.cookie = f"{session}; {client.cookie}"
    assert Page(client.get("/logs/holds").text).all("html", **{"data-theme": "dark"})


def _parameters(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))
