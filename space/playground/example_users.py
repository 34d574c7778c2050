"""The example users of the page: invented people of the simulated streaming service, shipped in one small file.

    python -m logs2lang.space.playground.example_users

writes `example_users.json` again: it simulates a service, takes a few of its accounts, and writes down ahead of time
what each verbalizer makes of their logs and what the reasoner then picks, so that the page opens with all of it.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.builder import build_dataset
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.schema import (
    CANDIDATES,
    DESCRIPTION,
    EVENT,
    HISTORY,
    IS_DISCOVERY,
    ITEM_COLUMNS,
    ITEM_ID,
    NOISE_EVENTS,
    TAGS,
    TARGET,
    TIMESTAMP,
    USER,
    Item,
    Record,
)
from logs2lang.dataset_builders.sources.streaming_simulation import SimulationConfig, read_streaming_simulation
from logs2lang.dataset_builders.whole_files import write_text
from logs2lang.evaluation.noise_measures import NOISE_KIND
from logs2lang.space.playground.comparison import written_ahead
from logs2lang.space.playground.decision import Decision
from logs2lang.space.playground.loaded_models import LoadedModels

EXAMPLES_FILE = Path(__file__).with_name("example_users.json")
NAMES = ("Ada", "Bruno", "Chidi", "Dagny", "Emre", "Farah")
HISTORY_RECORDS = 40
MORE_ITEMS = 120
"""Works beside those of the examples, from which the other candidates of an uploaded log can be drawn."""

SIMULATION = SimulationConfig(events=12_000, accounts=120, films=250, series=180, difficulty=0.35, seed=7)


@dataclass(frozen=True)
class ExampleUser:
    """One invented person.

    Args:
        decision ([`Decision`]): The log and what was chosen next.
        description (`str`): One line for choosing among the examples.
        written (`dict`): Per verbalizer what was computed ahead; see `comparison.Written`.
    """

    decision: Decision
    description: str
    written: Mapping[str, Mapping[str, Any]]


@lru_cache
def example_users(path: Path = EXAMPLES_FILE) -> dict[str, ExampleUser]:
    """The shipped examples by name."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return {user["name"]: _to_example(user, content["items"]) for user in content["users"]}


@lru_cache
def invented_items(path: Path = EXAMPLES_FILE) -> dict[str, Item]:
    """Works of the simulated service, none of them real."""
    return json.loads(path.read_text(encoding="utf-8"))["items"]


def _to_example(user: Mapping[str, Any], items: Mapping[str, Item]) -> ExampleUser:
    history = [{**record, TIMESTAMP: datetime.fromisoformat(record[TIMESTAMP])} for record in user[HISTORY]]
    decision = Decision(
        user["name"],
        history,
        items,
        user[CANDIDATES],
        user[TARGET],
        noise=user["noise"],
    )
    return ExampleUser(decision, user["description"], user["written"])


def simulate_users() -> tuple[list[dict[str, Any]], dict[str, Item]]:
    """A few accounts of a simulated service before their last choice, and the works that the page needs.

    Returns:
        `tuple`: Rows of `example_users.json` without what was written, and its items.
    """
    with TemporaryDirectory() as folder:
        build_dataset(
            lambda connection: read_streaming_simulation(connection, SIMULATION),
            Path(folder) / "built",
            BuildOptions(history=HISTORY_RECORDS, train_targets=0),
        )
        built = BuiltDataset.open(Path(folder) / "built")
        items, records = built.items(), built.truth("records")
        is_noise = records.set_index([USER, TIMESTAMP])[NOISE_KIND].notna()
        examples = [
            row for row in built.examples("test") if row[IS_DISCOVERY] and len(row[HISTORY]) == HISTORY_RECORDS
        ]
    chosen = _different_tastes(examples, items, len(NAMES))
    users = [
        _to_row(name, example, items, is_noise[example[USER]]) for name, example in zip(NAMES, chosen, strict=True)
    ]
    needed = {record[ITEM_ID] for user in users for record in user[HISTORY]}
    needed |= {item_id for user in users for item_id in user[CANDIDATES]}
    needed |= set([item_id for item_id in items if item_id not in needed][:MORE_ITEMS])
    return users, {item_id: _plain(items[item_id]) for item_id in sorted(needed)}


def _different_tastes(examples: Sequence[Mapping[str, Any]], items: Mapping[str, Item], count: int) -> list[Any]:
    """Examples whose most watched tags differ, those with the clearest taste first."""
    ranked = sorted(examples, key=lambda example: -_tag_counts(example[HISTORY], items).most_common(1)[0][1])
    by_tag = {}
    for example in ranked:
        by_tag.setdefault(_tag_counts(example[HISTORY], items).most_common(1)[0][0], example)
    return list(by_tag.values())[:count]


def _to_row(name: str, example: Mapping[str, Any], items: Mapping[str, Item], noise: Any) -> dict[str, Any]:
    history = [{**record, TIMESTAMP: record[TIMESTAMP].isoformat()} for record in example[HISTORY]]
    return {
        "name": name,
        "description": _describe(example[HISTORY], items),
        HISTORY: history,
        "noise": [bool(noise.loc[record[TIMESTAMP]]) for record in example[HISTORY]],
        CANDIDATES: [candidate[ITEM_ID] for candidate in example[CANDIDATES]],
        TARGET: example[TARGET],
    }


def _describe(history: Sequence[Record], items: Mapping[str, Item]) -> str:
    """A line such as `dark, mystery and space; series mostly, by phone`."""
    first, second, third = (tag for tag, _ in _tag_counts(history, items).most_common(3))
    series = sum((items[record[ITEM_ID]][DESCRIPTION] or "").startswith("A series") for record in history)
    device = Counter(record["device"] for record in history).most_common(1)[0][0]
    kind = "series" if series > len(history) / 2 else "films"
    return f"{first}, {second} and {third}; mostly {kind}, on the {device}"


def _tag_counts(history: Sequence[Record], items: Mapping[str, Item]) -> Counter[str]:
    works = {record[ITEM_ID] for record in history if record[EVENT] not in NOISE_EVENTS}
    return Counter(tag for work in sorted(works) for tag in items[work][TAGS])


def _plain(item: Mapping[str, Any]) -> Item:
    return {name: item[name] for name in ITEM_COLUMNS}


def write_examples(path: Path = EXAMPLES_FILE, base_model: str | None = None) -> None:
    """Simulate the examples, write their logs as text with each verbalizer, and keep it all in one file."""
    models = LoadedModels() if base_model is None else LoadedModels(base_model)
    users, items = simulate_users()
    for user in users:
        user["written"] = written_ahead(_to_example({**user, "written": {}}, items).decision, models)
    content = {
        "made_by": "python -m logs2lang.space.playground.example_users",
        "licence": "apache-2.0; no person, film or series in it is real",
        "users": users,
        "items": items,
    }
    write_text(path, json.dumps(content, ensure_ascii=False, indent=1) + "\n")


if __name__ == "__main__":
    write_examples()
