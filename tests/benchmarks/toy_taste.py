"""A world of decisions that can be read off the text: a user who saw films of one kind takes the one of that kind."""

import random
from datetime import datetime, timedelta, timezone

from datasets import Dataset

from logs2lang.dataset_builders.schema import EXAMPLE_FEATURES

KINDS = "pqrstuvw"
NUMBERS = 8
NUM_CANDIDATES = 4
START = datetime(2024, 1, 1, tzinfo=timezone.utc)
ITEMS = {
    f"{kind}{number}": {"item_id": f"{kind}{number}", "title": f"{kind}{kind}{number}", "year": None, "tags": []}
    for kind in KINDS
    for number in range(NUMBERS)
}


def to_examples(count: int, seed: int, liked: str = KINDS, records: int = 2) -> tuple[Dataset, list[str]]:
    """Decisions between films of different kinds, and a text for each user that names what the user saw.

    With one kind in `liked` everybody likes the same: to bind its letter is what is left to learn.
    """
    rng = random.Random(seed)
    rows = [_to_row(f"{seed}-{number}", rng, liked, records) for number in range(count)]
    texts = ["\n".join(record["title"] for record in row["history"]) for row in rows]
    return Dataset.from_list(rows, features=EXAMPLE_FEATURES), texts


def _to_row(name: str, rng: random.Random, liked: str, records: int) -> dict:
    taste = rng.choice(liked)
    kinds = rng.sample([kind for kind in KINDS if kind != taste], NUM_CANDIDATES - 1)
    target_index = rng.randrange(NUM_CANDIDATES)
    kinds.insert(target_index, taste)
    chosen = [f"{kind}{rng.randrange(NUMBERS)}" for kind in kinds]
    seen = [f"{taste}{number}" for number in rng.sample(range(NUMBERS), records)]
    return {
        "example_id": name,
        "user": name,
        "timestamp": START + timedelta(days=len(seen)),
        "history": [
            {"timestamp": START + timedelta(days=day), "item_id": item, "title": ITEMS[item]["title"], "event": "play"}
            | {"duration_s": None, "value": None, "device": None}
            for day, item in enumerate(seen)
        ],
        "candidates": [{"item_id": item, "title": ITEMS[item]["title"]} for item in chosen],
        "target": chosen[target_index],
        "target_index": target_index,
        "is_discovery": chosen[target_index] not in seen,
    }
