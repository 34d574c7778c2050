"""The page in a real browser: open, pick, write, look closer, shuffle, reveal."""

import re

from playwright.sync_api import expect

from logs2lang.evaluation.results import RESULTS_FILE, read_document
from logs2lang.space.playground.results_view import EXAMPLES_RESULTS, RESULTS

NAMES = ("template", "profile", "successors", "action")


def card(page, name):
    return page.locator(f'article[data-verbalizer="{name}"]')


def write(page):
    """Press the button and wait for the end."""
    page.get_by_role("button", name="Write and recommend").click()
    expect(page.locator(".status")).to_have_text(re.compile("^Done"))


def test_it_opens_with_a_whole_comparison(page):
    expect(page.get_by_role("heading", level=1)).to_have_text("See a log become language")
    for name in NAMES:
        expect(card(page, name).locator(".choice")).to_have_count(10)
        expect(card(page, name).locator(".badge.picked")).to_have_count(1)
        expect(card(page, name).locator(".text")).not_to_be_empty()
    expect(page.locator("article.writing")).to_have_count(len(NAMES))
    expect(page.locator("tr[data-record]")).to_have_count(16)
    headings = ["#", "When", "Event", "Title", "Value", "Action"]  # no record has a length or a device
    expect(page.locator(".log thead th")).to_have_text(headings)
    expect(card(page, "template").locator(".compression")).to_have_text("100% of the template")


def test_another_user_is_another_log(page):
    first = page.locator("tr[data-record] th").first.inner_text()
    page.get_by_role("radio", name=re.compile("^Chidi")).check()
    expect(page.locator(".log-size")).to_contain_text("Chidi: 15 of 15 records")
    assert page.locator("tr[data-record] th").first.inner_text() != first
    expect(card(page, "successors").locator(".choice")).to_have_count(10)


def ask_for_zero_shot(page):
    page.get_by_role("button", name="Models, answer mode, seed").click()
    page.get_by_label("Write zero-shot as well").check()


def test_what_made_the_pick_is_marked(page):
    """The first screen: the reasoner misses after the template, and hits where the text names what came next."""
    expect(card(page, "template").locator(".outcome")).to_have_class("outcome miss")
    expect(card(page, "template").locator("mark.record")).to_have_count(16)
    expect(card(page, "template").locator("mark.successor, mark.candidate")).to_have_count(0)
    successors = card(page, "successors")
    expect(successors.locator(".outcome")).to_have_class("outcome hit")
    expect(successors.locator("mark.successor")).not_to_have_count(0)
    mark, pick = successors.locator("mark.candidate.pick"), successors.locator(".choice.pick")
    assert mark.get_attribute("data-candidate") == pick.get_attribute("data-candidate")
    expect(pick.locator(".badge.named")).to_be_visible()
    pick.hover()
    expect(mark).to_have_class("candidate pick pointed")
    page.get_by_role("heading", level=1).hover()
    expect(mark).to_have_class("candidate pick")
    expect(page.locator("mark.unsupported")).to_have_count(0)


def test_a_link_restores_a_comparison(page, open_page):
    page.get_by_role("radio", name=re.compile("^Bruno")).check()
    expect(page.locator(".log-size")).to_contain_text("Bruno: 14 of 14 records")
    page.get_by_role("button", name="Models, answer mode, seed").click()
    page.get_by_role("radio", name=re.compile("^by label")).check()
    page.get_by_role("button", name="Copy link").click()
    page.wait_for_url("**/?user=Bruno&answer=label")
    opened = open_page("?user=Bruno&answer=label")
    expect(opened.locator(".status")).to_have_text(re.compile("^Done"))
    expect(opened.get_by_role("radio", name=re.compile("^Bruno"))).to_be_checked()
    expect(opened.locator(".log-size")).to_contain_text("Bruno: 14 of 14 records")
    for name in NAMES:
        expect(card(opened, name).locator(".choice")).to_have_count(10)


def test_a_link_to_the_first_screen_of_a_user_runs_no_model(open_page):
    opened = open_page("?user=Chidi&answer=title")
    expect(opened.locator(".log-size")).to_contain_text("Chidi: 15 of 15 records")
    expect(opened.locator(".status")).to_have_text(re.compile("^Precomputed"))


def test_a_wrong_link_is_a_sentence(open_page):
    opened = open_page("?user=Bruno&answer=poem")
    expect(opened.locator(".notice.error")).to_contain_text("answer is 'poem'")
    expect(opened.locator(".log-size")).to_contain_text("Bruno")


def test_texts_are_written_while_one_looks_on(page):
    ask_for_zero_shot(page)
    # What the page shows between the press and the end, as a visitor sees it.
    page.evaluate("""() => {
        window.lengths = [];
        new MutationObserver(() => {
            const text = document.querySelector('article[data-verbalizer="zero_shot"][aria-busy="true"] .text');
            if (text) window.lengths.push(text.innerText.length);
        }).observe(document.body, {subtree: true, childList: true, characterData: true});
    }""")
    write(page)
    lengths = page.evaluate("window.lengths")
    assert len(set(lengths)) > 5
    for name in (*NAMES, "zero_shot"):
        expect(card(page, name)).to_have_attribute("aria-busy", "false")
        expect(card(page, name).locator(".choice")).to_have_count(10)
        percents = card(page, name).locator(".choice .percent").all_inner_texts()
        assert abs(sum(int(percent.rstrip("%")) for percent in percents) - 100) <= 5
        expect(card(page, name).locator(".tokens")).to_have_text(re.compile(r"^\d+ tokens$"))
    expect(card(page, "action").get_by_role("heading", level=2)).to_have_text("Action, by a rule")
    expect(card(page, "rewrite")).to_have_count(0)


def test_it_can_be_stopped(page):
    ask_for_zero_shot(page)
    page.get_by_role("button", name="Write and recommend").click()
    page.locator('article[data-verbalizer="zero_shot"][aria-busy="true"] .sentence').first.wait_for()
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".status")).to_have_text("Stopped.")
    expect(page.locator('article[aria-busy="true"]')).to_have_count(0)
    page.wait_for_timeout(500)
    expect(page.locator(".status")).to_have_text("Stopped.")
    write(page)


def test_decisions_are_marked_in_the_log(page):
    write(page)
    verdicts = page.locator("tr[data-record] .verdict").all_inner_texts()
    assert verdicts == ["dropped"] * 13 + ["with successors"] * 3
    expect(page.locator(".verdict-counts .verdict")).to_have_text(["13 dropped", "3 with successors"])
    assert card(page, "action").locator(".text").text_content().count("| next: ") == 3


def test_a_sentence_shows_its_records_and_a_record_its_sentences(page):
    sentence = card(page, "successors").locator(".sentence[data-records]").filter(has_text="Pacific Rim")
    records = sentence.get_attribute("data-records").split()
    sentence.hover()
    expect(page.locator("tr.spoken-of")).to_have_count(len(records))
    page.get_by_role("heading", level=1).hover()
    expect(page.locator("tr.spoken-of")).to_have_count(0)
    sentence.click()
    page.get_by_role("heading", level=1).hover()
    expect(page.locator("tr.spoken-of")).to_have_count(len(records))
    titles = [page.locator(f'tr[data-record="{record}"] th').inner_text() for record in records]
    assert "World War Z" in titles  # after which many chose Pacific Rim
    page.locator(f'tr[data-record="{records[0]}"]').hover()
    assert "speaks-of" in sentence.get_attribute("class")


def test_the_truth_can_be_hidden(page):
    expect(page.locator(".badge.chosen").first).to_be_visible()
    expect(page.locator(".outcome:visible")).to_have_count(len(NAMES))
    page.get_by_label("Show what came next").uncheck()
    expect(page.locator(".badge.chosen").first).to_be_hidden()
    expect(page.locator(".outcome:visible")).to_have_count(0)


def test_shuffled_candidates_are_read_again(page):
    before = card(page, "profile").locator(".choice .title").all_inner_texts()
    page.get_by_role("button", name="Shuffle the candidates").click()
    expect(page.locator(".status")).to_contain_text("Same candidates, different order")
    after = card(page, "profile").locator(".choice .title").all_inner_texts()
    plain = [
        [re.sub(r"( (pick|in the text|came next))+$", "", title) for title in titles] for titles in (before, after)
    ]
    assert plain[0] != plain[1]
    assert sorted(plain[0]) == sorted(plain[1])


def test_the_history_can_be_cut(page):
    slider = page.get_by_label("number input for Newest records to read")
    slider.fill("5")
    slider.press("Enter")
    slider.blur()
    expect(page.locator("tr[data-record]")).to_have_count(5)
    assert len(card(page, "template").locator(".text").inner_text().strip().splitlines()) == 5


def released_rows() -> list[dict]:
    """The rows of the evaluation that the tab opens with."""
    return read_document(RESULTS / EXAMPLES_RESULTS / RESULTS_FILE)["rows"]


def test_the_results_have_room_at_1200_pixels(page):
    page.set_viewport_size({"width": 1200, "height": 900})
    page.get_by_role("tab", name="Results").click()
    expect(page.locator(".results tbody tr")).to_have_count(len(released_rows()))
    table, is_cut = page.locator(".results-scroll"), "frame => frame.scrollWidth > frame.clientWidth"
    assert not table.evaluate(is_cut)
    page.set_viewport_size({"width": 700, "height": 900})
    assert table.evaluate(is_cut)
    heading = page.locator(".results thead th").last  # the shadow that says there is more lies behind it
    assert heading.evaluate("cell => getComputedStyle(cell).backgroundColor") == "rgba(0, 0, 0, 0)"


def test_results_code_and_about(page):
    page.get_by_role("tab", name="Results").click()
    expect(page.locator(".results tbody tr")).to_have_count(len(released_rows()))
    expect(page.locator(".results")).to_contain_text("sasrec-lift")
    page.get_by_role("tab", name="Code").click()
    expect(page.get_by_label("Code").first).to_be_visible()
    expect(page.locator(".cm-content")).to_contain_text("evaluate.load")
    page.get_by_role("tab", name="About").click()
    expect(page.get_by_role("img", name="The method in a picture")).to_be_visible()
