"""The HTML report in Chromium, as people see and use it; skipped where Debian's chromium and its driver are missing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

from pages import entry, page, report, step
from pytest_connleak.formats import html
from pytest_connleak.report import Report

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = [
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromium-driver"),
    pytest.mark.connleak(
        ignore=["unclosed-socket", "missing-timeout"],
        reason="selenium forgets the answer to its last request, and old versions the timeouts",
    ),
]

OPTIONS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)
AWKWARD = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>&lt;"
# What a filter may take of a processor; it was 0.12 on the machine on which this was written, at 5000 places.
FILTER_SECONDS = 0.5


class Browser:
    """A Chromium that looks at one page after the other."""

    def __init__(self, driver: webdriver.Chrome, directory: Path) -> None:
        self.driver = driver
        self._file = directory / "leaks.html"

    def open(self, it: Report, fragment: str = "", *, width: int = 1280, scheme: str = "light") -> None:
        """Show a report, in a window of this width, to somebody who likes this colour scheme."""
        self._file.write_text(html.render(it), encoding="utf-8")
        self.command("Emulation.setScriptExecutionDisabled", value=False)
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
        self.command("Emulation.setDeviceMetricsOverride", **size)
        self.prefer(scheme)
        if fragment:
            self.driver.get("about:blank")  # or another fragment of the same file would not load it anew
        self.driver.get(self._file.as_uri() + fragment)

    def prefer(self, scheme: str, media: str = "") -> None:
        wishes = {"prefers-color-scheme": scheme, "prefers-reduced-motion": "reduce"}
        features = [{"name": name, "value": value} for name, value in wishes.items()]
        self.command("Emulation.setEmulatedMedia", media=media, features=features)

    def command(self, name: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(name, parameters)

    def js(self, expression: str, *arguments: object) -> Any:
        return self.driver.execute_script(f"return {expression}", *arguments)

    def press(self, *keys: str) -> None:
        ActionChains(self.driver).send_keys(*keys).perform()

    def type(self, text: str) -> None:
        self.driver.find_element("id", "q").send_keys(text)
        self.settle()

    def choose(self, *values: str) -> None:
        for value in values:
            self.js("document.querySelector(`input[value='${arguments[0]}']`).click()", value)
        self.settle()

    def settle(self) -> None:
        """Wait for the page to draw what was asked for."""
        self.driver.execute_async_script(
            "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(() => done()))"
        )

    @property
    def busy(self) -> float:
        """Seconds of a processor that the page has taken, which do not depend on what else the machine does."""
        metrics = self.command("Performance.getMetrics")["metrics"]
        return float(next(each["value"] for each in metrics if each["name"] == "TaskDuration"))

    @property
    def shown(self) -> list[str]:
        """The places of the findings that are shown."""
        visible = "[...document.querySelectorAll('.card')].filter((card) => card.checkVisibility())"
        return [*self.js(f"{visible}.map((card) => card.querySelector('h3 code').textContent)")]

    @property
    def rows(self) -> int:
        """How many tests are shown in the table."""
        return int(self.js("[...document.querySelectorAll('tbody tr')].filter((row) => row.checkVisibility()).length"))

    @property
    def fragment(self) -> str:
        return str(self.js("location.hash"))

    @property
    def focused(self) -> str:
        """What has the focus: an id, or the text."""
        return str(self.js("document.activeElement.id || document.activeElement.textContent.trim()"))


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM or ""
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    with webdriver.Chrome(options=options, service=Service(executable_path=DRIVER)) as driver:
        driver.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
        yield driver


@pytest.fixture
def browser(driver: webdriver.Chrome, tmp_path: Path) -> Iterator[Browser]:
    """The browser; whatever a page says in its console fails the test."""
    yield Browser(driver, tmp_path)
    assert driver.get_log("browser") == []
    assert driver.execute_script("return performance.getEntriesByType('resource').length") == 0


SMALL = report(
    entry("a.py", 3, nodeid="test_a.py::test_one"),
    entry("a.py", 3, nodeid="test_a.py::test_two"),
    entry("b.py", 7, kind="missing-timeout", function="fetch", nodeid="test_a.py::test_two"),
    entry("c.py", 9, status="shared", nodeid="test_c.py::test_three", held_by="c.api", held_path=("c", "api")),
    timeline=[
        step("test_a.py::test_one", outcome="failed", sockets=1, seconds=0.5),
        step("test_a.py::test_two", outcome="failed", sockets=2, sessions=1, seconds=0.002),
        step("test_c.py::test_three", sockets=1, sessions=1),
        step("test_c.py::test_four", seconds=3),
    ],
    mode="fail",
    versions={"Python": "3.11.7"},
)


# --- what is shown ----------------------------------------------------------------------------------------


def test_names_stay_text(browser: Browser) -> None:
    it = report(
        entry(AWKWARD, nodeid=AWKWARD, function=AWKWARD, source=AWKWARD, held_by=AWKWARD, message=AWKWARD),
        timeline=[step(AWKWARD, process=AWKWARD)],
        faults={AWKWARD: AWKWARD},
    )
    browser.open(it)
    assert browser.js("[document.scripts.length, document.images.length, document.title.startsWith('1 leak')]") == [
        1,
        0,
        True,
    ]
    assert browser.js("document.querySelector('tbody th').textContent") == AWKWARD
    assert browser.js("document.querySelector('mark').textContent") == f"11{AWKWARD}"
    browser.type("<img")
    assert len(browser.shown) == 1
    assert browser.js("document.images.length") == 0


def test_a_clean_run(browser: Browser) -> None:
    browser.open(report(timeline=[step("test_a.py::test_one")]))
    assert browser.js("document.querySelector('h1').textContent.trim()") == "No leaks"
    assert browser.rows == 1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(browser: Browser, scheme: str) -> None:
    """WCAG 2.2, 1.4.3: 4.5 to 1."""
    browser.open(page(findings=40, sites=20, tests=30), scheme=scheme)
    browser.js("document.querySelectorAll('details').forEach((each) => each.open = true)")
    assert browser.js(f"({LOW_CONTRAST})()") == []


LOW_CONTRAST = """() => {
  const pixel = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
  const over = (colours) => {
    pixel.clearRect(0, 0, 1, 1);
    for (const colour of colours) { pixel.fillStyle = colour; pixel.fillRect(0, 0, 1, 1); }
    return [...pixel.getImageData(0, 0, 1, 1).data].slice(0, 3);
  };
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const low = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility() || element.closest("svg, script")) continue;
    const behind = [];
    for (let each = element; each; each = each.parentElement) behind.unshift(getComputedStyle(each).backgroundColor);
    const back = over(["white", ...behind]);
    const front = over([`rgb(${back})`, getComputedStyle(element).color]);
    const [light, dark] = [luminance(front), luminance(back)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    if (ratio < 4.5) low.add(`${element.tagName}.${element.className} ${ratio.toFixed(2)}`);
  }
  return [...low];
}"""


def test_light_and_dark(browser: Browser) -> None:
    background = "getComputedStyle(document.body).backgroundColor"
    browser.open(SMALL)
    light = browser.js(background)
    browser.prefer("dark")
    dark = browser.js(background)
    assert light != dark
    choose = browser.driver.find_element("id", "theme")
    choose.click()
    assert (choose.text, browser.js(background)) == ("Theme: light", light)
    choose.click()
    assert (choose.text, browser.js(background)) == ("Theme: dark", dark)
    browser.driver.refresh()
    assert browser.driver.find_element("id", "theme").text == "Theme: dark"
    browser.js("localStorage.clear()")


def test_what_only_warns_is_nowhere_red(browser: Browser) -> None:
    """A leak has the colour of the kind that stands beside its place, also in the timeline."""
    for wanted in ("fail", "warn"):
        browser.open(report(entry(level=wanted), timeline=[step()]))
        kind = browser.js("getComputedStyle(document.querySelector('.card .kind')).color")
        assert browser.js("getComputedStyle(document.querySelector('.marks circle')).fill") == kind


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(browser: Browser, width: int) -> None:
    long = "a_very_long_name_" * 12
    it = report(
        entry(f"{long}/{long}.py", function=long, message=long, nodeid=long, source=long, help=f"{long}()"),
        entry("b.py", held_by=long, held_path=(long, long), object=long),
        timeline=[step(long)],
        failures=[long],
        versions={long: long},
    )
    browser.open(it, width=width)
    assert browser.js("document.documentElement.scrollWidth") == width


def test_on_paper_everything_is_open(browser: Browser) -> None:
    browser.open(SMALL)
    browser.prefer("dark", media="print")
    closed = "[...document.querySelectorAll('.card:not([open]) .body')].map((body) => body.checkVisibility())"
    assert browser.js(closed) == [True]
    browser.prefer("dark")
    assert browser.js(closed) == [False]
    browser.prefer("dark", media="print")
    assert browser.js("document.getElementById('filters').checkVisibility()") is False
    assert browser.js("getComputedStyle(document.body).color") == "rgb(29, 32, 35)", "it is light"


# --- filters ----------------------------------------------------------------------------------------------

# What is chosen and typed, what is shown then, how many tests are, and the address.
FILTERS = [
    pytest.param(("missing-timeout",), "", ["b.py:7"], 1, "#kind=missing-timeout", id="kind"),
    pytest.param(("shared",), "", ["c.py:9"], 1, "#status=shared", id="status"),
    pytest.param((), "FETCH", ["b.py:7"], 0, "#q=FETCH", id="text"),
    pytest.param((), "test_four", [], 1, "#q=test_four", id="text of a test"),
    pytest.param((), "two a.py:3", ["a.py:3"], 0, "#q=two%20a.py%3A3", id="words"),
    pytest.param(
        ("unclosed-session", "fail"), "two", ["a.py:3"], 1, "#kind=unclosed-session&status=fail&q=two", id="all"
    ),
    pytest.param(("unclosed-session", "missing-timeout"), "", ["a.py:3", "b.py:7", "c.py:9"], 3, None, id="two kinds"),
]


@pytest.mark.parametrize(("chosen", "text", "places", "rows", "fragment"), FILTERS)
def test_filters_survive_in_the_address(
    browser: Browser, chosen: tuple[str, ...], text: str, places: list[str], rows: int, fragment: str | None
) -> None:
    browser.open(SMALL)
    browser.choose(*chosen)
    browser.type(text)
    for _ in range(2):
        assert browser.shown == places
        assert browser.rows == rows
        assert browser.js("document.getElementById('nothing').checkVisibility()") is not bool(places)
        if fragment is not None:
            assert browser.fragment == fragment
        browser.driver.refresh()
    browser.driver.find_element("id", "clear").click()
    assert browser.shown == ["a.py:3", "b.py:7", "c.py:9"]
    assert browser.fragment == ""


def test_an_address_names_a_finding(browser: Browser) -> None:
    browser.open(SMALL)
    name = browser.js("document.querySelectorAll('.card')[2].id")
    assert browser.js("document.querySelectorAll('.card')[2].open") is False
    for fragment in (f"#{name}", f"#status=shared&at={name}", f"#status=fail&at={name}"):
        browser.open(SMALL, fragment)
        browser.settle()
        assert browser.js("document.querySelectorAll('.card')[2].open") is True
        assert "c.py:9" in browser.shown
        assert browser.focused.startswith("c.py:9")


def test_five_thousand_findings_stay_fluid(browser: Browser) -> None:
    browser.open(page(findings=5000, sites=5000, tests=1000))
    times = []
    for text in ("client_3", "load_7", "", "no such thing", ""):
        before = browser.busy
        browser.js("document.getElementById('q').value = arguments[0]", text)
        browser.js("document.getElementById('q').dispatchEvent(new Event('input', { bubbles: true }))")
        browser.settle()
        times.append(browser.busy - before)
    assert max(times) < FILTER_SECONDS, times
    browser.type("client_31.py:4121")
    assert browser.shown == ["shop/client_31.py:4121"]


# --- without a mouse, without eyes, without scripts -------------------------------------------------------


def test_the_keyboard_is_enough(browser: Browser) -> None:
    browser.open(SMALL)
    browser.press("/")
    assert browser.focused == "q"
    browser.press("fetch")
    browser.settle()
    assert browser.shown == ["b.py:7"]
    browser.press(Keys.ESCAPE)
    assert len(browser.shown) == 3
    browser.js("document.querySelector('.card summary').focus()")
    browser.press(Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_DOWN, Keys.ARROW_UP, Keys.ARROW_DOWN, Keys.ENTER)
    assert browser.focused.startswith("c.py:9")
    assert browser.js("document.activeElement.parentElement.open") is True


def test_marks_of_the_timeline_are_one_stop_with_arrows_between(browser: Browser) -> None:
    browser.open(SMALL)
    browser.js("document.querySelector('.glance li:last-child a').focus()")
    browser.press(Keys.TAB)
    label = "document.activeElement.getAttribute('aria-label')"
    assert browser.js(label) == "test_a.py::test_one: unclosed-session at a.py:3"
    browser.press(Keys.TAB)
    assert browser.focused == "q"
    ActionChains(browser.driver).key_down(Keys.SHIFT).send_keys(Keys.TAB).key_up(Keys.SHIFT).perform()
    browser.press(Keys.ARROW_RIGHT)
    assert browser.js(label) == "test_a.py::test_two: unclosed-session at a.py:3, missing-timeout at b.py:7"
    assert browser.js("document.getElementById('tip').textContent.split('\\n')[0]") == "test_a.py::test_two"
    browser.press(Keys.TAB)
    assert browser.focused == "q"


def test_the_timeline_tells_what_is_below_the_pointer(browser: Browser) -> None:
    browser.open(SMALL)
    plot = browser.driver.find_element("css selector", ".timeline")
    ActionChains(browser.driver).move_to_element_with_offset(plot, -100, 0).perform()
    assert browser.js("document.getElementById('tip').textContent.split('\\n')") == [
        "test_a.py::test_two",
        "test 2 of 4, failed in 2 ms",
        "2 sockets, 1 session open",
        "unclosed-session at a.py:3, missing-timeout at b.py:7",
    ]


def test_the_table_is_sorted_by_its_headings(browser: Browser) -> None:
    browser.open(SMALL)
    names = "[...document.querySelectorAll('tbody th')].map((cell) => cell.textContent.split('_').pop())"
    time = browser.driver.find_element("css selector", "thead th:nth-child(3) button")
    time.click()
    assert browser.js(names) == ["two", "three", "one", "four"]
    time.click()
    assert browser.js(names) == ["four", "one", "three", "two"]
    assert browser.js("document.querySelector('[aria-sort]').getAttribute('aria-sort')") == "descending"


def test_a_screen_reader_finds_names_and_headings(browser: Browser) -> None:
    browser.open(SMALL)
    nodes = browser.command("Accessibility.getFullAXTree")["nodes"]
    named = ("button", "link", "checkbox", "searchbox", "textbox", "DisclosureTriangle", "form", "search", "table")
    nameless = [
        node["role"]["value"]
        for node in nodes
        if not node.get("ignored") and node["role"]["value"] in named and not node.get("name", {}).get("value")
    ]
    assert nameless == []
    levels = browser.js("[...document.querySelectorAll('h1, h2, h3, h4')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below - above <= 1 for above, below in pairwise(levels)), "no level is left out"


def test_it_reads_without_scripts(browser: Browser) -> None:
    browser.open(SMALL)
    browser.command("Emulation.setScriptExecutionDisabled", value=True)
    browser.driver.refresh()
    text = visible_text(browser)
    for said in ("3 leaks", "a.py:3", "missing-timeout", "with requests.Session(...) as session:", "test_four"):
        assert said in text
    assert "Theme" not in text
    assert "Open all" not in text


def visible_text(browser: Browser) -> str:
    """The text that is drawn, as the browser's own tools see it while scripts are off."""
    snapshot = browser.command("DOMSnapshot.captureSnapshot", computedStyles=[])
    strings = snapshot["strings"]
    [document] = snapshot["documents"]
    return "\n".join(strings[number] for number in document["layout"]["text"] if number >= 0)


def test_the_report_of_a_run(browser: Browser, tmp_path: Path) -> None:
    """What this file writes by hand is what a run writes: the fields of a page that came through JSON."""
    from pytest_connleak.formats import json as json_format

    again = json_format.parse(json_format.render(SMALL))
    assert json.loads(json_format.render(again)) == json.loads(json_format.render(SMALL))
    browser.open(again)
    assert browser.shown == ["a.py:3", "b.py:7", "c.py:9"]
