from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.verbalizers.decided_texts import NOTHING_KEPT
from logs2lang.verbalizers.decision_rules import RuleDecisions

ITEMS = {
    f"i{place}": {"item_id": f"i{place}", "title": f"Film {place}", "year": 1990, "tags": ["Drama"], "series": None,
                  "description": None}
    for place in range(5)
}  # fmt: skip


def test_random_decisions_hold_every_mixture_and_come_again(to_history):
    history = to_history(*(item["title"] for item in ITEMS.values()))
    texts = RuleDecisions(ITEMS).verbalize([history] * 400)
    assert texts == RuleDecisions(ITEMS).verbalize([history] * 400)
    assert texts != RuleDecisions(ITEMS, seed=1).verbalize([history] * 400)
    plain = template_text(history).split("\n")
    detailed = "\n".join(f"{line} | year=1990 | tags=Drama" for line in plain)
    # What GRPO may arrive at is among them: nothing, the template itself, and everything in detail.
    assert {NOTHING_KEPT, "\n".join(plain), detailed} <= set(texts)
    lines = [line.removesuffix(" | year=1990 | tags=Drama") for text in texts for line in text.split("\n")]
    assert set(lines) <= {*plain, NOTHING_KEPT}
