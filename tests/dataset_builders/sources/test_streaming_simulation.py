"""The simulated log is what its configuration and its description say."""

import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.raw_log import connect
from logs2lang.dataset_builders.sources.streaming_simulation import (
    SimulationConfig,
    households,
    read_streaming_simulation,
)
from logs2lang.dataset_builders.sources.streaming_simulation.catalogue import TAG_NAMES, make_catalogue, make_titles
from logs2lang.dataset_builders.sources.streaming_simulation.households import draw_works
from logs2lang.dataset_builders.sources.streaming_simulation.noise import ACCIDENTAL, LOOP, RECORD_SHARES

CONFIG = SimulationConfig(events=60_000, accounts=600, seed=1)


def simulate(folder, config):
    """The log with its truth beside it, the catalogue, and the tastes."""
    folder.mkdir(exist_ok=True)
    connection = connect(folder)
    raw = read_streaming_simulation(connection, config)
    log = raw.interactions.execute()
    truth = raw.truth["records"].execute()
    log = log.merge(truth, on=["user_id", "item_id", "timestamp", "event"], validate="one_to_one")
    items, tastes = raw.items.execute(), raw.truth["tastes"].execute()
    connection.disconnect()
    return log.sort_values("source_row", ignore_index=True), items, tastes


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    return simulate(tmp_path_factory.mktemp("simulation"), CONFIG)


@pytest.fixture(scope="module")
def log(simulated):
    return simulated[0]


def test_the_log_has_the_events_and_accounts_asked_for(log):
    assert len(log) == pytest.approx(60_000, rel=0.05)
    assert log["user_id"].nunique() == 600
    assert log["source_row"].tolist() == list(range(1, len(log) + 1))


def test_noise_has_the_share_asked_for_and_so_has_each_kind(log):
    assert log["noise_kind"].notna().mean() == pytest.approx(0.25, abs=0.01)
    kinds = log["noise_kind"].value_counts(normalize=True)
    assert kinds.to_dict() == pytest.approx(RECORD_SHARES, abs=0.02)


def test_the_event_tells_some_noise_and_hides_the_rest(log):
    events = log.groupby("noise_kind", dropna=False)["event"].agg(set)
    assert {kind: events[kind] for kind in ("trailer", "autoplay", "abandon")} == {
        "trailer": {"trailer"},
        "autoplay": {"autoplay"},
        "abandon": {"abandon"},
    }
    assert events[ACCIDENTAL] == events[LOOP] == events[np.nan] == {"play"}


def test_accidental_plays_last_seconds_and_genuine_ones_minutes(log):
    assert log.loc[log["noise_kind"] == ACCIDENTAL, "duration_s"].between(2, 25).all()
    assert log.loc[log["noise_kind"].isna(), "duration_s"].min() > 60


def test_a_loop_plays_the_same_length_at_least_three_times_in_a_row(log):
    is_loop = log["noise_kind"] == LOOP
    runs = log[is_loop].groupby((log["item_id"] != log["item_id"].shift()).cumsum()[is_loop])
    assert runs.size().min() >= 3
    assert (runs["duration_s"].nunique() == 1).all()


def test_records_of_an_account_follow_one_another_and_never_overlap(log):
    is_same_account = log["user_id"] == log["user_id"].shift()
    ends = log["timestamp"] + pd.to_timedelta(log["duration_s"], unit="s")
    assert (log["duration_s"] > 0).all()
    assert (log["timestamp"] >= ends.shift())[is_same_account].all()
    assert is_same_account.sum() == len(log) - 600


def test_the_last_choice_of_every_account_is_genuine(log):
    choices = log[log["event"] == "play"]
    assert choices.groupby("user_id").tail(1)["noise_kind"].isna().all()


def test_a_series_is_watched_in_order_from_its_first_episode(simulated):
    log, items, _ = simulated
    watched = log[log["episode"].notna()]
    extent = items["description"].str.extract(r"(\d+) season\(s\) of (\d+) episodes").astype(float)
    seasons, episodes = (dict(zip(items["item_id"], extent[column], strict=True)) for column in (0, 1))
    per_season = watched["item_id"].map(episodes)
    number = (watched["season"] - 1) * per_season + watched["episode"] - 1
    expected = watched.groupby(["user_id", "item_id"]).cumcount() % (watched["item_id"].map(seasons) * per_season)
    assert len(watched) > 10_000
    assert (number == expected).all()


def test_the_sittings_of_a_film_sum_to_about_its_length(tmp_path):
    config = replace(CONFIG, returns=0, noise_share=0, events=3_000, accounts=60, films=5_000, series=1, difficulty=1)
    log, items, _ = simulate(tmp_path, config)
    minutes = items["description"].str.extract(r"film of (\d+) minutes")[0].astype(float)
    length_s = log["item_id"].map(dict(zip(items["item_id"], minutes * 60, strict=True)))
    played = log.assign(length_s=length_s)[length_s.notna()].groupby(["user_id", "item_id"])
    once = played["duration_s"].sum()[played.size() <= 3] / played["length_s"].first()
    assert once.between(0.89, 1.05).mean() > 0.97  # the rest was drawn twice
    assert played.size().max() >= 3


def test_titles_are_unique_and_share_no_word_with_tags(simulated):
    items = simulated[1]
    title_words = {word.lower() for title in items["title"] for word in re.findall(r"\w+", title)}
    assert items["title"].is_unique
    assert not title_words & {word for tag in TAG_NAMES for word in tag.split()}
    assert len(set(TAG_NAMES)) == len(TAG_NAMES)


def test_twenty_thousand_titles_are_all_different():
    titles = make_titles(20_000, np.random.default_rng(0))
    assert len(set(titles)) == 20_000
    assert [title for title in titles if title.startswith(("A A", "A E", "A I", "A O", "A U"))] == []
    assert any(title.startswith("An Archive for ") for title in titles)


def test_equal_seeds_give_equal_logs_and_other_seeds_others(tmp_path):
    config = SimulationConfig(events=1_000, accounts=10)
    first, again = simulate(tmp_path / "a", config)[0], simulate(tmp_path / "b", config)[0]
    other = simulate(tmp_path / "c", replace(config, seed=1))[0]
    pd.testing.assert_frame_equal(first, again)
    assert not first["timestamp"].equals(other["timestamp"])


def test_the_log_of_an_account_does_not_depend_on_how_many_others_there_are(tmp_path, log):
    few = simulate(tmp_path, replace(CONFIG, events=55_000, accounts=550))[0]
    pd.testing.assert_frame_equal(few, log[log["user_id"].isin(few["user_id"])])
    assert few["user_id"].nunique() == 550  # the last fifty of them in the second group


@pytest.mark.parametrize("households", [0, 0.3, 1])
def test_two_people_share_as_many_accounts_as_asked_for(tmp_path, households):
    log, _, tastes = simulate(tmp_path, replace(CONFIG, events=50_000, accounts=500, households=households))
    people = tastes.groupby("user_id")["person"].nunique()
    assert (people == 2).mean() == pytest.approx(households, abs=0.06)
    assert (log.groupby("user_id")["person"].nunique() <= people).all()
    first_of_account = tastes[tastes["period"] == 0].groupby("user_id")["share"].sum()
    assert first_of_account.to_numpy() == pytest.approx(1)


@pytest.mark.parametrize("drift", [0, 0.15, 1])
def test_a_taste_keeps_what_drift_leaves_of_it(tmp_path, drift):
    tastes = simulate(tmp_path, replace(CONFIG, events=5_000, accounts=500, drift=drift))[2]
    by_period = {period: np.stack(list(rows["taste"])).ravel() for period, rows in tastes.groupby("period")}
    assert np.corrcoef(by_period[0], by_period[1])[0, 1] == pytest.approx(1 - drift, abs=0.02)
    assert by_period[5].std() == pytest.approx(CONFIG.sharpness / np.sqrt(3), rel=0.02)


def test_people_watch_what_they_like(simulated):
    log, items, tastes = simulated
    plays = log[log["noise_kind"].isna() | (log["noise_kind"] == ACCIDENTAL)]
    now = tastes[tastes["period"] == 0].set_index(["user_id", "person"])["taste"]
    place = {tag: position for position, tag in enumerate(TAG_NAMES)}
    tags = {item: [place[tag] for tag in names] for item, names in zip(items["item_id"], items["tags"], strict=True)}
    early = plays[plays["timestamp"] < "2025-01-31"]
    liking = [
        sum(now[user, person][tag] for tag in tags[item])
        for user, person, item in early[["user_id", "person", "item_id"]].values
    ]
    means = pd.Series(liking).groupby(early["noise_kind"].isna().to_numpy()).mean()
    assert means[True] > CONFIG.sharpness  # genuine plays lie more than one standard deviation above the mean of 0
    assert abs(means[False]) < 0.3  # accidents do not ask for taste


def test_works_are_drawn_by_their_law():
    rng = np.random.default_rng(0)
    catalogue = make_catalogue(replace(CONFIG, films=40, series=10), rng)
    tastes = rng.normal(size=(3, len(TAG_NAMES))).astype(np.float32)
    draws = np.repeat([2, 0, 1], 40_000)
    works, log_normalisers = draw_works(tastes, catalogue, draws, rng.random(len(draws)))
    for law in range(3):
        log_weights = catalogue.log_popularity + tastes[law][catalogue.tags].sum(axis=1)
        expected = np.exp(log_weights) / np.exp(log_weights).sum()
        assert np.bincount(works[draws == law], minlength=50) / 40_000 == pytest.approx(expected, abs=0.01)
        assert log_normalisers[law] == pytest.approx(np.log(np.exp(log_weights).sum()), abs=1e-5)


def test_drawn_works_do_not_depend_on_the_size_of_the_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    catalogue = make_catalogue(replace(CONFIG, films=40, series=10), rng)
    tastes, laws, chance = rng.normal(size=(7, len(TAG_NAMES))), rng.integers(0, 7, 100), rng.random(100)
    whole, _ = draw_works(tastes, catalogue, laws, chance)
    monkeypatch.setattr(households, "_BLOCK_WEIGHTS", 150)
    in_blocks, _ = draw_works(tastes, catalogue, laws, chance)
    assert in_blocks.tolist() == whole.tolist()


def test_popularity_and_tags_cover_the_catalogue():
    catalogue = make_catalogue(CONFIG, np.random.default_rng(0))
    assert np.exp(catalogue.log_popularity).sum() == pytest.approx(1)
    assert catalogue.is_series.sum() == CONFIG.series
    assert (catalogue.tag_matrix().sum(axis=0) == 3).all()


@pytest.mark.parametrize(
    ("name", "value"),
    [("events", 10), ("accounts", 0), ("noise_share", 1.0), ("difficulty", -0.1), ("binge", 0.95), ("days", 0)],
)
def test_a_choice_out_of_range_is_refused_by_name(name, value):
    with pytest.raises(InputError, match=f"{name!r} is {value};"):
        SimulationConfig(**{name: value})
