"""What a verbalizer does with noise, repeats and taste, on a log whose truth is known.

Everything is judged on titles, because that is what a free text shows. A title is *noise* in a history when all of its
records there are noise, and *genuine* when at least one is not; so a title that was watched and also had a trailer is
genuine, and is not expected to be dropped. A title is *dropped* when the text never names it.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from datasets import Dataset

from logs2lang.dataset_builders.prompting.prompts import sanitize
from logs2lang.dataset_builders.schema import HISTORY, ITEM_ID, TIMESTAMP, TITLE, USER, Item
from logs2lang.dataset_builders.sources.streaming_simulation.ceiling import tastes_at

from ..reasoners.title_mentions import TitleIndex, mentioned_titles

TOP_TAGS = 5
"""So many of the strongest true tags, and of the first tags that a text names, are compared."""

NOISE_KIND = "noise_kind"

Truth = Callable[[str], pd.DataFrame | None]


def noise_measures(
    texts: Sequence[str], examples: Dataset, truth: Truth, items: Mapping[str, Item]
) -> dict[str, float | None]:
    """Measure texts against the truth of a simulated log.

    Args:
        texts (`list[str]`): One verbalization per example.
        examples (`datasets.Dataset`): Rows of `EXAMPLE_FEATURES`.
        truth (`Callable[[str], DataFrame | None]`): `BuiltDataset.truth`; its tables `records`, `tastes` and `tags`.
        items (`dict[str, Item]`): The catalogue.

    Returns:
        `dict`: Sums over all texts, divided once, and how many things each share is taken of; `None` for a share of
        nothing. Texts that name no title have `noise_recall` 1 and, as `noise_precision`, the share of noise among the
        titles of the histories; so read the two together with `genuine_kept`.

        - `noise_precision`: of the titles that were dropped, those that are noise (`dropped_titles`).
        - `noise_recall`: of the noise titles, those that were dropped (`noise_titles`).
        - `genuine_kept`: of the genuine titles, those that are named (`genuine_titles`).
        - `repeats_merged`: of the named titles with several records, those named exactly once (`repeated_titles`).
        - `tag_agreement`: of the five strongest true tags of the account at that moment, those among the first five
          different tags that the text names; the mean over all texts (`texts`).

    Raises:
        ValueError: There are not as many texts as examples.
    """
    tallies = tally_titles(texts, examples, truth, items)
    counts = sum(tallies, Counter())
    dropped = counts["noise_dropped"] + counts["genuine_dropped"]
    agreements = tag_agreements(texts, examples, truth)
    return {
        "noise_precision": _share(counts["noise_dropped"], dropped),
        "dropped_titles": dropped,
        "noise_recall": _share(counts["noise_dropped"], counts["noise"]),
        "noise_titles": counts["noise"],
        "genuine_kept": _share(counts["genuine"] - counts["genuine_dropped"], counts["genuine"]),
        "genuine_titles": counts["genuine"],
        "repeats_merged": _share(counts["merged"], counts["repeated"]),
        "repeated_titles": counts["repeated"],
        "tag_agreement": float(np.mean(agreements)) if agreements else None,
        "texts": len(agreements),
    }


def tally_titles(
    texts: Sequence[str], examples: Dataset, truth: Truth, items: Mapping[str, Item]
) -> list[Counter[str]]:
    """Per text, how many titles of its history are noise or genuine, dropped, repeated and merged."""
    index = TitleIndex(item["title"] for item in items.values())
    noise = _noise_records(truth, set(examples[USER]))
    rows = zip(texts, examples[USER], examples[HISTORY], strict=True)
    return [tally_text(mentioned_titles(text, index), *_titles(user, history, noise)) for text, user, history in rows]


def tally_text(named: Iterable[str], noise: Iterable[str], genuine: Iterable[str]) -> Counter[str]:
    """Count what one text does with the titles of its history.

    Args:
        named (`list[str]`): The titles that the text names, as often as it names them.
        noise (`list[str]`): The title of each noise record.
        genuine (`list[str]`): The title of each genuine record.

    Example:
        >>> tally = tally_text(named=["A", "B", "B"], noise=["C", "A", "B"], genuine=["A", "A", "D", "B"])
        >>> {name: count for name, count in tally.items() if count}
        {'noise': 1, 'noise_dropped': 1, 'genuine': 3, 'genuine_dropped': 1, 'repeated': 2, 'merged': 1}
    """
    mentions, records = Counter(named), Counter([*noise, *genuine])
    genuine_titles = set(genuine)
    noise_titles = records.keys() - genuine_titles
    repeated = [title for title, count in records.items() if count > 1 and title in mentions]
    return Counter(
        noise=len(noise_titles),
        noise_dropped=len(noise_titles - mentions.keys()),
        genuine=len(genuine_titles),
        genuine_dropped=len(genuine_titles - mentions.keys()),
        repeated=len(repeated),
        merged=sum(mentions[title] == 1 for title in repeated),
    )


def tag_agreements(texts: Sequence[str], examples: Dataset, truth: Truth) -> list[float]:
    """Per text, the share of the account's strongest true tags among the first tags it names."""
    names = _table(truth, "tags").sort_values("position")["tag"].to_numpy()
    index = TitleIndex(name.casefold() for name in names)
    strongest = _strongest_tags(examples, _table(truth, "tastes"), names)
    return [
        len(set(_first_different(mentioned_titles(text.casefold(), index), TOP_TAGS)) & tags) / TOP_TAGS
        for text, tags in zip(texts, strongest, strict=True)
    ]


def _strongest_tags(examples: Dataset, tastes: pd.DataFrame, names: np.ndarray) -> list[set[str]]:
    """The tags that weigh most in an account's taste: that of its people, weighted by their shares of sessions."""
    people = tastes_at(tastes, examples[USER][:], pd.to_datetime(examples[TIMESTAMP][:], utc=True))
    weighted = np.stack(list(people["taste"])) * people["share"].to_numpy()[:, None]
    account_tastes = np.zeros((len(examples), len(names)))
    np.add.at(account_tastes, people["example"].to_numpy(), weighted)
    best = np.argsort(-account_tastes, axis=1)[:, :TOP_TAGS]
    return [{name.casefold() for name in names[row]} for row in best]


def _first_different(words: Iterable[str], count: int) -> list[str]:
    return list(dict.fromkeys(words))[:count]


def _noise_records(truth: Truth, users: set[str]) -> set[tuple[Any, ...]]:
    records = _table(truth, "records")
    noise = records[records[NOISE_KIND].notna() & records[USER].isin(users)]
    return set(zip(noise[USER], noise[ITEM_ID], noise[TIMESTAMP], strict=True))


def _titles(
    user: str, history: Sequence[Mapping[str, Any]], noise: set[tuple[Any, ...]]
) -> tuple[list[str], list[str]]:
    """The title of each noise record of a history, and that of each genuine one."""
    titles: tuple[list[str], list[str]] = ([], [])
    for record in history:
        is_genuine = (user, record[ITEM_ID], record[TIMESTAMP]) not in noise
        titles[is_genuine].append(sanitize(record[TITLE]))
    return titles


def _table(truth: Truth, name: str) -> pd.DataFrame:
    table = truth(name)
    if table is None:
        raise ValueError(f"Noise is measured on logs whose truth is known; this one has no table {name!r}.")
    return table


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
