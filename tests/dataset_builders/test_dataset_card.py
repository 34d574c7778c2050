import json

import pytest

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.export import render_card


@pytest.fixture(scope="module")
def built(tmp_path_factory, make_source, crowd):
    """A crowd whose log has one row without a user."""
    folder = tmp_path_factory.mktemp("card") / "crowd"
    return folder, build_dataset(make_source([*crowd, ("", "m1", 3)]), folder)


def test_the_card_on_disk_is_what_the_report_on_disk_says(built):
    folder, _ = built
    report = json.loads((folder / "build_report.json").read_text())
    assert (folder / "README.md").read_text() == render_card(folder, report)


def test_the_card_counts_the_quarantine_by_reason(built):
    folder, report = built
    assert report["counts"]["quarantined_by_reason"] == {"empty user": 1}
    assert "| of these, empty user | 1 |" in (folder / "README.md").read_text()


def test_the_card_lists_each_column_with_its_type(built):
    text = (built[0] / "README.md").read_text()
    assert "| `examples` | `target_index` | int8 |" in text
    assert "| `items` | `tags` | list of string |" in text


def test_the_card_names_the_place_it_is_loaded_from(built):
    assert 'load_dataset("me/crowd", "examples"' in render_card(*built, "me/crowd")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (BuildOptions(), "future popularity is known in advance"),
        (BuildOptions(protocol="temporal"), "What leaks: nothing from the future"),
    ],
)
def test_the_card_says_what_leaks(options, said, make_source, crowd, tmp_path):
    report = build_dataset(make_source(crowd), tmp_path / "crowd", options)
    assert said in " ".join(render_card(tmp_path / "crowd", report).split())


@pytest.mark.parametrize(
    ("salt", "said"), [(None, "No secret was mixed into the hashes"), ("pepper", "A secret was mixed into the hashes")]
)
def test_the_card_says_whether_the_hashes_can_be_computed(salt, said, built):
    folder, report = built
    text = render_card(folder, {**report, "options": {**report["options"], "salt": "secret" if salt else None}})
    assert said in text
    assert "pepper" not in text


def test_a_log_under_the_mit_licence_carries_its_permission(built):
    folder, report = built
    terms = {"name": "mit", "redistributable": True, "notice": "Copyright (c) somebody."}
    text = render_card(folder, {**report, "license": terms})
    assert "Permission is hereby granted, free of charge" in text
    assert "may not be redistributed" not in text
    assert "Permission is hereby granted" not in render_card(folder, report)
