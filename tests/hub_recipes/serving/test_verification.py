"""Golden prompts tell a server that runs an adapter rightly from one that lacks something, and say what it lacks."""

import json
from contextlib import ExitStack

import pytest

from logs2lang.models.language_models import load_language_model
from logs2lang.models.model_folders import CHAT_TEMPLATE_CONFIG, GOLDEN_FILE, content_hash
from logs2lang.models.weights import SharedWeights
from logs2lang.serving.engine import Engine, ForgetfulReasoner, load_on_engine
from logs2lang.serving.golden_prompts import LISTED, read_golden_prompts, write_golden_prompts
from logs2lang.serving.loading import load_verbalizer
from logs2lang.verbalizers.decided_texts import WITH_NEXT

from .model_server import ModelServer, serve_models

SWITCH = {"mood": "terse"}


@pytest.fixture(scope="module")
def folders(tmp_path_factory, tiny_model_folder):
    """An action adapter whose chat template has a switch, and a reasoner, both with their golden prompts."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM, AutoTokenizer

    root = tmp_path_factory.mktemp("adapters")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_folder)
    tokenizer.chat_template += "{% if mood is defined %}{{ mood }}: {% endif %}"
    # As in a real vocabulary, a decision is one token.
    tokenizer.add_tokens([f" {word}" for word in WITH_NEXT])
    torch.manual_seed(0)
    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    base.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    base.save_pretrained(root / "base")
    tokenizer.save_pretrained(root / "base")
    for seed, name in enumerate(("verbalizer", "reasoner"), start=1):
        torch.manual_seed(seed)
        base = AutoModelForCausalLM.from_pretrained(root / "base")
        lora = LoraConfig(r=2, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
        get_peft_model(base, lora).save_pretrained(root / name)
        (root / name / CHAT_TEMPLATE_CONFIG).write_text(json.dumps(SWITCH))
    (root / "verbalizer" / "verbalizer_config.json").write_text(
        json.dumps({"verbalizer": "action", "history_length": 4, "decisions": 4})
    )
    for name in ("verbalizer", "reasoner"):
        write_golden_prompts(root / name)
    return root


@pytest.fixture(scope="module")
def models(folders):
    """Both adapters and their base, by the names of a server."""
    weights = SharedWeights()
    loaded = {name: load_language_model(str(folders / name), weights=weights) for name in ("verbalizer", "reasoner")}
    return {**loaded, "base": load_language_model(str(folders / "base"), weights=weights)}


@pytest.fixture
def start(models):
    with ExitStack() as stack:
        yield lambda **choices: stack.enter_context(serve_models(ModelServer(**{"models": models, **choices})))


def test_golden_prompts_hold_no_users_log_and_are_no_part_of_the_adapter(folders, tmp_path):
    stored = json.loads((folders / "verbalizer" / GOLDEN_FILE).read_text())
    assert stored["fingerprint"] == content_hash(folders / "verbalizer")
    assert stored["chat_template_kwargs"] == SWITCH
    assert "The Glass Harbour" in stored["prompts"][0]["messages"][0]["content"]
    for prompt in stored["prompts"]:
        assert prompt["expected"].keys() == {"adapter", "no_adapter", "no_switches"}
        values = list(prompt["expected"]["adapter"].values())
        assert values == sorted(values, reverse=True)
        assert len(values) == LISTED


def test_a_server_that_runs_both_adapters_rightly_passes(run_main, start, folders):
    server = start(rounding=0.05)
    words = [word for name in ("verbalizer", "reasoner") for word in ("--adapter", f"{name}={folders / name}")]
    code, out, _ = run_main("verify-server", server.url, *words)
    assert code == 0, out
    assert [line[:5] for line in out.splitlines()] == ["ok   "] * 3
    assert "pass allowed_token_ids [" in out


FAULTS = {
    "the adapter is missing": ({"named": "base"}, "the adapter is not attached"),
    "another adapter": ({"named": "reasoner"}, "nats off: other weights"),
    "the chat template's switches are ignored": (
        {"ignores": {"chat_template_kwargs"}},
        "ignores chat_template_kwargs",
    ),
    "allowed tokens are ignored": ({"ignores": {"allowed_token_ids"}}, "ignores allowed_token_ids: it wrote"),
    "allowed tokens are refused": ({"refuses": {"allowed_token_ids"}}, "refuses allowed_token_ids (unknown field"),
    "no log-probabilities": ({"ignores": {"logprobs"}}, "lists no log-probabilities"),
    "coarse arithmetic": ({"rounding": 0.6}, "0.60 nats off"),
}


@pytest.mark.parametrize(("fault", "said"), FAULTS.values(), ids=FAULTS)
def test_what_a_server_lacks_is_named(run_main, start, folders, models, fault, said):
    fault = dict(fault)
    named = fault.pop("named", "verbalizer")
    server = start(models={"verbalizer": models[named]}, **fault)
    code, out, _ = run_main("verify-server", server.url, "--adapter", f"verbalizer={folders / 'verbalizer'}")
    assert code == 1
    assert said in out
    assert sum(line.startswith("WRONG") for line in out.splitlines()) == 1


def test_a_name_that_the_server_does_not_know_and_a_server_that_is_not_there(run_main, start, folders):
    adapter = f"absent={folders / 'verbalizer'}"
    code, _, error = run_main("verify-server", start().url, "--adapter", adapter)
    assert code == 2
    assert "has no model 'absent'" in error
    code, _, error = run_main("verify-server", "http://127.0.0.1:9/v1", "--adapter", adapter)
    assert code == 2
    assert "gives no answer" in error


def test_golden_prompts_of_changed_weights_or_none_at_all_are_refused(run_main, save_adapter, folders, tmp_path):
    folder = save_adapter(tmp_path / "adapter")
    code, _, error = run_main("verify-server", "http://127.0.0.1:9/v1", "--adapter", f"x={folder}")
    assert (code, "logs2lang golden-prompts" in error) == (2, True)
    code, out, _ = run_main("golden-prompts", folder)
    assert (code, GOLDEN_FILE in out) == (0, True)
    save_adapter(folder, seed=7)
    code, _, error = run_main("verify-server", "http://127.0.0.1:9/v1", "--adapter", f"x={folder}")
    assert (code, "has changed since" in error) == (2, True)
    (folder / GOLDEN_FILE).write_text('{"golden_version": 1}')
    code, _, error = run_main("verify-server", "http://127.0.0.1:9/v1", "--adapter", f"x={folder}")
    assert (code, "is damaged" in error) == (2, True)


def test_an_adapter_that_changes_nothing_gets_no_golden_prompts(run_main, tiny_model_folder, tmp_path):
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(tiny_model_folder)
    get_peft_model(base, LoraConfig(r=2, target_modules=["q_proj"])).save_pretrained(tmp_path / "zero")
    code, _, error = run_main("golden-prompts", tmp_path / "zero")
    assert (code, "answers as its base model alone" in error) == (2, True)


def test_a_service_in_front_of_an_engine_writes_what_it_would_write_itself(
    serve, start, folders, dataset, to_service, bodies
):
    server = start()
    folder = str(folders / "verbalizer")
    remote = load_on_engine(folder, dataset, Engine(server.url, "verbalizer"))
    here = load_verbalizer(folder, dataset, SharedWeights())
    assert remote.fingerprint == here.fingerprint
    client = serve(to_service(remote, ForgetfulReasoner(Engine(server.url, "reasoner"), "label")))
    answer = client.post("/recommend", json=bodies["/recommend"])
    assert answer.status_code in (200, 502), answer.text  # a random model may list no letter
    own = serve(to_service(here)).post("/verbalize", json=bodies["/verbalize"]).json()
    assert client.post("/verbalize", json=bodies["/verbalize"]).json() == own
    asked = server.bodies[0]
    assert asked["chat_template_kwargs"] == SWITCH
    assert asked["allowed_token_ids"] == read_golden_prompts(folder).allowed_token_ids
    assert asked["max_tokens"] == 4


def test_an_engine_that_is_not_there_is_an_error_in_json(serve, to_service, bodies):
    client = serve(to_service(reasoner=ForgetfulReasoner(Engine("http://127.0.0.1:9/v1", "x", timeout_s=1))))
    answer = client.post("/recommend", json=bodies["/recommend"])
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert "no connection" in answer.json()["error"]["message"]
    assert client.post("/verbalize", json=bodies["/verbalize"]).status_code == 200
