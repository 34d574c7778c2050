"""What is spent is counted once for all processes and all starts of a folder, against a server on loopback."""

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from logs2lang.dataset_builders.input_error import InputError
from logs2lang.reasoners.endpoint import EndpointReasoner
from logs2lang.reasoners.spending import CapReached, Spending, SpendingCapError
from logs2lang.reasoners.spending_ledger import SpendingLedger, Spent

CANDIDATES = [{"item_id": title, "title": title, "year": None, "tags": []} for title in ("Alien", "Heat", "Fargo")]
PRICES = {"price_per_million_input_tokens": 10.0, "price_per_million_output_tokens": 100.0}
COST = 0.002
"""Of one call of the stand-in: 100 tokens at 10 dollars and 10 at 100 dollars a million."""
RANK = """
import json, sys
from logs2lang.reasoners.endpoint import EndpointReasoner
from logs2lang.reasoners.spending import SpendingCapError
choices, contexts, candidates = json.loads(sys.argv[1])
try:
    EndpointReasoner(**choices).rank(contexts, [candidates] * len(contexts))
except SpendingCapError as stop:
    print(stop)
"""


@pytest.fixture
def choices(chat_server, tmp_path) -> dict:
    folders = {"cache_folder": str(tmp_path / "cache"), "spending_folder": str(tmp_path / "run")}
    return {"model": "m", "base_url": chat_server.url, "backoff_s": 0.01, **PRICES, **folders}


def ranking(choices: dict, contexts: list[str]) -> subprocess.Popen:
    """A process that ranks."""
    words = [sys.executable, "-c", RANK, json.dumps([choices, contexts, CANDIDATES])]
    return subprocess.Popen(words, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[3])


@pytest.mark.slow
@pytest.mark.parametrize("cap", [{"max_calls": 11}, {"max_cost": 0.041}])
def test_two_processes_share_one_cap_and_a_second_start_goes_on_from_what_they_spent(
    choices, chat_server, tmp_path, cap
):
    chat_server.delay_s = 0.02
    processes = [ranking({**choices, **cap}, [f"{rank}: film {row}" for row in range(40)]) for rank in range(2)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert all(
        f"The cap ({next(iter(cap))}" in text and str(tmp_path / "run" / "spending.json") in text for text in said
    )
    calls, spent = len(chat_server.bodies), SpendingLedger(tmp_path / "run").read()
    assert (spent.calls, spent.us_dollars) == (calls, pytest.approx(calls * COST))
    if "max_calls" in cap:
        assert calls == 11
    else:
        # One call is reserved at a byte a token, which is at most 0.006 dollars here.
        assert 0.041 - 0.006 - COST <= spent.us_dollars <= 0.041
    with pytest.raises(SpendingCapError, match=f"counts {calls} calls and {calls * COST:g} US dollars"):
        EndpointReasoner(**choices, **cap).rank(["another"], [CANDIDATES])
    assert len(chat_server.bodies) == calls


@pytest.mark.slow
def test_a_killed_process_does_not_lose_what_it_spent(choices, chat_server, tmp_path):
    chat_server.delay_s = 60.0
    process = ranking({**choices, "concurrency": 2}, [f"film {row}" for row in range(9)])
    until = time.monotonic() + 60
    while len(chat_server.bodies) < 2 and time.monotonic() < until:
        time.sleep(0.02)
    process.kill()
    process.communicate()
    chat_server.delay_s = 0.0
    spent = SpendingLedger(tmp_path / "run").read()
    assert spent.calls == 2
    assert spent.us_dollars > 2 * COST  # nobody knows what they cost, so they count as the most
    with pytest.raises(SpendingCapError, match=r"counts 3 calls .* 1 of 9 rows"):
        EndpointReasoner(**choices, max_calls=3).rank([f"film {row}" for row in range(9)], [CANDIDATES] * 9)
    assert len(chat_server.bodies) == 3


def test_runs_of_other_folders_count_for_themselves(choices, chat_server, tmp_path):
    for run in ("one", "two"):
        reasoner = EndpointReasoner(**{**choices, "spending_folder": tmp_path / run}, max_calls=1)
        reasoner.rank([run], [CANDIDATES])
    assert len(chat_server.bodies) == 2


def test_calls_of_many_threads_add_up(tmp_path):
    def call(number: int) -> None:
        own = Spending(max_calls=50, input_price=1.0, folder=tmp_path)
        own.reserve(0.3)
        own.settle(0.3, 0.1)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(call, range(50)))
    assert SpendingLedger(tmp_path).read() == Spent(calls=50, us_dollars=5.0)
    with pytest.raises(CapReached):
        Spending(max_calls=50, folder=tmp_path).reserve(0.0)


def test_calls_without_a_price_are_said_where_money_is_capped(choices, chat_server, caplog, monkeypatch):
    import logging

    monkeypatch.setattr(logging.getLogger("logs2lang.reasoners.endpoint"), "propagate", True)
    free = {name: value for name, value in choices.items() if name not in PRICES}
    EndpointReasoner(**free).rank(["a", "b"], [CANDIDATES] * 2)
    reasoner = EndpointReasoner(**choices, max_cost=1.0)
    reasoner.rank(["c"], [CANDIDATES])
    reasoner.rank(["d"], [CANDIDATES])
    said = [record.getMessage() for record in caplog.records if "without prices" in record.getMessage()]
    assert [text.split(" of the calls")[0] for text in said] == ["2"]


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"calls": "many"}', '{"calls": -1}', '{"us_dollars": NaN}', '{"a": 1}']
)
def test_a_ledger_that_cannot_be_read_stops_the_run_before_it_costs_anything(choices, chat_server, tmp_path, content):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "spending.json").write_text(content)
    with pytest.raises(
        InputError, match=r"spending.json records the cost of endpoint calls, but cannot be read .* delete it"
    ):
        EndpointReasoner(**choices, max_calls=9).rank(["x"], [CANDIDATES])
    assert not chat_server.bodies


def test_where_nothing_can_be_counted_nothing_is_asked(choices, chat_server, tmp_path):
    (tmp_path / "run").write_text("a file")
    with pytest.raises(
        InputError, match=r"spending.json, which records the cost of endpoint calls, cannot be written"
    ):
        EndpointReasoner(**choices).rank(["x"], [CANDIDATES])
    assert not chat_server.bodies
