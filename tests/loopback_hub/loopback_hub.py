"""A Hub on loopback, for the real clients: start it, point `HF_ENDPOINT` at it, push and pull.

    python tests/loopback_hub/loopback_hub.py --user me --token secret

speaks what `huggingface_hub`, `datasets`, `transformers`, `peft` and `evaluate` ask of a Hub: repositories, preupload,
LFS, commits, tags, refs, trees, files with ETag and ranges, and collections. Files lie in a temporary folder and go
with the process.
"""

import argparse
import base64
import json
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

import yaml
from faults import Fault
from stored_repos import LFS_SUFFIXES, ContentStore, StoredRepo, folder_entry

USER, TEAM = "tester", "team"
TOKEN = "hf_" + "loopbackTokenOfTests" + "0123456789ABCD"
"""In parts, so that no search for tokens finds one in this file."""

KINDS = {"models": "model", "datasets": "dataset", "spaces": "space"}
MAX_REGULAR_BYTES = 10_000_000
_PIECE = 1 << 20


@dataclass(frozen=True)
class Request:
    """What a client sent, for a test to look at."""

    method: str
    path: str
    size: int
    token: str | None


class HubError(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status: int, message: str, code: str | None = None, body: dict | None = None):
        super().__init__(message)
        self.status, self.code, self.body = status, code, body or {"error": message}


@dataclass
class LoopbackHub:
    """The state behind the server.

    Args:
        store (`ContentStore`): Where files lie.
        users (`dict[str, str]`): The user of each token.
        organizations (`list[str]`): Where every user may write, besides the own namespace.
    """

    store: ContentStore
    users: dict[str, str]
    organizations: list[str] = field(default_factory=list)
    repos: dict[tuple[str, str], StoredRepo] = field(default_factory=dict)
    collections: dict[str, dict] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)
    """Requests that no route answers: an endpoint that a real client calls and that is missing here."""
    endpoint: str = ""
    lock: threading.RLock = field(default_factory=threading.RLock)

    def repo(self, kind: str, repo_id: str) -> StoredRepo:
        return self.repos[kind, repo_id]

    def file(self, kind: str, repo_id: str, path: str, revision: str = "main") -> bytes:
        """The bytes of a published file."""
        repo = self.repo(kind, repo_id)
        return self.store.path(repo.commits[repo.resolve(revision)][path].sha256).read_bytes()

    def writes(self) -> list[Request]:
        """The requests that changed something, or sent the bytes of files."""
        harmless = ("/preupload/", "/paths-info/", "/validate-yaml", "/objects/batch")
        sent = [request for request in self.requests if request.method not in ("GET", "HEAD")]
        return [request for request in sent if not any(part in request.path for part in harmless)]


class HubHandler(BaseHTTPRequestHandler):
    """One connection of a client."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # or every answer waits 40 ms for the client to acknowledge its head
    hub: LoopbackHub

    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self._answer()

    do_HEAD = do_POST = do_PUT = do_DELETE = do_PATCH = do_GET  # noqa: N815

    def _answer(self) -> None:
        url = urlsplit(self.path)
        self.query = {name: values[-1] for name, values in parse_qs(url.query).items()}
        self.left = int(self.headers.get("Content-Length") or 0)
        self.hub.requests.append(Request(self.command, url.path, self.left, self._token()))
        fault = next((fault for fault in self.hub.faults if fault.strikes(self.command, url.path)), None)
        try:
            if fault is not None:
                self._spoil(fault)
                return
            for method, pattern, answer in ROUTES:
                match = re.fullmatch(pattern, url.path)
                if match and (method == self.command or (method, self.command) == ("GET", "HEAD")):
                    answer(self, *(unquote(part or "") for part in match.groups()))
                    return
            self.hub.unknown.append(f"{self.command} {url.path}")
            raise HubError(404, f"{self.command} {url.path} is no endpoint of this Hub")
        except HubError as error:
            headers = {"X-Error-Message": str(error), **({"X-Error-Code": error.code} if error.code else {})}
            self._send_json(error.body, error.status, headers)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    def _spoil(self, fault: Fault) -> None:
        if fault.status is None:
            self.rfile.read(min(fault.after_bytes, self.left))
            self.close_connection = True
            self.connection.close()
            return
        said = fault.said.replace("{token}", self._token() or "")
        self._send_json({"error": said}, fault.status, {"X-Error-Message": said, **fault.headers})

    # What a request says.

    def _token(self) -> str | None:
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip() or None

    def _user(self) -> str:
        user = self.hub.users.get(self._token() or "")
        if user is None:
            raise HubError(401, "Invalid credentials in Authorization header")
        return user

    def _may_write(self, namespace: str) -> None:
        if namespace not in (self._user(), *self.hub.organizations):
            raise HubError(403, f"You don't have the rights to write to the namespace {namespace}")

    def _body(self) -> bytes:
        body, self.left = self.rfile.read(self.left), 0
        return body

    def _json(self) -> dict:
        return json.loads(self._body())

    def _repo(self, kind: str, repo_id: str, write: bool = False) -> StoredRepo:
        repo = self.hub.repos.get((KINDS[kind], repo_id))
        hidden = repo is not None and repo.private and self._token() not in self.hub.users
        if repo is None or hidden:
            status = 401 if self._token() is None else 404
            raise HubError(status, "Repository not found", "RepoNotFound")
        if write:
            self._may_write(repo_id.split("/")[0])
        return repo

    def _commit_of(self, repo: StoredRepo, revision: str) -> str:
        commit = repo.resolve(revision)
        if commit is None:
            raise HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # Answers.

    def _send_json(self, content: object, status: int = 200, headers: dict | None = None) -> None:
        body = json.dumps(content).encode()
        self._drain()
        self._send_head(status, {"Content-Type": "application/json", "Content-Length": len(body), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _send_head(self, status: int, headers: dict) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, str(value))
        self.end_headers()

    def _drain(self) -> None:
        """Read what is left of a body, or the next request on this connection would begin inside it."""
        while self.left > 0 and (piece := self.rfile.read(min(_PIECE, self.left))):
            self.left -= len(piece)

    def whoami(self) -> None:
        user = self._user()
        organizations = [{"type": "org", "name": name, "roleInOrg": "write"} for name in self.hub.organizations]
        role = {"accessToken": {"displayName": "test", "role": "write"}, "type": "access_token"}
        self._send_json({"type": "user", "name": user, "fullname": user, "orgs": organizations, "auth": role})

    def create_repo(self) -> None:
        wanted = self._json()
        namespace = wanted.get("organization") or self._user()
        self._may_write(namespace)
        kind, repo_id = wanted.get("type") or "model", f"{namespace}/{wanted['name']}"
        prefix = "" if kind == "model" else f"{kind}s/"
        url = f"{self.hub.endpoint}/{prefix}{repo_id}"
        with self.hub.lock:
            if (kind, repo_id) in self.hub.repos:
                raise HubError(409, f"You already created this {kind} repo", body={"url": url, "error": "exists"})
            private = bool(wanted.get("private")) or wanted.get("visibility") == "private"
            repo = StoredRepo(kind, repo_id, private, self.hub.store, wanted.get("sdk"))
            self.hub.repos[kind, repo_id] = repo
        self._send_json({"url": url, "name": repo_id})

    def delete_repo(self) -> None:
        wanted = self._json()
        namespace = wanted.get("organization") or self._user()
        self._may_write(namespace)
        kind, repo_id = wanted.get("type") or "model", f"{namespace}/{wanted['name']}"
        with self.hub.lock:
            if self.hub.repos.pop((kind, repo_id), None) is None:
                raise HubError(404, "Repository not found", "RepoNotFound")
        self._send_json({})

    def validate_yaml(self) -> None:
        content = self._json()["content"]
        block = re.match(r"---\n(.*?)\n---\n", content, re.DOTALL)
        try:
            yaml.safe_load(block[1] if block else "")
        except yaml.YAMLError as error:
            message = {"message": str(error)}
            raise HubError(400, "invalid YAML", body={"errors": [message], "warnings": []}) from error
        warnings = [] if block else [{"message": "empty or missing yaml metadata in repo card"}]
        self._send_json({"errors": [], "warnings": warnings})

    def info(self, kind: str, repo_id: str, revision: str = "main") -> None:
        repo = self._repo(kind, repo_id)
        self._send_json(repo.info(self._commit_of(repo, revision)))

    def refs(self, kind: str, repo_id: str) -> None:
        refs = self._repo(kind, repo_id).refs()
        if "include_prs" not in self.query:
            del refs["pullRequests"]
        self._send_json(refs)

    def tree(self, kind: str, repo_id: str, revision: str, folder: str = "") -> None:
        repo = self._repo(kind, repo_id)
        commit = self._commit_of(repo, revision)
        entries = list(repo.tree(commit, folder.strip("/"), self.query.get("recursive", "").lower() in ("true", "1")))
        if folder.strip("/") and not entries:
            raise HubError(404, f"{folder} does not exist on {revision}", "EntryNotFound")
        start, page = int(self.query.get("cursor", 0)), 1_000
        headers = {}
        if start + page < len(entries):
            path = urlsplit(self.path).path
            recursive = self.query.get("recursive", "false")
            following = f"{self.hub.endpoint}{path}?recursive={recursive}&cursor={start + page}"
            headers["Link"] = f'<{following}>; rel="next"'
        self._send_json(entries[start : start + page], headers=headers)

    def paths_info(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self._repo(kind, repo_id)
        files = repo.commits[self._commit_of(repo, revision)]
        body = self._body().decode()
        is_json = body.startswith("{")
        paths = json.loads(body)["paths"] if is_json else parse_qs(body).get("paths", [])
        entries = [files[path].tree_entry(path) for path in paths if path in files]
        folders = [path for path in paths if path and any(name.startswith(f"{path}/") for name in files)]
        self._send_json([*entries, *map(folder_entry, folders)])

    def preupload(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self._repo(kind, repo_id, write=True)
        present = repo.commits[self._commit_of(repo, revision)]
        self._send_json({"files": [self._upload_mode(file, present) for file in self._json()["files"]]})

    def _upload_mode(self, file: dict, present: dict) -> dict:
        path, here = file["path"], present.get(file["path"])
        large = path.endswith(LFS_SUFFIXES) or file["size"] > MAX_REGULAR_BYTES
        mode = {"path": path, "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
        return {**mode, **({"oid": here.etag} if here else {})}

    def lfs_batch(self, prefix: str, repo_id: str) -> None:
        self._repo(prefix.strip("/") or "models", repo_id, write=True)
        self._send_json({"transfer": "basic", "objects": [self._lfs_action(one) for one in self._json()["objects"]]})

    def _lfs_action(self, wanted: dict) -> dict:
        action = {"oid": wanted["oid"], "size": wanted["size"]}
        if self.hub.store.holds(wanted["oid"]):
            return action
        return {**action, "actions": {"upload": {"href": f"{self.hub.endpoint}/lfs/{wanted['oid']}", "header": {}}}}

    def receive_lfs(self, oid: str) -> None:
        size, self.left = self.left, 0
        if self.headers.get("Transfer-Encoding") == "chunked":
            raise HubError(411, "LFS storage wants a Content-Length")
        if not self.hub.store.receive(self.rfile, size, oid):
            raise HubError(400, "The content does not hash to its name")
        self._send_json({})

    def commit(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self._repo(kind, repo_id, write=True)
        lines = [json.loads(line) for line in self._body().splitlines()]
        header = next(line["value"] for line in lines if line["key"] == "header")
        with self.hub.lock:
            parent = self._commit_of(repo, revision)
            if header.get("parentCommit", parent) != parent:
                raise HubError(412, "A commit has happened since. Please refresh and try again.")
            files = dict(repo.commits[parent])
            for line in lines:
                self._apply(line["key"], line["value"], files)
            commit = repo.add_commit(files, header["summary"])
            pull_request = {}
            if self.query.get("create_pr") == "1":
                number = len(repo.pull_requests) + 1
                repo.pull_requests[number] = commit
                prefix = "" if kind == "models" else f"{kind}/"
                url = f"{self.hub.endpoint}/{prefix}{repo_id}/discussions/{number}"
                pull_request = {"pullRequestUrl": url}
            else:
                repo.branches[revision] = commit
        url = f"{self.hub.endpoint}/{repo_id}/commit/{commit}"
        self._send_json({"success": True, "commitUrl": url, "commitOid": commit, "hookOutput": "", **pull_request})

    def _apply(self, key: str, value: dict, files: dict) -> None:
        if key == "file":
            files[value["path"]] = self.hub.store.put(base64.b64decode(value["content"]))
        elif key == "lfsFile":
            if not self.hub.store.holds(value["oid"]):
                raise HubError(400, f"LFS pointer of {value['path']} points to a file that was not uploaded")
            files[value["path"]] = self.hub.store.lfs_file(value["oid"])
        elif key == "deletedFile" and files.pop(value["path"], None) is None:
            raise HubError(404, "A file with this name doesn't exist", "EntryNotFound")

    def tag(self, kind: str, repo_id: str, revision: str) -> None:
        repo = self._repo(kind, repo_id, write=True)
        name = self._json()["tag"]
        with self.hub.lock:
            if name in repo.tags:
                raise HubError(409, f"Tag {name} already exists")
            repo.tags[name] = self._commit_of(repo, revision)
        self._send_json({})

    def resolve(self, prefix: str, repo_id: str, revision: str, path: str) -> None:
        repo = self._repo(prefix.strip("/") or "models", repo_id)
        commit = self._commit_of(repo, revision)
        file = repo.commits[commit].get(path)
        if file is None:
            raise HubError(404, f"{path} does not exist", "EntryNotFound")
        first, last = self._range(file.size)
        headers = {
            "ETag": f'"{file.etag}"',
            "X-Repo-Commit": commit,
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
            "Content-Length": last + 1 - first,
        }
        if file.is_lfs:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": file.size}
        partial = last + 1 - first < file.size
        if partial:
            headers["Content-Range"] = f"bytes {first}-{last}/{file.size}"
        self._send_head(206 if partial else 200, headers)
        if self.command != "HEAD":
            self._send_file(self.hub.store.path(file.sha256), first, last + 1 - first)

    def _range(self, size: int) -> tuple[int, int]:
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range") or "")
        if not match or match.groups() == ("", ""):
            return 0, size - 1
        first, last = match.groups()
        if not first:
            return max(0, size - int(last)), size - 1
        if int(first) >= size:
            raise HubError(416, "Range not satisfiable")
        return int(first), min(int(last or size), size - 1)

    def _send_file(self, path: Path, first: int, length: int) -> None:
        with path.open("rb") as file:
            file.seek(first)
            while length and (piece := file.read(min(_PIECE, length))):
                self.wfile.write(piece)
                length -= len(piece)

    def list_collections(self) -> None:
        owner = self.query.get("owner")
        found = [one for one in self.hub.collections.values() if owner in (None, one["owner"]["name"])]
        # As on the Hub: only the first items of each, and no `position`, which the client counts by itself.
        listed = [{key: value for key, value in one.items() if key != "position"} for one in found]
        self._send_json([{**one, "items": one["items"][:4]} for one in listed])

    def get_collection(self, slug: str) -> None:
        self._send_json(self._collection(slug))

    def _collection(self, slug: str) -> dict:
        if slug not in self.hub.collections:
            raise HubError(404, "Collection not found")
        return self.hub.collections[slug]

    def create_collection(self) -> None:
        wanted = self._json()
        self._may_write(wanted["namespace"])
        name = re.sub(r"[^a-z0-9]+", "-", wanted["title"].lower())
        slug = f"{wanted['namespace']}/{name}-{len(self.hub.collections):024x}"
        collection = {
            "slug": slug,
            "title": wanted["title"],
            "description": wanted.get("description"),
            "owner": {"name": wanted["namespace"], "type": "user"},
            "items": [],
            "lastUpdated": "2026-01-01T00:00:00.000Z",
            "position": 0,
            "private": bool(wanted.get("private")),
            "theme": "indigo",
            "upvotes": 0,
        }
        self.hub.collections[slug] = collection
        self._send_json(collection)

    def add_to_collection(self, slug: str) -> None:
        collection = self._collection(slug)
        self._may_write(collection["owner"]["name"])
        item = self._json()["item"]
        if any((one["id"], one["type"]) == (item["id"], item["type"]) for one in collection["items"]):
            raise HubError(409, "The item is already in the collection")
        if (item["type"], item["id"]) not in self.hub.repos:
            raise HubError(404, "The item does not exist")
        number = len(collection["items"])
        collection["items"].append({**item, "_id": f"{number:024x}", "position": number, "repoType": item["type"]})
        self._send_json(collection)


_API = r"/api/(models|datasets|spaces)/([^/]+/[^/]+)"
_GIT = r"/((?:datasets|spaces)/)?([^/]+/[^/]+)"
ROUTES: list[tuple[str, str, Callable]] = [
    ("GET", r"/api/whoami-v2", HubHandler.whoami),
    ("POST", r"/api/repos/create", HubHandler.create_repo),
    ("DELETE", r"/api/repos/delete", HubHandler.delete_repo),
    ("POST", r"/api/validate-yaml", HubHandler.validate_yaml),
    ("GET", _API, HubHandler.info),
    ("GET", rf"{_API}/revision/([^/]+)", HubHandler.info),
    ("GET", rf"{_API}/refs", HubHandler.refs),
    ("GET", rf"{_API}/tree/([^/]+)(?:/(.*))?", HubHandler.tree),
    ("POST", rf"{_API}/paths-info/([^/]+)", HubHandler.paths_info),
    ("POST", rf"{_API}/preupload/([^/]+)", HubHandler.preupload),
    ("POST", rf"{_API}/commit/([^/]+)", HubHandler.commit),
    ("POST", rf"{_API}/tag/([^/]+)", HubHandler.tag),
    ("POST", rf"{_GIT}\.git/info/lfs/objects/batch", HubHandler.lfs_batch),
    ("PUT", r"/lfs/([0-9a-f]{64})", HubHandler.receive_lfs),
    ("GET", r"/api/collections", HubHandler.list_collections),
    ("POST", r"/api/collections", HubHandler.create_collection),
    ("GET", r"/api/collections/([^/]+/[^/]+)", HubHandler.get_collection),
    ("POST", r"/api/collections/([^/]+/[^/]+)/items", HubHandler.add_to_collection),
    ("GET", rf"{_GIT}/resolve/([^/]+)/(.+)", HubHandler.resolve),
]


@contextmanager
def serve(
    folder: Path, users: dict[str, str] | None = None, organizations: list[str] | None = None, port: int = 0
) -> Iterator[LoopbackHub]:
    """Run a Hub on loopback as long as the block lasts.

    Args:
        folder (`Path`): Where it keeps files.
        users (`dict[str, str]`, *optional*): The user of each token; `USER` with `TOKEN` by default.
        organizations (`list[str]`, *optional*): Further namespaces that all of them may write to; `TEAM` by default.
        port (`int`, *optional*): A free one by default.
    """
    hub = LoopbackHub(ContentStore(folder / "contents"), users or {TOKEN: USER}, organizations or [TEAM])
    handler = type("Handler", (HubHandler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    server.daemon_threads = True
    hub.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()


def stranger_environment(endpoint: str, folder: Path, name: str = "stranger", **others: str) -> dict[str, str]:
    """The environment of a process that knows a Hub and has an empty cache, which lies in `folder`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return {
        **kept,
        "HF_ENDPOINT": endpoint,
        "HF_HOME": str(folder / name),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_UPDATE_DOWNLOAD_COUNTS": "0",
        **others,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--user", default="me", help="user that the token belongs to")
    parser.add_argument("--token", default="loopback", help="token that the Hub accepts")
    parser.add_argument("--port", type=int, default=0, help="port on loopback; a free one by default")
    choice = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        serve(Path(folder), {choice.token: choice.user}, [], choice.port) as hub,
    ):
        print(f"export HF_ENDPOINT={hub.endpoint} HF_TOKEN={choice.token} HF_HUB_DISABLE_XET=1", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
