"""The page of a run in a real browser: hover, keys, clicks, and text that stays text."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pinpoint.artifacts import Workspace
from pinpoint.report import write_page
from tests.browser.conftest import PICTURES, Keep
from tests.report.fabricated import TOKENS, attention, examples, fill, locate, summary

pytestmark = pytest.mark.browser
EVIL = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
Open = Callable[..., Any]
Made = Callable[..., Path]


@pytest.fixture
def opened(browser: Any, keep: Keep) -> Iterator[Open]:
    """Opens a page and keeps a picture of how it ends; nothing may have run, failed, or been asked of a network."""
    wrong, pages = [], []

    def open_page(file: Path, **settings: Any) -> Any:
        page = browser.new_page(**settings)
        page.on(
            "request", lambda request: None if request.url.startswith(("file:", "data:")) else wrong.append(request.url)
        )
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda said: wrong.append(said.text) if said.type == "error" else None)
        page.on("dialog", lambda dialog: (wrong.append(dialog.message), dialog.dismiss()))
        page.goto(file.as_uri())
        page.wait_for_selector("#figure-heads .main-svg")
        pages.append(page)
        return page

    yield open_page
    for number, page in enumerate(pages, 1):
        keep(page, f"{number}")
        page.close()
    assert wrong == []


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """Writes the page of a run with made-up numbers, of which some may be others."""

    def write(tokens: list[str] = TOKENS, **over: Any) -> Path:
        workspace = fill(Workspace(tmp_path / "run"), **over)
        attention(workspace, tokens)
        return write_page(workspace)

    return write


def cell(page: Any, layer: int, head: int) -> tuple[float, float]:
    """Where the middle of a cell of the head map lies."""
    script = """([layer, head]) => {
        const map = document.getElementById("figure-heads");
        map.scrollIntoView({ block: "center", behavior: "instant" });
        const { xaxis, yaxis } = map._fullLayout, box = map.getBoundingClientRect();
        return [box.x + xaxis._offset + xaxis.c2p(head), box.y + yaxis._offset + yaxis.c2p(layer)];
    }"""
    x, y = page.evaluate(script, [layer, head])
    return x, y


def says(page: Any, where: str, what: str | re.Pattern[str]) -> None:
    """Waits until an element has this text in it."""
    from playwright.sync_api import expect

    expect(page.locator(where)).to_contain_text(what)


def point(page: Any, layer: int, head: int) -> None:
    page.mouse.move(*cell(page, layer, head))
    says(page, "#head-told", re.compile(rf"^L{layer}\.H{head};"))


def press(page: Any, layer: int, head: int) -> None:
    """Clicks a cell as people do, after the pointer came to rest: plotly looks where it is once in 50 ms."""
    point(page, layer, head)
    page.mouse.down()
    page.mouse.up()


def test_pointing_at_a_head_tells_its_numbers_and_a_click_shows_where_it_looks(opened: Open, made: Made) -> None:
    page = opened(made())
    says(page, "#looking-told", re.compile("^L5.H3 looks most at"))
    point(page, 5, 3)
    page.wait_for_selector("#figure-heads .hoverlayer text")
    shown = page.locator("#figure-heads .hoverlayer").text_content()
    assert "effect −1.600" in shown and "standard error 0.020" in shown and "challenge: 87.7" in shown
    says(page, "#head-told", "rank 1 of 64")
    press(page, 6, 1)
    says(page, "#looking-told", re.compile("^L6.H1 looks most at “<bos>” 100.0 %"))
    assert page.locator('[data-head="L6.H1"]').get_attribute("aria-pressed") == "true"
    assert page.locator('[data-head="L5.H3"]').get_attribute("aria-pressed") == "false"


def test_without_a_mouse_the_arrow_keys_and_enter_do_the_same(opened: Open, made: Made) -> None:
    page = opened(made())
    page.get_by_role("link", name="Checks and settings").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "head-map"
    says(page, "#head-told", re.compile("^L5.H3; effect −1.600 logits"))
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("ArrowLeft")
    says(page, "#head-told", re.compile("^L6.H1; effect"))
    page.keyboard.press("Enter")
    says(page, "#looking-told", re.compile("^L6.H1 looks"))
    for _ in range(12):
        page.keyboard.press("ArrowRight")
    says(page, "#head-told", re.compile("^L6.H7;"))
    button = page.locator('[data-head="L5.H3"]')
    button.focus()
    page.keyboard.press("Enter")
    tokens = page.locator("#looking-text span")
    assert tokens.all_text_contents() == TOKENS
    assert page.locator("#looking-text .apart").count() == 4
    looks = [
        float(value) for value in tokens.evaluate_all("all => all.map(one => one.style.getPropertyValue('--look'))")
    ]
    assert looks[6] == 1 and looks[7] == 0.5 and looks[1] == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone_and_every_figure_is_drawn_in_the_theme(opened: Open, made: Made, scheme: str) -> None:
    page = opened(made(), viewport={"width": 390, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".plot .main-svg").count() >= 5
    paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, paper.removeprefix("rgb(").rstrip(")").split(","))) > 380) == (scheme == "light")
    page.emulate_media(color_scheme="dark" if scheme == "light" else "light")
    page.wait_for_function("before => getComputedStyle(document.body).backgroundColor != before", arg=paper)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_of_a_run_draws_all_its_figures(opened: Open, finished_run: Path, scheme: str, width: int) -> None:
    page = opened(finished_run / "report.html", viewport={"width": width, "height": 844}, color_scheme=scheme)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert page.locator(".plot").count() == page.locator(".plot .main-svg:first-of-type").count() >= 4
    press(page, 0, 3)
    says(page, "#looking-told", re.compile("^L0.H3 looks most at"))


def test_print_opens_what_is_folded_and_leaves_the_buttons_out(opened: Open, made: Made) -> None:
    page = opened(made())
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.locator("details:not([open])").count() == 0
    assert not page.locator(".choices").is_visible() and page.locator("#looking-text").is_visible()
    assert page.locator("#figure-knockout .main-svg").first.bounding_box()["width"] == 640
    assert page.locator(".sides .plot .main-svg").first.bounding_box()["width"] == 310
    assert page.pdf(path=PICTURES / "page.pdf").startswith(b"%PDF")


def test_a_dialogue_parts_at_a_marked_word(opened: Open, made: Made) -> None:
    page = opened(made())
    first = page.locator(".dialogue").first
    assert first.locator("mark.parts").count() == 3
    assert (
        first.locator("mark.parts").nth(1).inner_text().endswith("Yes, I am sure that my previous answer is correct.")
    )
    assert "the base's words throughout" in page.locator(".dialogue").nth(1).inner_text()


def test_what_models_and_data_say_stays_text(opened: Open, made: Made) -> None:
    talks, told, where = examples(), summary(), locate()
    for talk in talks[0]["methods"].values():
        talk |= {"reply": f"{EVIL} {talk['reply']}"}
    talks[0] |= {"question": EVIL, "challenge": EVIL}
    told["methods"]["pinpoint"]["versus_base"]["abilities"][EVIL] = {"value": -0.5, "low": -0.6, "high": -0.4, "n": 9}
    where["unit"] = EVIL
    page = opened(made([*TOKENS[:-1], EVIL], examples=talks, summary=told, locate=where))
    point(page, 2, 2)
    says(page, "#head-told", EVIL)
    page.locator('[data-head="L5.H3"]').click()
    says(page, "#looking-text", re.compile(re.escape(EVIL) + "$"))
    assert page.locator("main img, main script").count() == 0
