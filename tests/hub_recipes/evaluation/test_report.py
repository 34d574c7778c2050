import io

import pytest
from rich.console import Console

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.charts import (
    KIND_COLOURS,
    bar_chart,
    gap_chart,
    group_chart,
    reliability_chart,
    write_charts,
)
from logs2lang.evaluation.report import (
    build_table,
    remarks,
    results_table,
    terminal_table,
    write_latex,
    write_table,
)


def measures(recall: float, n: int) -> dict:
    interval = [recall - 0.1, recall + 0.1]
    shared = {"n": n, "n_discovery": n, "mrr": 0.4, "invalid": 0, "position_bias": 0.25}
    return shared | {
        "recall@1": recall,
        "recall@1_interval": interval,
        "discovery_recall@1": recall,
        "discovery_recall@1_interval": interval,
    }


@pytest.fixture
def document() -> dict:
    template = {
        "row": "template",
        "kind": "verbalizer",
        "seconds": 2.0,
        **measures(0.2, 20),
        "discovery_gain": 0.0,
        "discovery_gain_interval": [0.0, 0.0],
        "compression": 1.0,
        "unsupported_title_rate": 0.0,
        "by_gap": {"same_second": measures(0.3, 12), "a_day_and_more": measures(0.1, 8)},
    }
    popularity = {
        "row": "popularity",
        "kind": "baseline",
        "seconds": 0.1,
        **measures(0.35, 20),
        "discovery_gain": 0.75,
        "discovery_gain_interval": [0.1, None],
        "by_gap": {"same_second": measures(0.5, 12), "a_day_and_more": measures(0.125, 8)},
    }
    return {
        "dataset": {"name": "toy"},
        "split": "test",
        "n": 20,
        "num_candidates": 10,
        "reasoner": {"id": "org/tiny", "answer": "label", "trained": False},
        "rows": [template, popularity],
    }


def cells(table: str, row: str, place: int = 0) -> dict[str, str]:
    """The cells of one row of the Markdown table at `place`, by heading."""
    block = [block for block in table.split("\n\n") if block.startswith("|")][place].splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in block]
    return dict(zip(split[0], next(line for line in split if line[0] == row), strict=True))


def test_table_shows_the_numbers_of_the_file(document):
    row = cells(results_table(document), "popularity")
    assert row["Discovery Recall@1"] == "0.350 [0.250, 0.450]"
    assert row["n discovery"] == "20"
    assert row["MRR"] == "0.400"


def test_what_does_not_apply_to_a_row_is_a_dash(document):
    row = cells(results_table(document), "popularity")
    assert (row["Compression"], row["Unsupported titles"], row["Gain, all"]) == ("—", "—", "—")
    assert cells(results_table(document), "template")["Compression"] == "1.00"


def test_an_interval_without_a_bound_says_so(document):
    assert cells(results_table(document), "popularity")["Gain over template"] == "+75.0% [+10.0%, ∞]"


def test_the_table_by_gap_says_how_many_examples_a_gap_has(document):
    for row in document["rows"]:
        row["by_gap"] = {"same_second": measures(0.3, 90), "a_day_and_more": measures(0.1, 30)}
    row = cells(results_table(document), "template", place=1)
    assert row == {
        "Row": "template",
        "gap: same second (n = 90)": "0.300",
        "gap: a day and more (n = 30)": "0.100",
    }


def test_no_number_is_told_of_fewer_than_thirty_examples(document):
    for row in document["rows"]:
        row["by_gap"] = {"same_second": measures(0.3, 90), "under_a_day": measures(0.1, 30)}
        row["by_group"] = {"popularity": {"head": measures(0.4, 91), "tail": {"n": 29, "n_discovery": 29}}}
    (line, *_), table = group_chart(document).axes[0].texts, cells(results_table(document), "template", place=1)
    assert "target: tail (n = 29)" not in table
    assert table["target: head (n = 91)"] == "0.400"
    assert line.get_text() == "0.30"
    drawn = group_chart(document).axes[0]
    assert [label.get_text() for label in drawn.get_xticklabels()][-1] == "target: tail\nn = 29"
    assert len(drawn.texts) == 2 * 3  # two rows in three groups; the fourth is empty


def test_a_kind_that_puts_all_examples_into_one_group_is_no_column(document):
    for row in document["rows"]:
        row["by_group"] = {"history": {"under_10": measures(0.4, 90)}}
    assert "history" not in results_table(document)


def test_a_reliability_plot_shows_the_rows_that_have_probabilities(document, tmp_path):
    assert not any("reliability" in path.name for path in write_charts(document, tmp_path))
    template = document["rows"][0]
    bins = [{"n": 12, "probability": 0.2, "recall": 0.25}, {"n": 8, "probability": 0.9, "recall": 0.5}]
    template.update(ece=0.19, n_calibrated=20, reliability=bins)
    figure = reliability_chart(document, [template])
    assert figure.axes[0].collections[0].get_offsets().tolist() == [[0.2, 0.25], [0.9, 0.5]]
    assert figure.axes[0].get_title() == "template, ECE 0.190\nn = 20"
    assert [path.name for path in write_charts(document, tmp_path)][-1] == "reliability.svg"
    with pytest.raises(InputError, match=r"Row 'popularity' has no probabilities, .* Choose for --calibration rows"):
        write_charts(document, tmp_path, ["popularity"])


def test_latex_holds_every_table_and_escapes_what_latex_reads(document, tmp_path):
    document["rows"][0]["row"] = "my_own"
    for row in document["rows"]:
        row.update({"recall@3": 0.5, "ndcg@3": 0.4, "mean_rank": 3.25})
    text = write_latex(document, tmp_path).read_text(encoding="utf-8")
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    assert r"my\_own & " in text
    assert r"+75.0\% [+10.0\%, $\infty$]" in text
    assert r"Row & Recall@1 & Recall@3 & NDCG@3 & Mean rank \\" in text
    assert r"popularity & 0.350 & 0.500 & 0.400 & 3.25 \\" in text


def test_the_heading_says_that_the_reasoner_was_not_trained(document):
    assert "untrained reasoner org/tiny" in results_table(document)
    document["reasoner"]["trained"] = True
    assert "untrained" not in results_table(document)


def test_terminal_table_fits_eighty_characters(document):
    document["rows"][1]["row"] = "inverse-popularity"
    screen = io.StringIO()
    Console(file=screen, width=80).print(terminal_table(document))
    assert "0.350 [0.250, 0.450]" in screen.getvalue()
    assert "…" not in screen.getvalue()


def test_bars_are_as_long_as_the_numbers_best_on_top(document):
    axes = bar_chart(document).axes[0]
    assert [bar.get_width() for bar in axes.patches] == [0.2, 0.35]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["template", "popularity"]


def test_verbalizers_and_baselines_have_colours_of_their_own(document):
    faces = [bar.get_facecolor() for bar in bar_chart(document).axes[0].patches]
    assert len(set(faces)) == 2
    assert len(set(KIND_COLOURS.values())) == len(KIND_COLOURS)


def test_gap_chart_has_a_panel_per_gap_in_the_order_of_the_whole(document):
    panels = gap_chart(document).axes
    assert [axes.get_title() for axes in panels] == ["same second (n = 12)", "a day and more (n = 8)"]
    assert [bar.get_width() for bar in panels[1].patches] == [0.1, 0.125]


def test_files_are_written_whole_under_their_names(document, tmp_path):
    written = [write_table(document, tmp_path), *write_charts(document, tmp_path)]
    assert sorted(tmp_path.iterdir()) == sorted(written)
    assert written[0].read_text(encoding="utf-8") == results_table(document)


def test_charts_of_equal_results_are_equal_bytes(document, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for first, second in zip(
        write_charts(document, tmp_path / "a"), write_charts(document, tmp_path / "b"), strict=True
    ):
        assert first.read_bytes() == second.read_bytes()


def test_build_table_puts_each_reason_under_the_quarantine():
    report = {
        "name": "toy",
        "counts": {"input_rows": 1200, "quarantined": 3, "quarantined_by_reason": {"empty user": 3}, "users": 9},
        "splits": {"test": {"examples": 9, "discovery": 7}},
    }
    screen = io.StringIO()
    Console(file=screen, width=80).print(build_table(report))
    lines = [line.replace("│", "").split() for line in screen.getvalue().splitlines() if "│" in line]
    assert lines == [
        ["input", "rows", "1,200"],
        ["quarantined", "3"],
        ["empty", "user", "3"],
        ["users", "9"],
        ["test", "examples", "9"],
        ["test", "examples,", "discovery", "7"],
    ]


def test_what_texts_do_with_noise_has_a_table_of_its_own_where_the_truth_is_known(document):
    assert "Noise recall" not in results_table(document)
    document["rows"][0]["noise"] = {"noise_precision": None, "noise_recall": 0.75, "genuine_kept": 1.0}
    row = cells(results_table(document), "template", place=1)
    assert (row["Noise precision"], row["Noise recall"], row["Genuine kept"]) == ("—", "0.75", "1.00")


def test_answers_without_a_pick_are_told(document):
    document["rows"][0]["invalid"] = 3
    assert "Row template: 3 of 20 answers name no candidate; they count as misses." in remarks(document)


def test_a_place_that_takes_more_than_half_of_the_picks_is_told(document):
    template, _ = document["rows"]
    assert remarks(document) == []
    template["picks_by_position"] = [0.5, 0.3, 0.2]
    assert remarks(document) == []  # half is not more than half
    template["picks_by_position"] = [0.2, 0.7, 0.1]
    (said,) = remarks(document)
    assert "Row template: 14 of 20 picks are the candidate at position 2" in said
    assert said in results_table(document)
    template["picks_by_position"] = [0.7, 0.3]  # of two places one has half by nature
    assert remarks(document) == []
