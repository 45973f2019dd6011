"""The page for people, in a real browser that is driven by the DevTools protocol."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from websockets.sync.client import ClientConnection, connect

from conftest import missing
from services import Service


class Browser:
    """A page of headless Chromium.

    Attributes:
        events: All that it has told, in order.
    """

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._numbers = itertools.count(1)
        self.events: list[dict[str, Any]] = []
        for domain in ("Page", "Network", "Log", "Runtime"):
            self.do(f"{domain}.enable")

    def do(self, method: str, **parameters: Any) -> Any:
        """Calls a method of the protocol."""
        number = next(self._numbers)
        self._connection.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            said = json.loads(self._connection.recv(timeout=30))
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]
            self.events.append(said)

    def value(self, expression: str) -> Any:
        """What an expression is in the page."""
        got = self.do("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, got
        return got["result"].get("value")

    def until(self, expression: str) -> Any:
        """Waits until an expression is true in the page."""
        end = time.monotonic() + 30
        while not (value := self.value(expression)):
            assert time.monotonic() < end, (expression, self.value("document.body.innerText"))
            time.sleep(0.05)
        return value

    def go(self, url: str) -> None:
        self.do("Page.navigate", url=url)
        self.until(f"location.href == {json.dumps(url)} && document.readyState == 'complete'")

    def click(self, selector: str) -> None:
        """Presses the mouse in the middle of an element."""
        place = self.value(
            f"(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('{selector}').getBoundingClientRect())"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.do("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def complaints(self) -> list[str]:
        """Errors of the console and of the page's code."""
        self.value("1")
        wrong = [each for each in self.events if each["method"] == "Runtime.exceptionThrown"]
        logged = [each["params"]["entry"] for each in self.events if each["method"] == "Log.entryAdded"]
        called = [each["params"] for each in self.events if each["method"] == "Runtime.consoleAPICalled"]
        wrong += [each for each in logged if each["level"] in ("error", "warning")]
        wrong += [each for each in called if each["type"] in ("error", "warning", "assert")]
        return [json.dumps(each) for each in wrong]

    def hosts(self) -> set[str]:
        """Where its requests went."""
        asked = [
            each["params"]["request"]["url"] for each in self.events if each["method"] == "Network.requestWillBeSent"
        ]
        return {urlsplit(url).netloc for url in asked if not url.startswith("data:")}


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    keys = folder / "keys.txt"
    keys.write_text("browser 0123456789abcdef\n")
    keys.chmod(0o600)
    with Service(folder, bundle, "--api-keys", keys) as running:
        yield running


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        missing("chromium is not installed")
    root = ("--no-sandbox",) if hasattr(os, "geteuid") and os.geteuid() == 0 else ()
    quiet = ("--disable-background-networking", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage")
    profile = tmp_path / "profile"
    command = [program, "--headless=new", "--remote-debugging-port=0", f"--user-data-dir={profile}", *quiet, *root]
    with (tmp_path / "chromium.txt").open("wb") as log:
        process = subprocess.Popen([*command, "about:blank"], stdout=log, stderr=log)
    try:
        told = profile / "DevToolsActivePort"
        end = time.monotonic() + 60
        while not told.exists() or "\n" not in told.read_text():
            assert process.poll() is None and time.monotonic() < end, (tmp_path / "chromium.txt").read_text()
            time.sleep(0.05)
        port, path = told.read_text().split()
        with connect(f"ws://127.0.0.1:{port}{path}", proxy=None, max_size=None) as connection:
            whole = Browser.__new__(Browser)
            whole._connection, whole._numbers, whole.events = connection, itertools.count(1), []
            targets = whole.do("Target.getTargets")["targetInfos"]
            target = next(each["targetId"] for each in targets if each["type"] == "page")
        with connect(f"ws://127.0.0.1:{port}/devtools/page/{target}", proxy=None, max_size=None) as connection:
            yield Browser(connection)
    finally:
        process.terminate()
        process.wait(30)


def test_a_text_that_is_typed_gets_its_label(service: Service, browser: Browser) -> None:
    browser.do("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=2, mobile=True)
    browser.go(service.url + "/")
    assert browser.value("document.documentElement.scrollWidth <= innerWidth"), "it is wider than a phone"
    assert browser.value("[...document.querySelectorAll('textarea, input')].every(each => each.labels.length == 1)")
    browser.click("#text")
    browser.do("Input.insertText", text="the film was good <b>really</b>")
    browser.click("#go")
    browser.until("!document.querySelector('#key-row').hidden")
    assert browser.value("document.querySelector('#answer').innerText").startswith("send a key")
    assert len(browser.complaints()) == 1, "the browser tells of the 401, and of nothing else"
    browser.events.clear()

    browser.click("#key")
    browser.do("Input.insertText", text="0123456789abcdef")
    browser.click("#go")
    assert browser.until("document.querySelector('.label')?.innerText") == "positive"
    rows = browser.value("[...document.querySelectorAll('.score')].map(each => each.innerText)")
    assert len(rows) == 2 and rows[0].startswith("positive") and rows[0].endswith("%")
    bars = browser.value("[...document.querySelectorAll('progress')].map(each => each.value)")
    assert bars == sorted(bars, reverse=True) and abs(sum(bars) - 1) < 1e-6
    assert " ms" in browser.value("document.querySelector('#answer').innerText")

    light = browser.value("getComputedStyle(document.body).backgroundColor")
    browser.do("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.value("getComputedStyle(document.body).backgroundColor") != light
    assert browser.complaints() == []
    assert browser.hosts() <= {urlsplit(service.url).netloc}


def test_the_interface_is_shown_without_anything_from_elsewhere(service: Service, browser: Browser) -> None:
    browser.go(service.url + "/docs")
    browser.until("document.querySelectorAll('.opblock').length >= 7")
    assert "/v1/predict" in browser.value("document.body.innerText")
    assert browser.complaints() == []
    assert browser.hosts() == {urlsplit(service.url).netloc}


def test_the_policy_of_the_page_runs_no_code_that_is_slipped_in(service: Service, browser: Browser) -> None:
    browser.go(service.url + "/")
    browser.value("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.slipped = 1\">')")
    browser.value("document.body.append(Object.assign(document.createElement('script'), {text: 'window.slipped = 1'}))")
    browser.until("document.images[0].complete")
    assert browser.value("window.slipped === undefined")
    assert any("Content Security Policy" in each for each in browser.complaints())
