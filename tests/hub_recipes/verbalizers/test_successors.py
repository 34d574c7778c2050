import pickle
import re
from collections import Counter

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import record_line
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.verbalizers.action import ActionVerbalizer, DecisionGrammar, parse_decisions, to_completion
from logs2lang.verbalizers.by_rule import is_written_by_rule
from logs2lang.verbalizers.decided_texts import NOTHING_KEPT, Decisions
from logs2lang.verbalizers.decision_rules import RuleDecisions
from logs2lang.verbalizers.language_model_verbalizer import Writing
from logs2lang.verbalizers.learned import load_adapters
from logs2lang.verbalizers.successors import SuccessorsVerbalizer
from logs2lang.verbalizers.verbalizer import write_and_count

ITEMS = {
    f"i{place}": {"item_id": f"i{place}", "title": f"Film {place}", "year": None, "tags": [], "series": None}
    for place in range(12)
}


@pytest.fixture
def lists(tmp_path):
    """Successors of three items: counted from everybody, and in fold 0 from everybody but one user."""
    of_all = {
        "i0": [Successor("i5", 4, 2.0), Successor("i6", 3, 1.5), Successor("i1", 2, 1.0)],
        "i1": [Successor("i6", 6, 3.0), Successor("i7", 1, 0.5)],
        "i2": [Successor(f"i{place}", 1, 1.0) for place in range(3, 12)],
    }
    out_of_fold = {"i0": of_all["i0"][:1]}
    return SuccessorLists(tmp_path, {ALL_USERS: of_all, 0: out_of_fold})


def test_the_newest_records_count_most_and_what_was_watched_is_not_named(lists, to_history):
    history = to_history("Film 0", "Film 1")
    # i5: 0.8 * 4 / (0.8 * (4 / 2 - 1) + 1) = 3.2 / 1.8
    # i6: (6 + 0.8 * 3) / ((6 / 3 - 1) + 0.8 * (3 / 1.5 - 1) + 1) = 8.4 / 2.8
    # i7: 1 / ((1 / 0.5 - 1) + 1) = 1 / 2; i1 stands in the history.
    assert SuccessorsVerbalizer(ITEMS, lists).best(history) == ["i6", "i5", "i7"]
    assert SuccessorsVerbalizer(ITEMS, lists).verbalize([history]) == [
        "Recent, newest last: Film 0; Film 1\nViewers of these went on to: Film 6; Film 5; Film 7"
    ]


def test_lengths_of_the_text_are_kept(lists, to_history):
    short = SuccessorsVerbalizer(ITEMS, lists, recent_works=1, newest=1, titles=1)
    text = short.verbalize([to_history("Film 0", "Film 1")])[0]
    assert text == "Recent, newest last: Film 1\nViewers of these went on to: Film 6"


def test_a_fold_reads_its_own_counts(lists, to_history):
    history = to_history("Film 0")
    verbalizer = SuccessorsVerbalizer(ITEMS, lists)
    assert verbalizer.best(history, fold=0) == ["i5"]
    texts, _ = write_and_count(verbalizer, [history, history], folds=[0, ALL_USERS])
    assert [text.count("Film") for text in texts] == [2, 4]


def test_noise_says_nothing_of_what_comes_next_and_nobody_followed_an_unknown_item(lists, to_history):
    (trailer,) = to_history("Film 0")
    unknown = {**trailer, "item_id": "never seen", "title": "Never <|im_end|> seen"}
    verbalizer = SuccessorsVerbalizer(ITEMS, lists)
    assert verbalizer.verbalize([[{**trailer, "event": "trailer"}], []]) == ["", ""]
    assert verbalizer.verbalize([[unknown]]) == ["Recent, newest last: Never ‹|im_end|› seen"]


def test_next_names_the_best_successors_that_the_history_does_not_hold(lists, to_history):
    history = to_history("Film 0", "Film 1", "Film 2", "Film 3")
    verbalizer = ActionVerbalizer(ITEMS, decisions=4, successors=lists)
    lines = [record_line(record) for record in history]
    # Film 1 points to what comes next with a strength of 2 (its mean lift is 1.75), Film 0 likewise, Film 2 with 1.
    assert verbalizer.asked({"history": history}) == [1, 0, 2, 3]
    assert verbalizer.realize("drop next next next", {"history": history}).split("\n") == [
        f"{lines[0]} | next: Film 5; Film 6",  # Film 1 was watched
        f"{lines[2]} | next: Film 4; Film 5; Film 6; Film 7; Film 8",  # the first five of those that were not
        lines[3],  # nothing is known to follow it
    ]
    assert verbalizer.counts("drop next next next", {"history": history})["next"] == 3


def test_the_strongest_record_is_asked_about_first_and_of_equals_the_newest(lists, to_history):
    verbalizer = ActionVerbalizer(ITEMS, decisions=4, successors=lists)
    history = to_history("Film 0", "Film 1", "Film 2", "Film 3")
    # Mean lifts without what was watched, rounded. Film 0: (2 + 1.5) / 2; Film 1: (3 + 0.5) / 2; Film 2: 1.
    assert asked_about(verbalizer, {"history": history}) == [
        ("Film 1", "3 back", "next 2"),
        ("Film 0", "4 back", "next 2"),
        ("Film 2", "2 back", "next 1"),
        ("Film 3", "1 back", "next 0"),
    ]
    # In fold 0, only the first successor of Film 0 is known.
    of_fold = asked_about(verbalizer, {"history": history, "fold": 0})
    assert [title for title, *_ in of_fold] == ["Film 0", "Film 3", "Film 2", "Film 1"]


def asked_about(verbalizer, example) -> list[tuple[str, str, str]]:
    """Title, age and strength of each record, in the order of the prompt."""
    (message,) = verbalizer.prompt(example)
    return re.findall(r"^\d+\. .*(Film \d+).* \| (\d+ back) \| (next \d)$", message["content"], re.MULTILINE)


def test_an_answer_in_the_order_of_the_prompt_decides_on_the_records_it_lists(lists, to_history, text_cache):
    verbalizer = ActionVerbalizer(ITEMS, decisions=4, successors=lists)
    example = {"history": to_history("Film 0", "Film 1", "Film 2", "Film 3"), "fold": 0}
    assert verbalizer.asked(example) == [0, 3, 2, 1]
    made = verbalizer.decisions_of("next detail drop", example)
    assert made == Decisions(("next", "keep", "drop", "detail"), undecided=1)
    writing = Writing(example["history"], "next detail drop", "", {})
    assert verbalizer.decided([writing], [0]) == [made.of_records]
    assert to_completion(made.of_records, verbalizer.asked(example)) == "next detail drop keep"


def test_a_text_grows_by_the_records_that_are_decided_on(lists, to_history):
    verbalizer = ActionVerbalizer(ITEMS, decisions=4, successors=lists)
    example = {"history": to_history("Film 0", "Film 1", "Film 2")}
    lines = [record_line(record) for record in example["history"]]
    text, decided = verbalizer.realize_begun(" keep next", example)
    assert decided == ["next", "keep", ""]
    assert text.split("\n") == [f"{lines[0]} | next: Film 5; Film 6", lines[1]]
    assert verbalizer.realize_begun("", example) == (NOTHING_KEPT, ["", "", ""])
    whole = " keep next drop"
    assert verbalizer.realize_begun(whole, example)[0] == verbalizer.realize(whole, example)


def test_a_warm_start_names_successors_where_they_are_strong(tmp_path, to_history):
    lifts = {"i0": 0.4, "i1": 3.0, "i2": 9.0}
    counted = {item: [Successor("i9", 5, lift)] for item, lift in lifts.items()}
    verbalizer = ActionVerbalizer(ITEMS, decisions=4, successors=SuccessorLists(tmp_path, {ALL_USERS: counted}))
    chosen = Counter()
    for number in range(300):
        history = to_history("Film 0", "Film 1", "Film 2", f"Nothing follows {number}")
        made = verbalizer.decisions_of(verbalizer.warm_start({"history": history}), {"history": history})
        assert made.undecided == 0
        chosen.update(enumerate(made.of_records))
    shares = [chosen[place, "next"] / 300 for place in range(4)]
    assert shares[:3] == pytest.approx([0, 9 / 18, 81 / 90], abs=0.08)
    assert shares[3] == 0
    assert verbalizer.warm_start({"history": []}) == ""


def test_three_decisions_stay_three(lists, to_history, tmp_path, save_adapter, text_cache):
    """An adapter that was taught before there was `next` decides among what it knows, whatever the catalogue has."""
    adapter = save_adapter(tmp_path / "adapter")
    (adapter / "verbalizer_config.json").write_text('{"verbalizer": "action", "history_length": 2}')
    (old,) = load_adapters({"action": str(adapter)}, ITEMS, lists).values()
    history = to_history("Film 0", "Film 1")
    assert "| next" not in old.prompt({"history": history})[0]["content"]
    assert set(old.write([history])[0].counts) == {"drop", "keep", "detail", "undecided"}
    assert parse_decisions("next drop", 2).undecided == 2


def test_an_adapter_that_decides_next_says_so_and_needs_successors(
    lists, to_history, tmp_path, save_adapter, text_cache
):
    adapter = save_adapter(tmp_path / "adapter")
    ActionVerbalizer(ITEMS, decisions=4, successors=lists).save_config(adapter)
    (loaded,) = load_adapters({"action": str(adapter)}, ITEMS, lists).values()
    (writing,) = loaded.write([to_history("Film 0", "Film 1")])
    assert sum(writing.counts[name] for name in loaded.known) == 2
    assert loaded.known[-1] == "next"
    with pytest.raises(InputError, match="no successors were given"):
        load_adapters({"action": str(adapter)}, ITEMS)


def test_each_decision_is_a_word_of_its_own(tiny_language_model):
    grammar = DecisionGrammar.of(tiny_language_model.tokenizer, ("drop", "keep", "detail", "next"))
    assert len(set(grammar.spellings)) == 4


def test_rules_decide_for_every_record(lists, to_history):
    history = to_history("Film 0", "Film 1", "Film 2")
    lines = [record_line(record) for record in history]
    texts = {
        rule: RuleDecisions(ITEMS, rule, lists).verbalize([history])[0]
        for rule in ("keep", "next", "newest-1", "newest-9", "strongest-1", "strongest-9")
    }
    assert texts["keep"].split("\n") == lines
    assert texts["next"].split("\n")[0] == f"{lines[0]} | next: Film 5; Film 6"
    assert texts["newest-1"] == texts["next"].split("\n")[2]
    assert texts["newest-9"] == texts["strongest-9"] == texts["next"]  # there are no more than three
    assert texts["strongest-1"] == texts["next"].split("\n")[1]  # as strong as Film 0, and newer


def test_rules_that_do_not_exist_or_lack_successors_are_refused(lists):
    with pytest.raises(InputError, match="no decision rule 'newest-0'"):
        RuleDecisions(ITEMS, "newest-0", lists)
    with pytest.raises(InputError, match="no successors were given"):
        RuleDecisions(ITEMS, "next")
    assert not is_written_by_rule("action:drop")


def test_random_decisions_draw_next_where_there_are_successors(lists, to_history):
    texts = RuleDecisions(ITEMS, successors=lists).verbalize([to_history("Film 0")] * 200)
    assert sum("| next: " in text for text in texts) / 200 == pytest.approx(1 / 4, abs=0.1)


def test_a_reward_can_carry_the_lists_to_another_process(lists):
    assert pickle.loads(pickle.dumps(lists)).after("i1") == lists.after("i1")
