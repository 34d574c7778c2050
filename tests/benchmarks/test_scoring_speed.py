"""Scoring ten candidates against the rate of a plain matrix product, and against writing the answer and parsing it."""

import random
from time import perf_counter, process_time

import numpy as np
import pytest
import torch

from logs2lang.dataset_builders.prompting.prompts import to_reasoner_prompt
from logs2lang.dataset_builders.schema import CANDIDATE_LABELS
from logs2lang.models.accelerators import multiplies_bfloat16, set_matmul_precision
from logs2lang.models.language_models import load_language_model
from logs2lang.reasoners.answer import parse_answer
from logs2lang.reasoners.local import MAX_ANSWER_TOKENS, LocalReasoner

EXAMPLES = 24
LEAST_SHARE_OF_MATMUL = 0.75
MOST_BESIDE_READING = 1.15
FIVE_TIMES = 5
MOST_APART = 0.05
WRITTEN = 6
"""Examples that are also answered by writing, which takes long."""


@pytest.fixture(scope="module")
def reasoner() -> LocalReasoner:
    return LocalReasoner(load_language_model(device="cpu"), "label")


@pytest.fixture(scope="module")
def questions() -> tuple[list[str], list[list[dict]]]:
    """Contexts of 5 to 25 records, and ten candidates each."""
    rng = random.Random(0)
    contexts = [
        "\n".join(
            f"2024-05-{day:02} 20:15 | play | {rng.getrandbits(64):016x} | Film {day}" for day in range(1, records)
        )
        for records in (rng.randint(6, 26) for _ in range(EXAMPLES))
    ]
    film = {"title": "The invented film", "year": 1999, "tags": ["Drama", "Crime"]}
    return contexts, [[{**film, "item_id": label} for label in CANDIDATE_LABELS] for _ in contexts]


def matmul_rate() -> float:
    """Floating-point operations per second of the float32 products a model of this size is made of."""
    tokens, hidden, inner = 2_048, 576, 1_536
    left, right = torch.randn(tokens, hidden), torch.randn(hidden, inner)
    left @ right
    best = min(_seconds(lambda: [left @ right for _ in range(20)]) for _ in range(3))
    return 20 * 2 * tokens * hidden * inner / best


def _seconds(work) -> float:
    started = perf_counter()
    work()
    return perf_counter() - started


def scoring_flops(model, lengths: list[int]) -> float:
    """Multiplications and additions of a forward pass over the real tokens, with the head on the last one."""
    config = model.config
    head = config.vocab_size * config.hidden_size
    body = sum(weights.numel() for weights in model.get_decoder().layers.parameters())
    width = config.num_attention_heads * config.head_dim
    # Causal attention: a token looks at half of the sequence on average, once for scores and once for values.
    attention = sum(2 * width * length * length / 2 for length in lengths) * config.num_hidden_layers
    return 2 * (body * sum(lengths) + head * len(lengths) + attention)


def test_scoring_uses_most_of_the_processor(reasoner, questions):
    contexts, candidates = questions
    model = reasoner.language_model
    lengths = [len(model.prompt_ids(to_reasoner_prompt(*question))) for question in zip(*questions, strict=True)]
    reasoner.rank(contexts[:2], candidates[:2])
    rates, shares = [], []
    for _ in range(3):  # side by side, because the machine may be busy with other things
        plain = matmul_rate()
        rates.append(scoring_flops(model.model, lengths) / _seconds(lambda: reasoner.rank(contexts, candidates)))
        shares.append(rates[-1] / plain)
    print(f"\nscoring: {max(rates) / 1e9:.0f} GFLOP/s, {max(shares):.0%} of a float32 matrix product")
    assert max(shares) > LEAST_SHARE_OF_MATMUL


def test_scoring_costs_what_reading_costs_and_saves_all_the_writing(reasoner, questions):
    """Against what a script would do: prompt by prompt, `model.generate` as long as the model writes, and the parser.

    Both read the same prompt, and on a processor reading is most of the work, since the model answers with a letter
    and a title: some fifteen tokens after many hundreds. So no way of scoring can be several times as fast here. What
    can be asked for is that nothing is paid but the reading, which is what `model.generate` takes for a single token.
    How long an answer would have to be for five times is printed.
    """
    few = [of_all[:WRITTEN] for of_all in questions]
    costs = np.array([_compare(reasoner, context, shown) for context, shown in zip(*few, strict=True)])
    scoring, reading, answering, tokens = costs.T
    per_token = np.median((answering - reading) / (tokens - 1))
    speedup, most = np.median(answering / scoring), np.median(answering / reading)
    needed = 1 + (FIVE_TIMES * np.median(scoring) - np.median(reading)) / per_token
    print(f"\nscoring: {speedup:.2f} times as many examples as by writing, of {most:.2f} that can be had")
    print(f"answers have {np.median(tokens):.0f} tokens; with {needed:.0f} it would be {FIVE_TIMES} times")
    assert np.median(scoring / reading) < MOST_BESIDE_READING
    assert speedup > most / MOST_BESIDE_READING


def _compare(reasoner: LocalReasoner, context, shown) -> tuple[float, float, float, int]:
    """Seconds to score, to read the prompt and write one token, to write and parse an answer; and its tokens."""
    model = reasoner.language_model
    prompt = torch.tensor([model.prompt_ids(to_reasoner_prompt(context, shown))])
    written: list[torch.Tensor] = []

    def answer() -> None:
        written.append(model.model.generate(prompt, max_new_tokens=MAX_ANSWER_TOKENS, do_sample=False))
        parse_answer(model.tokenizer.decode(written[-1][0, prompt.shape[1] :], skip_special_tokens=True), shown)

    # Side by side and twice, because the machine may be busy with other things.
    works = (
        lambda: reasoner.rank([context], [shown]),
        lambda: model.model.generate(prompt, max_new_tokens=1, do_sample=False),
        answer,
    )
    rounds = [[_seconds(work) for work in works] for _ in range(2)]
    return (*np.min(rounds, axis=0), written[-1].shape[1] - prompt.shape[1])


def test_products_in_bfloat16_score_titles_faster(questions, capsys):
    """Measured in turns in one run; what it changes in the scores is printed, too."""
    titles = LocalReasoner(load_language_model(device="cpu"), "title", temperature=4.0)
    seconds, chances = {"highest": [], "medium": []}, {}
    try:
        for _ in range(3):
            for precision in seconds:
                set_matmul_precision(precision)
                started = process_time()
                rankings = titles.rank(*questions)
                seconds[precision].append(process_time() - started)
                chances[precision] = np.array([sorted(ranking.probabilities) for ranking in rankings])
    finally:
        set_matmul_precision("highest")
    ratio = min(seconds["highest"]) / min(seconds["medium"])
    apart = np.abs(chances["highest"] - chances["medium"]).max()
    with capsys.disabled():
        print(f"\nhighest takes {ratio:.2f} times the processor time of medium; probabilities differ by {apart:.4f}")
    if not multiplies_bfloat16():
        pytest.skip("this processor has no instructions for bfloat16, so both are the same")
    assert ratio > 1
    assert apart < MOST_APART
