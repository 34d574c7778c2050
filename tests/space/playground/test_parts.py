"""The parts behind the page, one by one and without a browser."""

import ast
import doctest
import importlib
import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import pandas as pd
import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import ALL_USERS
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.models.language_models import load_language_model
from logs2lang.space.playground import loaded_models
from logs2lang.space.playground.code_snippets import code_of
from logs2lang.space.playground.comparison import (
    BY_ACTION_RULE,
    UNTRAINED_TEMPERATURE,
    Choices,
    Written,
    default_choices,
    to_reasoner,
    written_by_rules,
)
from logs2lang.space.playground.decision import Decision, no_successors
from logs2lang.space.playground.endpoints import sentence_of, to_entry
from logs2lang.space.playground.example_users import (
    choose,
    example_films,
    example_users,
    films_license,
    to_content,
)
from logs2lang.space.playground.invented_users import FilmLog, Person, invent
from logs2lang.space.playground.loaded_models import MAX_ADAPTERS, LoadedModels
from logs2lang.space.playground.log_table import log_table
from logs2lang.space.playground.markup import render
from logs2lang.space.playground.released_adapters import default_adapter, released_adapters
from logs2lang.space.playground.results_view import (
    EXAMPLES_RESULTS,
    RESULTS,
    first_evaluation,
    measured_sentence,
    result_names,
    results_table,
    reward_curves,
    run_names,
)
from logs2lang.space.playground.session import begun, card_htmls, opened, refused, running
from logs2lang.space.playground.text_marks import TextMarks
from logs2lang.space.playground.uploaded_log import UploadedFile, look_at, read_upload, to_decision
from logs2lang.space.playground.writing import writing_card
from tests.space.playground.test_uploads import HOSTILE, csv_log

MODULES = ("decision", "text_marks", "markup", "log_table", "code_snippets", "permalink")


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_the_docstrings_run(name):
    outcome = doctest.testmod(importlib.import_module(f"logs2lang.space.playground.{name}"))
    assert outcome.attempted > 0
    assert outcome.failed == 0


def hostile_decision() -> Decision:
    when = datetime(2025, 1, 1, tzinfo=timezone.utc)
    items = {
        f"i{place}": {"item_id": f"i{place}", "title": title, "year": 2000, "tags": [title], "series": None}
        for place, title in enumerate(HOSTILE)
    }
    history = [
        {"timestamp": when, "item_id": item_id, "title": item["title"], "event": item["title"], "duration_s": 61.0,
         "value": 1.0, "device": item["title"]}
        for item_id, item in items.items()
    ]  # fmt: skip
    return Decision(HOSTILE[0], history, items, list(items), "i0", notes=HOSTILE)


def test_no_tag_of_a_log_reaches_the_html():
    decision = hostile_decision()
    written = Written("done", "\n".join(HOSTILE), by=HOSTILE[1], probabilities={"i0": 1.0})
    parts = [
        log_table(decision, 6, ["detail"] * 6),
        writing_card("rewrite", written, decision, TextMarks.of(decision)),
        render("notice", kind="error", messages=HOSTILE),
    ]
    for part in parts:
        assert not re.search(r"<(script|img|a)\b", part)
        assert "onerror='" not in part


def test_the_history_is_cut_and_candidates_are_turned():
    decision = hostile_decision()
    assert [record["item_id"] for record in decision.newest(2).history] == ["i4", "i5"]
    assert decision.reordered(0).candidates == decision.candidates
    assert decision.reordered(3).candidates == decision.reordered(3).candidates != decision.candidates


@pytest.fixture
def films(tmp_path) -> FilmLog:
    """Twenty westerns and twenty musicals, each chosen once a day; any may follow any other."""
    names = [f"f{place:02}" for place in range(40)]
    items = {
        name: {"item_id": name, "title": f"Film {name}", "year": 2000, "series": None, "description": None,
               "tags": ["Western" if name < "f20" else "Musical"]}
        for name in names
    }  # fmt: skip
    lists = {name: [Successor(other, 2, 1.5) for other in names if other != name] for name in names}
    days = pd.date_range("2013-03-01", "2013-12-31", freq="D", tz="UTC")
    interactions = pd.DataFrame([{"item_id": name, "timestamp": day} for day in days[:3] for name in names])
    return FilmLog(items, SuccessorLists(tmp_path, {ALL_USERS: lists}), interactions)


WESTERNER = Person("Ada", frozenset({"Western"}), records=8)


def test_an_invented_history_goes_forward_in_time_and_nothing_comes_twice(films):
    decision = invent(WESTERNER, films, seed=0)
    times = [record["timestamp"] for record in decision.history]
    watched = [record["item_id"] for record in decision.history]
    assert (len(watched), len({*watched, *decision.candidates})) == (8, 18)
    assert times == sorted(times)
    assert decision.target in decision.candidates
    assert invent(WESTERNER, films, seed=0) == decision
    assert invent(WESTERNER, films, seed=1) != decision


def test_an_invented_user_has_a_taste(films):
    histories = [invent(WESTERNER, films, seed).history for seed in range(10)]
    westerns = sum("Western" in films.items[record["item_id"]]["tags"] for history in histories for record in history)
    assert westerns > 60  # of 80; with no taste it would be about 40


def test_nobody_watches_what_nobody_could_have_seen(films):
    late = films.interactions["item_id"] >= "f10"
    films.interactions.loc[late, "timestamp"] += pd.Timedelta(days=30)
    for seed in range(5):
        decision = invent(replace(WESTERNER, records=4), films, seed)
        if decision is not None:
            assert all(record["timestamp"] >= films.first_seen[record["item_id"]] for record in decision.history)


def test_a_walk_that_leads_nowhere_is_no_user(films):
    assert invent(WESTERNER, replace(films, successors=no_successors()), seed=0) is None


def test_examples_are_read_as_they_were_chosen(films, tiny_base, tmp_path):
    """A random model picks anything, so it is soon right after the successors where it is wrong after the template."""
    people = (WESTERNER, replace(WESTERNER, name="Bruno", taste=frozenset({"Musical"})), replace(WESTERNER, name="Cy"))
    models = LoadedModels(str(tiny_base), released=tmp_path)
    chosen = [choose(person, films, models) for person in people]
    source = {"homepage": "https://films.invalid", "license": {"notice": "Copyright (c) 2013 Somebody."}}
    path = tmp_path / "users.json"
    path.write_text(json.dumps(to_content(chosen, films, models, source)), encoding="utf-8")
    for decision, example in zip(chosen, example_users(path).values(), strict=True):
        assert example.decision.history == decision.history
        assert (example.decision.candidates, example.decision.target) == (decision.candidates, decision.target)
        comparison = opened(example).comparison
        assert comparison["template"].pick != decision.target == comparison["successors"].pick
        assert comparison["successors"].text == written_by_rules(example.decision, Choices())["successors"].text
    assert "Permission is hereby granted" in films_license(path)


def test_shipped_examples_show_what_the_page_says_of_them():
    for example in example_users().values():
        comparison = opened(example).comparison
        assert comparison["template"].pick != example.decision.target == comparison["successors"].pick
        assert all(max(written.probabilities.values()) < 0.95 for written in comparison.values())


def test_scores_of_an_untrained_reasoner_are_divided_by_a_temperature(tiny_base, to_adapter):
    models = LoadedModels(str(tiny_base))
    assert to_reasoner(Choices(), models).temperature == UNTRAINED_TEMPERATURE
    folder = to_adapter()
    run = {"role": "reasoner", "answer": "title", "config": {"temperature": 9.0, "subtract_prior": True}}
    (folder / "run.json").write_text(json.dumps(run))
    assert to_reasoner(Choices(reasoner_adapter=str(folder)), models).temperature == 9.0
    by_tags = to_reasoner(Choices(reasoner_adapter=str(folder), answer="tags"), models)
    assert (by_tags.answer, by_tags.temperature) == ("tags", UNTRAINED_TEMPERATURE)


def test_only_what_was_asked_for_writes():
    assert Choices().verbalizers == ("template", "profile", "successors", "action")
    assert Choices(zero_shot=True, rewrite_adapter="mine").verbalizers[-2:] == ("zero_shot", "rewrite")


def test_an_adapter_of_four_decisions_is_given_the_successors(tiny_base, to_adapter):
    folder = to_adapter()
    (folder / "verbalizer_config.json").write_text('{"verbalizer": "action", "history_length": 5, "decisions": 4}')
    decision = next(iter(example_users().values())).decision
    choices = Choices(action_adapter=str(folder))
    *_, last = running(begun(decision, choices), choices, LoadedModels(str(tiny_base)))
    action = last.comparison["action"]
    assert (last.errors, action.by, len(action.decisions)) == ((), str(folder), 16)
    assert set(action.decisions[11:]) <= {"drop", "keep", "detail", "next"}


def test_what_was_measured_is_read_from_the_results(tmp_path):
    document = json.loads((RESULTS / EXAMPLES_RESULTS / "results.json").read_text())
    rows = {row["row"]: row["recall@1"] for row in document["rows"]}
    sentence = measured_sentence()
    assert f"{document['n']:,} real users" in sentence
    assert f"template {rows['template']:.2f}" in sentence
    assert f"successors {rows['successors']:.2f}" in sentence
    assert measured_sentence(tmp_path) == ""
    assert first_evaluation() == EXAMPLES_RESULTS


def test_every_example_opens_with_all_texts():
    for example in example_users().values():
        scene = opened(example)
        assert all(written.text and len(written.probabilities) == 10 for written in scene.comparison.values())
        shown = [card for card in card_htmls(scene).values() if card]
        assert len(shown) == len(scene.comparison)
        assert all(card.count('class="choice') >= 10 for card in shown)


def test_what_goes_wrong_is_a_sentence_and_the_texts_by_rule_stay(tiny_base):
    decision = next(iter(example_users().values())).decision
    models = LoadedModels(str(tiny_base))
    *_, last = running(begun(decision, Choices()), Choices(reasoner_adapter="/nowhere"), models)
    assert "/nowhere is neither a local folder nor an adapter" in last.errors[0]
    assert last.comparison["template"].text
    assert last.comparison["successors"].state == "done"


def test_an_error_nobody_foresaw_is_not_quoted(capsys):
    try:
        raise RuntimeError("row 7: The Secret Lighthouse")
    except RuntimeError as error:
        said = sentence_of(error)
    assert said.startswith("Something went wrong")
    printed = capsys.readouterr().out
    assert printed.startswith("RuntimeError in test_parts.py")
    assert "Secret" not in printed


def test_models_are_loaded_once_and_few_are_kept(tiny_base, to_adapter):
    loads = []
    models = LoadedModels(str(tiny_base), load=lambda name: loads.append(name) or load_language_model(name))
    adapters = [str(to_adapter()) for _ in range(MAX_ADAPTERS + 1)]
    for name in ["", str(tiny_base), *adapters, adapters[-1]]:
        models.get(name)
    assert loads == [str(tiny_base), *adapters]
    models.get(adapters[0])
    assert loads[-1] == adapters[0]  # it had to make room


def test_a_space_reads_no_folders(tiny_base, to_adapter):
    with pytest.raises(InputError, match="Folders cannot be read here"):
        LoadedModels(str(tiny_base), folders=False).get(str(to_adapter()))


def test_a_released_adapter_goes_by_its_name_on_a_space_too(tiny_base, to_adapter, tmp_path):
    folder = to_adapter().rename(tmp_path / "my-rewriter")
    (folder / "run.json").write_text(json.dumps({"role": "verbalizer", "verbalizer": "rewrite"}))
    models = LoadedModels(str(tiny_base), folders=False, released=tmp_path)
    assert models.get("my-rewriter").adapter_id == str(folder)
    decision = next(iter(example_users().values())).decision
    choices = Choices(history_length=3, rewrite_adapter="my-rewriter")
    *_, last = running(begun(decision, choices), choices, models)
    assert (last.errors, last.comparison["rewrite"].by) == ((), "my-rewriter")
    with pytest.raises(InputError):
        models.get("../my-rewriter")


def test_an_adapter_in_another_format_is_refused(tiny_base, to_adapter):
    folder = to_adapter()
    (folder / "adapter_model.safetensors").rename(folder / "adapter_model.bin")
    with pytest.raises(InputError, match="can run code and are not loaded"):
        LoadedModels(str(tiny_base)).get(str(folder))


def test_a_folder_without_an_adapter_is_refused(tiny_base, tmp_path):
    with pytest.raises(InputError, match=r"is not an adapter: it has no adapter_config\.json"):
        LoadedModels(str(tiny_base)).get(str(tmp_path))


def test_a_large_adapter_is_refused_before_it_is_fetched(tiny_base, monkeypatch):
    class Hub:
        """What the Hub says of a repo; nothing can be fetched from it."""

        def model_info(self, name, **_):
            files = [("adapter_config.json", 900), ("adapter_model.safetensors", 5 * 10**9)]
            siblings = [type("File", (), {"rfilename": name, "size": size}) for name, size in files]
            return type("Info", (), {"siblings": siblings})

    monkeypatch.setattr(loaded_models, "HfApi", Hub)
    with pytest.raises(InputError, match="has 5,000 MB of weights; the limit here is 300 MB"):
        LoadedModels(str(tiny_base)).get("somebody/huge")


def write_run(folder: Path, name: str, **run) -> None:
    (folder / name).mkdir(parents=True)
    (folder / name / "adapter_model.safetensors").touch()
    (folder / name / "run.json").write_text(json.dumps(run))


def test_the_adapter_to_start_with_is_the_full_run_of_its_role(tmp_path):
    history = [{"step": 1, "reward": 0.1, "loss": 2.0}, {"step": 2, "reward": None, "loss": 1.0}]
    write_run(tmp_path, "a-rewrite", role="verbalizer", verbalizer="rewrite", release="smoke", history=history)
    write_run(tmp_path, "b-rewrite", role="verbalizer", verbalizer="rewrite", release="full")
    write_run(tmp_path, "reader", role="reasoner", release="full")
    write_run(tmp_path, "a-reader", role="reasoner", release="smoke")
    write_run(tmp_path, "decider", role="verbalizer", verbalizer="action", release="smoke")
    assert default_adapter("rewrite", tmp_path) == "b-rewrite"
    assert default_adapter("reasoner", tmp_path) == "reader"
    assert default_adapter("action", tmp_path) == ""
    simulated = {"name": "streaming-simulation"}
    write_run(tmp_path, "a-simulated", role="verbalizer", verbalizer="action", release="full", dataset=simulated)
    assert default_adapter("action", tmp_path) == ""
    write_run(tmp_path, "any-log", role="verbalizer", verbalizer="action", release="full", dataset={"name": "own"})
    assert default_adapter("action", tmp_path) == "any-log"
    tweets = {"name": "movietweetings-100k"}
    write_run(tmp_path, "of-the-films", role="verbalizer", verbalizer="action", release="full", dataset=tweets)
    assert default_adapter("action", tmp_path) == "of-the-films"
    curves = reward_curves(released_adapters(tmp_path))
    assert curves.to_dict("list") == {"step": [1], "reward": [0.1], "run": ["rewrite"]}


def test_results_are_shown_as_they_are():
    (name, *_) = result_names()
    table = results_table(name)
    document = json.loads(Path(f"model_cards/results/{name}/results.json").read_text())
    for row in document["rows"]:
        assert f">{row['row']}<" in table
        assert f"{row['discovery_recall@1']:.3f}" in table
    assert "No results have been released" in results_table("nothing")
    assert "No results have been released" in results_table(None)


def test_damaged_results_are_a_sentence(tmp_path):
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "results.json").write_text("{")
    assert "not readable as JSON" in results_table("broken", tmp_path)


def test_the_evaluation_with_the_most_examples_is_shown_first(tmp_path):
    assert first_evaluation(tmp_path) is None
    for name, content in (
        ("a", '{"schema_version": 1, "n": 900}'),
        ("b", "{"),
        ("c", '{"schema_version": 1, "n": 60}'),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "results.json").write_text(content)
    assert first_evaluation(tmp_path) == "a"


@pytest.mark.parametrize("name", ["", "org/adapter", "x') or exec('y", '"""\n'])
def test_the_code_is_python_whatever_was_typed(name):
    code = code_of(Choices(rewrite_adapter=name, action_adapter=name, reasoner_adapter=name), "org/base")
    strings = {node.value for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Constant)}
    assert (name.strip() or "org/base") in strings
    assert "exec" not in {
        node.func.id for node in ast.walk(ast.parse(code)) if hasattr(getattr(node, "func", 0), "id")
    }


def test_other_candidates_were_never_touched():
    columns = {"user_id": "uid", "item_id": "film", "timestamp": "when", "title": "title"}
    log = read_upload(UploadedFile("log.csv", csv_log()), columns)
    for user in range(3):
        decision = to_decision(log, user, example_films(), seed=user)
        seen = {record["item_id"] for record in decision.history}
        assert len(set(decision.candidates)) == 10
        assert decision.target not in seen
        assert not set(decision.candidates) - {decision.target} & log.users[user].touched
        assert to_decision(log, user, example_films(), seed=user).candidates == decision.candidates


def test_successors_of_an_upload_are_what_others_chose():
    """Only one user saw the last film, so a text about that user does not name it, and one about another user does."""
    films = [("u0", "a"), ("u0", "b"), ("u0", "z"), *((f"u{user}", film) for user in range(1, 12) for film in "abc")]
    rows = "".join(f"{user},{film},{1_600_000_000 + 86_400 * place}\n" for place, (user, film) in enumerate(films))
    columns = {"user_id": "uid", "item_id": "film", "timestamp": "when"}
    log = read_upload(UploadedFile("log.csv", f"uid,film,when\n{rows}".encode()), columns)
    ids = {item["title"]: item_id for item_id, item in log.items.items()}
    after_b = [{one.item_id for one in user.successors.after(ids["b"])} for user in log.users]
    watched = [{record["title"] for record in user.records} for user in log.users]
    assert not any(ids["z"] in found for found, seen in zip(after_b, watched, strict=True) if "z" in seen)
    assert any(ids["z"] in found for found, seen in zip(after_b, watched, strict=True) if "z" not in seen)
    assert all(ids["c"] in found for found in after_b)
    decision = to_decision(log, 0, example_films())
    assert decision.successors is log.users[0].successors


def test_a_table_of_one_person_needs_no_user_and_no_id():
    rows = b"name,watched_at\nFog,2024-05-01\nDew,2024-05-02\nFog,2024-05-03\n"
    file = UploadedFile("mine.csv", rows)
    log = read_upload(file, look_at(file).guess)
    decision = to_decision(log, 0, example_films())
    assert [record["title"] for record in decision.history] == ["Fog"]
    assert decision.items[decision.target]["title"] == "Dew"  # the newest that was new


def test_a_guessed_encoding_is_said_of_an_upload():
    export = "Title,Date\nŘeka,2024-05-01\nFog,2024-05-02\n".encode("cp1250")
    (note,) = read_upload(UploadedFile("mine.csv", export), {}).notes
    assert note.startswith("The file is not UTF-8")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("log.exe", b"x", "has a different ending"),
        ("log.csv", b"", "empty"),
        ("log.csv", b"x" * (20 * 2**20 + 1), "20 MB"),
    ],
)
def test_files_are_refused_before_they_are_read(name, content, message):
    with pytest.raises(InputError, match=message):
        UploadedFile(name, content)


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    import zipfile

    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("ViewingActivity.csv", b"\0" * 201_000_000)
    with pytest.raises(InputError, match="Unpacked, the file has 201 MB; the limit here is 200 MB"):
        look_at(UploadedFile("bomb.zip", path.read_bytes()))


def test_a_refused_file_leaves_nothing_of_the_log_before_it():
    user = next(iter(example_users().values()))
    uploaded = begun(replace(user.decision, name="Your log"), Choices())
    scene = refused(uploaded, "The file is empty.")
    assert (list(scene.decision.history), scene.errors) == ([], ("The file is empty.",))
    assert not any(written.text for written in scene.comparison.values())
    assert scene.status == "No log was read."
    stayed = refused(opened(user), "The file is empty.")
    assert stayed.decision == user.decision
    assert stayed.status.startswith("No log was read")  # and not that anything was computed ahead


def test_runs_have_names_that_fit_a_legend(tmp_path):
    logged = {"history": [{"step": 1, "reward": 0.1}], "release": "full"}
    for place in (1, 2):
        name = f"smollm2-135m-instruct-streaming-simulation-verbalizer-action-{place}"
        write_run(tmp_path, name, role="verbalizer", verbalizer="action", method="grpo", **logged)
    write_run(tmp_path, "reader", role="reasoner", method="sft", release="full")
    assert list(run_names(released_adapters(tmp_path))) == ["action, grpo", "action, grpo #2"]


def test_dates_show_no_hour():
    user = next(iter(example_users().values()))
    shown = user.decision.newest(3)
    assert re.search(r"<span>\d\d:\d\d</span>", log_table(shown, 3))
    days = [
        {**record, "timestamp": record["timestamp"].replace(hour=0, minute=0, second=0, microsecond=0)}
        for record in shown.history
    ]
    assert not re.search(r"<span>\d\d:\d\d</span>", log_table(replace(shown, history=days), 3))


def test_candidates_of_one_title_are_told_apart():
    def item(place, year=None):
        return {"item_id": str(place), "title": "Heat", "year": year, "tags": [], "series": None, "description": None}

    items = {"0": item(0, 1995), "1": item(1, 1986), "2": item(2), "3": item(3)}
    decision = Decision("Your log", [], items, list(items), target="3")
    written = Written(probabilities={**dict.fromkeys(items, 0.2), "3": 0.4})
    entry = to_entry(written, decision, TextMarks([], items))
    assert list(entry["probabilities"]) == ["Heat (1995)", "Heat (1986)", "Heat, candidate 3", "Heat, candidate 4"]
    assert entry["pick"] == "Heat, candidate 4"


def test_the_first_screen_holds_what_the_page_would_write_today():
    """Texts by rules are written again; of the others it is known who wrote them."""
    choices = default_choices()
    for user in example_users().values():
        shown = user.decision.newest(choices.history_length)
        rules = written_by_rules(shown, choices)
        assert tuple(user.written) == tuple(rules)
        for name, written in rules.items():
            if written.text:
                assert user.written[name]["text"] == written.text
        assert user.written["action"]["by"] == (choices.action_adapter or BY_ACTION_RULE)
