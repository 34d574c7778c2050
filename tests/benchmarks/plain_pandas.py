"""The examples of a log as one would write them in pandas: user by user, target by target.

It follows the same definitions with none of the tricks, and yields the same rows; slow, and easy to read.
"""

import hashlib
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from logs2lang.dataset_builders.build_options import BuildOptions
from logs2lang.dataset_builders.candidates import MANY_DRAWS
from logs2lang.dataset_builders.schema import NOISE_EVENTS
from logs2lang.dataset_builders.tables.seeded_draws import PRIME

_MULTIPLIERS = (48271, 69621, 40692)

_Item = tuple[int, str, str]  # item_key, item_id, title


def plain_draw(seed: int, *keys: int) -> int:
    """`seeded_draws.draw` for one combination of keys."""
    state = seed % PRIME + 1
    for multiplier, key in zip(_MULTIPLIERS, keys, strict=False):
        state = (state * multiplier + key + 1) % PRIME
        state = (state * state + state * multiplier) % PRIME
    state = (state * state + 16807) % PRIME
    return (state * 16807 + seed) % PRIME


def plain_examples(interactions: pd.DataFrame, items: pd.DataFrame, options: BuildOptions) -> list[dict[str, Any]]:
    """Every example of a log, `leave_last_out` with candidates by `popularity`.

    Args:
        interactions (`pandas.DataFrame`): Canonical interactions.
        items (`pandas.DataFrame`): The catalogue.
        options ([`BuildOptions`]): The other choices.
    """
    events = _to_events(interactions, items, options)
    targets = pd.concat([_targets_of(user, options) for _, user in events.groupby("user_key")])
    line = _to_line(events, targets)
    users = dict(list(events.groupby("user_key")))
    rows = (_to_example(target, users[target["user_key"]], line, options) for _, target in targets.iterrows())
    return [row for row in rows if row is not None]


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _to_events(interactions: pd.DataFrame, items: pd.DataFrame, options: BuildOptions) -> pd.DataFrame:
    users = pd.DataFrame({"user_id": interactions["user_id"].unique()})
    users["user"] = [_sha256(f"seed {options.seed}|{user}")[:16] for user in users["user_id"]]
    users = users.sort_values(["user", "user_id"]).reset_index(drop=True)
    catalogue = items.assign(hashed=[_sha256(f"seed {options.seed}|{item}") for item in items["item_id"]])
    catalogue = catalogue.sort_values(["hashed", "item_id"]).reset_index(drop=True)
    catalogue["work"] = catalogue["series"].radd("series|").fillna("item|" + catalogue["item_id"])
    users, catalogue = users.assign(user_key=users.index), catalogue.assign(item_key=catalogue.index)
    catalogue = catalogue[["item_id", "item_key", "title", "work"]]
    events = interactions.merge(users, on="user_id").merge(catalogue, on="item_id")
    keys = zip(events["user_key"], events["item_key"], strict=True)
    events["tie"] = [plain_draw(options.seed, user, item) for user, item in keys]
    order = ["user_key", "timestamp", "tie", "item_key", "event", "duration_s", "value", "device"]
    events = events.sort_values(order).reset_index(drop=True)
    events["position"] = events.groupby("user_key").cumcount() + 1
    return events.assign(item_id="i" + events["item_key"].astype(str), is_choice=~events["event"].isin(NOISE_EVENTS))


def _targets_of(user: pd.DataFrame, options: BuildOptions) -> pd.DataFrame:
    """The targets of one user: the last two choices, and some of the earlier ones."""
    choices = user[user["is_choice"]]
    if len(choices) < 2 or choices["position"].iloc[-2] <= options.least_history:
        return choices[:0].assign(split="")
    earlier = choices[:-2]
    earlier = earlier[earlier["position"] > options.least_history]
    keys = zip(earlier["user_key"], earlier["position"], strict=True)
    chance = [plain_draw(options.seed + 1, user, position) for user, position in keys]
    training = earlier.assign(chance=chance).sort_values(["chance", "position"])[: options.train_targets]
    return pd.concat([training.assign(split="train"), choices[-2:].assign(split=["validation", "test"])])


class _Line:
    """The items side by side in the order they came into the log, each as long as the users who chose it."""

    def __init__(self, table: pd.DataFrame):
        self.items = table
        self.ends = table["weight"].cumsum().to_numpy()
        self.first_seen = table["first_seen"].to_numpy()

    def available(self, moment: pd.Timestamp) -> int:
        known = np.searchsorted(self.first_seen, np.datetime64(moment.tz_localize(None)), side="right")
        return int(self.ends[known - 1]) if known else 0

    def item_at(self, slot: int) -> pd.Series:
        return self.items.iloc[int(np.searchsorted(self.ends, slot, side="right"))]


def _to_line(events: pd.DataFrame, targets: pd.DataFrame) -> _Line:
    held_out = targets[targets["split"] == "validation"].set_index("user_key")["position"]
    limit = events["user_key"].map(held_out)
    training = events[(limit.isna() | (events["position"] < limit)) & events["is_choice"]]
    weights = training.groupby("item_key")["user_key"].nunique().rename("weight")
    seen = events.groupby(["item_key", "item_id", "title", "work"])["timestamp"].min().dt.tz_localize(None)
    table = seen.rename("first_seen").reset_index().merge(weights, on="item_key")
    return _Line(table.sort_values(["first_seen", "item_key"]).reset_index(drop=True))


def _to_example(target: pd.Series, user: pd.DataFrame, line: _Line, options: BuildOptions) -> dict[str, Any] | None:
    past = user[user["position"] < target["position"]]
    chosen = _candidates(target, set(user["work"]), line, options)
    if len(chosen) < options.num_candidates - 1:
        return None
    shown = [*chosen, (target["item_key"], target["item_id"], target["title"])]
    example = target["user_key"], target["position"]
    shown.sort(key=lambda item: (plain_draw(options.seed + 4, *example, item[0]), item[0]))
    fields = ["timestamp", "item_id", "title", "event", "duration_s", "value", "device"]
    return {
        "example_id": f"{target['user']}-{target['position']}",
        "history": past[fields].tail(options.history).to_dict("records"),
        "candidates": [{"item_id": item_id, "title": title} for _, item_id, title in shown],
        "target": target["item_id"],
        "target_index": [item_id for _, item_id, _ in shown].index(target["item_id"]),
        "is_discovery": target["work"] not in set(past["work"]),
    }


def _candidates(target: pd.Series, touched: set[str], line: _Line, options: BuildOptions) -> list[_Item]:
    """Draw items one after another until there are enough that the user never touched."""
    found: dict[int, _Item] = {}
    available = line.available(target["timestamp"])
    for turn in range(MANY_DRAWS):
        chance = plain_draw(options.seed + 2, target["user_key"], target["position"], turn)
        item = line.item_at(chance * available // PRIME)
        if item["work"] not in touched:
            found.setdefault(item["item_key"], (item["item_key"], item["item_id"], item["title"]))
        if len(found) == options.num_candidates - 1:
            return list(found.values())
    rest = [item for item in _race(target, touched, line, options) if item[0] not in found]
    return [*found.values(), *rest][: options.num_candidates - 1]


def _race(target: pd.Series, touched: set[str], line: _Line, options: BuildOptions) -> Iterator[_Item]:
    """All items that are left, by their arrival time in an exponential race."""
    known = line.items[line.items["first_seen"] <= target["timestamp"].tz_localize(None)]
    known = known[~known["work"].isin(touched)]
    example = target["user_key"], target["position"]
    chances = [plain_draw(options.seed + 3, *example, key) + 1 for key in known["item_key"]]
    arrival = [-math.log(chance / PRIME) / weight for chance, weight in zip(chances, known["weight"], strict=True)]
    ordered = known.assign(arrival=arrival).sort_values(["arrival", "item_key"])
    return zip(ordered["item_key"], ordered["item_id"], ordered["title"], strict=True)
