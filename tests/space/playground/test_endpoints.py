"""The page for programs: named endpoints, typed inputs, sentences for what is wrong, and ten callers at once."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio_client
import pytest

from tests.space.playground.test_uploads import HOSTILE, csv_log, netflix_export

NAMES = {"/examples", "/compare", "/recommend", "/results", "/columns", "/compare_log"}
VERBALIZERS = ["template", "profile", "successors", "action", "zero_shot"]


@pytest.fixture(scope="module")
def client(served):
    return gradio_client.Client(served.url, verbose=False)


@pytest.fixture
def sent(tmp_path):
    def send(name: str, content: bytes):
        (tmp_path / name).write_bytes(content)
        return gradio_client.handle_file(str(tmp_path / name))

    return send


def test_every_action_has_a_name_and_every_input_a_type(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    assert set(endpoints) == NAMES
    for endpoint in endpoints.values():
        for parameter in endpoint["parameters"]:
            assert parameter["parameter_name"]
            assert parameter["python_type"]["type"]
    compare = {each["parameter_name"]: each["python_type"]["type"] for each in endpoints["/compare"]["parameters"]}
    assert compare["history_length"] == "int"
    assert compare["reasoner_adapter"] == "str"


def test_the_examples_are_listed(client):
    examples = client.predict(api_name="/examples")
    assert examples[0]["name"] == "Ada"
    assert all(12 <= example["records"] <= 20 for example in examples)


def test_a_comparison_streams(client):
    steps = list(client.submit(name="Bruno", history_length=6, zero_shot=True, api_name="/compare"))
    assert len(steps) > 10
    final = steps[-1]
    assert list(final["texts"]) == VERBALIZERS
    assert final["records"] == 6
    for text in final["texts"].values():
        assert text["state"] == "done"
        assert sum(text["probabilities"].values()) == pytest.approx(1)
        assert text["pick"] in final["candidates"]
    lengths = [len(step["texts"]["zero_shot"]["text"]) for step in steps]
    assert len(set(lengths)) > 5
    assert final["texts"]["action"]["decisions"] == ["drop"] * 3 + ["next"] * 3
    assert final["target"] in final["candidates"]


def test_the_reasoner_may_answer_by_tags(client):
    by_tags, by_title = (
        client.predict(name="Bruno", history_length=3, answer=answer, api_name="/compare")["texts"]["profile"]
        for answer in ("tags", "title")
    )
    assert sum(by_tags["probabilities"].values()) == pytest.approx(1)
    assert by_tags["probabilities"] != by_title["probabilities"]


def test_every_endpoint_is_a_tool_of_an_assistant(served):
    """The page as an MCP server: assistants find the endpoints with what each input means, and call them."""
    mcp = pytest.importorskip("mcp", reason="needs the extra `space`")
    from mcp.client.streamable_http import streamablehttp_client

    async def ask() -> tuple[dict, str]:
        async with (
            streamablehttp_client(f"{served.url}gradio_api/mcp/") as (read, write, _),
            mcp.ClientSession(read, write) as session,
        ):
            await session.initialize()
            tools = {tool.name: tool for tool in (await session.list_tools()).tools}
            arguments = {"text": "Likes slow noir", "candidates": ["Fargo", "Heat"]}
            return tools, (await session.call_tool("recommend", arguments)).content[0].text

    with ThreadPoolExecutor(1) as apart:  # the browser of other tests may run an event loop in this thread
        tools, answer = apart.submit(asyncio.run, ask()).result()
    assert {"list_examples", "compare_example", "recommend", "results_json", "columns_of", "compare_log"} <= set(tools)
    assert all(said["description"] for said in tools["compare_example"].inputSchema["properties"].values())
    assert "Fargo" in answer


def test_every_input_has_a_name_and_a_type(client):
    endpoints = client.view_api(return_format="dict")["named_endpoints"]
    inputs = {
        name: [shown["parameter_name"] for shown in endpoint["parameters"]] for name, endpoint in endpoints.items()
    }
    choices = [
        "history_length",
        "action_adapter",
        "rewrite_adapter",
        "reasoner_adapter",
        "answer",
        "seed",
        "zero_shot",
    ]
    assert inputs["/compare"] == ["name", *choices]
    assert inputs["/compare_log"] == ["file", "columns", "user", "candidates", *choices]
    assert not [name for names in inputs.values() for name in names if name.startswith("param_")]
    assert all(shown["python_type"]["type"] for endpoint in endpoints.values() for shown in endpoint["parameters"])


def test_another_seed_is_another_order_of_the_same_candidates(client):
    orders = [client.predict("Ada", 3, seed=seed, api_name="/compare")["candidates"] for seed in (0, 1)]
    assert orders[0] != orders[1]
    assert sorted(orders[0]) == sorted(orders[1])


def test_a_log_of_ones_own_is_compared(client, sent):
    columns = client.predict(sent("films.csv", csv_log()), api_name="/columns")
    assert columns["columns"] == ["uid", "film", "when", "title"]
    assert columns["guess"] == {"user_id": "uid", "title": "title"}
    mapping = {"timestamp": "when", "item_id": "film"}
    answer = client.predict(sent("films.csv", csv_log()), mapping, api_name="/compare_log")
    assert answer["records"] == 17
    assert len(answer["candidates"]) == 10
    assert all(title.startswith("Film number") for title in answer["candidates"])


def test_a_personal_export_is_compared_with_candidates_of_ones_own(client, sent):
    assert client.predict(sent("mine.csv", netflix_export()), api_name="/columns")["service"] == "Netflix"
    answer = client.predict(
        sent("mine.csv", netflix_export()), {}, 0, "Harbour\nLetters\n<b>Bold</b>", api_name="/compare_log"
    )
    assert answer["candidates"] == ["Harbour", "Letters", "<b>Bold</b>"]
    assert answer["notes"] == ["Only 3 candidates: pure chance is 1 in 3, not 1 in 10."]


def test_any_text_can_be_read(client):
    answer = client.predict("Likes slow noir", list(HOSTILE), api_name="/recommend")
    assert set(answer["probabilities"]) == set(HOSTILE)
    assert answer["pick"] in HOSTILE


def test_results_are_handed_out(client):
    names = client.predict(api_name="/results")["names"]
    assert "movielens-100k" in names
    assert client.predict("movielens-100k", api_name="/results")["schema_version"] == 1


@pytest.mark.parametrize(
    ("arguments", "endpoint", "message"),
    [
        (["Nobody"], "/compare", "There is no example 'Nobody'; choose from Ada"),
        (["Ada", 0], "/compare", "history_length is 0; expected 1 to 100"),
        (["Ada", 5, "nobody/nothing"], "/compare", "nobody/nothing is neither a local folder nor an adapter"),
        (["Ada", 5, "", "", "", "poem"], "/compare", "expected 'title', 'tags' or 'label'"),
        (["text", ["one"]], "/recommend", "Give 2 to 10 candidates; got 1"),
        (["text", ["Heat", "Fargo", "Heat"]], "/recommend", "Candidate 'Heat' was given more than once"),
        (["text", ["Heat", "Heat "]], "/recommend", "was given more than once; give different titles"),
        (["text", ["Heat", " "]], "/recommend", "Candidate 2 has no title"),
        (["x" * 20_001, ["a", "b"]], "/recommend", "at most 20,000 are read"),
        (["../../secrets"], "/results", "There are no results"),
    ],
)
def test_what_is_wrong_is_one_sentence(client, arguments, endpoint, message):
    with pytest.raises(gradio_client.exceptions.AppError, match=message) as refused:
        client.predict(*arguments, api_name=endpoint)
    assert "Traceback" not in str(refused.value)


def test_what_is_quoted_is_never_markup(client):
    with pytest.raises(gradio_client.exceptions.AppError, match="&lt;img src=x"):
        client.predict("<img src=x onerror=alert(1)>", api_name="/compare")


@pytest.mark.parametrize("path", [Path(__file__), Path("/etc/hostname")], ids=str)
def test_files_of_the_machine_cannot_be_read(client, path):
    with pytest.raises(gradio_client.exceptions.AppError) as refused:
        client.predict({"path": str(path), "meta": {"_type": "gradio.FileData"}}, api_name="/columns")
    assert "Traceback" not in str(refused.value)
    assert path.exists()  # and is not deleted either, as an upload is once it was read


def test_ten_callers_at_once_are_all_served(served):
    def call(number: int) -> dict:
        client = gradio_client.Client(served.url, verbose=False)
        return client.predict("Ada", 4, seed=number, api_name="/compare")

    with ThreadPoolExecutor(10) as callers:
        answers = list(callers.map(call, range(10)))
    assert len({json.dumps(answer["candidates"]) for answer in answers}) == 10
    assert {text["state"] for answer in answers for text in answer["texts"].values()} == {"done"}
