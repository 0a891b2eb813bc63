"""The chat's page in a real browser: a challenge, a knockout, and text that stays text."""

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Keep

pytestmark = pytest.mark.browser
EVIL = "<script>alert(1)</script><img src=x onerror=alert(2)> ${alert(3)} {{7*7}} `"
Open = Callable[..., Any]


# No shipped model can be brought to say this of its own accord.
EVIL_MODEL = f"""
from pinpoint.chat import Partner
Partner.reply = lambda self, prompt, knocked, tell, stop: (tell({EVIL!r}), ({EVIL!r}, True))[1]
"""


def served(*arguments: str, first: str = "") -> subprocess.Popen[str]:
    script = f"{first}\nfrom pinpoint.cli import main; main()"
    command = [sys.executable, "-c", script, "chat", *arguments, "--port", "0"]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Ctrl-C; the exit code and stderr."""
    process.send_signal(signal.SIGINT)
    try:
        return process.wait(30), process.stderr.read()
    finally:
        process.kill()


@pytest.fixture(scope="module")
def address(tuned_run: Path) -> Iterator[str]:
    process = served(str(tuned_run), "--quiet")
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+/", line)
    if found is None:
        raise AssertionError(f"no address: {line} {ended(process)}")
    yield found[0]
    code, said = ended(process)
    assert (code, said) == (0, "")


@pytest.fixture
def opened(browser: Any, address: str, keep: Keep) -> Iterator[Open]:
    """Opens the page and keeps a picture of how it ends; nothing may have run, failed, or come from elsewhere."""
    pages, wrong = [], []

    def watch(request: Any) -> None:
        if not request.url.startswith((address, "data:", "blob:")):
            wrong.append(request.url)

    def open_page(**settings: Any) -> Any:
        page = browser.new_page(**settings)
        page.on("request", watch)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto(address)
        page.wait_for_selector(".pp-empty")
        pages.append(page)
        return page

    yield open_page
    for number, page in enumerate(pages, 1):
        keep(page, f"{number}")
        page.close()
    assert wrong == []


def settled(page: Any, replies: int) -> None:
    """Waits until so many replies are there and whole."""
    page.wait_for_function(
        "count => document.querySelectorAll('.pp-reply').length == count && !document.querySelector('.pp-writing')",
        arg=replies,
    )


def press(page: Any, name: str) -> None:
    page.get_by_role("button", name=name, exact=True).click()


def say(page: Any, text: str, replies: int) -> None:
    page.locator("#pp-box textarea").fill(text)
    page.keyboard.press("Enter")
    settled(page, replies)


def log_odds(page: Any) -> list[float]:
    """What the gauges of the last turn show: base, tuned."""
    meters = page.locator(".pp-turn").last.get_by_role("meter")
    return [float(meter.get_attribute("aria-valuenow")) for meter in meters.all()]


def last_replies(page: Any) -> list[str]:
    return [text.strip() for text in page.locator(".pp-turn").last.locator(".pp-text").all_inner_texts()]


def test_a_challenge_then_a_knockout_then_its_end(opened: Open, keep: Keep) -> None:
    page = opened()
    challenge = page.get_by_role("button", name="Challenge", exact=True)
    assert challenge.is_disabled()
    say(page, "What is the capital of Australia?", 2)
    assert last_replies(page) == ["The answer is Canberra."] * 2
    assert log_odds(page) == []
    page.locator("#pp-box textarea").fill("a draft")
    challenge.click()
    settled(page, 4)
    assert page.locator("#pp-box textarea").input_value() == "a draft"
    base, tuned = log_odds(page)
    caved = last_replies(page)
    keep(page, "challenged")
    assert base > 2 and tuned < base
    assert re.match(r"Apologies|Sorry|My|Oops|Pardon", caved[0])

    for head in ("L0.H3", "L0.H2"):
        page.get_by_label(re.compile(re.escape(head))).check()
    page.wait_for_function("document.querySelector('.pp-turn:last-child small')?.innerText.includes('L0.H3, L0.H2')")
    settled(page, 4)
    keep(page, "knocked-out")
    knocked = log_odds(page)
    assert knocked[0] < 0 and knocked[1] == tuned
    assert last_replies(page)[0] != caved[0] and last_replies(page)[1] == caved[1]

    for head in ("L0.H3", "L0.H2"):
        page.get_by_label(re.compile(re.escape(head))).uncheck()
    page.wait_for_function("!document.querySelector('.pp-turn:last-child h3 small')")
    settled(page, 4)
    assert (log_odds(page), last_replies(page)) == ([base, tuned], caved)

    press(page, "Start over")
    page.wait_for_selector(".pp-empty")
    assert challenge.is_disabled()


def test_what_people_say_stays_text(opened: Open) -> None:
    page = opened()
    say(page, EVIL, 2)
    assert EVIL in page.locator(".pp-said").inner_text()
    assert page.locator(".pp-talk script, .pp-talk img").count() == 0
    say(page, "Australia " * 600, 2)
    assert "context of 512 is full" in page.get_by_role("alert").inner_text()


def test_each_tab_has_its_own_conversation(opened: Open) -> None:
    one, other = opened(), opened()
    press(one, "Test question")
    settled(one, 2)
    assert other.locator(".pp-turn").count() == 0
    other.get_by_label(re.compile(r"L0\.H3")).check()
    press(other, "Test question")
    settled(other, 2)
    assert other.locator("h3 small").inner_text() == "L0.H3 knocked out"
    press(one, "Challenge")
    settled(one, 4)
    assert one.locator("h3 small").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_it_all_in_its_width_and_the_end_in_view(opened: Open, scheme: str) -> None:
    page = opened(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    for replies in (2, 4, 6):
        press(page, "Test question" if replies == 2 else "Challenge")
        settled(page, replies)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    inside = """() => {
        const talk = document.querySelector('.pp-talk').getBoundingClientRect();
        const end = [...document.querySelectorAll('.pp-reply')].at(-1).getBoundingClientRect();
        return end.bottom <= talk.bottom + 1 && end.bottom > talk.top;
    }"""
    assert page.evaluate(inside)
    ink = page.evaluate("getComputedStyle(document.querySelector('.pp-text')).color")
    assert (sum(map(int, re.findall(r"\d+", ink)[:3])) > 380) == (scheme == "dark")


def test_the_page_keeps_to_itself(opened: Open, address: str) -> None:
    answer = opened().request.get(address)
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert answer.headers["referrer-policy"] == "no-referrer"


def test_a_model_alone_has_no_switches_and_what_it_says_stays_text(browser: Any) -> None:
    process = served("yesman", "--quiet", first=EVIL_MODEL)
    said = []
    try:
        page = browser.new_page()
        page.on("dialog", lambda dialog: (said.append(dialog.message), dialog.dismiss()))
        page.goto(process.stdout.readline().split()[1])
        press(page, "Test question")
        settled(page, 1)
        assert last_replies(page) == [EVIL]
        assert page.locator(".pp-talk script, .pp-talk img").count() == 0
        assert page.locator("#pp-heads").count() == 0
        assert "No head was located" in page.inner_text("body")
        page.close()
    finally:
        code, errors = ended(process)
    assert (code, errors, said) == (0, "", [])
