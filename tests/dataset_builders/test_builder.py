import gc
import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import ibis
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from filelock import FileLock
from huggingface_hub import DatasetCard

from logs2lang.dataset_builders import builder, user_groups
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.checks import violations
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.dataset_folder.export import shards_of
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.log_dataset import LogDatasetBuilder
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.raw_log import OWN_LOG, RawLog
from logs2lang.dataset_builders.schema import CONFIG_FEATURES, SPLITS
from logs2lang.dataset_builders.sources.tabular import read_tabular

OPTIONS = BuildOptions(num_candidates=5)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def built(make_source, crowd, tmp_path_factory) -> Path:
    """A built dataset that tests read and never change."""
    folder = tmp_path_factory.mktemp("built") / "dataset"
    build_dataset(make_source(crowd), folder, OPTIONS)
    return folder


@pytest.mark.parametrize("config", CONFIG_FEATURES)
def test_load_dataset_reads_every_config_with_its_features(built, config, tmp_path):
    loaded = load_dataset(str(built), config, cache_dir=str(tmp_path / "cache"))
    assert set(loaded) == ({"train"} if config in {"items", "successors", "interactions"} else set(SPLITS))
    for split in loaded.values():
        assert split.features == CONFIG_FEATURES[config]
        assert split.num_rows


@pytest.mark.parametrize("threads", [1, 2, 4])
def test_builds_of_one_seed_are_byte_identical_whatever_the_threads(make_source, crowd, built, tmp_path, threads):
    build_dataset(make_source(crowd), tmp_path / "again", OPTIONS, threads=threads)
    assert contents(tmp_path / "again") == contents(built)


def test_a_log_of_many_row_groups_is_written_the_same_by_several_threads(make_source, tmp_path):
    """DuckDB 2.0 loses values of enumerations that several threads write at once; see `export.write_table`."""
    events = [(f"u{user}", f"i{(user * 7 + hour) % 900}", hour) for user in range(60) for hour in range(500)]
    folders = {threads: tmp_path / str(threads) for threads in (1, 2, 3, 4)}
    for threads, folder in folders.items():
        build_dataset(make_source(events), folder, BuildOptions(train_targets=0), threads=threads)
    training = BuiltDataset.open(folders[1]).training_interactions()
    assert training["item_id"].str.fullmatch(r"i\d+").all()
    assert all(contents(folder) == contents(folders[1]) for folder in folders.values())


def test_groups_of_users_are_shards_of_the_same_examples(make_source, crowd, built, tmp_path, monkeypatch):
    monkeypatch.setattr(user_groups, "EVENTS_PER_GROUP", 100)
    build_dataset(make_source(crowd), tmp_path / "sharded", OPTIONS)
    sharded, whole = BuiltDataset.open(tmp_path / "sharded"), BuiltDataset.open(built)
    assert len(list((tmp_path / "sharded" / "examples").glob("test-*"))) == 3
    assert sharded.examples("test").to_list() == whole.examples("test").to_list()


def test_what_a_simulator_knows_is_part_of_the_content(make_source, crowd, tmp_path):
    def build(name: str, taste: float) -> dict[str, str]:
        def read(connection):
            known = ibis.memtable({"user_id": ["u1"], "taste": [taste]})
            return replace(make_source(crowd)(connection), truth={"tastes": known})

        return build_dataset(read, tmp_path / name, OPTIONS)["content_sha256"]

    first, other = build("first", 0.25), build("other", 0.75)
    assert {config for config in first if first[config] != other[config]} == {"truth"}


def test_another_seed_makes_other_candidates(make_source, crowd, built, tmp_path):
    build_dataset(make_source(crowd), tmp_path / "other", BuildOptions(num_candidates=5, seed=1))
    first, other = (BuiltDataset.open(folder).examples("test")["candidates"] for folder in (built, tmp_path / "other"))
    assert list(first) != list(other)


def test_a_salt_changes_every_user_hash_and_is_not_written_down(make_source, crowd, built, tmp_path):
    build_dataset(make_source(crowd), tmp_path / "salted", BuildOptions(num_candidates=5, salt="pepper"))
    users = [set(BuiltDataset.open(folder).examples("test")["user"]) for folder in (built, tmp_path / "salted")]
    assert not users[0] & users[1]
    assert b"pepper" not in b"".join(contents(tmp_path / "salted").values())


def test_no_raw_user_id_is_written_outside_the_quarantine(make_source, crowd, tmp_path):
    rows = [(f"person-{user}", item, hour) for user, item, hour in crowd]
    build_dataset(make_source(rows), tmp_path / "built", OPTIONS)
    for path in (tmp_path / "built").rglob("*.parquet"):
        text = str(pq.read_table(path).to_pylist())
        assert "person-" not in text


def test_the_report_accounts_for_every_row_and_user(make_source, crowd, tmp_path):
    rows = [*crowd, crowd[0], ("", "m1", 3), ("newcomer", "m1", 4)]
    report = build_dataset(make_source(rows), tmp_path / "built", OPTIONS)
    counts = report["counts"]
    assert counts["input_rows"] == len(rows) == counts["used"] + counts["merged_duplicates"] + counts["quarantined"]
    assert (counts["merged_duplicates"], counts["quarantined"]) == (1, 1)
    assert (counts["users"], counts["users_too_short"]) == (31, 1)
    assert json.loads((tmp_path / "built" / "build_report.json").read_text()) == json.loads(json.dumps(report))
    assert pq.read_table(tmp_path / "built" / "quarantine.parquet")["reason"].to_pylist() == ["empty user"]


def test_titles_that_name_several_items_are_counted_in_the_report_and_the_card(make_source, crowd, tmp_path):
    ids = [f"m{number}" for number in range(40)]
    titles = ["Heat", "Heat", "Solo", "Solo", *ids[4:]]
    items = {"item_id": ids, "title": titles, "year": ["1986", "1995", "2018", "2018", *["2000"] * 36]}
    report = build_dataset(make_source(crowd, items=items), tmp_path / "built", OPTIONS)
    counts = report["counts"]
    assert (counts["items_sharing_title"], counts["items_sharing_title_and_year"]) == (4, 2)
    (note,) = [note for note in report["notes"] if "share their title" in note]
    assert note.startswith("4 of 40 items share their title with another item.")
    assert "2 items share the year too" in note
    card = (tmp_path / "built" / "README.md").read_text()
    assert "| items that share their title with another | 4 |\n| of these, the year too | 2 |\n" in card


def test_a_log_whose_items_have_no_titles_is_told_that_prompts_show_ids(make_source, crowd, tmp_path):
    report = build_dataset(make_source(crowd), tmp_path / "built", OPTIONS)
    items = report["counts"]["items"]
    assert any(note.startswith(f"{items} of {items} items have no title") for note in report["notes"])


PAGES = [(f"u{user}", f"p{(3 * user + place) % 40:02}", place // 4) for user in range(12) for place in range(10)]
"""Sessions of ten pages, one after another, four of them at one instant."""


def pages_of(folder, split="test"):
    """The source ids of each history and its target."""
    built = BuiltDataset.open(folder)
    names = {item_id: item["source_item_id"] for item_id, item in built.items().items()}
    rows = built.examples(split)
    return sorted([names[record["item_id"]] for record in row["history"]] + [names[row["target"]]] for row in rows)


SESSIONS = sorted([f"p{(3 * user + place) % 40:02}" for place in range(10)] for user in range(12))


def test_ties_can_stand_as_in_the_file(make_source, tmp_path):
    report = build_dataset(make_source(PAGES), tmp_path / "file", BuildOptions(num_candidates=5, ties="file"))
    assert pages_of(tmp_path / "file") == SESSIONS
    assert report["ties"] == {"records": 1.0, "targets": 1.0}
    assert (
        "100% of the test targets have the same time as a neighbouring record. Their order is that of the file."
        in report["notes"]
    )
    assert "in the order of the file" in (tmp_path / "file" / "README.md").read_text()
    drawn = build_dataset(make_source(PAGES), tmp_path / "drawn", BuildOptions(num_candidates=5))
    assert pages_of(tmp_path / "drawn") != SESSIONS
    assert any("random, by the seed; --ties file" in note for note in drawn["notes"])


def test_a_log_of_different_times_says_that_nothing_was_tied(make_source, crowd, tmp_path):
    report = build_dataset(make_source(sorted(set(crowd))), tmp_path / "built", OPTIONS)
    assert report["ties"] == {"records": 0.0, "targets": 0.0}
    assert "0.0% of the records and 0.0% of the test targets" in (tmp_path / "built" / "README.md").read_text()


def test_a_log_without_times_has_the_order_of_its_file(tmp_path):
    lines = ["user,game", *(f"{user},{item}" for user, item, _ in PAGES), "u0,p09"]  # the last one once more
    (tmp_path / "log.csv").write_text("\n".join(lines))
    source = partial(read_tabular, interactions=str(tmp_path / "log.csv"), columns={"item_id": "game"}, order="file")
    report = build_dataset(source, tmp_path / "built", BuildOptions(num_candidates=5))
    assert (report["counts"]["used"], report["counts"]["merged_duplicates"]) == (121, 0)
    assert pages_of(tmp_path / "built")[1:] == SESSIONS[1:]
    assert pages_of(tmp_path / "built")[0] == [*SESSIONS[0], "p09"]
    assert any("This log has no times" in note for note in report["notes"])
    assert "1970-01-01, which texts omit" in " ".join((tmp_path / "built" / "README.md").read_text().split())
    text = template_text(BuiltDataset.open(tmp_path / "built").examples("test")[0]["history"])
    assert text.startswith("interact | i")
    assert "1970" not in text
    with pytest.raises(InputError, match="has no times, so it cannot be split by time"):
        build_dataset(source, tmp_path / "temporal", BuildOptions(protocol="temporal"))
    with pytest.raises(InputError, match="For a log without times, pass --order file"):
        build_dataset(partial(source, order="time"), tmp_path / "timed", BuildOptions())


def test_a_log_of_two_records_each_is_told_what_can_help(make_source, tmp_path):
    rows = [(f"u{user}", f"m{2 * user + place}", place) for user in range(20) for place in range(2)]
    with pytest.raises(InputError, match=r"A user needs 3 interactions.*Training needs 4\. Use a longer log\."):
        build_dataset(make_source(rows), tmp_path / "built", BuildOptions(num_candidates=5))


def test_a_split_without_examples_is_left_out_of_the_card_and_named(make_source, tmp_path):
    rows = [(f"u{user}", f"m{(user * 5 + place) % 40}", place) for user in range(20) for place in range(7)]
    options = BuildOptions(num_candidates=5, min_history=5)
    report = build_dataset(make_source(rows), tmp_path / "built", options)
    assert any(note.startswith("The split train has no examples and cannot be loaded.") for note in report["notes"])
    assert set(load_dataset(str(tmp_path / "built"), "verbalizer")) == {"validation", "test"}
    with pytest.raises(InputError, match=r"'train' split of 'examples' .* has no rows: .*Choose validation or test"):
        BuiltDataset.open(tmp_path / "built").examples("train")
    report = build_dataset(make_source(rows), tmp_path / "filled", BuildOptions(num_candidates=5))
    assert report["options"]["min_history"] == 4
    assert any("so the minimum is lowered to 4. A user needs 6 interactions" in note for note in report["notes"])
    assert report["splits"]["train"]["examples"] == 20


def test_a_log_without_examples_can_still_be_loaded(make_source, tmp_path):
    build_dataset(make_source([("ann", f"m{place}", place) for place in range(9)]), tmp_path / "ann")
    assert "No examples could be built" in (tmp_path / "ann" / "README.md").read_text()
    assert load_dataset(str(tmp_path / "ann"), "items")["train"].num_rows == 9
    with pytest.raises(InputError, match="has no row"):
        BuiltDataset.open(tmp_path / "ann").config("reasoner", "test")


def test_a_catalogue_too_small_for_the_candidates_is_counted(make_source, tmp_path):
    rows = [(f"u{user}", f"m{(user + place) % 14}", place) for user in range(10) for place in range(8)]
    report = build_dataset(make_source(rows), tmp_path / "built", BuildOptions(num_candidates=7))
    missing = report["counts"]["targets_without_candidates"]
    assert missing == 0  # fourteen items, eight touched: six others and the target
    report = build_dataset(make_source(rows), tmp_path / "built", BuildOptions(num_candidates=8))
    assert report["counts"]["targets_without_candidates"] == 30
    assert sum(split["examples"] for split in report["splits"].values()) == 0


def test_strict_refuses_a_single_bad_row(make_source, crowd, tmp_path):
    with pytest.raises(InputError, match="empty user"):
        build_dataset(make_source([*crowd, ("", "m1", 3)]), tmp_path / "built", OPTIONS, strict=True)
    assert not (tmp_path / "built").exists()


def test_a_failed_build_leaves_the_earlier_one_and_no_scraps(make_source, built, tmp_path):
    shutil.copytree(built, tmp_path / "mine")
    with pytest.raises(InputError):
        build_dataset(make_source([("", "m1", 3)]), tmp_path / "mine", OPTIONS)
    assert contents(tmp_path / "mine") == contents(built)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_a_folder_with_other_things_in_it_is_left_alone(make_source, crowd, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="is not empty and is not a built dataset"):
        build_dataset(make_source(crowd), tmp_path / "mine", OPTIONS)
    assert contents(tmp_path / "mine") == {"thesis.txt": b"years of work"}


@pytest.mark.parametrize("name", ["notes.md", "results/results.json", "examples/mine.csv", ".git/config"])
def test_what_a_user_put_beside_a_build_is_not_deleted_by_the_next(make_source, crowd, built, tmp_path, name):
    shutil.copytree(built, tmp_path / "mine")
    build_dataset(make_source(crowd), tmp_path / "mine", OPTIONS)  # over itself: nothing is lost
    mine = tmp_path / "mine" / name
    mine.parent.mkdir(exist_ok=True)
    mine.write_text("hours of work")
    with pytest.raises(InputError, match=f"contains 1 files that no build wrote, such as {name}"):
        build_dataset(make_source(crowd), tmp_path / "mine", OPTIONS)
    assert mine.read_text() == "hours of work"


def test_an_interruption_among_the_successors_says_nothing_of_its_own(make_source, crowd, tmp_path, monkeypatch):
    """What drops tables only when it is thrown away finds a closed connection, and Python prints a traceback."""
    said, written = [], builder.write_table

    def interrupt(table, path, connection):
        if path.parent.name == "successors":
            raise KeyboardInterrupt
        written(table, path, connection)

    monkeypatch.setattr(builder, "write_table", interrupt)
    monkeypatch.setattr("sys.unraisablehook", said.append)
    try:
        build_dataset(make_source(crowd), tmp_path / "mine", OPTIONS)
    except KeyboardInterrupt as end:
        end.__traceback__ = None
    gc.collect()
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_a_shard_that_was_cut_off_is_an_input_error(built, tmp_path):
    shutil.copytree(built, tmp_path / "mine")
    (shard,) = shards_of(tmp_path / "mine", "examples", "test")
    shard.write_bytes(shard.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"The 'test' split of 'examples' in .* cannot be read: .* Build it again"):
        BuiltDataset.open(tmp_path / "mine").examples("test")


def test_candidates_of_impressions_need_impressions(make_source, crowd, tmp_path):
    with pytest.raises(InputError, match=r"no event 'impression'.*--candidates popularity or uniform"):
        build_dataset(make_source(crowd), tmp_path / "mine", BuildOptions(candidates="impressions"))


def test_a_folder_cannot_lie_below_a_file(make_source, crowd, tmp_path):
    (tmp_path / "notes").write_text("years of work")
    with pytest.raises(InputError, match=r"notes is a file\. Choose another folder"):
        build_dataset(make_source(crowd), tmp_path / "notes" / "data" / "mine", OPTIONS)


def test_the_card_names_the_configs_and_the_counts(built):
    card = DatasetCard.load(built / "README.md")
    assert [config["config_name"] for config in card.data.to_dict()["configs"]] == list(CONFIG_FEATURES)
    report = json.loads((built / "build_report.json").read_text())
    assert f"| test | {report['splits']['test']['examples']} | {report['splits']['test']['discovery']} |" in card.text
    assert f"| items | {report['counts']['items']} |" in card.text
    assert "may not be redistributed" in card.text


def test_the_gold_answer_of_every_reasoner_row_is_its_target(built):
    for row in load_dataset(str(built), "reasoner", split="test"):
        shown = row["prompt"][0]["content"].split(f"\n{row['answer']}. ")[1].splitlines()[0]
        assert shown.startswith(row["candidates"][row["target_index"]]["title"])
        assert row["candidates"][row["target_index"]]["item_id"] == row["target"]


def test_truth_is_exported_under_the_same_opaque_ids(make_source, crowd, tmp_path):
    def source(connection):
        raw = make_source(crowd)(connection)
        connection.con.register(
            "noise_view", pa.table({"user_id": ["u3"], "item_id": [crowd[0][1]], "kind": ["trailer"]})
        )
        connection.raw_sql("CREATE TABLE noise AS FROM noise_view")
        return RawLog(
            "tiny", raw.interactions, None, None, "auto", OWN_LOG, truth={"noise": connection.table("noise")}
        )

    build_dataset(source, tmp_path / "built", OPTIONS)
    dataset = BuiltDataset.open(tmp_path / "built")
    (row,) = dataset.truth("noise").to_dict("records")
    assert row["kind"] == "trailer"
    assert row["user"] in set(dataset.training_interactions()["user"])
    assert dataset.items()[row["item_id"]]["title"] == crowd[0][1]
    assert dataset.truth("tastes") is None


def crowd_source(rows, connection):
    """A picklable source, as `datasets` needs one to name its cache."""
    view = pa.table(
        {"user_id": [r[0] for r in rows], "item_id": [r[1] for r in rows], "timestamp": [r[2] for r in rows]}
    )
    connection.con.register("rows_view", view)
    connection.raw_sql(
        "CREATE TABLE crowd_rows AS SELECT *, 'x' AS source_file, 1::BIGINT AS source_row FROM rows_view"
    )
    return RawLog("crowd", connection.table("crowd_rows"), None, None, "seconds", OWN_LOG)


def test_the_datasets_builder_yields_what_the_folder_holds(crowd, tmp_path):
    rows = [(user, item, (hour + 10**6) * 3600) for user, item, hour in crowd]
    source = partial(crowd_source, rows)
    builder = LogDatasetBuilder(
        config_name="examples", source=source, options=OPTIONS, cache_dir=str(tmp_path / "cache")
    )
    builder.download_and_prepare()
    build_dataset(source, tmp_path / "built", OPTIONS)
    expected = BuiltDataset.open(tmp_path / "built").config("examples", "validation")
    prepared = builder.as_dataset(split="validation")
    assert prepared.features == CONFIG_FEATURES["examples"]
    assert prepared.to_list() == expected.to_list()


def test_the_datasets_builder_needs_a_source(tmp_path):
    with pytest.raises(InputError, match="needs source="):
        LogDatasetBuilder(config_name="items", cache_dir=str(tmp_path)).download_and_prepare()


def test_checks_find_what_is_broken(built, connection):
    path = str(built / "examples" / "*.parquet")
    examples = connection.read_parquet(path)
    assert not any(violations(examples, OPTIONS).values())
    wrong_index = examples.mutate(target_index=((examples.target_index + 1) % 5).cast("int8"))
    assert violations(wrong_index, OPTIONS)["target is not at target_index"] == examples.count().execute()
    assert violations(examples, BuildOptions(history=3))["history is longer than allowed"] > 0
    assert violations(examples, BuildOptions(num_candidates=6))["candidates are not distinct"] > 0
    backwards = examples.mutate(
        history=examples.history.filter(lambda record, place: place < 2).concat(examples.history)
    )
    assert violations(backwards, OPTIONS)["history is not in order of time"] > 0
    assert violations(examples.union(examples), OPTIONS)["example_id is not unique"] == examples.count().execute()


def test_open_says_what_is_wrong_with_a_folder(built, tmp_path):
    with pytest.raises(InputError, match="Did you mean 'validation'"):
        BuiltDataset.open(built).examples("validaton")
    for text, message in {'{"dataset_version": 0}': "Build it again", "{": "cannot be read as JSON"}.items():
        (tmp_path / "build_report.json").write_text(text)
        with pytest.raises(InputError, match=message):
            BuiltDataset.open(tmp_path)
    (tmp_path / "build_report.json").unlink()
    with pytest.raises(InputError, match=r"has no build_report\.json"):
        BuiltDataset.open(tmp_path)


def test_open_of_a_name_that_is_nowhere_is_an_input_error(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(InputError, match="neither a local folder nor a dataset"):
        BuiltDataset.open("nobody/nothing")


@pytest.mark.parametrize("place", ["built", "elsewhere/built"])
def test_load_dataset_reads_the_folder_that_it_is_given(make_source, crowd, tmp_path, place):
    """It caches by the name of a folder: neither a rebuilt one nor a namesake may yield the rows of the first."""
    rows = []
    for folder, seed in ((tmp_path / "built", 0), (tmp_path / place, 1)):
        build_dataset(make_source(crowd), folder, BuildOptions(seed=seed))
        loaded = load_dataset(str(folder), "examples", split="test", cache_dir=str(tmp_path / "cache")).to_list()
        assert loaded == pq.read_table(folder / "examples" / "test-00000-of-00001.parquet").to_pylist()
        rows.append(loaded)
    assert rows[0] != rows[1]


def test_what_a_killed_build_left_is_cleaned_up_and_a_living_one_is_left_alone(make_source, crowd, tmp_path):
    for name in ("dead", "alive"):
        (tmp_path / f".built-{name}").mkdir()
        (tmp_path / f".built-{name}" / ".build.lock").touch()
        (tmp_path / f".built-{name}" / "large.tmp").write_text("rows")
    (tmp_path / ".built-mine").mkdir()  # no lock: not ours
    with FileLock(tmp_path / ".built-alive" / ".build.lock"):
        build_dataset(make_source(crowd), tmp_path / "built", OPTIONS)
    assert {path.name for path in tmp_path.iterdir()} == {"built", ".built-alive", ".built-mine"}
