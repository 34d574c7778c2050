"""Texts that vLLM wrote are those of actors with transformers: the same prompts, the same tokens, the same shards."""

import asyncio
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from peft import LoraConfig, get_peft_model
from tiny_model import save_tiny_model
from transformers import LlamaForCausalLM

from logs2lang.bulk import vllm_texts
from logs2lang.bulk.bulk_texts import write_bulk_texts
from logs2lang.bulk.shard_writer import Writing
from logs2lang.bulk.text_shards import TextShards
from logs2lang.bulk.vllm_texts import AnsweredShards, Asker, RefusalError, prompt_name, sampling_params
from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.dataset_builders.schema import HISTORY
from logs2lang.models.weights import NoWeights
from logs2lang.verbalizers.action import ActionVerbalizer
from logs2lang.verbalizers.rewrite import RewriteVerbalizer

pytestmark = pytest.mark.xdist_group("ray")

LIMIT, SHARD_ROWS = 12, 5
ROOMY = 32_768


@pytest.fixture(scope="session")
def worded_model_folder(tmp_path_factory) -> Path:
    """A random two-layer Llama whose vocabulary holds each decision as one token, as real ones do."""
    folder = tmp_path_factory.mktemp("worded-model")
    # Heads of 32 numbers each: vLLM has none that are smaller.
    heads = {"hidden_size": 64, "num_attention_heads": 2, "num_key_value_heads": 1}
    save_tiny_model(folder, [" drop", " keep", " detail"], max_position_embeddings=ROOMY, **heads)
    return folder


@pytest.fixture(scope="session")
def worded_adapter(worded_model_folder, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("worded-adapter")
    torch.manual_seed(1)
    base = LlamaForCausalLM.from_pretrained(worded_model_folder)
    adapted = get_peft_model(base, LoraConfig(r=9, target_modules=["q_proj", "v_proj"], init_lora_weights=False))
    adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def writing(simulation_folder, worded_model_folder, worded_adapter) -> Writing:
    model = str(worded_model_folder)
    return Writing(simulation_folder, "train", "action", str(worded_adapter), model=model, history_length=6)


@pytest.fixture
def action(items, writing) -> ActionVerbalizer:
    return ActionVerbalizer.from_pretrained(writing.adapter, items, weights=NoWeights())


@pytest.fixture
def history(simulation_folder) -> list:
    return BuiltDataset.open(simulation_folder).examples("train")[0][HISTORY][-6:]


@pytest.fixture
def items(simulation_folder) -> dict:
    return BuiltDataset.open(simulation_folder).items()


def planned(writing: Writing, folder: Path, **choice: object) -> TextShards:
    return TextShards.of(BuiltDataset.open(writing.dataset), writing.split, folder, SHARD_ROWS, {}, **choice)


def read(folder: Path) -> pd.DataFrame:
    return pd.concat([pd.read_parquet(path) for path in sorted(folder.glob("*.parquet"))], ignore_index=True)


def test_an_action_adapter_writes_one_decision_per_record_and_nothing_else(action, history):
    decisions = action.language_model.tokenizer.convert_tokens_to_ids([" drop", " keep", " detail"])
    assert sampling_params(action, {HISTORY: history}) == {
        "temperature": 0.0,
        "repetition_penalty": 1.0,
        "detokenize": False,
        "allowed_token_ids": sorted(decisions),
        "min_tokens": 6,
        "max_tokens": 6,
        "ignore_eos": True,
    }


def test_no_request_is_for_no_token(action):
    params = sampling_params(action, {HISTORY: []})
    assert (params["min_tokens"], params["max_tokens"]) == (1, 1)
    assert action.realize(" drop", {HISTORY: []}) == action.realize("", {HISTORY: []})


def test_a_writer_of_text_stops_where_it_likes(items, action, history):
    verbalizer = RewriteVerbalizer(items, action.language_model, max_new_tokens=17)
    greedy = {"temperature": 0.0, "repetition_penalty": 1.0, "detokenize": False}
    assert sampling_params(verbalizer, {HISTORY: history}) == {**greedy, "max_tokens": 17}


def test_a_penalty_that_the_model_asks_for_holds_in_vllm_too(items, action, history):
    action.language_model.model.generation_config.repetition_penalty = 1.1
    assert sampling_params(action, {HISTORY: history})["repetition_penalty"] == 1.1


def test_prompts_are_the_token_ids_that_the_verbalizer_makes(writing, action, history, tmp_path):
    table = next(Asker(writing, planned(writing, tmp_path / "texts"), "an-adapter")({"item": [0]}))
    ids = action.language_model.prompt_ids(action.prompt({HISTORY: history}))
    row = table.to_pylist()[0]
    assert row["tokenized_prompt"] == ids
    assert (row["shard"], row["prompts"], row["key"], row["model"]) == (0, len(table), prompt_name(ids), "an-adapter")
    assert row["sampling_params"] == sampling_params(action, {HISTORY: history})


def answered(table, answer) -> list[dict]:
    """The rows of an asker as they come back from the engines, each answered by a function of its number."""
    kept = table.select(["shard", "prompts", "key"]).to_pylist()
    return [{**row, **dict(zip(("answer", "__inference_error__"), answer(number), strict=True))}
            for number, row in enumerate(kept)]  # fmt: skip


@pytest.fixture
def shards(writing, tmp_path) -> tuple[AnsweredShards, list]:
    """Who writes three shards, and the prompts of each."""
    texts = planned(writing, tmp_path / "texts", limit=LIMIT)
    asked = list(Asker(writing, texts, "x")({"item": [0, 1, 2]}))
    assert [len(table) for table in asked] == [5, 5, 2]
    return AnsweredShards(writing, texts), asked


def tables(*rows: list[dict]) -> list:
    return [pa.Table.from_pylist(of_table) for of_table in rows]


def test_a_shard_is_written_once_its_last_answer_has_come_and_not_before(shards, tmp_path):
    writer, asked = shards
    words = writer.model.tokenizer.convert_tokens_to_ids
    rows = [answered(table, lambda _: (words([" drop", " detail"]), "")) for table in asked]
    mixed = tables(rows[0][:3] + rows[1][:4], rows[1][4:], rows[0][3:])
    told = writer.take([0, 1, 2], mixed)
    folder = tmp_path / "texts"
    assert not folder.exists()
    assert next(told) == {"rows": [5], "trouble": [""]}
    assert [path.name for path in folder.iterdir()] == ["train-00001-of-00003.parquet"]
    assert next(told)["rows"] == [5]
    assert len(list(folder.iterdir())) == 2
    written = read(folder)
    assert written["error"].isna().all()
    assert written["drop"].tolist() == written["detail"].tolist() == [1] * 10
    assert written["undecided"].tolist() == [4] * 10


def test_a_prompt_that_vllm_refuses_is_an_error_in_its_row(shards, tmp_path):
    writer, asked = shards
    words = writer.model.tokenizer.convert_tokens_to_ids
    fine, bad = (words([" keep"] * 6), ""), (None, "ValueError: too long")
    rows = answered(asked[0], lambda number: bad if number == 2 else fine)
    assert next(writer.take([0], tables(rows)))["rows"] == [5]
    written = read(tmp_path / "texts")
    assert written["error"].isna().tolist() == [True, True, False, True, True]
    assert written["error"][2] == f"{RefusalError.__name__}: ValueError: too long"
    assert written["text"].isna().tolist() == [False, False, True, False, False]


def test_a_vllm_that_answers_nothing_stops_the_run_and_leaves_no_shard_of_errors(shards, tmp_path):
    writer, asked = shards
    rows = answered(asked[0], lambda _: (None, "ValueError: no such adapter"))
    with pytest.raises(InputError, match=r"none of the 5 prompts of train-00000.*no such adapter.*leave out --vllm"):
        next(writer.take([0], tables(rows)))
    assert not (tmp_path / "texts").exists()


def test_words_of_several_tokens_are_refused(simulation_folder, tiny_model_folder, save_adapter, tmp_path):
    adapter = str(save_adapter(tmp_path / "adapter"))
    own = Writing(simulation_folder, "train", "action", adapter, model=str(tiny_model_folder))
    writer = AnsweredShards(own, planned(own, tmp_path / "texts"))
    with pytest.raises(InputError, match=r"spells drop, keep, detail with several tokens.*Leave out --vllm"):
        next(writer.take([0], []))


@pytest.mark.parametrize(("rank", "room"), [(1, 8), (8, 8), (9, 16), (512, 512)])
def test_an_adapter_gets_the_smallest_room_that_it_fits_in(rank, room, tmp_path):
    LoraConfig(r=rank).save_pretrained(tmp_path)
    (tmp_path / "adapter_model.safetensors").touch()
    assert vllm_texts._lora_rank(str(tmp_path)) == room


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--vllm"], "--vllm is for Ray; add --engine ray."),
        (["--engine", "ray", "--vllm"], "--vllm runs language models, and template is written without one. Leave out"),
        (
            ["--engine", "ray", "--vllm", "--verbalizer", "zero_shot"],
            "--vllm needs vLLM. Install it with `pip",
        ),
    ],
)
def test_what_vllm_cannot_write_is_said_before_ray_starts(
    run_main, simulation_folder, tiny_model_folder, tmp_path, monkeypatch, words, said
):
    monkeypatch.setattr(vllm_texts, "find_spec", lambda name: None)
    own = ("--model", tiny_model_folder, "-o", tmp_path / "texts")
    code, _, err = run_main("verbalize", simulation_folder, *words, *own)
    assert (code, err.startswith(f"Error: {said}"), "Traceback" in err) == (2, True, False), err


@pytest.fixture
def vllm_is_there(monkeypatch):
    """A vLLM to be found, for what sort of machine an argument says."""

    def be(for_processors: bool) -> None:
        monkeypatch.setattr(vllm_texts, "find_spec", lambda name: object())
        platform = SimpleNamespace(is_cpu=lambda: for_processors)
        monkeypatch.setitem(sys.modules, "vllm.platforms", SimpleNamespace(current_platform=platform))

    return be


def test_a_missing_gpu_is_said(ray, run_main, simulation_folder, tiny_model_folder, tmp_path, vllm_is_there):
    vllm_is_there(for_processors=False)
    words = ("--engine", "ray", "--vllm", "--verbalizer", "zero_shot", "--model", tiny_model_folder)
    code, _, err = run_main("verbalize", simulation_folder, *words, "--limit", 3, "-o", tmp_path / "texts")
    said = "Error: --vllm needs a GPU, and Ray finds none. Leave out --vllm, or give the --address of a cluster with"
    assert (code, said in err, "Traceback" in err) == (2, True, False), err


class Greedy:
    """Answers as vLLM does, by transformers; and refuses some prompts."""

    def __init__(self, refuse: list[str]):
        self.refuse, self.model = refuse, None

    async def generate_async(self, row: dict) -> tuple:
        from ray.llm._internal.batch.stages.vllm_engine_stage import vLLMOutputData

        from logs2lang.models.language_models import load_language_model

        await asyncio.sleep(0)
        ids, params = [int(token) for token in row.pop("tokenized_prompt")], row.pop("sampling_params")
        if prompt_name(ids) in self.refuse:
            raise ValueError("this prompt is refused")
        self.model = self.model or load_language_model(row["model"], device="cpu")
        allowed = params.get("allowed_token_ids")
        answer = self.model.model.generate(
            input_ids=torch.tensor([ids]),
            max_new_tokens=int(params["max_tokens"]),
            do_sample=params["temperature"] > 0,
            prefix_allowed_tokens_fn=None if allowed is None else lambda *_: [int(token) for token in allowed],
        )
        output = vLLMOutputData(prompt="", num_input_tokens=len(ids), generated_tokens=answer[0, len(ids) :].tolist())
        return SimpleNamespace(request_id=0, idx_in_batch=row["__idx_in_batch"], params=""), output.model_dump(), 0.0

    def shutdown(self) -> None:
        pass


@pytest.fixture
def stand_in(ray, monkeypatch, vllm_is_there):
    """Everything is Ray's and ours but the engine; returns the list of the prompts that it refuses."""
    import ray as ray_itself
    from ray.data import llm
    from ray.llm._internal.batch.stages.vllm_engine_stage import vLLMEngineStageUDF

    class StandIn(vLLMEngineStageUDF):
        def __init__(self, data_column, expected_input_keys, should_continue_on_error, refuse, **_):
            super(vLLMEngineStageUDF, self).__init__(data_column, expected_input_keys)
            self.should_continue_on_error, self.engine_kwargs = should_continue_on_error, {"disable_log_stats": True}
            self.llm = Greedy(refuse)

    refuse: list[str] = []
    build = llm.build_processor

    def build_and_replace(*args, **kwargs):
        processor = build(*args, **kwargs)
        stage = processor.get_stage_by_name("vLLMEngineStage")
        stage.__dict__["fn"] = StandIn  # an assignment would be checked, and then ask for a GPU
        stage.fn_constructor_kwargs["refuse"] = refuse
        return processor

    vllm_is_there(for_processors=True)
    monkeypatch.setattr(llm, "build_processor", build_and_replace)
    own = sys.modules[__name__]
    ray_itself.cloudpickle.register_pickle_by_value(own)
    yield refuse
    ray_itself.cloudpickle.unregister_pickle_by_value(own)


@pytest.mark.parametrize("verbalizer", ["action", "zero_shot"])
def test_each_kind_of_run_continues_the_other_with_the_same_texts(stand_in, writing, verbalizer, tmp_path):
    own = writing if verbalizer == "action" else replace(writing, verbalizer=verbalizer, adapter=None)
    built, folder, choice = BuiltDataset.open(own.dataset), tmp_path / "texts", {"limit": LIMIT, "shard_rows": 5}
    write_bulk_texts(built, tmp_path / "plain", own, actors=1, **choice)
    steps: list[int] = []
    done = write_bulk_texts(built, folder, own, vllm=True, progress=lambda now, _: steps.append(now), **choice)
    assert (done.texts, done.failed, done.written, done.shards) == (LIMIT, 0, 3, 3)
    assert (steps[0], len(steps), steps[-1]) == (0, 4, LIMIT)
    pd.testing.assert_frame_equal(read(folder), read(tmp_path / "plain"))
    assert pq.read_schema(next(folder.glob("*.parquet"))).equals(
        pq.read_schema(next((tmp_path / "plain").glob("*.parquet"))), check_metadata=True
    )
    names = [path.name for path in sorted(folder.glob("*.parquet"))]
    before = {name: (folder / name).stat().st_mtime_ns for name in names[:2]}
    for vllm in (False, True):
        (folder / names[2]).unlink()
        done = write_bulk_texts(built, folder, own, vllm=vllm, actors=1, **choice)
        assert (done.texts, done.written) == (LIMIT, 1)
    assert {name: (folder / name).stat().st_mtime_ns for name in names[:2]} == before
    pd.testing.assert_frame_equal(read(folder), read(tmp_path / "plain"))


def test_a_row_that_cannot_be_asked_or_is_refused_kills_nothing(stand_in, with_bad_rows, writing, tmp_path):
    built, bad = with_bad_rows
    own = replace(writing, dataset=built.folder)
    asked = next(Asker(own, planned(own, tmp_path / "texts"), "x")({"item": [0]})).to_pylist()
    assert len(asked) == SHARD_ROWS - 1
    stand_in.append(asked[0]["key"])
    done = write_bulk_texts(built, tmp_path / "texts", own, vllm=True, shard_rows=SHARD_ROWS)
    written = read(tmp_path / "texts").set_index("example_id")
    assert done.failed == len(bad) + 1
    errors = written["error"].dropna()
    assert errors.index.tolist() == [written.index[0], *bad]
    assert errors.iloc[0] == "RefusalError: ValueError: this prompt is refused"
    assert errors.iloc[1:].str.startswith("TypeError: ").all()
    assert written["text"].notna().sum() == done.texts == len(built.examples("train")) - 3


def test_the_true_engine_writes_what_transformers_write(ray, writing, tmp_path):
    pytest.importorskip("vllm")
    built, choice = BuiltDataset.open(writing.dataset), {"limit": LIMIT, "shard_rows": 5}
    write_bulk_texts(built, tmp_path / "plain", writing, actors=1, **choice)
    done = write_bulk_texts(built, tmp_path / "texts", writing, vllm=True, **choice)
    assert (done.texts, done.failed) == (LIMIT, 0), done.error
    same = read(tmp_path / "texts")["text"] == read(tmp_path / "plain")["text"]
    assert same.mean() > 0.9  # numbers are rounded elsewhere
