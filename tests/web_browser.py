"""`bluestone web` in a process of its own, and a real Chromium before it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

from playwright.sync_api import Browser, Page, sync_playwright

from bluestone.app.users import Users
from bluestone.model.user import Role
from web_shop import declare, fill

MORNING = "/logs?since=2026-11-23T08:00:00Z&until=2026-11-23T14:00:00Z"


def installed() -> str | None:
    """Chromium, as Debian names it."""
    return shutil.which("chromium")


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser without a window. Its own sandbox needs rights that root in a container has not."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=installed(), args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


class WebProcess:
    """The made-up shop, served on a port that was free."""

    def __init__(self, directory: Path) -> None:
        from datetime import UTC, datetime

        self.directory = directory
        self.home = directory / "home"
        self.logs = self.home / "projects" / "shop" / "logs"
        self.file = declare(directory)
        fill(self.logs)
        users = Users(self.logs.parent)
        now = datetime.now(UTC)
        self.tokens = {"anna": users.add("anna", Role.OPERATOR, now), "rita": users.add("rita", Role.READER, now)}
        self._process: subprocess.Popen[str] | None = None
        self.address = self._start()

    def bluestone(self, *words: str) -> str:
        """What a verb prints."""
        command = [sys.executable, "-m", "bluestone", *words, "-f", str(self.file)]
        return subprocess.run(command, env=self._environment(), check=True, capture_output=True, text=True).stdout

    def close(self) -> None:
        """End it, as systemd would."""
        assert self._process
        self._process.terminate()
        assert self._process.wait(20) is not None

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "BLUESTONE_HOME": str(self.home), "TZ": "UTC"}

    def _start(self) -> str:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "bluestone", "web", "--listen", "127.0.0.1:0", "-f", str(self.file)],
            env=self._environment(),
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr
        said = self._process.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert found, said
        return found[0]


def log_in(page: Page, web: WebProcess, name: str, then: str = MORNING) -> None:
    """Log in, and look at a page."""
    page.goto(f"{web.address}/login?{urlencode({'next': then})}")
    page.get_by_label("Your token").fill(web.tokens[name])
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("button", name="Log out").wait_for()


def pictures(page: Page, web: WebProcess, directory: Path) -> list[Path]:
    """The pictures of the docs, by who is logged in: the search page, light; an outage looked at closely, dark."""
    made = [directory / "logs-light.png", directory / "logs-dark.png"]
    page.set_viewport_size({"width": 1200, "height": 660})
    page.emulate_media(color_scheme="light", reduced_motion="reduce")
    page.goto(web.address + MORNING)
    page.screenshot(path=made[0])
    page.emulate_media(color_scheme="dark", reduced_motion="reduce")
    page.goto(f"{web.address}/logs?since=2026-11-23T11:20:00Z&until=2026-11-23T11:50:00Z&q=refused&open=path")
    for key in ("j", "j", "Enter"):
        page.keyboard.press(key)
    page.locator(".line .fields").wait_for()
    page.screenshot(path=made[1])
    return made


def main(directory: Path) -> None:
    """Make the pictures anew."""
    import tempfile

    with tempfile.TemporaryDirectory() as place, chromium() as browser:
        web = WebProcess(Path(place))
        try:
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            log_in(page, web, "anna", "/logs/holds")
            pictures(page, web, directory)
        finally:
            web.close()


if __name__ == "__main__":
    main(Path(__file__).parents[1] / "docs" / "pictures")
