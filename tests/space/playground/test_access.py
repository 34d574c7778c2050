"""The page on a phone, in the dark, by keyboard alone, and as axe-core judges it."""

import re

import pytest
from playwright.sync_api import expect

from tests.space.axe import serious_findings

TABS = ("Playground", "Results", "Code", "About")
PHONE = {"viewport": {"width": 375, "height": 812}, "is_mobile": True, "has_touch": True}


def ready(page, tab=None):
    page.wait_for_selector("article.writing", state="attached")
    if tab is not None:
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(400)  # fonts and the change of tab; axe judges what is painted
    return page


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_no_serious_finding_on_any_tab(open_page, theme):
    page = ready(open_page(f"?__theme={theme}"))
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    page.get_by_role("button", name="Your own log").click()
    page.get_by_role("button", name="Models, answer mode, seed").click()
    assert {tab: serious_findings(ready(page, tab)) for tab in TABS} == {tab: [] for tab in TABS}


def test_it_reads_on_a_phone(open_page):
    page = ready(open_page(**PHONE))
    for tab in TABS:
        ready(page, tab)
        assert page.evaluate("document.documentElement.scrollWidth") <= 375, tab
    ready(page, "Playground")
    widths = [box["width"] for box in (card.bounding_box() for card in page.locator("article.writing").all())]
    assert len(widths) == 4
    assert min(widths) > 300
    page.get_by_role("button", name="Write and recommend").tap()
    expect(page.locator(".status")).to_have_text(re.compile("^Done"))


def test_all_texts_stand_side_by_side_on_a_laptop(open_page):
    page = ready(open_page(viewport={"width": 1200, "height": 800}))
    tops = [box["y"] for box in (card.bounding_box() for card in page.locator("article.writing").all())]
    assert len(tops) == 4
    assert len(set(tops)) == 1


def test_dark_is_dark_and_light_is_light(open_page):
    def brightness(theme, selector):
        page = ready(open_page(f"?__theme={theme}"))
        colour = page.evaluate(f"getComputedStyle(document.querySelector('{selector}')).backgroundColor")
        return sum(map(int, re.findall(r"\d+", colour)[:3])) / 3

    assert brightness("light", "article.writing") > 200
    assert brightness("dark", "article.writing") < 60


def test_everything_can_be_done_by_keyboard(page):
    def press_until(matches: str, key: str = "Tab", most: int = 80):
        for _ in range(most):
            page.keyboard.press(key)
            if page.evaluate(f"(() => {{ const at = document.activeElement; return Boolean({matches}); }})()"):
                return
        pytest.fail(f"never reached {matches}")

    press_until("at.type === 'radio'")
    for key, name in (("ArrowDown", "Bruno"), ("ArrowRight", "Chidi"), ("ArrowUp", "Bruno")):
        page.keyboard.press(key)
        expect(page.get_by_role("radio", name=re.compile(f"^{name}"))).to_be_focused()
        expect(page.get_by_role("radio", checked=True)).to_have_count(1)
        expect(page.locator(".log-size")).to_contain_text(name)
    page.keyboard.press("Tab")  # a group is one stop
    expect(page.get_by_role("radio", name=re.compile("^Chidi"))).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("radio", name=re.compile("^Bruno"))).to_be_focused()
    press_until("at.innerText?.includes('Write and recommend')")
    page.keyboard.press("Enter")
    expect(page.locator(".status")).to_have_text(re.compile("^Done"))
    press_until("at.type === 'checkbox'")
    page.keyboard.press("Space")
    expect(page.locator(".badge.chosen").first).to_be_hidden()
    press_until("at.matches('.sentence[data-records]')")
    page.keyboard.press("Enter")
    expect(page.locator('.sentence[aria-pressed="true"]')).to_have_count(1)
    assert page.locator("tr.spoken-of").count() > 0
    page.keyboard.press("Space")
    expect(page.locator("tr.spoken-of")).to_have_count(0)
    press_until("at.innerText?.includes('Your own log')")


def test_what_changes_is_announced(page):
    expect(page.locator(".status")).to_have_attribute("aria-live", "polite")
    expect(page.locator(".status")).to_have_attribute("role", "status")
    expect(page.get_by_role("group", name="An invented user")).to_be_visible()
    expect(page.get_by_role("checkbox", name="Show what came next")).to_be_visible()
