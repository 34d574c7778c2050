"""The stand-in is worth what it shares with the Hub: here the real client asks, and the answers are compared."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from faults import Fault
from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import (
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_session
from huggingface_hub.utils.sha import git_hash

CARD = b"---\nlicense: mit\n---\n# Six words in a small card\n"
TABLE = os.urandom(3_000)
REPO = "tester/log"


@pytest.fixture
def commit(hub_api) -> str:
    hub_api.create_repo(REPO, repo_type="dataset")
    files = [CommitOperationAdd("README.md", CARD), CommitOperationAdd("examples/test.parquet", TABLE)]
    return hub_api.create_commit(REPO, files, commit_message="Add", repo_type="dataset").oid


def test_small_files_are_git_blobs_and_parquet_is_lfs(hub_api, commit):
    entries = {entry.path: entry for entry in hub_api.list_repo_tree(REPO, repo_type="dataset", recursive=True)}
    assert set(entries) == {".gitattributes", "README.md", "examples", "examples/test.parquet"}
    assert entries["README.md"].blob_id == git_hash(CARD)
    assert entries["README.md"].lfs is None
    assert entries["examples/test.parquet"].lfs.sha256 == hashlib.sha256(TABLE).hexdigest()


def test_a_file_comes_back_whole_in_parts_and_not_at_all_when_it_is_known(hub, hub_api, commit, tmp_path):
    path = hub_api.hf_hub_download(REPO, "examples/test.parquet", repo_type="dataset", cache_dir=tmp_path)
    assert Path(path).read_bytes() == TABLE
    assert commit in path  # the snapshot is named by X-Repo-Commit
    url = f"{hub.endpoint}/datasets/{REPO}/resolve/main/examples/test.parquet"
    part = get_session().get(url, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, TABLE[1_000:2_000])
    assert part.headers["Content-Range"] == "bytes 1000-1999/3000"
    sent = len([request for request in hub.requests if request.method == "GET"])
    hub_api.hf_hub_download(REPO, "examples/test.parquet", repo_type="dataset", cache_dir=tmp_path)
    assert len([request for request in hub.requests if request.method == "GET"]) == sent


def test_a_tag_names_a_commit_for_good(hub_api, commit):
    hub_api.create_tag(REPO, tag="v1", repo_type="dataset")
    deletion = [CommitOperationDelete("examples/test.parquet")]
    later = hub_api.create_commit(REPO, deletion, commit_message="Delete", repo_type="dataset").oid
    assert hub_api.repo_info(REPO, repo_type="dataset").sha == later != commit
    assert hub_api.repo_info(REPO, repo_type="dataset", revision="v1").sha == commit
    with pytest.raises(HfHubHTTPError, match="409"):
        hub_api.create_tag(REPO, tag="v1", repo_type="dataset")


def test_a_pull_request_leaves_main_alone(hub_api, commit):
    offered = [CommitOperationAdd("README.md", CARD + b"More.\n")]
    offer = hub_api.create_commit(REPO, offered, commit_message="Offer", repo_type="dataset", create_pr=True)
    refs = hub_api.list_repo_refs(REPO, repo_type="dataset", include_pull_requests=True)
    assert [(ref.ref, ref.target_commit) for ref in refs.pull_requests] == [("refs/pr/1", offer.oid)]
    assert [ref.target_commit for ref in refs.branches] == [commit]
    assert hub_api.repo_info(REPO, repo_type="dataset", revision="refs/pr/1").sha == offer.oid


def test_a_commit_on_an_old_parent_is_refused(hub_api, commit):
    addition = [CommitOperationAdd("LICENSE", b"MIT")]
    hub_api.create_commit(REPO, addition, commit_message="First", repo_type="dataset")
    late = [CommitOperationAdd("NOTICE", b"text")]
    with pytest.raises(HfHubHTTPError, match="412"):
        hub_api.create_commit(REPO, late, commit_message="Second", repo_type="dataset", parent_commit=commit)


def test_what_is_missing_is_named_by_kind(hub_api, commit):
    with pytest.raises(RepositoryNotFoundError):
        hub_api.repo_info("tester/nothing", repo_type="dataset")
    with pytest.raises(RevisionNotFoundError):
        hub_api.repo_info(REPO, repo_type="dataset", revision="v9")
    with pytest.raises(RemoteEntryNotFoundError):
        hub_api.hf_hub_download(REPO, "nothing.txt", repo_type="dataset")


def test_a_private_repository_and_a_foreign_namespace_are_closed(hub, hub_api):
    hub_api.create_repo("team/secret", private=True)
    assert hub_api.repo_info("team/secret").private
    with pytest.raises(RepositoryNotFoundError):
        HfApi(endpoint=hub.endpoint, token=False).repo_info("team/secret")
    with pytest.raises(HfHubHTTPError, match="403"):
        hub_api.create_repo("somebody/else")


def test_a_long_listing_comes_in_pages(hub_api):
    hub_api.create_repo("tester/many")
    files = [CommitOperationAdd(f"{number}.txt", f"{number}".encode()) for number in range(1_100)]
    hub_api.create_commit("tester/many", files, commit_message="Add")
    assert len(list(hub_api.list_repo_tree("tester/many"))) == 1_101


def test_a_collection_holds_each_repository_once(hub_api, commit):
    slug = hub_api.create_collection("logs2lang", namespace="team").slug
    for _ in range(2):
        hub_api.add_collection_item(slug, REPO, "dataset", exists_ok=True)
    assert [item.item_id for item in hub_api.get_collection(slug).items] == [REPO]
    assert [one.slug for one in hub_api.list_collections(owner="team")] == [slug]


def test_faults_strike_as_often_as_they_were_told_to(hub, hub_api):
    hub.faults.append(Fault("GET", "whoami", status=401, times=1))
    with pytest.raises(HfHubHTTPError, match="Invalid user token"):
        hub_api.whoami()
    assert hub_api.whoami()["name"] == "tester"


def test_it_runs_as_a_command():
    command = [sys.executable, str(Path(__file__).with_name("loopback_hub.py")), "--token", "open-sesame"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        said = dict(word.split("=", 1) for word in process.stdout.readline().split()[1:])
        assert HfApi(endpoint=said["HF_ENDPOINT"], token=said["HF_TOKEN"]).whoami()["name"] == "me"
    finally:
        process.terminate()
        process.wait()
