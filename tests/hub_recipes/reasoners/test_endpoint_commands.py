"""`logs2lang evaluate --endpoint`, against the server on loopback."""

import csv
import json
from pathlib import Path

import pytest

KEY = "sk-planted-4711"


@pytest.fixture
def built(run_main, tmp_path) -> Path:
    """Twelve users who saw twelve of forty films; every film was in the log before."""
    with (tmp_path / "log.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["user_id", "item_id", "timestamp"])
        writer.writerows(["early bird", f"m{film}", 1_500_000_000 + film] for film in range(40))
        for user in range(12):
            writer.writerows([f"u{user}", f"m{(3 * user + n) % 40}", 1_600_000_000 + 86_400 * n] for n in range(12))
    code, _, err = run_main("build", "tabular", "--interactions", tmp_path / "log.csv", "-o", tmp_path / "built")
    assert code == 0, err
    return tmp_path / "built"


@pytest.fixture
def evaluate(run_main, built, chat_server, tmp_path, monkeypatch):
    monkeypatch.setenv("LOGS2LANG_API_KEY", KEY)
    monkeypatch.setattr("logs2lang.reasoners.answer_cache.answers_folder", lambda: tmp_path / "answers")

    def run(*arguments: object) -> tuple[int, str, str]:
        server = ("--endpoint", chat_server.url, "--endpoint-model", "org/large")
        return run_main("evaluate", built, "--rows", "template", "-o", tmp_path / "results", *server, *arguments)

    return run


@pytest.mark.slow
def test_the_table_names_the_endpoint_and_a_rerun_asks_only_for_what_is_missing(evaluate, chat_server, tmp_path):
    code, _, err = evaluate("--max-calls", 5)
    assert code == 2
    assert "5 of 12 rows are answered" in err
    code, out, err = evaluate("--max-calls", 12, "--max-cost", 1, "--prices", 0.5, 2)
    assert code == 0, err
    assert len(chat_server.bodies) == 12
    # 7 calls of 100 tokens at 0.5 dollars and 10 tokens at 2 dollars a million
    assert f"calls 7, retries 0, cache_hits 5, spent {7 * (100 * 0.5 + 10 * 2) / 1_000_000:g}" in out
    # the first start had no prices
    ledger = tmp_path / "results" / "spending.json"
    assert json.loads(ledger.read_text()) == {"calls": 12, "us_dollars": 0.00049, "calls_without_price": 5}
    assert f"All runs of this folder: 12 calls and 0.00049 US dollars ({ledger})." in out
    text = (tmp_path / "results" / "results.json").read_text()
    document = json.loads(text)
    assert document["reasoner"]["id"] == "org/large"
    assert document["reasoner"]["server"] == chat_server.url
    assert document["rows"][0]["invalid"] == 0
    assert document["rows"][0]["picks_by_position"][1] == 1  # the server says B, always
    assert "reasoner org/large (label)" in (tmp_path / "results" / "results.md").read_text()
    for path in tmp_path.rglob("*"):
        assert path.is_dir() or KEY.encode() not in path.read_bytes()
    assert KEY not in out + err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], None),
        (["--no-thinking"], {"enable_thinking": False}),
        (["--chat-template-kwargs", '{"thinking": false}'], {"thinking": False}),
        (["--chat-template-kwargs", '{"a": 1}', "--no-thinking"], {"a": 1, "enable_thinking": False}),
    ],
)
def test_the_chat_template_is_told_what_the_flags_say(evaluate, chat_server, arguments, told):
    code, _, err = evaluate("--limit", 1, "--max-answer-tokens", 40, *arguments)
    assert code == 0, err
    (body,) = chat_server.bodies
    assert (body.get("chat_template_kwargs"), body["max_tokens"]) == (told, 40)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--endpoint", "http://127.0.0.1:1/v1"], "--endpoint needs --endpoint-model"),
        (["--endpoint-model", "m", "--reasoner", "org/local"], "give only one of them"),
        (["--endpoint-model", "m", "--answer", "title"], "'label' and 'generate'"),
        (["--endpoint-model", "m", "--endpoint", "127.0.0.1:1"], "http or https"),
        (["--endpoint-model", "m", "--max-cost", "1"], "prices"),
        (["--endpoint-model", "m", "--chat-template-kwargs", "{no}"], "'{no}', which is not a JSON object"),
        (["--endpoint-model", "m", "--chat-template-kwargs", "[1]"], "'[1]', which is not a JSON object"),
    ],
)
def test_a_wrong_request_is_one_line_and_exit_code_2(run_main, tmp_path, arguments, said):
    code, _, err = run_main("evaluate", tmp_path, "--rows", "template", "-o", tmp_path / "results", *arguments)
    assert code == 2
    (line,) = [line for line in err.splitlines() if line.startswith("Error: ")]
    assert said in line
