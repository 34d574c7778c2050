import pickle

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import record_line
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.verbalizers.action import ActionVerbalizer, DecisionGrammar, parse_decisions
from logs2lang.verbalizers.by_rule import is_written_by_rule
from logs2lang.verbalizers.decision_rules import RuleDecisions
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
    assert verbalizer.realize("next next drop next", {"history": history}).split("\n") == [
        f"{lines[0]} | next: Film 5; Film 6",  # Film 1 was watched
        f"{lines[2]} | next: Film 4; Film 5; Film 6; Film 7; Film 8",  # the first five of those that were not
        lines[3],  # nothing is known to follow it
    ]
    assert verbalizer.counts("next next drop next", {"history": history})["next"] == 3


def test_the_prompt_says_how_strongly_each_record_points_to_what_comes_next(lists, to_history):
    verbalizer = ActionVerbalizer(ITEMS, decisions=4, successors=lists)
    history = to_history("Film 0", "Film 1", "Film 9")
    (message,) = verbalizer.prompt({"history": history})
    # Film 0: the mean lift of Film 5 and Film 6, (2 + 1.5) / 2, rounded; Film 1: (3 + 0.5) / 2; the third item: 1.
    told = [line.rpartition(" | next ")[2] for line in message["content"].splitlines() if " | next " in line]
    assert told == ["1", "2", "2"]  # the newest record first
    (message,) = verbalizer.prompt({"history": history, "fold": 0})
    told = [line.rpartition(" | next ")[2] for line in message["content"].splitlines() if " | next " in line]
    assert told == ["0", "0", "2"]


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
        for rule in ("keep", "next", "newest-1", "newest-9")
    }
    assert texts["keep"].split("\n") == lines
    assert texts["next"].split("\n")[0] == f"{lines[0]} | next: Film 5; Film 6"
    assert texts["newest-1"] == texts["next"].split("\n")[2]
    assert texts["newest-9"] == texts["next"]  # there are no more than three


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
