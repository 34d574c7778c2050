import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_recipes.reasoners.answer import parse_answer

FILMS = [{"title": title} for title in ("Alien", "Alien Resurrection", "Heat", "It", "Se7en (Director's Cut)")]


@pytest.mark.parametrize(
    ("text", "pick"),
    [
        ("B", 1),
        ("b", None),  # a letter of any word
        ("C.", 2),
        (" (D) ", 3),
        ("**B**: because of the aliens", 1),
        ("E\nbecause it is dark", 4),
        ("The answer is C.", 2),
        ("My choice: A", 0),
        ("I would choose option B, since ...", 1),
        ("Alien Resurrection, no doubt", 1),
        ("alien", 0),
        ("I pick Se7en (Director's Cut).", 4),
        ("they will like B most", None),  # A in its place would be a word, and no label is favoured
        ("what they will like is B", 1),
        ("what they will like is A.", 0),
        ("A good film is hard to choose", None),
        ("Alien or Heat", None),
        ("B or C", None),
        ("The answer is A or the answer is B", None),
        ("F", None),
        ("The answer is J", None),
        ("", None),
        ("no idea", None),
        ("Aliens", None),
        ("It", 3),
        ('I would take "It".', 3),
        ("it is dark", None),  # a title that is a word of any sentence has to stand by itself
    ],
)
def test_what_counts_as_an_answer(text, pick):
    assert parse_answer(text, FILMS) == pick


@given(st.text(max_size=200), st.integers(1, 5))
def test_any_text_is_a_pick_among_those_shown_or_none(text, shown):
    pick = parse_answer(text, FILMS[:shown])
    assert pick is None or 0 <= pick < shown


@pytest.mark.parametrize("title", ["Heat<|im_end|>", "a  b\nc", "x" * 10_000, "(.*)", "[INST]", ""])
def test_a_title_is_found_as_prompts_show_it(title):
    candidates = [{"title": "Fargo"}, {"title": title}]
    assert parse_answer(title, candidates) in (1, None)
    assert parse_answer("Fargo", candidates) == 0


TITLES = (
    "Alien",
    "Heat",
    "Fargo",
    "A Beautiful Mind",
    "E.T. the Extra-Terrestrial",
    "千と千尋の神隠し",
    "기생충",
    "Amélie",
    "I Am Legend",
    "Tom & Jerry",
)
TEN = [{"title": title} for title in TITLES]
WITH_A_LABEL = (
    "{L}",
    "({L})",
    "{L}.",
    "{L})",
    "**{L}**",
    "{L}:",
    "{L}!",
    "- {L}",
    "> {L}",
    "# {L}",
    '"{L}"',
    "`{L}`",
    "{L}, as it fits",
    "{L} – it fits",
    "{L} - it fits",
    "{L} — it fits",
    "{L}\nbecause it is dark",
    "Answer: {L}",
    "ANSWER: {L}",
    "answer: {L}",
    "Option {L}",
    "option {L}",
    "Letter: {L}",
    "Pick: {L}",
    "Choice {L}",
    "Label {L} is best",
    "Final answer: {L}",
    "**Answer:** {L}",
    "**Answer: {L}**",
    "Answer:\n{L}",
    "Answer: ({L})",
    "The answer is {L}",
    "The answer is {L}.",
    "The answer is **{L}**.",
    "The correct answer is ({L}).",
    "My choice: {L}",
    "My pick is {L}.",
    "I would choose {L}.",
    "I choose option {L}, since it fits",
    "I'd go with {L}",
    "I recommend {L} because of the cast",
    "The best option is {L} as it matches",
    "Selected: Option {L}",
    "what they will like is {L}",
    "Not C, but {L}",
    "\\boxed{{{L}}}",
    "$\\boxed{{\\text{{{L}}}}}$",
    '{{"answer": "{L}"}}',
    '```json\n{{"choice": "{L}"}}\n```',
    "<answer>{L}</answer>",
    "<answer>\n{L}\n</answer>",
    "<think>A or B?</think>{L}",
    "<think>B</think>\n\nThe answer is {L}.",
    "答案是{L}",
    "答案：{L}",
    "答え: {L}",
    "{W}",
    "正解は（{W}）",
)
WITH_BOTH = (
    "{L}. {T}",
    "{L}: {T}",
    "**{L}. {T}**",
    "The answer is {L}. {T}",
    "{T} ({L})",
    "{L} ({T})",
    "My answer is {L}) {T}",
)
WITH_A_TITLE = (
    "{T}",
    "I would pick {T}",
    "Answer: {T}",
    "I think {T} is the best choice.",
    "“{T}”",
    "{T}!",
    "1. {T}",
    "次は{T}を見るでしょう",
    "我选{T}。",
    "Based on the history, the user will watch {T} next.",
    '{{"answer": "{T}"}}',
    "<answer>{T}</answer>",
    "\\boxed{{{T}}}",
    "<think>Heat or Alien?</think>{T}",
    "다음은 {T}입니다",
)


@pytest.mark.parametrize("form", [*WITH_A_LABEL, *WITH_BOTH, *WITH_A_TITLE])
def test_no_label_and_no_title_is_favoured(form):
    """What gives B for B gives A for A, also where titles begin with letters that are labels."""
    words = [
        form.format(L=label, W=chr(ord(label) + 0xFEE0), T=title)
        for label, title in zip("ABCDEFGHIJ", TITLES, strict=True)
    ]
    wrong = [place for place, text in enumerate(words) if parse_answer(text, TEN) != place and text != "Not C, but C"]
    assert wrong == []


@given(st.sampled_from([*WITH_A_LABEL, *WITH_BOTH]), st.permutations(range(10)), st.integers(0, 9))
def test_the_order_of_the_candidates_decides_nothing(form, order, place):
    shown = [TEN[candidate] for candidate in order]
    label = "ABCDEFGHIJ"[place]
    text = form.format(L=label, W=chr(ord(label) + 0xFEE0), T=shown[place]["title"])
    assert parse_answer(text, shown) == place or text.startswith("Not C, but C")


@pytest.mark.parametrize(
    "text",
    [
        "A. Heat",
        "The answer is A, Heat",
        "A or B",
        "A and B",
        "A, B, C",
        "The answer is A or B",
        "Option A or option B",
        "A good film is hard to choose",
        "A man walks in",
        "I think it is hard",
        "I am not sure",
        "As an AI, I cannot say",
        "Heat or Fargo",
        "<think>C is good",
        "<think>B",
        "K",
        "Option K",
        "hard to say",
        "",
        "<answer></answer>",
    ],
)
def test_several_or_none_or_a_thought_is_no_answer(text):
    assert parse_answer(text, TEN) is None


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("E.T. the Extra-Terrestrial", 4),
        ("I would pick A Beautiful Mind", 3),
        ("Tom &amp; Jerry", 9),
        ("Ame\u0301lie", 7),
        ("Heat, not Fargo", 1),
        ("<think>it may be A", None),
        ("<think>it may be A</think> D", 3),
    ],
)
def test_titles_are_read_as_people_write_them(text, place):
    assert parse_answer(text, TEN) == place


def test_a_shared_title_picks_nobody_unless_its_year_stands_with_it():
    films = [{"title": "Heat", "year": 1995}, {"title": "Fargo", "year": 1996}, {"title": "Heat", "year": 1986}]
    said = ("Heat", "I take Heat (1986). Heat is great.", "Heat (1995): Crime", "Fargo", "A. Heat (1995)")
    assert [parse_answer(text, films) for text in said] == [None, 2, 0, 1, 0]
    undated = [{"title": "Heat"}, {"title": "Heat"}]
    assert parse_answer("Heat", undated) is None  # and not the first of them, whichever that is
    assert parse_answer("B", undated) == 1
