"""`evaluate` on a simulated log: the noise columns of every verbalizer, computed a second time in another way.

Here pandas joins the histories with the truth, and titles and tags are found by regular expressions.
"""

import json
import re
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.evaluation.evaluation import evaluate_rows
from logs2lang.evaluation.report import NOISE_COLUMNS, results_table
from logs2lang.verbalizers.profile import ProfileVerbalizer
from logs2lang.verbalizers.template import TemplateVerbalizer

CONFIG = SimulationConfig(events=20_000, accounts=200, seed=4)
SHARES = ("noise_precision", "noise_recall", "genuine_kept", "repeats_merged", "tag_agreement")


class Boastful:
    """A user's own verbalizer: names the last three titles, one of them twice, tags, and what was never watched."""

    def __init__(self, stranger: str):
        self.stranger = stranger

    def verbalize(self, histories, progress=None):
        return [self._text([record["title"] for record in history[-3:]]) for history in histories]

    def _text(self, titles):
        return f"Likes noir, Comedy and space. Watched {'; '.join(titles)}, again {titles[-1]}, and {self.stranger}."


@pytest.fixture(scope="module")
def dataset(tmp_path_factory) -> BuiltDataset:
    folder = tmp_path_factory.mktemp("noise") / "simulation"
    build_dataset(partial(read_streaming_simulation, config=CONFIG), folder)
    return BuiltDataset.open(folder)


@pytest.fixture(scope="module")
def verbalizers(dataset) -> dict:
    items = dataset.items()
    return {
        "template": TemplateVerbalizer(),
        "profile": ProfileVerbalizer(items),
        "boastful": Boastful(stranger_of(dataset)),
    }


@pytest.fixture(scope="module")
def results(dataset, verbalizers):
    # Whoever answers, the texts are the same; this reasoner says nothing and counts words for tokens.
    silent = SimpleNamespace(
        answer="label",
        language_model=SimpleNamespace(
            tokenizer=lambda texts, **_: {"input_ids": [text.split() for text in texts]},
            model_id="org/silent",
            adapter_id=None,
            fingerprint="silent",
        ),
        entry=lambda: {"id": "org/silent", "trained": False, "answer": "label", "fingerprint": "silent"},
        rank=lambda texts, candidates, progress=None: [None] * len(texts),
    )
    found = evaluate_rows(dataset, list(verbalizers), reasoner=silent, verbalizers=verbalizers)
    return json.loads(json.dumps(found.document()))


def stranger_of(dataset) -> str:
    """A title of the catalogue that stands in no history of the test split."""
    seen = {record["title"] for row in dataset.examples("test") for record in row["history"]}
    return next(item["title"] for item in dataset.items().values() if item["title"] not in seen)


def shown(dataset) -> pd.DataFrame:
    """One line per record of a test history, with what the truth says of it."""
    lines = [
        {"example": place, "user": row["user"], "example_time": row["timestamp"], **record}
        for place, row in enumerate(dataset.examples("test"))
        for record in row["history"]
    ]
    truth = dataset.truth("records")[["user", "item_id", "timestamp", "event", "noise_kind"]]
    joined = pd.DataFrame(lines).merge(truth, on=["user", "item_id", "timestamp", "event"], validate="many_to_one")
    assert len(joined) == len(lines)
    return joined


def times_named(text: str, title: str) -> int:
    return len(re.findall(rf"(?<!\w){re.escape(title)}(?!\w)", text))


def recomputed(dataset, texts) -> dict[str, float | None]:
    lines = shown(dataset).assign(is_noise=lambda line: line["noise_kind"].notna())
    titles = lines.groupby(["example", "title"])["is_noise"].agg(noise="all", records="size").reset_index()
    titles["named"] = [times_named(texts[row.example], row.title) for row in titles.itertuples()]
    dropped, repeated = titles["named"] == 0, (titles["records"] > 1) & (titles["named"] > 0)

    def share(part, whole):
        return part.sum() / whole.sum() if whole.sum() else None

    strongest = strongest_tags(dataset)
    agreed = [len(set(first_tags(dataset, text)) & tags) / 5 for text, tags in zip(texts, strongest, strict=True)]
    return {
        "noise_precision": share(dropped & titles["noise"], dropped),
        "noise_recall": share(dropped & titles["noise"], titles["noise"]),
        "genuine_kept": share(~dropped & ~titles["noise"], ~titles["noise"]),
        "repeats_merged": share(repeated & (titles["named"] == 1), repeated),
        "tag_agreement": float(np.mean(agreed)),
    }


def first_tags(dataset, text: str) -> list[str]:
    """The first five different tags, by the place where each first stands."""
    names = dataset.truth("tags")["tag"]
    found = {name: re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text, re.IGNORECASE) for name in names}
    places = {name: match.start() for name, match in found.items() if match}
    return sorted(places, key=places.__getitem__)[:5]


def strongest_tags(dataset) -> list[set[str]]:
    names = dataset.truth("tags").sort_values("position")["tag"].to_numpy()
    tastes = dataset.truth("tastes")
    tags = []
    for row in dataset.examples("test"):
        own = tastes[(tastes["user"] == row["user"]) & (tastes["since"] <= row["timestamp"])]
        now = own[own["since"] == own["since"].max()]
        liking = sum(share * np.asarray(taste) for share, taste in zip(now["share"], now["taste"], strict=True))
        tags.append(set(names[np.argsort(liking)[-5:]]))
    return tags


def test_no_title_of_the_catalogue_stands_inside_another(dataset):
    """Or regular expressions would count one where the other is named."""
    titles = [item["title"] for item in dataset.items().values()]
    text = "\n".join(titles)
    assert all(times_named(text, title) == 1 for title in titles)


@pytest.mark.parametrize("name", ["template", "profile", "boastful"])
def test_the_noise_columns_are_those_of_a_second_computation(dataset, verbalizers, results, name):
    texts = verbalizers[name].verbalize(dataset.examples("test")["history"][:])
    noise = next(row for row in results["rows"] if row["row"] == name)["noise"]
    assert {key: noise[key] for key in SHARES} == pytest.approx(recomputed(dataset, texts))
    assert noise["texts"] == len(texts) == 200


def test_the_columns_say_what_is_known_of_each_verbalizer(results):
    rows = {row["row"]: row for row in results["rows"]}
    # The template names every title, in each record again.
    assert rows["template"]["noise"]["noise_recall"] == rows["template"]["noise"]["repeats_merged"] == 0
    assert rows["template"]["noise"]["genuine_kept"] == 1
    # The profile drops what the log itself shows to be noise: what is left of it are background loops.
    assert rows["profile"]["noise"]["noise_recall"] > 0.93
    assert rows["profile"]["noise"]["noise_precision"] > 0.98
    assert rows["profile"]["noise"]["genuine_kept"] > 0.98
    assert rows["profile"]["noise"]["tag_agreement"] > 0.3
    # Of the five titles that the own verbalizer names, one was never in the log.
    assert rows["template"]["unsupported_title_rate"] == rows["profile"]["unsupported_title_rate"] == 0
    assert rows["boastful"]["unsupported_title_rate"] == pytest.approx(1 / 5)


def test_the_table_shows_every_noise_column(results):
    table = results_table(results)
    assert all(f"| {column.heading} |" in table for column in NOISE_COLUMNS)
    assert "| boastful | 0." in table.split("according to the ground truth of the simulator:")[1]


def test_what_the_profile_cannot_see_are_background_loops(dataset, verbalizers):
    texts = verbalizers["profile"].verbalize(dataset.examples("test")["history"][:])
    titles = shown(dataset).groupby(["example", "title"])["noise_kind"].agg(list).reset_index()
    kept = [
        set(row.noise_kind)
        for row in titles.itertuples()
        if all(map(pd.notna, row.noise_kind)) and times_named(texts[row.example], row.title)
    ]
    assert kept
    assert all("background_loop" in kinds for kinds in kept)
