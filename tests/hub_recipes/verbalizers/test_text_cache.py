import pytest

from logs2lang.verbalizers.text_cache import WRITTEN_AT_ONCE, cache_key, write_missing


def writer(calls: list):
    def write(places):
        calls.append(places)
        return [f"text {place}" for place in places]

    return write


def test_what_was_written_is_read_and_not_written_again(tmp_path):
    calls = []
    assert write_missing(["a", "b"], writer(calls), folder=tmp_path) == ["text 0", "text 1"]
    assert write_missing(["b", "c"], writer(calls), folder=tmp_path) == ["text 1", "text 1"]
    assert calls == [[0, 1], [1]]


def test_equal_keys_are_written_once(tmp_path):
    calls = []
    texts = write_missing(["a", "a", "b", "a"], writer(calls), folder=tmp_path)
    assert sum(len(places) for places in calls) == 2
    assert texts[0] == texts[1] == texts[3] != texts[2]


def test_a_kill_loses_only_what_was_being_written(tmp_path):
    keys = [str(place) for place in range(2 * WRITTEN_AT_ONCE)]
    calls = []

    def write(places):
        if calls:
            raise KeyboardInterrupt
        return writer(calls)(places)

    with pytest.raises(KeyboardInterrupt):
        write_missing(keys, write, folder=tmp_path)
    again = []
    write_missing(keys, writer(again), folder=tmp_path)
    assert again == [list(range(WRITTEN_AT_ONCE, 2 * WRITTEN_AT_ONCE))]


def test_progress_counts_what_was_already_there(tmp_path):
    write_missing(["a"], writer([]), folder=tmp_path)
    told = []
    write_missing(["a", "b", "c"], writer([]), told.append, tmp_path)
    assert told[-1] == 3
    assert told == sorted(told)


@pytest.mark.parametrize("other", [([1, 3], "m", {"n": 1}), ([1, 2], "another", {"n": 1}), ([1, 2], "m", {"n": 2})])
def test_a_key_follows_prompt_model_and_settings(other):
    assert cache_key([1, 2], "m", {"n": 1}) != cache_key(*other)
