"""What training optimises: TRL reward callables, one number per completion.

A number says how good a completion is; `None` says that its row cannot be judged, because the target is not among the
candidates; all rewards agree on that, and such a row teaches nothing. A completion that fails (no valid answer, an
absurd length) gets a low reward, never `None`. Rewards are picklable and hold what they need; what is only watched
goes through TRL's `log_metric`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from math import log
from typing import Any, Literal

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import FOLD, HISTORY, ITEM_ID, Item

from ...evaluation.metric import metric_scores
from ...reasoners.answer import parse_answer
from ...reasoners.ranking import Ranking
from ...verbalizers.language_model_verbalizer import folds_of
from ...verbalizers.verbalization_file import count_tokens
from ..runs.training_examples import is_judgeable

Rewards = list[float | None]
Completions = Sequence[Sequence[Mapping[str, str]]]
LogMetric = Callable[[str, float], None]
LogExtra = Callable[[str, list], None]

_LEAST_PROBABILITY = 1e-6  # a log-likelihood has no lower end, and one wild row would drown its group


class OracleReward:
    """Whether a frozen reasoner recommends right from what the verbalizer wrote: the accuracy reward of stage 1.

    Formula: Shi et al. (2026), arXiv 2602.20558, `r_acc`: 1 where the oracle picks the target, else 0. Two dense
    siblings, ours: `p(target)`, the expected hit of an oracle that samples its pick; and `log p(target)` minus that of
    a guess, so that 0 is chance. The logarithm is for an oracle that knows how sure it may be: one that is too sure
    may hit more often from a good text and yet be paid less, for the nats it loses where it misses.

    Args:
        oracle ([`Reasoner`]): Reads the texts and ranks the candidates; never trained here.
        verbalizer ([`LearnedVerbalizer`]): Turns completions into texts.
        items (`dict[str, Item]`): The catalogue: years and tags of the candidates.
        kind (`str`, *optional*, defaults to `"hit"`): `"hit"`, `"probability"` or `"log_likelihood"`.

    Example:
        >>> reward = OracleReward(oracle, RewriteVerbalizer(items), items)  # doctest: +SKIP
        >>> reward(completions=[[{"content": "likes heist films"}]], history=[history], candidates=[ten],
        ...     target=["i7"], example_id=["e1"])  # doctest: +SKIP
        [1.0]
    """

    __name__ = "oracle"

    def __init__(
        self,
        oracle: Any,
        verbalizer: Any,
        items: Mapping[str, Item],
        kind: Literal["hit", "probability", "log_likelihood"] = "hit",
    ):
        self.oracle = oracle
        self.verbalizer = verbalizer
        self.items = items
        self.kind = kind

    def __call__(
        self,
        completions: Completions,
        history: Sequence[Any],
        candidates: Sequence[Sequence[Mapping[str, Any]]],
        target: Sequence[str],
        example_id: Sequence[str],
        fold: Sequence[int] | None = None,
        log_metric: LogMetric | None = None,
        log_extra: LogExtra | None = None,
        **kwargs: Any,
    ) -> Rewards:
        """One reward per completion; see [`OracleReward`].

        Raises:
            InputError: No row of the batch can be judged, or the oracle gives no probabilities and `kind` is not
                `"hit"`.
        """
        texts = realize_all(self.verbalizer, completions, history, fold)
        shown = [[self.items[candidate[ITEM_ID]] for candidate in row] for row in candidates]
        rankings = self.oracle.rank(texts, shown)
        judged = [
            self._judge(ranking, gold, len(row)) if is_judgeable(gold, row) else None
            for ranking, gold, row in zip(rankings, target, candidates, strict=True)
        ]
        hits = [hit(ranking, gold) for ranking, gold in zip(rankings, target, strict=True)]
        if log_metric is not None:
            log_metric("oracle/hit_rate", mean(hits))
            log_metric("oracle/invalid", mean(ranking is None for ranking in rankings))
            log_metric("oracle/equal_groups", equal_groups(example_id, judged))
        if log_extra is not None:
            log_extra("text", texts)
            log_extra("pick", [None if ranking is None else ranking.pick for ranking in rankings])
        return refuse_unjudged(judged)

    def _judge(self, ranking: Ranking | None, gold: str, num_candidates: int) -> float:
        if self.kind == "hit":
            return hit(ranking, gold)
        if ranking is not None and not ranking.probabilities:
            raise InputError(
                f"The oracle returns no probabilities, so there is no {self.kind} to reward. Use oracle_reward: hit, "
                "or an oracle with answer mode label, title or tags."
            )
        chosen = {} if ranking is None else dict(zip(ranking.item_ids, ranking.probabilities, strict=True))
        probability = chosen.get(gold, 0.0)
        if self.kind == "probability":
            return probability
        return log(max(probability, _LEAST_PROBABILITY)) + log(num_candidates)


class LengthReward:
    """A plateau over the length of a text against the template's: 1 from `low` to `high`, 0 at 0 and from `end` on.

    Source: Shi et al. (2026), arXiv 2602.20558, `r_len`; the paper gives the plateau as about 0.3 to 0.7 and says that
    it falls off on both sides. That it does so in straight lines is our choice, and so is `end`: a text that names
    what others chose next says more than the template, so an end above 1 makes length a price that it may pay.

    Args:
        verbalizer ([`LearnedVerbalizer`]): Turns completions into texts.
        tokenizer (`PreTrainedTokenizerBase`): Counts; the oracle's reading is what a text costs.
        low (`float`, *optional*, defaults to 0.3): Where the plateau begins.
        high (`float`, *optional*, defaults to 0.7): Where it ends.
        end (`float`, *optional*, defaults to 1.0): Where the reward has fallen to 0.

    Example:
        >>> reward = LengthReward(None, None)
        >>> [round(reward.of_ratio(ratio), 3) for ratio in (0.0, 0.15, 0.3, 0.7, 0.85, 1.0, 2.0)]
        [0.0, 0.5, 1.0, 1.0, 0.5, 0.0, 0.0]
        >>> LengthReward(None, None, high=0.5, end=2.5).of_ratio(1.5)
        0.5
    """

    __name__ = "length"

    def __init__(self, verbalizer: Any, tokenizer: Any, low: float = 0.3, high: float = 0.7, end: float = 1.0):
        if not 0 < low <= high < end:
            raise InputError(
                f"length_low is {low}, length_high {high} and length_end {end}; expected 0 < low <= high < end, "
                "such as 0.3, 0.7 and 1."
            )
        self.verbalizer = verbalizer
        self.tokenizer = tokenizer
        self.low = low
        self.high = high
        self.end = end

    def __call__(
        self,
        completions: Completions,
        history: Sequence[Any],
        candidates: Sequence[Sequence[Mapping[str, Any]]],
        target: Sequence[str],
        template_text: Sequence[str],
        fold: Sequence[int] | None = None,
        log_metric: LogMetric | None = None,
        **kwargs: Any,
    ) -> Rewards:
        """One reward per completion, in [0, 1]; `None` where [`OracleReward`] is, or a row that cannot be judged would
        be learned from by its length alone."""
        tokens = count_tokens(self.tokenizer, realize_all(self.verbalizer, completions, history, fold))
        template_tokens = count_tokens(self.tokenizer, template_text)
        ratios = [mine / theirs for mine, theirs in zip(tokens, template_tokens, strict=True)]
        if log_metric is not None:
            log_metric("length/compression", mean(ratios))
        return [
            self.of_ratio(ratio) if is_judgeable(gold, row) else None
            for ratio, gold, row in zip(ratios, target, candidates, strict=True)
        ]

    def of_ratio(self, ratio: float) -> float:
        """The reward of a text `ratio` times as long as the template's."""
        return max(0.0, min(ratio / self.low, 1.0, (self.end - ratio) / (self.end - self.high)))


class AnswerReward:
    """Whether the reasoner picked the target: +1, or -1 for another pick and for no valid answer. Stage 2.

    Source: Shi et al. (2026), arXiv 2602.20558, section on the reasoner's reward.

    Example:
        >>> films = [{"item_id": "i1", "title": "Fargo"}, {"item_id": "i7", "title": "Heat"}]
        >>> said = [[{"content": text}] for text in ("B", "A", "hard to say")]
        >>> AnswerReward()(said, [films] * 3, ["i7"] * 3)
        [1.0, -1.0, -1.0]
    """

    __name__ = "answer"

    def __call__(
        self,
        completions: Completions,
        candidates: Sequence[Sequence[Mapping[str, Any]]],
        target: Sequence[str],
        log_metric: LogMetric | None = None,
        **kwargs: Any,
    ) -> Rewards:
        """One reward per completion; see [`AnswerReward`].

        Raises:
            InputError: No row of the batch can be judged.
        """
        picks = [parse_answer(said[0]["content"], shown) for said, shown in zip(completions, candidates, strict=True)]
        rankings = [
            None if pick is None else Ranking([shown[pick][ITEM_ID]])
            for pick, shown in zip(picks, candidates, strict=True)
        ]
        hits = [hit(ranking, gold) for ranking, gold in zip(rankings, target, strict=True)]
        judged = [
            2 * right - 1 if is_judgeable(gold, row) else None
            for right, gold, row in zip(hits, target, candidates, strict=True)
        ]
        if log_metric is not None:
            log_metric("answer/hit_rate", mean(hits))
            log_metric("answer/invalid", mean(pick is None for pick in picks))
        return refuse_unjudged(judged)


def realize_all(
    verbalizer: Any, completions: Completions, histories: Sequence[Any], folds: Sequence[int] | None = None
) -> list[str]:
    """The texts that completions stand for, each of its own history, with the successors its fold may read."""
    rows = zip(completions, histories, folds_of(histories, folds), strict=True)
    return [verbalizer.realize(said[0]["content"], {HISTORY: history, FOLD: fold}) for said, history, fold in rows]


def hit(ranking: Ranking | None, target: str) -> float:
    """1.0 where the metric counts a hit at 1, else 0.0; no valid answer is no hit.

    Example:
        >>> hit(Ranking(["b", "a"]), "b"), hit(Ranking(["b", "a"]), "a"), hit(None, "a")
        (1.0, 0.0, 0.0)
    """
    return float(ranking is not None and metric_scores().target_rank(list(ranking.item_ids), target) == 1)


def equal_groups(example_ids: Sequence[str], rewards: Rewards) -> float:
    """The share of groups whose rewards are all equal; such a group has no better and no worse, and teaches nothing.

    Args:
        example_ids (`list[str]`): One per completion; neighbours with the same id are a group.
        rewards (`list[float | None]`): One per completion.

    Example:
        >>> equal_groups(["e1", "e1", "e2", "e2"], [1.0, 1.0, 0.0, 1.0])
        0.5
    """
    rows = groupby(zip(example_ids, rewards, strict=True), key=lambda row: row[0])
    return mean(len({reward for _, reward in group}) == 1 for _, group in rows)


def refuse_unjudged(rewards: Rewards) -> Rewards:
    """The rewards as they are, unless none of them is a number.

    Raises:
        InputError: Every reward is `None`: the trainer would step on nothing.
    """
    if rewards and all(reward is None for reward in rewards):
        raise InputError(
            f"None of the {len(rewards)} rows of a batch can be judged: their targets are not among their candidates. "
            "Build the dataset again with `logs2lang build`; the last checkpoint is intact."
        )
    return rewards


def mean(values: Iterable[float]) -> float:
    """The mean; 0.0 of nothing."""
    numbers = list(values)
    return sum(numbers) / len(numbers) if numbers else 0.0
