"""What an action verbalizer has learned, counted: its decisions by what is known of a record, before and after.

A record is described by its place in the history, its age at the moment of the target, its event, how many users chose
its item in training, and how many successors the item has. Shares of fewer than `FEWEST` records are not shown.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.prompting.prompts import template_text
from logs2lang.dataset_builders.schema import (
    ALL_USERS,
    EVENT,
    EXAMPLE_ID,
    FOLD,
    HISTORY,
    ITEM_ID,
    NO_TIME,
    NOISE_EVENTS,
    TIMESTAMP,
    USER,
)

from ..verbalizers.action import ActionVerbalizer
from ..verbalizers.decided_texts import WITH_NEXT

DECISIONS_FILE = "decisions.json"
USERS_FILE = "decisions_users.md"
SCHEMA_VERSION = 1
FEWEST = 30
BEFORE, AFTER = "before", "after"
PLACE, DECISION, BIN = "place", "decision", "bin"

_DAY = 24 * 60 * 60
_AGES = ((_DAY, 7 * _DAY, 30 * _DAY, 365 * _DAY), ("under a day", "a day", "a week", "30 days", "a year and more"))
_PLACES = ((2, 3, 4, 6, 11, 21), ("newest", "2nd", "3rd", "4th to 5th", "6th to 10th", "11th to 20th", "older"))
_CHOSEN = ((1, 3, 10, 50), ("nobody", "1 to 2", "3 to 9", "10 to 49", "50 and more"))
_SUCCESSORS = ((1, 5, 20, 50), ("none", "1 to 4", "5 to 19", "20 to 49", "50"))
FACTORS = {
    PLACE: "Place of the record, from the newest",
    "age": "Age of the record at the time of the target (from)",
    "event": "Event",
    "popularity": "Users who chose the item in training",
    "successors": "Successors of the item",
}


@dataclass(frozen=True)
class DecidedUser:
    """One example in full.

    Args:
        lines (`list[str]`): Its records as the template writes them, oldest first.
        decisions (`dict[str, list[str]]`): By `"before"` and `"after"`, one per line.
        texts (`dict[str, str]`): What the decisions make of them.
    """

    lines: Sequence[str]
    decisions: Mapping[str, Sequence[str]]
    texts: Mapping[str, str]


def count_decisions(
    verbalizers: Mapping[str, ActionVerbalizer], dataset: BuiltDataset, examples: Dataset, users: int = 10
) -> tuple[dict[str, Any], list[DecidedUser]]:
    """Let verbalizers decide on the same examples, and count.

    Args:
        verbalizers (`dict[str, ActionVerbalizer]`): `"after"`, and `"before"` where there is one.
        dataset ([`BuiltDataset`]): Where the examples come from.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES` and `fold`.
        users (`int`, *optional*, defaults to 10): How many of the examples to give in full: the first ones.

    Returns:
        `tuple[dict, list[DecidedUser]]`: What `decisions.json` says of the decisions (`n_examples`, `n_records`,
        `overall` and `by`), and the examples in full.
    """
    histories, folds = examples[HISTORY][:], examples[FOLD][:]
    writings = {when: one.write(histories, folds=folds) for when, one in verbalizers.items()}
    decided = {when: verbalizers[when].decided(of_when, folds) for when, of_when in writings.items()}
    frames = [_records(when, examples, decided[when], _Known.of(dataset)) for when in verbalizers]
    records = pd.concat(frames, ignore_index=True)
    full = [
        DecidedUser(
            template_text(histories[place]).split("\n"),
            {when: _on_all(decided[when][place], len(histories[place])) for when in verbalizers},
            {when: writings[when][place].text for when in verbalizers},
        )
        for place in range(min(users, len(examples)))
    ]
    counts = {"n_examples": len(examples), "n_records": len(frames[-1]), "overall": _overall(records)}
    return {
        **counts,
        "by": {factor: _by(records, factor) for factor in FACTORS if records[factor].notna().any()},
    }, full


def _on_all(decisions: Sequence[str], records: int) -> list[str]:
    """Decisions on the newest records, and an empty text for each older one, which was not shown."""
    return [""] * (records - len(decisions)) + list(decisions)


@dataclass(frozen=True)
class _Known:
    """What training tells of items."""

    chosen: Mapping[str, int]
    successors: Any

    @classmethod
    def of(cls, dataset: BuiltDataset) -> "_Known":
        log = dataset.training_interactions()
        log = log[~log[EVENT].isin(NOISE_EVENTS)]
        chosen = {str(item_id): int(users) for item_id, users in log.groupby(ITEM_ID)[USER].nunique().items()}
        return cls(chosen, dataset.known_successors())

    def followers(self, item_id: str, fold: int) -> str | None:
        if self.successors is None:
            return None
        return bin_of(len(self.successors.after(item_id, fold)), *_SUCCESSORS)


def _records(when: str, examples: Dataset, decided: Sequence[Sequence[str]], known: _Known) -> pd.DataFrame:
    """One line per record that was decided on."""
    lines = []
    for example, decisions in zip(examples, decided, strict=True):
        shown = example[HISTORY][-len(decisions) :] if decisions else []
        for place, (record, decision) in enumerate(zip(reversed(shown), reversed(decisions), strict=True), start=1):
            lines.append(
                {
                    "when": when,
                    EXAMPLE_ID: example[EXAMPLE_ID],
                    DECISION: decision,
                    PLACE: bin_of(place, *_PLACES),
                    "age": _age(example, record),
                    "event": record[EVENT],
                    "popularity": bin_of(known.chosen.get(record[ITEM_ID], 0), *_CHOSEN),
                    "successors": known.followers(record[ITEM_ID], example.get(FOLD, ALL_USERS)),
                }
            )
    return pd.DataFrame(lines, columns=["when", EXAMPLE_ID, DECISION, *FACTORS])


def _age(example: Mapping[str, Any], record: Mapping[str, Any]) -> str | None:
    if record[TIMESTAMP] == NO_TIME:
        return None
    return bin_of((example[TIMESTAMP] - record[TIMESTAMP]).total_seconds(), *_AGES)


def bin_of(number: float, bounds: Sequence[float], names: Sequence[str]) -> str:
    """The name of the bin of a number; a bound belongs to the higher one.

    Example:
        >>> bin_of(0, (1, 3), ("none", "few", "many")), bin_of(3, (1, 3), ("none", "few", "many"))
        ('none', 'many')
    """
    return names[bisect_right(bounds, number)]


def _overall(records: pd.DataFrame) -> dict[str, dict[str, int]]:
    return {str(when): _counts(of_when) for when, of_when in records.groupby("when", sort=False)}


def _by(records: pd.DataFrame, factor: str) -> list[dict[str, Any]]:
    """The bins of a factor in their order, each with what was decided before and after."""
    order = {PLACE: _PLACES[1], "age": _AGES[1], "popularity": _CHOSEN[1], "successors": _SUCCESSORS[1]}
    names = order.get(factor) or list(records[factor].value_counts().index)
    bins = {name: records[records[factor] == name] for name in names}
    return [{BIN: name, **_overall(of_bin)} for name, of_bin in bins.items() if len(of_bin)]


def _counts(records: pd.DataFrame) -> dict[str, int]:
    made = records[DECISION].value_counts()
    return {decision: int(made.get(decision, 0)) for decision in WITH_NEXT}


def decisions_section(document: Mapping[str, Any]) -> str:
    """The counts as Markdown: a table for each thing that is known of a record.

    Args:
        document (`dict`): The content of `decisions.json`.

    Example:
        >>> one = {"drop": 20, "keep": 10, "detail": 0, "next": 10}
        >>> print(decision_table("Event", [{"bin": "rate", "after": one}]))
        | Event | n | drop | keep | detail | next |
        | --- | ---: | ---: | ---: | ---: | ---: |
        | rate | 40 | 50% | 25% | 0% | 25% |
    """
    setting = (
        f"{document['dataset']['name']}, {document['split']}, {document['n_examples']:,} histories, "
        f"{document['n_records']:,} records; "
        + ", ".join(f"{when}: {entry['id']}" for when, entry in document["verbalizers"].items())
        + f". Shares of fewer than {FEWEST} records are left out."
    )
    overall = decision_table("All records", [{BIN: "all", **document["overall"]}])
    tables = [decision_table(FACTORS[factor], bins) for factor, bins in document["by"].items()]
    return "\n\n".join([setting, overall, *tables]) + "\n"


def decision_table(heading: str, bins: Sequence[Mapping[str, Any]]) -> str:
    """The shares of the decisions in each bin, after training, and before it where that is known."""
    whens = [when for when in (BEFORE, AFTER) if any(when in of_bin for of_bin in bins)]
    head = [heading, "n", *(_heading(decision, when, whens) for decision in WITH_NEXT for when in whens)]
    lines = [[of_bin[BIN], f"{_total(of_bin):,}", *_shares(of_bin, whens)] for of_bin in bins]
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (head, rule, *lines))


def _heading(decision: str, when: str, whens: Sequence[str]) -> str:
    return decision if len(whens) == 1 else f"{decision}, {when}"


def _total(of_bin: Mapping[str, Any]) -> int:
    return max(sum(of_bin[when].values()) for when in (BEFORE, AFTER) if when in of_bin)


def _shares(of_bin: Mapping[str, Any], whens: Sequence[str]) -> list[str]:
    shares = []
    for decision in WITH_NEXT:
        for when in whens:
            counts = of_bin.get(when, {})
            total = sum(counts.values())
            shares.append(f"{counts[decision] / total:.0%}" if total >= FEWEST else "—")
    return shares


def users_text(users: Sequence[DecidedUser]) -> str:
    """Examples in full, as Markdown: what became of each record, and the text that this makes."""
    return "\n\n".join(_user_text(number, user) for number, user in enumerate(users, start=1)) + "\n"


def _user_text(number: int, user: DecidedUser) -> str:
    whens = list(user.decisions)
    rows = [
        " ".join([*(f"{user.decisions[when][place] or '(not shown)':<11}" for when in whens), line])
        for place, line in enumerate(user.lines)
    ]
    parts = [f"## User {number}, {len(user.lines)} records", _fenced([" ".join(f"{w:<11}" for w in whens), *rows])]
    parts += [f"The text {when}:\n\n{_fenced(user.texts[when].splitlines())}" for when in whens]
    return "\n\n".join(parts)


def _fenced(lines: Sequence[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)  # titles may hold any fence
