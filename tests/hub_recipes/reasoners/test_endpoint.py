"""Against a server on loopback that speaks the protocol: what is asked, what is tried again, what it may cost."""

import asyncio
import json
import logging
import pickle
import socket
from dataclasses import replace
from math import exp, log
from pathlib import Path

import huggingface_hub.constants
import pytest
from huggingface_hub.errors import HTTPError

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.prompting.prompts import to_reasoner_prompt
from logs2lang.reasoners.chat_server import EndpointError, read_api_key
from logs2lang.reasoners.endpoint import EndpointReasoner
from logs2lang.reasoners.spending import SpendingCapError

KEY = "sk-planted-4711"
TITLES = ("Alien", "Heat", "Fargo", "Toy Story")


def shown(*titles: str) -> list[dict]:
    return [{"item_id": f"id of {title}", "title": title, "year": None, "tags": []} for title in titles]


def error(status: int, message: str = "", **headers: str) -> dict:
    """What the server does with a request: refuse it in the form that OpenAI gives its errors."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return {"status": status, "body": json.dumps({"error": {"message": message}}), "headers": named}


def rows(number: int) -> tuple[list[str], list[list[dict]]]:
    """So many different questions."""
    return [f"likes film {row}" for row in range(number)], [shown(*TITLES)] * number


@pytest.fixture
def make_reasoner(chat_server, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGS2LANG_API_KEY", KEY)

    def make(**choices) -> EndpointReasoner:
        quick = {"backoff_s": 0.01, "timeout_s": 5.0, "cache_folder": tmp_path / "cache"}
        return EndpointReasoner("org/model", chat_server.url, **{**quick, **choices})

    return make


@pytest.fixture
def warnings(caplog, monkeypatch):
    """What transformers' loggers say; they do not propagate by themselves."""
    for name in ("endpoint", "chat_server"):
        monkeypatch.setattr(logging.getLogger(f"logs2lang.reasoners.{name}"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    for name in ("huggingface_hub", "httpx", "httpx2", "httpcore", "logs2lang.reasoners.endpoint"):
        caplog.set_level(logging.DEBUG, logger=name)
        monkeypatch.setattr(logging.getLogger(name), "propagate", True)
    return caplog


# What is asked, and what an answer means


def test_the_prompt_is_the_one_every_reasoner_gets_and_decoding_is_greedy(make_reasoner, chat_server):
    make_reasoner().rank(["likes space"], [shown(*TITLES)])
    (body,) = chat_server.bodies
    assert body["messages"] == to_reasoner_prompt("likes space", shown(*TITLES))
    assert (body["model"], body["temperature"], body["max_tokens"]) == ("org/model", 0, 24)
    assert (body["logprobs"], body["top_logprobs"]) == (True, 20)
    assert chat_server.keys == [f"Bearer {KEY}"]


def test_probabilities_are_the_softmax_over_the_labels(make_reasoner, chat_server):
    chat_server.log_probs = {"C": log(0.4), "The": log(0.3), "A": log(0.1), "B": log(0.1), "D": log(0.1)}
    (ranking,) = make_reasoner().rank(["x"], [shown(*TITLES)])
    assert ranking.pick == "id of Fargo"
    # The others are equally probable, so chance puts them in order, and not their places.
    assert sorted(ranking.item_ids[1:]) == ["id of Alien", "id of Heat", "id of Toy Story"]
    assert ranking.probabilities == pytest.approx([4 / 7, 1 / 7, 1 / 7, 1 / 7])


def test_without_probabilities_the_answer_is_parsed_and_the_server_is_told_once(make_reasoner, chat_server, warnings):
    chat_server.log_probs, chat_server.text = None, "I would take Heat"
    reasoner = make_reasoner(concurrency=1)
    rankings = reasoner.rank(*rows(3))
    assert [(ranking.item_ids, ranking.probabilities) for ranking in rankings] == [(["id of Heat"], ())] * 3
    assert [body.get("logprobs") for body in chat_server.bodies] == [True, None, None]
    assert warnings.text.count("returns no token probabilities") == 1


def test_generate_parses_and_asks_for_no_probabilities(make_reasoner, chat_server):
    chat_server.text = "no idea"
    assert make_reasoner(answer="generate").rank(*rows(2)) == [None, None]
    assert not any("logprobs" in body for body in chat_server.bodies)


def test_where_no_label_is_probable_the_text_counts(make_reasoner, chat_server):
    chat_server.log_probs, chat_server.text = {"I": -0.1, "My": -2.0}, "I pick Heat"
    (ranking,) = make_reasoner().rank(["x"], [shown(*TITLES)])
    assert (ranking.pick, ranking.probabilities) == ("id of Heat", ())


def test_an_empty_answer_is_invalid(make_reasoner, chat_server):
    chat_server.text, chat_server.log_probs = None, None
    assert make_reasoner().rank(["x"], [shown(*TITLES)]) == [None]


@pytest.mark.parametrize("answer", ["label", "generate"])
@pytest.mark.parametrize("text", ["<think>\nOption C fits, but", "Okay. C?</think>\n\nHeat", None])
def test_the_first_token_of_a_thought_is_no_pick(make_reasoner, chat_server, answer, text):
    chat_server.log_probs, chat_server.text = {"<think>": -0.001, "C": -9.0}, text
    (ranking,) = make_reasoner(answer=answer).rank(["x"], [shown(*TITLES)])
    assert (ranking and ranking.item_ids) == (["id of Heat"] if text and "Heat" in text else None)


def test_the_tokens_of_a_thought_that_the_server_sets_apart_are_no_pick(make_reasoner, chat_server):
    answer = chat_server.answer({"model": "m", "logprobs": True})
    answer["choices"][0]["message"] = {"role": "assistant", "content": "C", "reasoning_content": "B seems good"}
    chat_server.acts = [{"body": json.dumps(answer)}]
    (ranking,) = make_reasoner().rank(["x"], [shown(*TITLES)])
    assert (ranking.item_ids, ranking.probabilities) == (["id of Fargo"], ())  # not the B of the listed first token


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<think>\nOption C fits, but", "20 are empty or an unfinished thought.*--no-thinking.*now 24"),
        (None, "20 are empty or an unfinished thought.*--no-thinking"),
        ("I cannot help with that.", "the first is 'I cannot help with that.'"),
    ],
)
def test_a_run_whose_first_answers_are_all_invalid_stops_with_the_cause(make_reasoner, chat_server, text, said):
    chat_server.log_probs, chat_server.text = None, text
    reasoner = make_reasoner(concurrency=1)
    assert reasoner.rank(*rows(19)) == [None] * 19
    with pytest.raises(EndpointError, match=f"None of the first 20 answers of 'org/model' picks .*{said}"):
        reasoner.rank(*rows(200))
    assert len(chat_server.bodies) == 20
    # what was invalid is asked again, by whoever mended the server
    chat_server.text = "C"
    assert all(make_reasoner(concurrency=1).rank(*rows(21)))
    assert len(chat_server.bodies) == 20 + 21


def test_one_pick_among_the_first_answers_lets_the_run_go_on(make_reasoner, chat_server):
    chat_server.log_probs, chat_server.text = None, "no idea"
    picked = json.dumps(chat_server.answer({"model": "m"})).replace("no idea", "C")
    chat_server.refuse = lambda body: {"body": picked} if "film 7\n" in body["messages"][0]["content"] else None
    rankings = make_reasoner(concurrency=1, answer="generate").rank(*rows(60))
    assert [place for place, ranking in enumerate(rankings) if ranking] == [7]


def test_what_the_chat_template_is_told_is_sent_and_identifies_the_reasoner(make_reasoner, chat_server):
    told = {"chat_template_kwargs": {"enable_thinking": False}}
    silent = make_reasoner(extra_body=told)
    silent.rank(["x"], [shown(*TITLES)])
    make_reasoner().rank(["x"], [shown(*TITLES)])  # no hit of the cache
    assert [body.get("chat_template_kwargs") for body in chat_server.bodies] == [{"enable_thinking": False}, None]
    assert silent.entry()["fingerprint"] != make_reasoner().entry()["fingerprint"]


@pytest.mark.parametrize(
    ("is_refused", "message", "then"),
    [
        (lambda body: body.get("top_logprobs", 0) > 5, "top_logprobs must be at most 5", {"top_logprobs": 5}),
        (lambda body: "logprobs" in body, "You are not allowed to request logprobs.", {"top_logprobs": None}),
        (
            lambda body: "temperature" in body,
            "'temperature' does not support 0 with this model.",
            {"temperature": None},
        ),
        (
            lambda body: "max_tokens" in body,
            "Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.",
            {"max_tokens": None, "max_completion_tokens": 24},
        ),
    ],
)
def test_what_a_server_refuses_is_left_out_from_then_on(make_reasoner, chat_server, is_refused, message, then):
    chat_server.refuse = lambda body: error(400, message) if is_refused(body) else None
    reasoner = make_reasoner(concurrency=1)
    assert [ranking.pick for ranking in reasoner.rank(*rows(2))] == ["id of Heat"] * 2
    asked = len(chat_server.bodies)
    reasoner.rank(["another"], [shown(*TITLES)])
    assert len(chat_server.bodies) == asked + 1
    assert {name: chat_server.bodies[-1].get(name) for name in then} == then


def test_one_question_that_is_refused_takes_nothing_from_the_others(make_reasoner, chat_server):
    chat_server.refuse = lambda body: error(400, "not this") if "film 1" in body["messages"][0]["content"] else None
    reasoner = make_reasoner(concurrency=1)
    with pytest.raises(EndpointError, match=r"rejects a request for 'org/model' \(400: not this\)"):
        reasoner.rank(*rows(2))
    (ranking,) = reasoner.rank(["x"], [shown(*TITLES)])
    assert ranking.probabilities


def test_a_context_that_is_too_long_loses_its_oldest_lines_and_is_counted(make_reasoner, chat_server, warnings):
    long = "\n".join(f"record {number}" for number in range(100))
    limit = len(to_reasoner_prompt(long, shown(*TITLES))[0]["content"]) // 2
    chat_server.refuse = lambda body: (
        error(400, "This model's maximum context length is 2048 tokens. However, you requested more.")
        if len(body["messages"][0]["content"]) > limit
        else None
    )
    rankings = make_reasoner().rank([long, "short"], [shown(*TITLES)] * 2)
    assert all(ranking.probabilities for ranking in rankings)
    kept = chat_server.bodies[-1]["messages"][0]["content"]
    assert "record 99\n" in kept
    assert "record 0\n" not in kept
    assert "1 of 2 contexts" in warnings.text


# What fails


@pytest.mark.parametrize(
    "act",
    [
        error(429),
        error(500),
        error(503),
        {"drop": True},
        {"delay_s": 1.5},
        {"body": '{"choices": [{"message": {"content": "A"}}]}', "trickle_s": 0.1},
        {"body": "<html>Bad gateway"},
        {"body": '{"choices": []}'},
        {"body": '{"choices": [{"message": {"content": 7}}]}'},
        {"body": "[]"},
        {"body": "null"},
    ],
)
def test_what_may_pass_is_tried_again(make_reasoner, chat_server, act):
    chat_server.acts = [act, act]
    reasoner = make_reasoner(timeout_s=1.0 if {"delay_s", "trickle_s"} & set(act) else 10.0)
    (ranking,) = reasoner.rank(["x"], [shown(*TITLES)])
    assert ranking.pick == "id of Heat"
    assert (reasoner.spending.calls, reasoner.spending.retries) == (3, 2)


def test_the_first_repetition_is_said_and_the_others_are_not(make_reasoner, chat_server, warnings):
    chat_server.acts = [error(503, "warming up")] * 4
    make_reasoner(concurrency=1).rank(*rows(3))
    said = [record for record in warnings.records if record.levelno == logging.WARNING]
    assert ["status 503: warming up; trying again in" in record.getMessage() for record in said] == [True]


def test_a_server_of_several_machines_is_spoken_to_as_its_plainest_one_understands(make_reasoner, chat_server):
    # Film 0 goes to a slow machine that lists probabilities, film 1 to a quick one that does not.
    listed = json.dumps(chat_server.answer({"model": "m", "logprobs": True}))
    chat_server.log_probs = None
    chat_server.refuse = lambda body: (
        {"body": listed, "delay_s": 0.2} if "film 0" in body["messages"][0]["content"] else None
    )
    reasoner = make_reasoner(concurrency=2)
    slow, quick = reasoner.rank(*rows(2))
    assert (bool(slow.probabilities), bool(quick.probabilities)) == (True, False)
    reasoner.rank(["third"], [shown(*TITLES)])
    assert "logprobs" not in chat_server.bodies[-1]


def test_retry_after_is_waited_for(make_reasoner, chat_server):
    chat_server.acts = [error(429, Retry_After="1")]
    make_reasoner().rank(["x"], [shown(*TITLES)])
    first, second = chat_server.times
    assert second - first >= 1


def test_a_server_that_asks_to_wait_too_long_ends_the_run(make_reasoner, chat_server):
    chat_server.acts = [error(429, "quota used up", Retry_After="3600")]
    with pytest.raises(EndpointError, match=r"asks to wait 3600 s .*quota used up.*0 of 1 rows are answered"):
        make_reasoner().rank(["x"], [shown(*TITLES)])
    assert len(chat_server.bodies) == 1


@pytest.mark.parametrize(
    ("status", "said"),
    [(401, "rejects the API key"), (403, "rejects the API key"), (404, "has no model 'org/model'"), (402, "402")],
)
def test_what_no_repetition_mends_is_said_at_once(make_reasoner, chat_server, status, said):
    chat_server.acts = [error(status, "no")] * 9
    with pytest.raises(EndpointError, match=said):
        make_reasoner(concurrency=1).rank(*rows(3))
    assert len(chat_server.bodies) == 1


def test_a_server_that_keeps_failing_ends_the_run_and_what_was_answered_is_kept(make_reasoner, chat_server):
    chat_server.refuse = lambda body: error(500, "oops") if "film 2" in body["messages"][0]["content"] else None
    reasoner = make_reasoner(concurrency=1, max_attempts=3)
    with pytest.raises(EndpointError, match=r"in 3 attempts; the last error: status 500: oops\..* 2 of 4 rows"):
        reasoner.rank(*rows(4))
    assert len(chat_server.bodies) == 2 + 3
    chat_server.refuse = lambda body: None
    assert all(reasoner.rank(*rows(4)))
    assert len(chat_server.bodies) == 2 + 3 + 2


def test_nobody_at_the_address_is_said_with_the_remedy(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
    choices = {"max_attempts": 2, "backoff_s": 0.01, "cache_folder": tmp_path, "price_per_million_output_tokens": 1.0}
    reasoner = EndpointReasoner("m", url, **choices)
    with pytest.raises(
        EndpointError, match=f"{url} gave no answer in 2 attempts.*no connection.*Check that the server"
    ):
        reasoner.rank(["x"], [shown(*TITLES)])


def test_a_wrong_path_is_said_with_the_remedy(make_reasoner, chat_server, tmp_path):
    reasoner = EndpointReasoner("m", chat_server.url.replace("/v1", "/api"), cache_folder=tmp_path)
    with pytest.raises(EndpointError, match="ends in /v1"):
        reasoner.rank(["x"], [shown(*TITLES)])


def test_offline_mode_is_named(make_reasoner, monkeypatch):
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(EndpointError, match="HF_HUB_OFFLINE is set"):
        make_reasoner().rank(["x"], [shown(*TITLES)])


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"base_url": "localhost:8000"}, "http or https"),
        ({"base_url": "http://"}, "http or https"),
        ({"base_url": "http://host:port/v1"}, "http or https"),
        ({"base_url": "http://user:pass@host/v1"}, "a user, password or query"),
        ({"base_url": "http://host/v1?key=abc"}, "a user, password or query"),
        ({"answer": "title"}, "'label' and 'generate'"),
        ({"concurrency": 0}, "concurrency"),
        ({"concurrency": 101}, "concurrency"),
        ({"timeout_s": 0}, "timeout_s"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_cost": 1.0}, "prices"),
        ({"max_calls": -1}, "below 0"),
    ],
)
def test_a_wrong_choice_is_refused_before_anything_is_asked(choices, said):
    with pytest.raises(InputError, match=said):
        EndpointReasoner("m", **choices)


# Many at once


def test_calls_run_side_by_side_and_never_more_than_asked_for(make_reasoner, chat_server):
    chat_server.delay_s = 0.05
    rankings = make_reasoner(concurrency=4).rank(*rows(16))
    assert all(rankings)
    assert chat_server.most_at_once == 4


def test_rankings_stand_in_the_order_of_their_contexts(make_reasoner, chat_server):
    chat_server.acts = [error(429), {"drop": True}, {"delay_s": 0.05}, error(500)]
    contexts = [f"likes {title}" for title in TITLES]
    orders = [shown(*TITLES[place:], *TITLES[:place]) for place in range(4)]
    # B every time, and the candidates turn: the second of each list
    assert [ranking.pick for ranking in make_reasoner().rank(contexts, orders)] == [
        "id of Heat",
        "id of Fargo",
        "id of Toy Story",
        "id of Alien",
    ]


def test_progress_counts_rows_up_to_all_of_them(make_reasoner):
    told = []
    contexts, candidates = rows(5)
    make_reasoner().rank([*contexts, contexts[0]], [*candidates, candidates[0]], told.append)
    assert told == sorted(told)
    assert told[-1] == 6


def test_it_ranks_inside_a_running_loop_too(make_reasoner):
    reasoner = make_reasoner()

    async def caller():
        return reasoner.rank(["x"], [shown(*TITLES)]), await reasoner.rank_async(["y"], [shown(*TITLES)])

    assert [ranking.pick for (ranking,) in asyncio.run(caller())] == ["id of Heat"] * 2


def test_no_rows_ask_nothing(make_reasoner, chat_server):
    assert make_reasoner().rank([], []) == []
    assert not chat_server.bodies


# Cache and caps


def test_the_same_question_is_asked_once(make_reasoner, chat_server):
    reasoner = make_reasoner()
    first = reasoner.rank(["x", "x", "y"], [shown(*TITLES)] * 3)
    assert len(chat_server.bodies) == 2
    again = make_reasoner()
    assert again.rank(["x", "x", "y"], [shown(*TITLES)] * 3) == first
    assert len(chat_server.bodies) == 2
    assert again.spending.counts() == {"calls": 0, "retries": 0, "cache_hits": 3, "spent": 0.0}


def test_another_question_is_another(make_reasoner, chat_server):
    make_reasoner().rank(["x"], [shown(*TITLES)])
    make_reasoner().rank(["x"], [shown(*TITLES[::-1])])
    make_reasoner(answer="generate").rank(["x"], [shown(*TITLES)])
    make_reasoner(extra_body={"top_k": 1}).rank(["x"], [shown(*TITLES)])
    replace(make_reasoner(), model="org/other").rank(["x"], [shown(*TITLES)])
    assert len(chat_server.bodies) == 5


def test_the_cap_on_calls_is_never_passed_and_the_rest_is_asked_under_a_higher_one(
    make_reasoner, chat_server, tmp_path
):
    ledger = tmp_path / "cache" / "spending.json"
    with pytest.raises(SpendingCapError) as stop:
        make_reasoner(max_calls=3).rank(*rows(5))
    assert str(stop.value) == (
        f"The cap (max_calls=3) is reached: {ledger} counts 3 calls and 0 US dollars. 3 of 5 rows are answered; the "
        "cache keeps their answers, so they are not paid for again. Run the same command again with a higher cap, or "
        "delete that file to count from 0."
    )
    assert len(chat_server.bodies) == 3
    # another start goes on from what was spent
    with pytest.raises(SpendingCapError, match="counts 4 calls"):
        make_reasoner(max_calls=4).rank(*rows(5))
    assert all(make_reasoner(max_calls=5).rank(*rows(5)))
    assert len(chat_server.bodies) == 5


def test_without_its_ledger_a_folder_counts_from_zero(make_reasoner, chat_server, tmp_path):
    for contexts in (["a"], ["b"]):
        make_reasoner(max_calls=1).rank(contexts, [shown(*TITLES)])
        (tmp_path / "cache" / "spending.json").unlink()
    assert len(chat_server.bodies) == 2


def test_repetitions_count_as_calls(make_reasoner, chat_server):
    chat_server.acts = [error(500)] * 9
    with pytest.raises(SpendingCapError, match=r"0 of 1 rows"):
        make_reasoner(max_calls=2).rank(["x"], [shown(*TITLES)])
    assert len(chat_server.bodies) == 2


def test_caps_hold_over_all_calls_of_rank(make_reasoner, chat_server):
    reasoner = make_reasoner(max_calls=3)
    reasoner.rank(*rows(2))
    with pytest.raises(SpendingCapError):
        reasoner.rank(["x", "y"], [shown(*TITLES)] * 2)
    assert len(chat_server.bodies) == 3


def test_the_cap_on_money_is_never_passed(make_reasoner, chat_server):
    # 100 tokens at 10 dollars and 10 at 100 dollars a million: each call costs 0.001 + 0.001 dollars.
    prices = {"price_per_million_input_tokens": 10.0, "price_per_million_output_tokens": 100.0}
    reasoner = make_reasoner(max_cost=0.021, concurrency=4, **prices)
    with pytest.raises(SpendingCapError, match=r"max_cost=0\.021 US dollars"):
        reasoner.rank(*rows(40))
    calls = len(chat_server.bodies)
    assert reasoner.spending.spent == pytest.approx(calls * 0.002)
    assert reasoner.spending.spent <= 0.021
    # It stops where one more call could pass the cap, at a byte a token: not much more than two calls before it.
    assert calls >= 7


def test_a_call_without_an_answer_counts_at_the_most_it_may_have_cost(make_reasoner, chat_server):
    prices = {"price_per_million_input_tokens": 0.0, "price_per_million_output_tokens": 100.0}
    chat_server.acts = [{"drop": True}, error(429)]
    reasoner = make_reasoner(**prices)
    reasoner.rank(["x"], [shown(*TITLES)])
    # 24 tokens for the dropped one, nothing for the refused one, 10 tokens for the answer
    assert reasoner.spending.spent == pytest.approx((24 + 0 + 10) * 100 / 1_000_000)


def test_a_server_that_counts_no_tokens_is_paid_the_most(make_reasoner, chat_server):
    chat_server.usage = None
    reasoner = make_reasoner(price_per_million_output_tokens=100.0)
    reasoner.rank(["x"], [shown(*TITLES)])
    assert reasoner.spending.spent == pytest.approx(24 * 100 / 1_000_000)


def test_a_damaged_cache_is_said_with_the_remedy(make_reasoner, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "cache.db").write_bytes(b"no database, but long enough to look like one" * 99)
    with pytest.raises(InputError, match=r"cache of answers in .* cannot be used"):
        make_reasoner().rank(["x"], [shown(*TITLES)])


# The key


def test_a_pickled_reasoner_ranks_as_before_and_holds_no_key(make_reasoner):
    reasoner = make_reasoner(max_calls=9)
    before = reasoner.rank(["x"], [shown(*TITLES)])
    stored = pickle.dumps(reasoner)
    assert KEY.encode() not in stored
    loaded = pickle.loads(stored)
    assert loaded == reasoner
    assert loaded.rank(["x"], [shown(*TITLES)]) == before
    assert loaded.spending.calls == 1


def everything_said(failure: BaseException) -> str:
    """A failure with all that it is chained to, pickled and printed."""
    texts, seen = [], failure
    while seen is not None:
        assert not isinstance(seen, HTTPError)  # it holds the request, and that holds the key
        texts += [str(seen), repr(seen), repr(vars(seen)), str(pickle.dumps(seen))]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(texts)


@pytest.mark.parametrize(
    "act",
    [
        error(401, f"Incorrect API key provided: {KEY}"),
        error(404, KEY),
        error(400, KEY),
        error(500, KEY),
        {"drop": True},
    ],
)
def test_the_key_stands_in_no_failure_log_cache_or_entry(
    make_reasoner, chat_server, warnings, tmp_path, monkeypatch, act
):
    monkeypatch.setattr(huggingface_hub.constants, "HF_DEBUG", True)
    reasoner = make_reasoner(max_attempts=2)
    reasoner.rank(["answered"], [shown(*TITLES)])
    chat_server.acts = [act] * 99
    with pytest.raises(EndpointError) as failed:
        reasoner.rank(["failing"], [shown(*TITLES)])
    assert chat_server.keys[0] == f"Bearer {KEY}"  # it was sent, so it could have been written
    assert "authenticated: True" in warnings.text  # requests are logged
    said = [everything_said(failed.value), warnings.text, repr(reasoner), str(reasoner.entry())]
    files = [path for path in Path(tmp_path).rglob("*") if path.is_file()]
    assert files
    assert not [text for text in said if KEY in text]
    assert not [path for path in files if KEY.encode() in path.read_bytes()]


def test_the_key_is_read_when_it_is_needed(make_reasoner, chat_server, monkeypatch):
    reasoner = make_reasoner()
    monkeypatch.setenv("LOGS2LANG_API_KEY", "another\n")
    reasoner.rank(["x"], [shown(*TITLES)])
    assert chat_server.keys == ["Bearer another"]


def test_a_key_that_no_header_can_hold_is_refused_without_being_shown(make_reasoner, monkeypatch):
    monkeypatch.setenv("LOGS2LANG_API_KEY", f"{KEY}\n{KEY}")
    with pytest.raises(InputError) as failed:
        make_reasoner().rank(["x"], [shown(*TITLES)])
    assert "LOGS2LANG_API_KEY" in str(failed.value)
    assert KEY not in everything_said(failed.value)


@pytest.mark.parametrize(
    ("url", "sent"),
    [
        ("https://router.huggingface.co/v1", "hf_token"),
        ("https://abc.us-east-1.aws.endpoints.huggingface.cloud/v1", "hf_token"),
        ("http://localhost:8000/v1", "none"),
        ("https://huggingface.co.example.com/v1", "none"),
        ("https://nothuggingface.co/v1", "none"),
    ],
)
def test_the_hugging_face_token_goes_to_hugging_face_alone(monkeypatch, url, sent):
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    monkeypatch.delenv("LOGS2LANG_API_KEY", raising=False)
    assert read_api_key(url, "LOGS2LANG_API_KEY") == sent


def test_a_server_without_keys_never_sees_the_hugging_face_token(make_reasoner, chat_server, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_token")
    reasoner = make_reasoner()
    monkeypatch.delenv("LOGS2LANG_API_KEY")
    reasoner.rank(["x"], [shown(*TITLES)])
    assert "hf_token" not in str(chat_server.keys)


def test_log_likelihoods_are_finite_whatever_the_server_lists(make_reasoner, chat_server):
    chat_server.log_probs = {"A": 0.0, "B": -9999.0}  # as OpenAI lists what is next to impossible
    (ranking,) = make_reasoner().rank(["x"], [shown(*TITLES)])
    assert sum(ranking.probabilities) == pytest.approx(1)
    assert all(log(probability) > log(exp(-30)) for probability in ranking.probabilities)
