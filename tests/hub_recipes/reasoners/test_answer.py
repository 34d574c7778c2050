import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub_recipes.reasoners.answer import parse_answer

FILMS = [{"title": title} for title in ("Alien", "Alien Resurrection", "Heat", "It", "Se7en (Director's Cut)")]


@pytest.mark.parametrize(
    ("text", "pick"),
    [
        ("B", 1),
        ("b", None),
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
        ("they will like B most", 1),
        ("A good film is hard to choose", None),
        ("Alien or Heat", None),
        ("B or C", None),
        ("The answer is A or the answer is B", None),
        ("F", None),
        ("The answer is J", None),
        ("", None),
        ("no idea", None),
        ("Aliens", None),
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
