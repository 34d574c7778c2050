"""Classical recommenders, fitted on training interactions and scored on the candidates that every other row sees."""

from collections.abc import Callable
from functools import partial

from .catalogue_closeness import TagCosine, YearCloseness
from .item_knn import ItemKnn
from .markov import Markov
from .popularity import Popularity
from .random_choice import RandomChoice
from .rankings import rankings_from_scores
from .recommender import Recommender
from .sasrec import SasRec

BASELINES: dict[str, Callable[..., Recommender]] = {
    "random": RandomChoice,
    "popularity": Popularity,
    "inverse-popularity": partial(Popularity, inverse=True),
    "year-closeness": YearCloseness,
    "tag-cosine": TagCosine,
    "item-knn-cosine": partial(ItemKnn, "cosine"),
    "item-knn-lift": partial(ItemKnn, "lift"),
    "markov-counts": partial(Markov, lift=False),
    "markov-lift": partial(Markov, lift=True),
    "sasrec": SasRec,
    "sasrec-lift": partial(SasRec, lift=True),
}
"""The classical rows of the results table, by name."""

TRAINED_BASELINES = ("sasrec", "sasrec-lift")
"""Those that a seed of the training decides; they take `settings`, a [`SasRecSettings`]."""

__all__ = ["BASELINES", "TRAINED_BASELINES", "Recommender", "rankings_from_scores"]
