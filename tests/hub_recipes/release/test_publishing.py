"""Publishing, tried on a Hub on loopback with the real client."""

import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from faults import Fault
from huggingface_hub import CommitOperationAdd, HfApi, ModelCard, constants
from huggingface_hub.utils import _http
from loopback_hub import TEAM, TOKEN, USER
from small_release import ADAPTER, DATASET, write_json

from logs2lang.commands.cli import main
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.evaluation.metric import METRIC
from logs2lang.release.plan import MARKER, Links, ReleasePlan, plan_release
from logs2lang.release.publishing import COLLECTION, Published, Publisher

NAMES = {"dataset": DATASET, "model": ADAPTER, "space": METRIC}


@pytest.fixture(autouse=True)
def hasty(monkeypatch):
    """The client waits between its attempts; here it does not."""
    monkeypatch.setattr(_http.time, "sleep", lambda seconds: None)


@pytest.fixture
def adapters(released_adapters, tmp_path) -> Path:
    return Path(shutil.copytree(released_adapters, tmp_path / "adapters"))


@pytest.fixture
def data(simulation_folder, tmp_path) -> Path:
    return Path(shutil.copytree(simulation_folder, tmp_path / "data" / DATASET)).parent


@pytest.fixture
def spaces(tmp_path) -> Path:
    """The metric alone: the demo has a test of its own."""
    source = Path(__file__).parents[3] / "space" / METRIC
    return Path(shutil.copytree(source, tmp_path / "spaces" / METRIC)).parent


@pytest.fixture
def plan(hub, data, adapters, spaces) -> Callable[..., ReleasePlan]:
    def make(namespace: str = USER, tag: str = "v1", **choices) -> ReleasePlan:
        folders = {"data": data, "adapters": adapters, "spaces": spaces}
        return plan_release(Links(namespace, hub.endpoint), tag, **{**folders, **choices})

    return make


@pytest.fixture
def publish(hub_api, plan) -> Callable[..., list[Published]]:
    def run(private: bool = False, create_pr: bool = False, api: HfApi = hub_api, **choices) -> list[Published]:
        return list(Publisher(api, plan(**choices), private, create_pr).publish())

    return run


def test_a_release_is_one_commit_and_one_tag_on_each_repository(hub, publish):
    done = publish()
    assert [one.repo_id for one in done] == [f"{USER}/{name}" for name in NAMES.values()]
    for (kind, name), one in zip(NAMES.items(), done, strict=True):
        repo = hub.repo(kind, f"{USER}/{name}")
        assert len(repo.commits) == 2  # the Hub's own first commit, and ours
        assert repo.tags == {"v1": one.revision} == {"v1": repo.branches["main"]}
        assert one.outcome == "uploaded"
    assert hub.repo("space", f"{USER}/{METRIC}").sdk == "gradio"
    assert hub.unknown == []


def test_an_adapter_repository_is_the_adapter_folder(hub, publish, adapters):
    publish()
    repo = hub.repo("model", f"{USER}/{ADAPTER}")
    files = repo.commits[repo.tags["v1"]]
    assert set(files) - {".gitattributes", MARKER.path} == {path.name for path in (adapters / ADAPTER).iterdir()}
    assert files["adapter_model.safetensors"].is_lfs
    local = (adapters / ADAPTER / "adapter_model.safetensors").read_bytes()
    assert hub.file("model", repo.id, "adapter_model.safetensors") == local


def test_the_card_of_an_adapter_links_to_the_commit_of_its_dataset(hub, publish):
    dataset, *_ = publish()
    text = hub.file("model", f"{USER}/{ADAPTER}", "README.md").decode()
    assert f"{hub.endpoint}/datasets/{USER}/{DATASET}/tree/{dataset.revision}" in text
    data = ModelCard(text).data
    assert data.datasets == [f"{USER}/{DATASET}"]
    assert data.eval_results[0].dataset_revision == dataset.revision
    assert data.eval_results[0].metric_type == f"{USER}/{METRIC}"
    assert f'model="{USER}/{ADAPTER}"' in text


def test_what_could_not_be_used_of_a_log_stays_here(hub, publish):
    publish()
    repo = hub.repo("dataset", f"{USER}/{DATASET}")
    files = set(repo.commits[repo.tags["v1"]])
    assert "quarantine.parquet" not in files
    assert {"README.md", "build_report.json", "examples/test-00000-of-00001.parquet", "truth/tastes.parquet"} <= files


def test_a_second_publish_uploads_nothing(hub, publish):
    first = publish()
    hub.requests.clear()
    second = publish()
    assert hub.writes() == []
    assert [one.outcome for one in second] == ["unchanged"] * 3
    assert [one.revision for one in second] == [one.revision for one in first]


def test_a_collection_groups_them(hub, publish):
    publish()
    publish(tag="v2")
    (collection,) = hub.collections.values()
    assert collection["title"] == COLLECTION
    assert [(item["type"], item["id"].split("/")[1]) for item in collection["items"]] == list(NAMES.items())


def test_unchanged_content_under_a_new_tag_is_tagged_and_not_uploaded(hub, publish):
    first = publish()
    hub.requests.clear()
    assert [one.outcome for one in publish(tag="v2")] == ["tagged"] * 3
    assert {request.path.split("/")[-2] for request in hub.writes()} == {"tag"}
    assert hub.repo("dataset", f"{USER}/{DATASET}").tags == {"v1": first[0].revision, "v2": first[0].revision}


def test_only_what_has_changed_is_sent(hub, publish, adapters):
    publish()
    run = adapters / ADAPTER / "run.json"
    write_json(run, {**json.loads(run.read_text()), "steps": 41})
    hub.requests.clear()
    assert [one.outcome for one in publish(tag="v2")] == ["tagged", "uploaded", "tagged"]
    assert not [request for request in hub.requests if request.method == "PUT"]  # the weights are the same
    assert json.loads(hub.file("model", f"{USER}/{ADAPTER}", "run.json"))["steps"] == 41


def test_a_file_that_is_gone_here_is_gone_in_the_next_release(hub, hub_api, publish):
    publish()
    stray = [CommitOperationAdd("old.txt", b"left over")]
    hub_api.create_commit(f"{USER}/{ADAPTER}", stray, commit_message="Stray")
    publish(tag="v2")
    repo = hub.repo("model", f"{USER}/{ADAPTER}")
    assert "old.txt" not in repo.commits[repo.tags["v2"]]
    assert ".gitattributes" in repo.commits[repo.tags["v2"]]


def test_a_tag_that_exists_with_other_content_is_refused_before_anything_is_written(hub, publish, adapters):
    publish()
    run = adapters / ADAPTER / "run.json"
    write_json(run, {**json.loads(run.read_text()), "steps": 41})
    hub.requests.clear()
    with pytest.raises(
        InputError, match=rf"The tag v1 already exists on {USER}/{ADAPTER} with different content.*--tag"
    ):
        publish()
    assert hub.writes() == []


def test_pull_requests_leave_main_and_tags_alone_and_are_offered_once(hub, publish):
    offered = publish(create_pr=True)
    repo = hub.repo("dataset", f"{USER}/{DATASET}")
    assert set(repo.commits[repo.branches["main"]]) == {".gitattributes"}
    assert repo.pull_requests == {1: offered[0].revision}
    assert repo.tags == {}
    assert hub.collections == {}
    assert "/discussions/1" in offered[0].page
    hub.requests.clear()
    assert [one.outcome for one in publish(create_pr=True)] == ["unchanged"] * 3
    assert hub.writes() == []


def test_private_repositories_are_private(hub, publish):
    publish(private=True)
    assert all(repo.private for repo in hub.repos.values())
    assert all(collection["private"] for collection in hub.collections.values())


def test_a_public_repository_is_not_taken_for_a_private_one(hub, publish):
    publish()
    with pytest.raises(InputError, match="is public already"):
        publish(private=True, tag="v2")


def test_a_team_can_be_the_namespace(hub, publish):
    publish(namespace=TEAM)
    assert all(repo_id.startswith(f"{TEAM}/") for _, repo_id in hub.repos)


@pytest.mark.parametrize(
    ("only", "published"),
    [(["adapters"], [ADAPTER]), ([METRIC], [METRIC]), (["metric", "datasets"], [DATASET, METRIC])],
)
def test_only_chooses_by_name_or_by_group(hub, publish, only, published):
    publish(only=["datasets"])
    assert [one.repo_id.split("/")[1] for one in publish(only=only)] == published


def test_an_adapter_alone_links_to_the_dataset_that_is_on_the_hub(hub, publish):
    with pytest.raises(InputError, match=rf"links to {USER}/{DATASET}, which is not on the Hub"):
        publish(only=["adapters"])
    assert hub.repos == {}
    (dataset,) = publish(only=["datasets"])
    publish(only=["adapters"])
    assert dataset.revision in hub.file("model", f"{USER}/{ADAPTER}", "README.md").decode()


def test_an_adapter_of_another_build_is_not_linked_to_this_one(hub, publish, data, tmp_path, adapters):
    publish(only=["datasets"])
    report = json.loads((data / DATASET / "build_report.json").read_text())
    kept = next(adapters.glob("results/*/build_report.json"))
    write_json(kept, {**report, "options": {**report["options"], "seed": 7}})
    from logs2lang.dataset_builders.checksums import sha256_of

    run = json.loads((adapters / ADAPTER / "run.json").read_text())
    changed = {**run, "dataset": {**run["dataset"], "report_sha256": sha256_of(kept)}}
    write_json(adapters / ADAPTER / "run.json", changed)
    with pytest.raises(InputError, match="is a different build"):
        publish(only=["adapters"])


# What goes wrong on the way.

FAULTS = {
    "401": (Fault("GET", "whoami", status=401), "does not know this token"),
    "403": (Fault("POST", "repos/create", status=403), "may not write to"),
    "409": (Fault("POST", "/commit/", status=409), "Something else is being written"),
    "412": (Fault("POST", "/commit/", status=412), "Someone else has changed"),
    "413": (Fault("PUT", "/lfs/", status=413), "too large"),
    "413 commit": (Fault("POST", "/commit/", status=413), "too large"),
    "429": (Fault("POST", "/preupload/", status=429, headers={"Retry-After": "90"}), "Wait 90 seconds"),
    "500": (Fault("POST", "/commit/", status=500), r"internal error for .* \(500\)"),
    "503 tag": (Fault("POST", "/tag/", status=503), r"internal error for .* \(503\)"),
    "500 upload": (Fault("PUT", "/lfs/", status=500), r"internal error for .* \(500\)"),
    "400": (Fault("POST", "validate-yaml", status=400, said="bad card"), "does not accept"),
    "cut": (Fault("PUT", "/lfs/", after_bytes=1_000), "The connection to the Hub at .* failed"),
    "cut commit": (Fault("POST", "/commit/"), "The connection to the Hub at .* failed"),
    "collection": (Fault("POST", "/collections", status=500), r"Collection 'logs2lang' \(500\)"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_one_sentence_and_the_next_run_finishes(name, hub, publish):
    fault, said = FAULTS[name]
    hub.faults.append(replace(fault))
    with pytest.raises(InputError, match=said) as raised:
        publish()
    assert "\n" not in str(raised.value)
    hub.faults.clear()
    publish()
    for kind, repo_name in NAMES.items():
        repo = hub.repo(kind, f"{USER}/{repo_name}")
        assert repo.tags["v1"] == repo.branches["main"]
        assert len(repo.commits) == 2
    assert len(next(iter(hub.collections.values()))["items"]) == 3


def test_an_interrupted_upload_goes_on_with_the_file_that_was_cut(hub, publish):
    hub.faults.append(Fault("PUT", "/lfs/", after_bytes=1_000, skip=3))
    with pytest.raises(InputError):
        publish(only=["datasets"])
    arrived = {path.name for path in hub.store.folder.iterdir() if not path.name.startswith(".")}
    hub.faults.clear()
    hub.requests.clear()
    publish(only=["datasets"])
    sent_again = {request.path.split("/")[-1] for request in hub.requests if request.method == "PUT"}
    assert not sent_again & arrived
    assert sent_again


def test_a_release_stopped_between_two_repositories_goes_on_with_the_second(hub, publish):
    hub.faults.append(Fault("POST", "/api/models/", status=500))
    with pytest.raises(InputError):
        publish()
    hub.faults.clear()
    assert [one.outcome for one in publish()] == ["unchanged", "uploaded", "uploaded"]


def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub, hub_api, publish):
    hub.faults.append(Fault("POST", "/tag/", status=500))
    with pytest.raises(InputError):
        publish(only=["datasets"])
    hub.faults.clear()
    assert [one.outcome for one in publish(only=["datasets"])] == ["tagged"]


def test_no_network_is_one_sentence(plan):
    nobody = HfApi(endpoint="http://127.0.0.1:9", token=TOKEN)
    with pytest.raises(InputError, match=r"The connection to the Hub at http://127.0.0.1:9 failed.*Check the network"):
        list(Publisher(nobody, plan()).publish())


def test_a_namespace_of_somebody_else_is_one_sentence(hub, publish):
    with pytest.raises(InputError, match=rf"can publish under {USER} or {TEAM}, not under 'stranger'"):
        publish(namespace="stranger")
    assert hub.repos == {}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "whoami", 401), ("POST", "repos/create", 403), ("POST", "/commit/", 500), ("POST", "/preupload/", 400),
     ("POST", "/commit/", 409), ("PUT", "/lfs/", 418)],
)  # fmt: skip
def test_the_token_is_never_said_even_if_the_server_says_it(hub, publish, method, path, status, caplog, capfd):
    hub.faults.append(Fault(method, path, status=status, said="token {token} is bad"))
    with pytest.raises(InputError) as raised:
        publish()
    captured = capfd.readouterr()
    assert TOKEN not in str(raised.value) + captured.out + captured.err + caplog.text
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


# The command.


@pytest.fixture
def command(hub, data, adapters, monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(constants, "ENDPOINT", hub.endpoint)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no-token"))
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def run(*arguments: str) -> tuple[int, str]:
        chosen = ["publish", "--namespace", USER, "--data", str(data), "--adapters", str(adapters), *arguments]
        monkeypatch.setattr(sys, "argv", ["logs2lang", *chosen])
        with pytest.raises(SystemExit) as end:
            main()
        captured = capsys.readouterr()
        return end.value.code or 0, captured.out + captured.err

    return run


def test_the_command_prints_the_plan_with_sizes_and_pushes(hub, command):
    code, said = command("--only", f"{DATASET},adapters", "--only", METRIC)
    assert code == 0
    assert re.search(rf"{USER}/{DATASET} +│ dataset +│ +\d+ │ +[\d.]+ kB", said)
    assert "quarantine.parquet" in said
    assert said.count("uploaded: http://127.0.0.1") == 3
    assert len(hub.repos) == 3
    assert TOKEN not in said


def test_a_dry_run_needs_no_hub_and_no_token(hub, command, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    code, said = command("--dry-run")
    assert code == 0
    assert "Nothing was uploaded" in said
    assert f"{USER}/{ADAPTER}" in said
    assert hub.requests == []


def test_without_a_token_the_command_says_how_to_get_one(hub, command, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    code, said = command()
    assert code == 2
    assert "hf auth login" in said
    assert hub.requests == []


def test_a_fault_is_exit_code_2_and_no_traceback(hub, command):
    hub.faults.append(Fault("POST", "/commit/", status=500, said="{token}"))
    code, said = command("--only", METRIC)
    assert code == 2
    assert said.count("Error: ") == 1
    assert "Traceback" not in said
    assert TOKEN not in said


@pytest.mark.parametrize("create_pr", [False, True])
def test_a_repository_of_a_stranger_is_refused_and_survives(hub, hub_api, publish, create_pr):
    repo_id = f"{USER}/{METRIC}"
    hub_api.create_repo(repo_id, repo_type="space", space_sdk="gradio")
    theirs = [CommitOperationAdd("app.py", b"theirs\n"), CommitOperationAdd("notes.txt", b"also theirs\n")]
    hub_api.create_commit(repo_id, theirs, commit_message="Mine", repo_type="space")
    before = dict(hub.repo("space", repo_id).commits[hub.repo("space", repo_id).branches["main"]])
    with pytest.raises(InputError, match=r"was not published by logs2lang .* its 2 files, such as app.py"):
        publish(create_pr=create_pr)
    repo = hub.repo("space", repo_id)
    assert repo.commits[repo.branches["main"]] == before
    assert hub.file("space", repo_id, "app.py") == b"theirs\n"
    assert not repo.tags


def test_an_empty_repository_that_is_there_already_is_filled(hub, hub_api, publish):
    hub_api.create_repo(f"{USER}/{METRIC}", repo_type="space", space_sdk="gradio")
    assert publish()[-1].outcome == "uploaded"
    assert "app.py" in hub.repo("space", f"{USER}/{METRIC}").commits[publish()[-1].revision]


def test_what_would_be_deleted_is_listed_before(hub_api, publish, plan, adapters):
    (adapters / ADAPTER / "chat_template.jinja").write_text("{{ messages }}")
    publish()
    assert Publisher(hub_api, plan()).deletions() == {}
    (adapters / ADAPTER / "chat_template.jinja").unlink()
    assert Publisher(hub_api, plan(tag="v2")).deletions() == {f"{USER}/{ADAPTER}": ("chat_template.jinja",)}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--namespace", "no such/user"), "not a valid user or organisation name"),
        (("--namespace", "me", "--data", "nowhere"), "--data is nowhere, but there is no such folder"),
        (("--namespace", "me", "--adapters", "nowhere"), "--adapters is nowhere"),
    ],
)
def test_a_dry_run_refuses_what_cannot_be(run_main, tmp_path, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    code, _, error = run_main("publish", *words, "--dry-run")
    assert code == 2
    assert said in " ".join(error.split())


def test_in_a_folder_of_ones_own_only_what_lies_there_is_planned(run_main, data, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    code, out, _ = run_main("publish", "--namespace", "me", "--dry-run")
    assert code == 0
    assert f"me/{DATASET}" in out
    assert METRIC not in out
    assert "playground" not in out
    assert "that would be deleted on the Hub are unknown" in out
    _, out, _ = run_main("publish", "--namespace", "me", "--dry-run", "--only", "metric")
    assert f"me/{METRIC}" in out
