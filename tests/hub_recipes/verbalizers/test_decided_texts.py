"""Decisions carried out as two lists of works; the text of a line per record is tested with what decides."""

import pytest

from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.by_rule import is_written_by_rule, to_rule_verbalizer
from logs2lang.verbalizers.decided_texts import NOTHING_KEPT, Decisions, execute

ITEMS = {
    f"i{place}": {"item_id": f"i{place}", "title": f"Film {place}", "year": None, "tags": [], "series": None}
    for place in range(60)
}
ITEMS["i4"] |= {"year": 1996, "tags": ["Crime"]}


@pytest.fixture
def lists(tmp_path):
    """Successors of three items; without the users of fold 0 nothing but one of them is known."""
    of_all = {
        "i0": [Successor("i5", 4, 2.0), Successor("i6", 3, 1.5), Successor("i1", 2, 1.0)],
        "i1": [Successor("i6", 6, 3.0), Successor("i7", 1, 0.5)],
        "i2": [Successor(f"i{place}", 9, 90.0 - place) for place in range(8, 60)],
    }
    return SuccessorLists(tmp_path, {ALL_USERS: of_all, 0: {"i0": of_all["i0"][:1]}})


def as_lists(decisions, history, lists, fold=ALL_USERS):
    return execute(Decisions(tuple(decisions.split()), 0), history, ITEMS, lists, fold, as_lists=True).split("\n")


def test_the_lists_of_all_records_decided_next_are_one(lists, to_history):
    history = to_history("Film 0", "Film 1", "Film 2", "Film 3")
    # As `successors` scores them. i6: (6 + 0.8 * 3) / ((6 / 3 - 1) + 0.8 * (3 / 1.5 - 1) + 1) = 8.4 / 2.8
    # i5: 0.8 * 4 / (0.8 * (4 / 2 - 1) + 1) = 3.2 / 1.8; i7: 1 / ((1 / 0.5 - 1) + 1) = 1 / 2; i1 was watched.
    assert as_lists("next next drop keep", history, lists) == [
        "Recent, newest last: Film 0; Film 1; Film 3",
        "Viewers of these went on to: Film 6; Film 5; Film 7",
    ]


def test_only_records_decided_next_bring_in_what_followed_them(lists, to_history):
    history = to_history(*(f"Film {place}" for place in range(5)))
    assert as_lists("next keep drop drop drop", history, lists) == [
        "Recent, newest last: Film 0; Film 1",
        "Viewers of these went on to: Film 5; Film 6",
    ]
    kept = as_lists("keep keep drop drop detail", history, lists)
    assert kept == ["Recent, newest last: Film 0; Film 1; Film 4 (year=1996, tags=Crime)"]
    assert as_lists("drop drop drop next drop", history, lists) == ["Recent, newest last: Film 3"]
    assert as_lists("drop drop drop drop drop", history, lists) == [NOTHING_KEPT]


@pytest.mark.parametrize(("decisions", "named"), [("drop drop next", 5), ("next drop next", 10)])
def test_each_record_decided_next_makes_the_list_five_titles_longer(decisions, named, lists, to_history):
    _, following = as_lists(decisions, to_history("Film 0", "Film 1", "Film 2"), lists)
    titles = following.removeprefix("Viewers of these went on to: ").split("; ")
    assert titles[:5] == [f"Film {place}" for place in range(8, 13)]  # the lifts of what followed Film 2 are highest
    assert len(titles) == named


def test_a_work_seen_again_stands_once_where_it_was_seen_last(lists, to_history):
    older, between, newer = to_history("Film 4", "Film 1", "Film 4")
    history = [{**older, "item_id": "i4"}, between, {**newer, "item_id": "i4"}]
    assert as_lists("detail keep keep", history, lists) == ["Recent, newest last: Film 1; Film 4"]
    detailed = as_lists("keep keep detail", history, lists)
    assert detailed == ["Recent, newest last: Film 1; Film 4 (year=1996, tags=Crime)"]


def test_a_fold_reads_its_own_counts(lists, to_history):
    history = to_history("Film 0", "Film 1")
    assert as_lists("next next", history, lists, fold=0)[1] == "Viewers of these went on to: Film 5"


def test_an_adapter_says_that_it_was_taught_to_write_lists(lists, to_history, tmp_path, save_adapter, text_cache):
    folder = save_adapter(tmp_path / "adapter")
    ActionVerbalizer(ITEMS, decisions=4, as_lists=True, successors=lists).save_config(folder)
    verbalizer = ActionVerbalizer.from_pretrained(folder, ITEMS, successors=lists)
    by_lines = ActionVerbalizer.from_pretrained(folder, ITEMS, successors=lists, as_lists=False)
    assert (verbalizer.as_lists, by_lines.as_lists) == (True, False)
    assert verbalizer.fingerprint != by_lines.fingerprint
    example = {"history": to_history("Film 0", "Film 3")}
    assert verbalizer.prompt(example) == by_lines.prompt(example)
    assert verbalizer.realize("next keep", example).startswith("Recent, newest last: Film 0; Film 3\n")


def test_the_row_of_a_rule_can_write_lists(to_history):
    lists = {"i0": [Successor("i5", 4, 2.0)]}

    class Dataset:
        def items(self):
            return ITEMS

        def successors(self):
            return SuccessorLists(None, {ALL_USERS: lists})

    history = to_history("Film 0", "Film 1")
    by_lists, by_lines = (to_rule_verbalizer(f"{name}:strongest-1", Dataset()) for name in ("lists", "action"))
    assert by_lists.verbalize([history]) == ["Recent, newest last: Film 0\nViewers of these went on to: Film 5"]
    assert by_lines.verbalize([history])[0].endswith("Film 0 | next: Film 5")
    assert by_lists.fingerprint != by_lines.fingerprint
    assert is_written_by_rule("lists:next")
    assert not is_written_by_rule("lists:first-3")
    assert not is_written_by_rule("list:next")
