"""The users whom the page shows: invented people, whose histories are walks over real films.

Each walk goes from film to film as the users of a built log did: a next film is drawn from the successors of the
newest ones. No history of a real person is shown.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

import pandas as pd

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.schema import (
    DEVICE,
    DURATION,
    EVENT,
    ITEM_ID,
    NUM_CANDIDATES,
    TAGS,
    TIMESTAMP,
    TITLE,
    VALUE,
    Item,
    Record,
)
from logs2lang.dataset_builders.successor_lists import SuccessorLists

from .decision import Decision

_NEWEST = 3
"""Records whose successors can come next."""
_OF_TASTE = 10.0
"""How much more often a film of the taste is drawn."""
_RATINGS, _RATING_WEIGHTS = (6.0, 7.0, 8.0, 9.0, 10.0), (1, 3, 4, 3, 1)


@dataclass(frozen=True)
class Person:
    """Somebody to be invented.

    Args:
        name (`str`): As the page says it.
        taste (`frozenset[str]`): Tags of films that the person prefers.
        records (`int`): Length of the history.
        days (`float`): Mean time between two films.
    """

    name: str
    taste: frozenset[str]
    records: int
    days: float = 9.0


PEOPLE = (
    Person("Ada", frozenset({"Sci-Fi"}), 16),
    Person("Bruno", frozenset({"Animation"}), 14),
    Person("Chidi", frozenset({"Crime", "Mystery"}), 15),
)


@dataclass
class FilmLog:
    """What an invented walk needs of a built log.

    Args:
        items (`dict[str, Item]`): The catalogue.
        successors ([`SuccessorLists`]): What users chose after each item.
        interactions (`pd.DataFrame`): The training interactions: how often a film was chosen, and when first.
    """

    items: Mapping[str, Item]
    successors: SuccessorLists
    interactions: pd.DataFrame

    @classmethod
    def of(cls, dataset: BuiltDataset) -> "FilmLog":
        """The tables of a built dataset."""
        return cls(dataset.items(), dataset.successors(), dataset.training_interactions())

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each film was chosen, the most often chosen first."""
        counted = self.interactions.groupby(ITEM_ID).size().sort_index()
        return counted.sort_values(ascending=False, kind="stable").to_dict()

    @cached_property
    def first_seen(self) -> dict[str, datetime]:
        """When each film was first chosen: before that nobody could."""
        return self.interactions.groupby(ITEM_ID)[TIMESTAMP].min().to_dict()


def invent(person: Person, log: FilmLog, seed: int) -> Decision | None:
    """A history of one person, what came next, and ten candidates; `None` where the walk ended too early.

    Args:
        person ([`Person`]): Who watches.
        log ([`FilmLog`]): The films, and what real users chose after each.
        seed (`int`): Decides everything.
    """
    rng = random.Random(f"{person.name}:{seed}")
    times = list(_times(person, log, rng))
    films = _walk(person, log, times, rng)
    if len(films) < len(times):
        return None
    *watched, target = films
    history = [_to_record(log.items[film], time, rng) for film, time in zip(watched, times, strict=False)]
    candidates = [target, *_others(films, log, times[-1], rng)]
    rng.shuffle(candidates)
    return Decision(person.name, history, log.items, candidates, target, successors=log.successors)


def _times(person: Person, log: FilmLog, rng: random.Random) -> Iterator[datetime]:
    """Evenings, one more than records, of which the last is that of the choice."""
    begin = log.interactions[TIMESTAMP].min().to_pydatetime().astimezone(timezone.utc)
    day = begin.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=rng.randint(3, 15))
    for _ in range(person.records + 1):
        yield day + timedelta(hours=rng.randint(19, 23), minutes=rng.randint(0, 59))
        day += timedelta(days=1 + int(rng.expovariate(1 / (person.days - 1))))


def _walk(person: Person, log: FilmLog, times: list[datetime], rng: random.Random) -> list[str]:
    known = [film for film in log.counts if log.first_seen[film] <= times[0]]
    films = [rng.choice([film for film in known if _is_of(person, log.items[film])][:20])]
    for time in times[1:]:
        weights: dict[str, float] = {}
        for film in films[-_NEWEST:]:
            for found in log.successors.after(film):
                if found.item_id not in films and log.first_seen[found.item_id] <= time:
                    bonus = _OF_TASTE if _is_of(person, log.items[found.item_id]) else 1.0
                    weights[found.item_id] = weights.get(found.item_id, 0.0) + bonus * found.chosen
        if not weights:
            break
        films += rng.choices(list(weights), list(weights.values()))
    return films


def _is_of(person: Person, item: Item) -> bool:
    return not person.taste.isdisjoint(item[TAGS])


def _others(films: list[str], log: FilmLog, time: datetime, rng: random.Random) -> list[str]:
    """The other candidates, as a build draws them: in proportion to their counts plus one, of those already there."""
    pool = [film for film, first in log.first_seen.items() if first <= time and film not in films]
    # Each film a clock that rings at its rate: the first to ring are a draw without replacement.
    order = sorted(pool, key=lambda film: rng.expovariate(log.counts[film] + 1))
    return order[: NUM_CANDIDATES - 1]


def _to_record(item: Item, time: datetime, rng: random.Random) -> Record:
    (rating,) = rng.choices(_RATINGS, _RATING_WEIGHTS)
    record: dict[str, Any] = {TIMESTAMP: time, ITEM_ID: item[ITEM_ID], TITLE: item[TITLE], EVENT: "rate"}
    return Record(**record, **{DURATION: None, VALUE: rating, DEVICE: None})
