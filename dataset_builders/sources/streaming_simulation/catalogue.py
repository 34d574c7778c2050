"""The invented catalogue: films and series, their titles, years, tags, lengths and popularity."""

import re
from dataclasses import dataclass
from math import prod

import numpy as np
import pandas as pd

from ...schema import DESCRIPTION, ITEM_ID, SERIES, TAGS, TITLE, YEAR
from .invented_words import (
    GENRES,
    MOODS,
    NAME_BEGINNINGS,
    NAME_ENDINGS,
    NAME_MIDDLES,
    NOUNS,
    THEMES,
    TITLE_PATTERNS,
)
from .simulation_config import SimulationConfig

TAG_NAMES = GENRES + THEMES + MOODS
TAGS_PER_WORK = 3
ITEM_ID_PREFIX = "work-"

_POPULARITY_SPREAD = 0.8
_OLDEST, _NEWEST = 1960, 2024


@dataclass(frozen=True)
class Catalogue:
    """All works of the service, one row each; works are numbered from 0.

    Args:
        tags (`np.ndarray` of shape `[works, 3]`): Places in `TAG_NAMES`: a genre, a theme and a mood.
        log_popularity (`np.ndarray` of shape `[works]`): Logarithm of how often a work is watched where taste does not
            matter; the popularities sum to 1.
        is_series (`np.ndarray` of shape `[works]`): Whether a work is a series.
        length_s (`np.ndarray` of shape `[works]`): Seconds of the film, or of one episode.
        seasons (`np.ndarray` of shape `[works]`): Seasons of a series; 0 for a film.
        episodes (`np.ndarray` of shape `[works]`): Episodes per season; 0 for a film.
        years (`np.ndarray` of shape `[works]`): Year of release, no part of anybody's taste.
        titles (`list[str]`): No two are equal.
    """

    tags: np.ndarray
    log_popularity: np.ndarray
    is_series: np.ndarray
    length_s: np.ndarray
    seasons: np.ndarray
    episodes: np.ndarray
    years: np.ndarray
    titles: list[str]

    def tag_matrix(self) -> np.ndarray:
        """Which work has which tag: float32 of shape `[tags, works]`."""
        matrix = np.zeros((len(TAG_NAMES), len(self.titles)), dtype=np.float32)
        matrix[self.tags.T, np.arange(len(self.titles))] = 1
        return matrix

    def to_items(self) -> pd.DataFrame:
        """The catalogue as the log shows it: the columns of `items`."""
        tag_names = [[TAG_NAMES[tag] for tag in tags] for tags in self.tags]
        return pd.DataFrame(
            {
                ITEM_ID: self._item_ids(),
                TITLE: self.titles,
                YEAR: self.years.astype("int16"),
                TAGS: tag_names,
                SERIES: pd.Series([None] * len(self.titles), dtype="string"),
                DESCRIPTION: [self._description(work, *tags) for work, tags in enumerate(tag_names)],
            }
        )

    def to_works(self) -> pd.DataFrame:
        """What is true of each work and not in the log: `item_id`, `log_popularity`."""
        return pd.DataFrame({ITEM_ID: self._item_ids(), "log_popularity": self.log_popularity})

    def _item_ids(self) -> list[str]:
        return [f"{ITEM_ID_PREFIX}{work}" for work in range(len(self.titles))]

    def _description(self, work: int, genre: str, theme: str, mood: str) -> str:
        if not self.is_series[work]:
            return f"A film of {self.length_s[work] // 60} minutes: {mood} {genre} about {theme}."
        extent = f"{self.seasons[work]} season(s) of {self.episodes[work]} episodes"
        return f"A series in {extent}: {mood} {genre} about {theme}."


def make_catalogue(config: SimulationConfig, rng: np.random.Generator) -> Catalogue:
    """Invent the works of a service.

    Args:
        config ([`SimulationConfig`]): `films` and `series` are used.
        rng (`np.random.Generator`): Where chance comes from.

    Returns:
        [`Catalogue`]: Films and series mixed, so that no place in it says anything about a work.
    """
    works = config.works
    is_series = rng.permutation(works) < config.series
    popularity = np.exp(rng.normal(0, _POPULARITY_SPREAD, works))
    minutes = np.where(is_series, rng.integers(22, 61, works), rng.integers(80, 151, works))
    return Catalogue(
        tags=_draw_tags(works, rng),
        log_popularity=np.log(popularity / popularity.sum()),
        is_series=is_series,
        length_s=minutes * 60 + rng.integers(0, 60, works),
        seasons=np.where(is_series, rng.integers(1, 6, works), 0),
        episodes=np.where(is_series, rng.integers(6, 13, works), 0),
        years=(_NEWEST - (_NEWEST - _OLDEST) * rng.random(works) ** 2).astype(int),
        titles=make_titles(works, rng),
    )


def make_titles(count: int, rng: np.random.Generator) -> list[str]:
    """Different invented titles, each with an invented name.

    Example:
        >>> make_titles(2, np.random.default_rng(0))
        ['The Tarvalith Archive', 'A Balloon for Mavathal']
    """
    parts = (TITLE_PATTERNS, NOUNS, NAME_ENDINGS, NAME_MIDDLES, NAME_BEGINNINGS)
    sizes = tuple(map(len, parts))
    chosen = np.unravel_index(rng.choice(prod(sizes), size=count, replace=False), sizes)
    rows = zip(*([words[place] for place in places] for words, places in zip(parts, chosen, strict=True)), strict=True)
    titles = [pattern.format(noun=noun, name=start + middle + end) for pattern, noun, end, middle, start in rows]
    return [re.sub(r"^A (?=[AEIOU])", "An ", title) for title in titles]


def _draw_tags(works: int, rng: np.random.Generator) -> np.ndarray:
    """One genre, one theme and one mood each, so that no work names a tag twice."""
    genres = rng.integers(0, len(GENRES), works)
    themes = len(GENRES) + rng.integers(0, len(THEMES), works)
    moods = len(GENRES) + len(THEMES) + rng.integers(0, len(MOODS), works)
    return np.stack([genres, themes, moods], axis=1)
