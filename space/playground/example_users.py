"""The example users of the page: invented people who watch real films, shipped in one small file.

    python -m logs2lang.space.playground.example_users data/movietweetings-100k

writes `example_users.json` again, from a dataset that `logs2lang build movietweetings --output
data/movietweetings-100k` built: it invents users, takes those whose log shows what successors can do, and writes down
ahead of time what each verbalizer makes of their logs and what the reasoner then picks, so that the page opens with
all of it.
"""

import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from itertools import count
from pathlib import Path
from typing import Any

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.schema import (
    ALL_USERS,
    CANDIDATES,
    HISTORY,
    ITEM_ID,
    TAGS,
    TARGET,
    TIMESTAMP,
    TITLE,
    YEAR,
    Item,
    Record,
)
from logs2lang.dataset_builders.successor_lists import Successor, SuccessorLists
from logs2lang.dataset_builders.whole_files import write_text

from .comparison import default_choices, to_reasoner, written_ahead, written_by_rules
from .decision import Decision
from .invented_users import PEOPLE, FilmLog, Person, invent
from .loaded_models import LoadedModels

EXAMPLES_FILE = Path(__file__).with_name("example_users.json")
MAX_SUCCESSORS = 30
"""Kept of each film of a history."""


@dataclass(frozen=True)
class ExampleUser:
    """One invented person.

    Args:
        decision ([`Decision`]): The log and what came next.
        description (`str`): One line for whoever chooses among the examples.
        written (`dict`): Per verbalizer what was computed ahead; see `comparison.Written`.
    """

    decision: Decision
    description: str
    written: Mapping[str, Mapping[str, Any]]


@lru_cache
def example_users(path: Path = EXAMPLES_FILE) -> dict[str, ExampleUser]:
    """The shipped examples by name."""
    content = _content(path)
    films = example_films(path)
    lists = {film: [Successor(*one) for one in found] for film, found in content["successors"].items()}
    successors = SuccessorLists(path.parent, {ALL_USERS: lists})
    return {user["name"]: _to_example(user, films, successors) for user in content["users"]}


@lru_cache
def example_films(path: Path = EXAMPLES_FILE) -> dict[str, Item]:
    """Films of the MovieTweetings catalogue: those of the example users, and the successors of those."""
    return {
        item_id: Item(item_id=item_id, title=title, year=year, tags=tags, series=None, description=None)
        for item_id, (title, year, tags) in _content(path)["films"].items()
    }


def films_license(path: Path = EXAMPLES_FILE) -> str:
    """The notice under which the films may be shown."""
    return _content(path)["license"]


def _content(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def _to_example(user: Mapping[str, Any], films: Mapping[str, Item], successors: SuccessorLists) -> ExampleUser:
    history = [{**record, TIMESTAMP: datetime.fromisoformat(record[TIMESTAMP])} for record in user[HISTORY]]
    decision = Decision(user["name"], history, films, user[CANDIDATES], user[TARGET], successors=successors)
    return ExampleUser(decision, user["description"], user["written"])


def choose(person: Person, log: FilmLog, models: LoadedModels) -> Decision:
    """The first invented log of a person after which the reasoner misses from the template and hits from successors.

    So the examples are no sample: how often this holds for real users stands in the released results.
    """
    choices = replace(default_choices(models.released), action_adapter="")
    reasoner = to_reasoner(choices, models)
    for seed in count():
        decision = invent(person, log, seed)
        if decision is None:
            continue
        decision = with_few_successors(decision)
        texts = written_by_rules(decision.newest(choices.history_length), choices)
        contexts = [texts[name].text for name in ("template", "successors")]
        template, successors = reasoner.rank(contexts, [decision.candidate_items] * 2)
        if template.pick != decision.target and successors.pick == decision.target:
            return decision
    raise AssertionError("an endless count ended")


def with_few_successors(decision: Decision) -> Decision:
    """The same decision with as many successors of each film as the file keeps."""
    films = {record[ITEM_ID] for record in decision.history}
    lists = {
        film: [one._replace(lift=round(one.lift, 4)) for one in decision.successors.after(film)[:MAX_SUCCESSORS]]
        for film in sorted(films)
    }
    return replace(decision, successors=SuccessorLists(Path(), {ALL_USERS: lists}))


def describe(history: Sequence[Record], items: Mapping[str, Item]) -> str:
    """A line such as `Sci-Fi, Action, Adventure; 16 films`."""
    tags = Counter(tag for record in history for tag in items[record[ITEM_ID]][TAGS])
    return f"{', '.join(tag for tag, _ in tags.most_common(3))}; {len(history)} films"


def to_content(decisions: Sequence[Decision], log: FilmLog, models: LoadedModels, source: Mapping[str, Any]) -> dict:
    """Everything that the page opens with, as it is shipped.

    Args:
        decisions (`Sequence[Decision]`): Of the users, each with the successors of its films.
        log ([`FilmLog`]): Where the films come from.
        models ([`LoadedModels`]): Read the texts.
        source (`dict`): The build report of the log.
    """
    successors = {
        record[ITEM_ID]: [list(one) for one in decision.successors.after(record[ITEM_ID])]
        for decision in decisions
        for record in decision.history
    }
    films = {one[0] for found in successors.values() for one in found} | set(successors)
    films |= {item_id for decision in decisions for item_id in decision.candidates}
    permission = files("logs2lang.dataset_builders.dataset_folder").joinpath("mit_permission.txt")
    return {
        "made_by": "python -m logs2lang.space.playground.example_users data/movietweetings-100k",
        "users_are": "invented",
        "films_from": source["homepage"],
        "license": f"{source['license']['notice']} {' '.join(permission.read_text(encoding='utf-8').split())}",
        "users": [_to_user(decision, models) for decision in decisions],
        "films": {film: [log.items[film][name] for name in (TITLE, YEAR, TAGS)] for film in sorted(films)},
        "successors": dict(sorted(successors.items())),
    }


def _to_user(decision: Decision, models: LoadedModels) -> dict[str, Any]:
    return {
        "name": decision.name,
        "description": describe(decision.history, decision.items),
        HISTORY: [{**record, TIMESTAMP: record[TIMESTAMP].isoformat()} for record in decision.history],
        CANDIDATES: list(decision.candidates),
        TARGET: decision.target,
        "written": written_ahead(decision, models),
    }


def write_examples(dataset: str | Path, path: Path = EXAMPLES_FILE, models: LoadedModels | None = None) -> None:
    """Invent the users, write their logs as text with each verbalizer, and keep it all in one file.

    Args:
        dataset (`str` or `Path`): Folder of a built dataset of films.
        path (`Path`, *optional*): The file.
        models ([`LoadedModels`], *optional*): Read the texts.
    """
    built, models = BuiltDataset.open(dataset), models or LoadedModels()
    log = FilmLog.of(built)
    decisions = [choose(person, log, models) for person in PEOPLE]
    content = to_content(decisions, log, models, built.report)
    write_text(path, json.dumps(content, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    write_examples(sys.argv[1])
