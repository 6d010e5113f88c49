"""The pages of `bluestone web` in a real Chromium, served by a process of its own."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from web_browser import MORNING, WebProcess, chromium, installed, log_in, pictures
from web_shop import Shop

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, StorageState

pytestmark = pytest.mark.e2e


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if installed() is None:
        pytest.skip("chromium is not installed")
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebProcess]:
    process = WebProcess(tmp_path_factory.mktemp("web"))
    yield process
    process.close()


@pytest.fixture(scope="module")
def session(browser: Browser, web: WebProcess) -> StorageState:
    """The operator's cookies."""
    context = browser.new_context()
    log_in(context.new_page(), web, "anna", "/logs/holds")
    state = context.storage_state()
    context.close()
    return state


@pytest.fixture
def page(browser: Browser, session: StorageState) -> Iterator[Page]:
    """The operator's page; whatever a script or the policy objects to fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 800}, storage_state=session)
    found = context.new_page()
    found.set_default_timeout(10_000)
    wrong: list[str] = []
    found.on("pageerror", lambda error: wrong.append(str(error)))
    found.on("dialog", lambda dialog: wrong.append(dialog.message))  # and there it stays
    found.on("console", lambda said: wrong.extend([said.text] if "Content Security Policy" in said.text else []))
    yield found
    context.close()
    assert wrong == []


def total(page: Page) -> int:
    return int(re.sub(r"\D", "", page.locator("#total").inner_text()))


def test_searching_dragging_and_what_an_error_shows(page: Page, web: WebProcess) -> None:
    page.goto(web.address + MORNING)
    assert total(page) == 3261
    page.keyboard.press("/")
    page.keyboard.type("refused AND status:503")
    page.keyboard.press("Enter")
    page.wait_for_url("**q=refused*")
    assert total(page) == 245
    page.locator(".facet .value", has_text="web-1-3a1f-7").click()
    page.wait_for_url("**server*")
    assert 0 < total(page) < 245
    page.goto(web.address + MORNING)
    box = page.locator("#plot").bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + 40, steps=4)
    page.locator("#selection").wait_for()
    page.mouse.move(box["x"] + box["width"] * 0.75, box["y"] + 40, steps=4)
    page.mouse.up()
    page.wait_for_url("**until=2026-11-23T12*")
    assert "since=2026-11-23T11" in page.url
    assert 600 < total(page) < 1200
    page.get_by_role("searchbox").fill("error AND )x")
    with page.expect_navigation():
        page.get_by_role("button", name="Search").click()
    assert page.locator(".place mark").inner_text() == ")"
    assert page.get_by_role("searchbox").input_value() == "error AND )x"


def test_keys_unfold_a_line_and_lead_to_what_is_around_it(page: Page, web: WebProcess) -> None:
    page.goto(web.address + MORNING + "&size=20")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    chosen = page.locator(".line.current")
    name = chosen.get_attribute("data-name")
    page.keyboard.press("Enter")
    assert "shop.service" in chosen.locator(".fields").inner_text()
    page.keyboard.press("Escape")
    chosen.locator(".fields").wait_for(state="detached")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="hidden")
    page.keyboard.press("c")
    page.wait_for_url(f"**/logs/lines/{name}")
    assert page.locator(".line.hit").get_attribute("data-name") == name
    assert page.locator(".line").count() > 10


def test_a_paused_tail_loses_nothing_though_the_log_is_sealed(page: Page, web: WebProcess) -> None:
    page.goto(f"{web.address}/logs?q=tail&since=15m+ago")
    shop = Shop(web.logs)
    # What comes after the page was made, and before the tail begins, is not left out.
    shop.write("web-1-3a1f-7", {"MESSAGE": "tail 0"})
    page.keyboard.press("l")
    page.locator(".line", has_text=re.compile(r"tail 0$")).wait_for()
    page.keyboard.press("p")
    for batch in range(3):
        shop.write("web-1-3a1f-7", *({"MESSAGE": f"tail {batch * 100 + number}"} for number in range(1, 101)))
        if batch == 1:
            shop.seal()
    page.get_by_text("Paused: 300 lines wait").wait_for()
    assert page.locator(".line").count() == 1
    page.keyboard.press("p")
    page.locator(".line", has_text=re.compile(r"tail 300$")).wait_for()
    shop.write("worker-1-9bc2-4", {"MESSAGE": "tail <b>301</b>", "PRIORITY": "3"})
    shop.close()
    page.locator(".line.s3", has_text="tail <b>301</b>").wait_for()
    shown = page.locator(".line .message").all_inner_texts()
    assert len(shown) == len(set(shown)) == 302
    page.keyboard.press("l")
    assert page.get_by_role("button", name="Live").get_attribute("aria-pressed") == "false"


def test_hostile_lines_stay_text(page: Page, web: WebProcess) -> None:
    page.goto(web.address + MORNING + "&q=unit:nginx.service&open=agent")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.locator(".line .fields").wait_for()
    assert page.title() == "Logs · shop"
    assert page.locator("main img, main svg[onload], main script").count() == 0


def test_downloads_are_for_operators(page: Page, browser: Browser, web: WebProcess, tmp_path: Path) -> None:
    page.goto(web.address + MORNING + "&q=refused&size=5")
    with page.expect_download() as waited:
        page.get_by_role("link", name="Download NDJSON").click()
    waited.value.save_as(tmp_path / "lines")
    assert len([json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]) == 245
    context = browser.new_context()
    reader = context.new_page()
    log_in(reader, web, "rita", MORNING + "&size=5")
    assert reader.get_by_role("link", name="Download NDJSON").count() == 0
    refused = reader.goto(f"{web.address}/api/v1/logs/download")
    assert refused
    assert refused.status == 403
    context.close()
    said = web.bluestone("logs", "reads")
    assert re.search(r"anna \(operator\)\s+download ended\s+245", said)
    assert re.search(r"rita \(reader\)\s+search", said)


def test_without_a_script_all_but_tail_and_drag_works(browser: Browser, web: WebProcess) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(10_000)
    log_in(page, web, "rita", MORNING + "&size=5")
    with page.expect_navigation():
        page.get_by_role("button", name="Dark").click()
    assert page.locator("html").get_attribute("data-theme") == "dark"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 18, 24)"
    page.get_by_role("searchbox").fill("refused")
    with page.expect_navigation():
        page.get_by_role("searchbox").press("Enter")
    assert total(page) == 245
    assert not page.locator("#live").is_visible()
    page.locator("#plot a").nth(5).click(force=True)
    page.wait_for_url("**until=2026-11-23T1*")
    assert total(page) < 245
    page.locator(".line .at").first.click()
    page.locator(".fields").wait_for()
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/login")
    context.close()


def test_the_pictures_of_the_docs(page: Page, web: WebProcess, tmp_path: Path) -> None:
    for path in pictures(page, web, tmp_path):
        assert 20_000 < path.stat().st_size < 200_000
