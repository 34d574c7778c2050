import csv
import inspect
import json
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from logs2lang.commands import build_commands
from logs2lang.commands.cli import app
from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.sources.movielens import LAYOUTS
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig

COLUMN_MAP = "user_id=uid,item_id=film,timestamp=when"


@pytest.fixture
def log_file(tmp_path: Path) -> Path:
    """Twelve users who saw twenty of thirty films, one film a day; one row without a user and one without a time."""
    path = tmp_path / "log.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["uid", "film", "when"])
        for user in range(12):
            writer.writerows(
                [f"u{user}", f"m{(user + step) % 30}", 1_600_000_000 + 86_400 * step] for step in range(20)
            )
        writer.writerows([["", "m1", 1_600_000_000], ["u1", "m2", "never"]])
    return path


def test_build_tabular_writes_a_dataset_and_prints_where_every_row_went(run_main, log_file, tmp_path):
    code, out, _ = run_main(
        "build", "tabular", "--interactions", log_file, "--map", COLUMN_MAP, "-o", tmp_path / "own"
    )
    assert code == 0
    cells = {line.split("│")[1].strip(): line.split("│")[2].strip() for line in out.splitlines() if "│" in line}
    assert cells["input rows"] == "242"  # 12 users x 20 films, and two bad rows
    assert (cells["used"], cells["quarantined"], cells["empty user"]) == ("240", "2", "1")
    assert cells["test examples"] == "12"
    assert pq.read_table(tmp_path / "own" / "quarantine.parquet").num_rows == 2


def test_log_and_dataset_may_lie_in_an_object_store(run_main, log_file, bucket, tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.utils._cache_assets.HF_ASSETS_CACHE", tmp_path / "cache")
    bucket.put(str(log_file), "logs/log.csv")
    words = ("--interactions", "s3://logs/*.csv", "--map", COLUMN_MAP, "--output", "s3://logs/own")
    code, out, _ = run_main("build", "tabular", *words)
    assert code == 0
    assert "Next: logs2lang evaluate s3://logs/own --output results/own" in out
    code, out, _ = run_main("show", "s3://logs/own", "--verbalizers", "template")
    assert code == 0
    assert "template" in out
    code, _, err = run_main("build", "tabular", *words)
    assert code == 2
    assert "files already" in err


def test_the_log_of_one_person_says_why_it_has_no_examples(run_main, tmp_path):
    export = tmp_path / "NetflixViewingHistory.csv"
    lines = [f'"An invented film {day}","2024-05-{day:02}"' for day in range(1, 13)]
    export.write_text("\n".join(["Title,Date", *lines]) + "\n")
    code, out, _ = run_main("build", "viewing-history", export, "-o", tmp_path / "mine")
    assert code == 0
    assert "No examples could be built" in out
    assert "logs2lang evaluate" not in out


def test_an_export_in_a_guessed_encoding_is_said_to_be_one(run_main, tmp_path):
    export = tmp_path / "NetflixViewingHistory.csv"
    lines = [f'"Řeka {day}","2024-05-{day:02}"' for day in range(1, 13)]
    export.write_bytes("\n".join(["Title,Date", *lines, ""]).encode("cp1250"))
    said = "Note: NetflixViewingHistory.csv is not UTF-8"
    assert said in run_main("build", "viewing-history", export, "-o", tmp_path / "mine")[1]
    assert said not in run_main("build", "viewing-history", export, "--encoding", "cp1250", "-o", tmp_path / "mine")[1]


def test_flags_of_the_map_win_over_the_mapping_file(run_main, log_file, tmp_path):
    mapping = tmp_path / "map.yaml"
    mapping.write_text("interactions: {user_id: nobody, item_id: film, timestamp: when}\ntime_format: seconds\n")
    arguments = ("build", "tabular", "--interactions", log_file, "--mapping", mapping, "-o", tmp_path / "own")
    code, _, err = run_main(*arguments)
    assert code == 2
    assert "nobody" in err
    assert run_main(*arguments, "--map", "user_id=uid")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--interactions", "absent.csv"], "absent.csv"),
        (["--interactions", "LOG", "--map", "user_id"], "expected OURS=YOURS"),
        (["--interactions", "LOG", "--map", "user=uid"], "Did you mean"),
        (["--interactions", "LOG", "--map", COLUMN_MAP, "--strict"], "without --strict"),
        (["--interactions", "LOG", "--map", COLUMN_MAP, "--num-candidates", "101"], "num_candidates"),
        (["--interactions", "LOG", "--map", COLUMN_MAP, "--k-core", "0"], "--k-core is 0"),
        (["--interactions", "LOG", "--map", COLUMN_MAP, "--protocol", "temporal", "--cuts", "soon"], "two ISO times"),
        (["--interactions", "LOG", "--map", COLUMN_MAP, "--mapping", "absent.yaml"], "absent.yaml"),
        (["--interactions", "LOG", "--map", COLUMN_MAP, "--master", "local[2]"], "add --engine spark"),
        (["--interactions", "LOG", "--engine", "spark", "--master", "localhost"], "not the master of a Spark cluster"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(run_main, log_file, tmp_path, arguments, said):
    filled = [str(log_file) if argument == "LOG" else argument for argument in arguments]
    code, _, err = run_main("build", "tabular", *filled, "--output", tmp_path / "own")
    assert code == 2
    errors = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert len(errors) == 1
    assert said in errors[0]
    assert "Traceback" not in err
    assert not (tmp_path / "own").exists()


@pytest.fixture
def built(run_main, log_file, tmp_path) -> Path:
    folder = tmp_path / "built"
    assert run_main("build", "tabular", "--interactions", log_file, "--map", COLUMN_MAP, "-o", folder)[0] == 0
    return folder


def test_evaluate_prints_the_table_and_writes_results_table_and_chart(run_main, built, tmp_path):
    output = tmp_path / "results"
    code, out, _ = run_main("evaluate", built, "--rows", "popularity,inverse-popularity", "--limit", "5", "-o", output)
    assert code == 0
    document = json.loads((output / "results.json").read_text())
    assert [row["row"] for row in document["rows"]] == ["popularity", "inverse-popularity"]
    assert document["n"] == 5
    assert document["command"].startswith("logs2lang evaluate")
    for row in document["rows"]:
        assert f"{row['discovery_recall@1']:.3f}" in out
        assert f"| {row['row']} | {row['discovery_recall@1']:.3f}" in (output / "results.md").read_text()
    assert (output / "results.svg").read_text().startswith("<?xml")


def test_an_adapter_adds_its_row_and_is_named_in_the_results(
    run_main, built, tmp_path, tiny_model_folder, save_adapter, text_cache
):
    adapter, output = save_adapter(tmp_path / "adapter"), tmp_path / "results"
    code, _, _ = run_main(
        *("evaluate", built, "--rows", "template", "--limit", "3", "--history-length", "2", "-o", output),
        *("--reasoner", tiny_model_folder, "--verbalizer-adapter", f"action={adapter}"),
    )
    assert code == 0
    template, action = json.loads((output / "results.json").read_text())["rows"]
    assert "verbalizer" not in template
    assert (action["row"], action["verbalizer"]["id"]) == ("action", adapter.name)
    assert "+" in action["verbalizer"]["fingerprint"]  # of the base model and of the adapter
    decided = action["decisions"]
    assert (decided["drop"] + decided["keep"] + decided["detail"], decided["undecided"]) == (3 * 2, 0)
    cells = f"| action | {decided['drop']} | {decided['keep']} | {decided['detail']} | — | 0 |"
    assert cells in (output / "results.md").read_text()


def test_verbalize_writes_what_an_adapter_decided_of_each_example(
    run_main, built, tmp_path, tiny_model_folder, save_adapter, text_cache
):
    adapter, output = save_adapter(tmp_path / "adapter"), tmp_path / "texts.parquet"
    code, out, _ = run_main(
        *("verbalize", built, "--verbalizer", "action", "--verbalizer-adapter", f"action={adapter}"),
        *("--model", tiny_model_folder, "--limit", "3", "--history-length", "4", "-o", output),
    )
    assert code == 0
    assert "3 texts" in out
    written = pq.read_table(output).to_pandas()
    assert (written["drop"] + written["keep"] + written["detail"]).tolist() == [4, 4, 4]
    kept = [0 if text == "(no records)" else len(text.split("\n")) for text in written["text"]]
    assert kept == (4 - written["drop"]).tolist()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("evaluate . --rows rewrite", "pass --verbalizer-adapter rewrite=ID_OR_FOLDER"),
        ("evaluate . --verbalizer-adapter rewrite", "expected action=ID_OR_FOLDER or rewrite=ID_OR_FOLDER"),
        ("verbalize . --verbalizer rewrite", "pass --verbalizer-adapter rewrite=ID_OR_FOLDER"),
        ("verbalize . --verbalizer profile --verbalizer-adapter rewrite=x", "but --verbalizer is profile"),
    ],
)
def test_a_verbalizer_without_its_adapter_is_one_line_and_exit_code_2(run_main, tmp_path, words, said):
    code, _, err = run_main(*words.split(), "-o", tmp_path / "output")
    assert code == 2
    assert said in next(line for line in err.splitlines() if line.startswith("Error: "))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--rows", "populariti"], "Did you mean 'popularity'"),
        (["--rows", ","], "No row was given"),
    ],
)
def test_a_wrong_row_is_one_line_and_exit_code_2(run_main, built, tmp_path, arguments, said):
    code, _, err = run_main("evaluate", built, *arguments, "-o", tmp_path / "results")
    assert code == 2
    assert said in next(line for line in err.splitlines() if line.startswith("Error: "))


@pytest.mark.parametrize(
    ("words", "output", "said"),
    [
        (["evaluate", "--rows", "popularity"], "notes", "notes is a file"),
        (["evaluate", "--rows", "popularity"], "notes/results", "notes is a file. Choose another folder"),
        (["verbalize"], ".", "is a folder; give the path of a file"),
        (["verbalize"], "notes/texts.parquet", "notes is a file; give the path of a folder"),
        (["verbalize"], "texts.csv", "texts are written as Parquet. Use texts.parquet"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_the_work(run_main, tmp_path, words, output, said):
    (tmp_path / "notes").write_text("years of work")
    code, _, err = run_main(*words, tmp_path / "no-dataset-yet", "-o", tmp_path / output)
    assert code == 2
    assert said in next(line for line in err.splitlines() if line.startswith("Error: "))
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_texts_take_the_place_of_texts_and_of_no_other_table(run_main, tmp_path):
    log = tmp_path / "log.parquet"
    pq.write_table(pa.table({"user_id": ["u1"]}), log)
    (tmp_path / "notes.parquet").write_text("no Parquet at all")
    for name in ("log.parquet", "notes.parquet"):
        before = (tmp_path / name).read_bytes()
        code, _, err = run_main("verbalize", tmp_path / "no-dataset-yet", "-o", tmp_path / name)
        assert (code, (tmp_path / name).read_bytes()) == (2, before)
        assert f"{name} exists and does not contain verbalizations" in err
    pq.write_table(pa.table({"example_id": ["e"], "text": ["t"], "tokens": [1], "compression": [1.0]}), log)
    assert "no-dataset-yet" in run_main("verbalize", tmp_path / "no-dataset-yet", "-o", log)[2]  # the next trouble


@pytest.mark.parametrize("name", ["results.md", "results.svg", "predictions.parquet"])
def test_an_evaluation_replaces_no_file_that_none_wrote(run_main, tmp_path, name):
    (tmp_path / name).write_text("years of work")
    words = ("evaluate", tmp_path / "no-dataset-yet", "--rows", "popularity", "-o", tmp_path)
    code, _, err = run_main(*words)
    assert (code, (tmp_path / name).read_text()) == (2, "years of work")
    assert f"{name} exists without a results.json, so it" in err
    assert "no-dataset-yet" in run_main(*words, "--overwrite")[2]  # the next trouble


def test_predictions_that_a_killed_evaluation_left_are_written_anew(run_main, built, tmp_path):
    words = ("evaluate", built, "--rows", "popularity,inverse-popularity", "--limit", "5", "-o", tmp_path / "results")
    assert run_main(*words)[0] == 0
    for left in [path for path in (tmp_path / "results").iterdir() if path.name != "predictions.parquet"]:
        shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert run_main(*words)[0] == 0


def test_a_folder_that_is_no_dataset_is_one_line_and_exit_code_2(run_main, tmp_path):
    code, _, err = run_main("evaluate", tmp_path, "--rows", "popularity", "-o", tmp_path / "results")
    assert code == 2
    assert "Error: " in err
    assert "logs2lang build" in err


@pytest.mark.parametrize(("words", "meant"), [(["build", "tabluar"], "tabular"), (["evalute"], "evaluate")])
def test_a_misspelled_command_is_answered_with_the_right_one(run_main, words, meant):
    code, _, err = run_main(*words)
    assert code == 2
    assert f"Did you mean '{meant}'?" in err


def test_interrupting_ends_with_130(run_main, monkeypatch, tmp_path):
    def interrupt(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("logs2lang.dataset_builders.builder.build_dataset", interrupt)
    assert run_main("build", "movielens-100k", "-o", tmp_path / "ml")[0] == 130


def test_a_full_disk_is_one_line_and_exit_code_2(run_main, monkeypatch, tmp_path):
    def fill(*args, **kwargs):
        raise OSError(28, "No space left on device", "part.parquet")

    monkeypatch.setattr("logs2lang.dataset_builders.builder.build_dataset", fill)
    code, _, err = run_main("build", "movielens-100k", "-o", tmp_path / "ml")
    assert code == 2
    assert err.strip().endswith("Error: part.parquet could not be written: the disk is full.")


def test_defaults_of_the_build_flags_are_those_of_build_options():
    flags = inspect.signature(build_commands.build).parameters
    assert {field.name: flags[field.name].default for field in fields(BuildOptions)} == {
        field.name: field.default for field in fields(BuildOptions)
    }


def test_only_mind_has_other_candidates_by_default():
    sources = {
        command.name: inspect.signature(command.callback) for command in build_commands.build_app.registered_commands
    }
    defaults = {name: signature.parameters["candidates"].default for name, signature in sources.items()}
    assert {name for name, default in defaults.items() if default != "popularity"} == {"mind"}
    assert defaults["mind"] == "impressions"


def test_build_tabular_explodes_events_of_a_file_with_another_separator(run_main, tmp_path):
    rows = [[f"m{(user + step) % 30}" for step in range(20)] for user in range(12)]
    lines = ["user^films", *(f"u{user}^{json.dumps(films)}" for user, films in enumerate(rows))]
    (tmp_path / "log.txt").write_text("\n".join(lines))
    words = ("--separator", "^", "--explode", "films", "--map", "user_id=user,item_id=films", "--order", "file")
    code, *_ = run_main("build", "tabular", "--interactions", tmp_path / "log.txt", *words, "-o", tmp_path / "own")
    assert code == 0
    report = json.loads((tmp_path / "own" / "build_report.json").read_text())
    assert (report["counts"]["used"], report["splits"]["test"]["examples"]) == (240, 12)


def test_movielens_variants_are_those_the_source_reads():
    variant = inspect.signature(build_commands.movielens).parameters["variant"].annotation
    literal, none = get_args(get_args(variant)[0])
    assert (set(get_args(literal)), none) == (set(LAYOUTS), type(None))


def test_salt_comes_from_the_environment_too(monkeypatch, tmp_path):
    seen = []
    monkeypatch.setattr(
        "logs2lang.dataset_builders.builder.build_dataset",
        lambda source, output, options, **_: seen.append(options) or REPORT,
    )
    result = CliRunner().invoke(
        app, ["build", "movielens-100k", "-o", str(tmp_path)], env={"LOGS2LANG_SALT": "pepper"}
    )
    assert result.exit_code == 0
    assert seen[0].salt == "pepper"


REPORT = {
    "name": "toy",
    "counts": {"input_rows": 1, "quarantined_by_reason": {}, "targets_without_candidates": 0},
    "splits": {},
    "notes": [],
}


@pytest.mark.parametrize("words", [[], ["build"], ["evaluate"], ["verbalize"], ["doctor"], ["metric", "install"]])
def test_every_help_page_answers(words):
    result = CliRunner().invoke(app, [*words, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_imports_no_heavy_library():
    code = "import sys, logs2lang.commands.cli; print({'torch', 'datasets', 'pandas'} & set(sys.modules) or [])"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
    )


def test_defaults_of_the_simulation_flags_are_those_of_its_config():
    flags = dict(inspect.signature(build_commands.streaming_simulation).parameters)
    flags["seed"] = flags["simulation_seed"]
    chosen = [field for field in fields(SimulationConfig) if field.name != "start"]
    assert {field.name: flags[field.name].default for field in chosen} == {
        field.name: field.default for field in chosen
    }


@pytest.mark.parametrize("row", ["successors", "action:next", "action:newest-3"])
def test_rows_that_name_successors_say_how_to_build_an_old_dataset_again(
    row, run_main, simulation_folder, tiny_model_folder, tmp_path
):
    old = tmp_path / "old"
    shutil.copytree(simulation_folder, old, ignore=shutil.ignore_patterns("successors"))
    code, _, error = run_main(
        "verbalize", old, "--verbalizer", row, "--model", tiny_model_folder, "--output", tmp_path / "texts.parquet"
    )
    assert code == 2
    assert f"Build it again with the same options: `logs2lang build streaming-simulation --output {old}`" in " ".join(
        error.split()
    )
    assert not (tmp_path / "texts.parquet").exists()


def test_show_puts_texts_of_one_log_side_by_side(run_main, built):
    code, out, _ = run_main("show", built, "--history-length", "3", "--number", "1")
    assert code == 0
    assert "template" in out
    assert "Viewers of these went on to" in " ".join(out.replace("│", " ").split()) or "Recent, newest" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [(("--verbalizers", "rewrite"), "'rewrite'; choose from template"), (("--number", "9999"), "from 0")],
)
def test_show_says_what_it_cannot_show(run_main, built, words, said):
    code, _, error = run_main("show", built, *words)
    assert code == 2
    assert said in " ".join(error.split())


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_is_one_line_and_leaves_nothing(tmp_path, number):
    """In a process of its own, in the middle of a build."""
    program = [sys.executable, "-c", "from logs2lang.commands.cli import main; main()"]
    words = ["build", "streaming-simulation", "--events", "400000", "--output", str(tmp_path / "out")]
    process = subprocess.Popen([*program, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob(".out-*/*")) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(number)
    _, error = process.communicate(timeout=120)
    assert process.returncode == 130, error
    assert "Traceback" not in error
    assert error.strip().splitlines()[-1].startswith("Interrupted.")
    assert list(tmp_path.iterdir()) == []


def test_an_interruption_in_a_finalizer_is_not_lost():
    """Python prints what a finalizer raises, and goes on: the command would work to its end, then say it had not."""
    program = """
import os, signal, time
from logs2lang.commands import cli
class Interrupted:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
def command():
    Interrupted()
    time.sleep(30)
    print("Whole.")
cli.app = command
cli.main()
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout) == (130, "")
    assert ended.stderr.startswith("Interrupted.")
    assert len(ended.stderr.splitlines()) == 1


def test_a_log_of_ones_own_can_be_licensed_for_publication(run_main, log_file, tmp_path):
    output = tmp_path / "licensed"
    words = ("build", "tabular", "--interactions", log_file, "--map", COLUMN_MAP, "--output", output)
    assert run_main(*words, "--license", "cc-by-4.0", "--redistributable")[0] == 0
    report = json.loads((output / "build_report.json").read_text())
    assert (report["license"]["name"], report["license"]["redistributable"]) == ("cc-by-4.0", True)
    assert "license: cc-by-4.0" in (output / "README.md").read_text()
    code, _, error = run_main(*words, "--redistributable")
    assert code == 2
    assert "--redistributable needs --license" in " ".join(error.split())


def test_a_log_of_others_keeps_its_licence(run_main, tmp_path):
    words = ("--events", "3000", "--accounts", "40", "--license", "mit", "--output", tmp_path / "out")
    code, _, error = run_main("build", "streaming-simulation", *words)
    assert code == 2
    assert "has its own licence" in " ".join(error.split())
