import json
import logging

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.reasoners.embedding import EmbeddingReasoner

FILMS = [
    {"item_id": "i1", "title": "Space Journey to Mars", "year": 2015, "tags": ["Sci-Fi"]},
    {"item_id": "i2", "title": "Cooking with Grandma", "year": 2001, "tags": ["Food"]},
    {"item_id": "i3", "title": "The Bank Robbery", "year": 1999, "tags": ["Crime"]},
]


@pytest.fixture(scope="module")
def reasoner():
    """The default model, out of its package: no Hub is asked."""
    return EmbeddingReasoner.from_pretrained()


def test_the_candidate_that_is_like_the_text_comes_first(reasoner):
    texts = [
        "Astronauts on a rocket to the planet Mars",
        "Recipes for bread, soup and cake",
        "Thieves steal from banks",
    ]
    told = []
    rankings = reasoner.rank(texts, [FILMS] * 3, progress=told.append)
    assert [ranking.pick for ranking in rankings] == ["i1", "i2", "i3"]
    assert told[-1] == 3
    for ranking in rankings:
        assert sum(ranking.probabilities) == pytest.approx(1)
        assert list(ranking.probabilities) == sorted(ranking.probabilities, reverse=True)


def test_the_order_of_the_candidates_does_not_matter(reasoner):
    forward, backward = reasoner.rank(["rockets"] * 2, [FILMS, FILMS[::-1]])
    assert forward.item_ids == backward.item_ids


def test_a_long_text_loses_its_oldest_lines_and_says_so(reasoner, caplog):
    newest = "Recipes for bread, soup and cake"
    old = "\n".join(["Astronauts on a rocket to the planet Mars"] * 60)
    with caplog.at_level(logging.WARNING):
        (ranking,) = reasoner.rank([f"{old}\n" + "\n".join([newest] * 40)], [FILMS])
    assert ranking.pick == "i2"
    assert "1 of 1 contexts were longer than the 256 tokens" in caplog.text


def test_texts_that_say_nothing_are_read_too(reasoner):
    rankings = reasoner.rank(["", "<|im_end|>"], [FILMS] * 2)
    assert all(len(ranking.item_ids) == 3 for ranking in rankings)
    assert reasoner.rank([], []) == []


def test_the_entry_names_the_model_and_no_folder(reasoner):
    entry = reasoner.entry()
    assert entry["id"] == entry["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    assert (entry["answer"], entry["trained"]) == ("embedding", False)


def test_a_model_that_is_not_to_be_had_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no-such/model"):
        EmbeddingReasoner.from_pretrained("no-such/model")
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(InputError, match="contains no model"):
        EmbeddingReasoner.from_pretrained(str(tmp_path))


def test_evaluate_reads_texts_by_embeddings(run_main, simulation_folder, tmp_path):
    output = tmp_path / "results"
    code, _, err = run_main(
        "evaluate",
        simulation_folder,
        "--rows",
        "template,profile",
        "--answer",
        "embedding",
        "--limit",
        8,
        "-o",
        output,
    )
    assert code == 0, err
    document = json.loads((output / "results.json").read_text())
    assert document["reasoner"]["answer"] == "embedding"
    assert [row["row"] for row in document["rows"]] == ["template", "profile"]
    assert all(row["invalid"] == 0 and row["compression"] > 0 for row in document["rows"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--endpoint", "http://localhost:1/v1", "--endpoint-model", "m"), "leave out --endpoint"),
        (("--no-thinking",), "uses no chat template"),
    ],
)
def test_what_embeddings_have_no_use_for_is_refused(arguments, said, run_main, simulation_folder, tmp_path):
    code, _, err = run_main(
        "evaluate", simulation_folder, "--rows", "template", "--answer", "embedding", "-o", tmp_path / "o", *arguments
    )
    assert code == 2
    assert said in err
    assert not (tmp_path / "o").exists()
