"""The only module that writes to the Hub: datasets, then adapters, then the metric, then the demo, then a Collection.

Each repository is one commit and one tag. A repository that `publish` did not make is never written to: names such as
`playground` are anybody's, and what is not planned would be deleted from it. What the Hub already holds is found out
first, so that a second run uploads nothing, and an interrupted run resumes where it stopped.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from logs2lang.dataset_builders.dataset_folder.export import REPORT_FILE
from logs2lang.dataset_builders.input_error import InputError

from .hub_errors import explained
from .plan import (
    MARKER,
    UNKNOWN_REVISION,
    AdapterRepo,
    Links,
    PlannedRepo,
    ReleaseFile,
    ReleasePlan,
)

COLLECTION = "logs2lang"
_COLLECTION_TEXT = "Learned verbalization for LLM recommenders: datasets, adapters, metric and demo."
_HUB_OWN_FILES = (".gitattributes",)
"""Written by the Hub into every new repository."""

Tell = Callable[[str], None]


@dataclass(frozen=True)
class Published:
    """What became of one repository.

    Args:
        repo_id (`str`): Namespace and name.
        page (`str`): Its address, or that of the pull request.
        revision (`str`): The commit that holds the release.
        outcome (`str`): `"uploaded"`, `"tagged"` (only the tag was missing), or `"unchanged"`.
    """

    repo_id: str
    page: str
    revision: str
    outcome: Literal["uploaded", "tagged", "unchanged"]


@dataclass(frozen=True)
class _Standing:
    """How a repository on the Hub stands to what is to be published.

    `revision` is the commit that already holds it, if one does; `parent` is where a new commit would go.
    """

    exists: bool
    tagged: bool = False
    revision: str | None = None
    parent: str | None = None
    additions: tuple[ReleaseFile, ...] = ()
    deletions: tuple[str, ...] = ()


@dataclass(frozen=True)
class Publisher:
    """Pushes a plan.

    Args:
        api (`HfApi`): The client, with its token.
        plan ([`ReleasePlan`]): What to push.
        private (`bool`, *optional*, defaults to `False`): Whether new repositories are private.
        create_pr (`bool`, *optional*, defaults to `False`): Offer pull requests instead of committing to main; nothing
            is tagged then, and no Collection is made.
        tell (`Callable[[str], None]`, *optional*): Called with the current activity.
    """

    api: HfApi
    plan: ReleasePlan
    private: bool = False
    create_pr: bool = False
    tell: Tell = lambda step: None

    def publish(self) -> Iterator[Published]:
        """Push every repository of the plan, each one yielded as it is done.

        Raises:
            InputError: The Hub refuses something, a tag exists with other content, or the network fails. Whatever was
                finished stays, and a later run continues from there.
        """
        with self._explained("your account"):
            self._check_namespace()
        links = self._with_needed_datasets(self.plan.links)
        self._check_all(links)
        for place, repo in enumerate(self.plan.repos, start=1):
            self.tell(f"Publishing {place} of {len(self.plan.repos)}: {self.plan.repo_id(repo)}")
            with self._explained(self.plan.repo_id(repo)):
                done = self._publish(repo, links)
            links = links.with_revision(repo.name, done.revision) if repo.repo_type == "dataset" else links
            yield done
        if not self.create_pr:
            self.tell("Grouping them in a Collection")
            with self._explained(f"the Collection {COLLECTION!r}"):
                self._collect()

    def deletions(self) -> dict[str, tuple[str, ...]]:
        """The files that publishing would delete, by repository: an earlier release had them, and this one does not.

        Raises:
            InputError: As [`Publisher.publish`]; nothing is written.
        """
        with self._explained("your account"):
            self._check_namespace()
        standings = self._check_all(self._with_needed_datasets(self.plan.links))
        return {repo_id: standing.deletions for repo_id, standing in standings.items() if standing.deletions}

    def _explained(self, what: str):
        return explained(what, self.api.endpoint, self.api.token if isinstance(self.api.token, str) else None)

    def _check_namespace(self) -> None:
        account = self.api.whoami()
        allowed = [account["name"], *(organization["name"] for organization in account.get("orgs", []))]
        if self.plan.links.namespace not in allowed:
            raise InputError(
                f"The token belongs to {account['name']}, who can publish under {' or '.join(allowed)}, not under "
                f"{self.plan.links.namespace!r}. Choose one of these with --namespace, or use another token."
            )

    def _with_needed_datasets(self, links: Links) -> Links:
        """Find on the Hub the datasets that cards link to and that the plan does not push."""
        for name, adapter in self.plan.needed_datasets().items():
            with self._explained(f"{links.namespace}/{name}"):
                links = links.with_revision(name, self._needed_revision(name, adapter))
        return links

    def _needed_revision(self, name: str, adapter: str) -> str:
        repo_id = f"{self.plan.links.namespace}/{name}"
        remedy = f"Publish it first: put the dataset that {adapter} was trained on into the folder of --data."
        try:
            tags = {ref.name: ref.target_commit for ref in self.api.list_repo_refs(repo_id, repo_type="dataset").tags}
            head = self.api.repo_info(repo_id, repo_type="dataset").sha
        except RepositoryNotFoundError:
            raise InputError(f"The card of {adapter} links to {repo_id}, which is not on the Hub. {remedy}") from None
        revision = tags.get(self.plan.tag) or str(head)
        entries = self.api.get_paths_info(repo_id, [REPORT_FILE], revision=revision, repo_type="dataset")
        planned = next(repo for repo in self.plan.repos if repo.name == adapter)
        report = planned.adapter.report_path if isinstance(planned, AdapterRepo) else None
        if report is not None and not (entries and _is_same(ReleaseFile(REPORT_FILE, report), entries[0])):
            raise InputError(
                f"{repo_id} on the Hub is a different build from the one that {adapter} was trained on. {remedy}"
            )
        return revision

    def _check_all(self, links: Links) -> dict[str, _Standing]:
        """Find every reason to refuse before anything is written.

        Returns:
            `dict[str, _Standing]`: How each repository stands, by its id.
        """
        standings = {}
        for place, repo in enumerate(self.plan.repos, start=1):
            self.tell(f"Looking at {place} of {len(self.plan.repos)}: {self.plan.repo_id(repo)}")
            with self._explained(self.plan.repo_id(repo)):
                standing = self._standing(repo, links)
            standings[self.plan.repo_id(repo)] = standing
            if repo.repo_type == "dataset":
                links = links.with_revision(repo.name, standing.revision or UNKNOWN_REVISION)
        return standings

    def _standing(self, repo: PlannedRepo, links: Links) -> _Standing:
        """Compare a repository with the Hub.

        Raises:
            InputError: The repository was not made by `publish`, the tag exists with other content, or the
                repository is public and should be private.
        """
        repo_id, files = self.plan.repo_id(repo), repo.files(links)
        try:
            info = self.api.repo_info(repo_id, repo_type=repo.repo_type)
        except RepositoryNotFoundError as error:
            if error.response.status_code == 401 and self.api.token is None:
                raise
            return _Standing(exists=False, additions=tuple(files))
        self._refuse_foreign(repo, str(info.sha))
        if self.private and not info.private:
            raise InputError(f"{repo_id} is public already. Make it private on the Hub, or leave out --private.")
        refs = self.api.list_repo_refs(repo_id, repo_type=repo.repo_type, include_pull_requests=self.create_pr)
        tagged = next((ref.target_commit for ref in refs.tags if ref.name == self.plan.tag), None)
        if tagged is not None and not any(self._difference(repo, files, tagged)):
            return _Standing(exists=True, tagged=True, revision=tagged)
        if tagged is not None and not self.create_pr:
            raise InputError(
                f"The tag {self.plan.tag} already exists on {repo_id} with different content. A tag is never moved; "
                "choose another one with --tag."
            )
        head = str(info.sha)
        additions, deletions = self._difference(repo, files, head)
        if not additions and not deletions:
            return _Standing(exists=True, revision=head)
        for offer in refs.pull_requests or []:
            if not any(self._difference(repo, files, offer.target_commit)):
                return _Standing(exists=True, revision=offer.target_commit)
        return _Standing(True, parent=head, additions=tuple(additions), deletions=tuple(deletions))

    def _refuse_foreign(self, repo: PlannedRepo, head: str) -> None:
        """Refuse a repository that holds something and that `publish` did not make."""
        repo_id = self.plan.repo_id(repo)
        tree = self.api.list_repo_tree(repo_id, recursive=True, revision=head, repo_type=repo.repo_type)
        paths = {entry.path for entry in tree if isinstance(entry, RepoFile)} - set(_HUB_OWN_FILES)
        if paths and MARKER.path not in paths:
            raise InputError(
                f"{repo_id} exists on the Hub and was not published by logs2lang (it has no {MARKER.path}), so "
                f"publishing would overwrite or delete its {len(paths)} files, such as {min(paths)}. Rename your "
                "folder, publish under another --namespace, or exclude it with --only. If it is your own earlier "
                "release, add a file of that name to it."
            )

    def _difference(
        self, repo: PlannedRepo, files: list[ReleaseFile], revision: str
    ) -> tuple[list[ReleaseFile], list[str]]:
        """The files that a commit lacks or holds differently, and those that it has too many."""
        tree = self.api.list_repo_tree(
            self.plan.repo_id(repo), recursive=True, revision=revision, repo_type=repo.repo_type
        )
        remote = {entry.path: entry for entry in tree if isinstance(entry, RepoFile)}
        additions = [file for file in files if file.path not in remote or not _is_same(file, remote[file.path])]
        wanted = {file.path for file in files}
        return additions, [path for path in remote if path not in wanted and path not in _HUB_OWN_FILES]

    def _publish(self, repo: PlannedRepo, links: Links) -> Published:
        repo_id, standing = self.plan.repo_id(repo), self._standing(repo, links)
        page = repo.page(links)
        if standing.revision is not None:
            needs_tag = not standing.tagged and not self.create_pr
            if needs_tag:
                self._tag(repo, standing.revision)
            return Published(repo_id, page, standing.revision, "tagged" if needs_tag else "unchanged")
        if not standing.exists:
            self.api.create_repo(
                repo_id, repo_type=repo.repo_type, private=self.private, space_sdk=repo.space_sdk, exist_ok=True
            )
        commit = self.api.create_commit(
            repo_id,
            [
                *(CommitOperationAdd(file.path, _upload_source(file)) for file in standing.additions),
                *(CommitOperationDelete(path) for path in standing.deletions),
            ],
            commit_message=f"Publish {self.plan.tag} with logs2lang",
            repo_type=repo.repo_type,
            parent_commit=standing.parent,
            create_pr=self.create_pr,
        )
        if not self.create_pr:
            self._tag(repo, commit.oid)
        return Published(repo_id, commit.pr_url or page, commit.oid, "uploaded")

    def _tag(self, repo: PlannedRepo, revision: str) -> None:
        self.api.create_tag(self.plan.repo_id(repo), tag=self.plan.tag, revision=revision, repo_type=repo.repo_type)

    def _collect(self) -> None:
        """Put every repository of the plan into the Collection, which is made if there is none."""
        namespace = self.plan.links.namespace
        found = [one for one in self.api.list_collections(owner=namespace) if one.title == COLLECTION]
        if found:
            collection = self.api.get_collection(found[0].slug)
        else:
            collection = self.api.create_collection(
                COLLECTION, namespace=namespace, description=_COLLECTION_TEXT, private=self.private, exists_ok=True
            )
        present = {(item.item_type, item.item_id) for item in collection.items}
        for repo in self.plan.repos:
            if (repo.repo_type, self.plan.repo_id(repo)) not in present:
                self.api.add_collection_item(collection.slug, self.plan.repo_id(repo), repo.repo_type, exists_ok=True)


def _upload_source(file: ReleaseFile) -> str | bytes:
    return file.source if isinstance(file.source, bytes) else str(file.source)


def _is_same(file: ReleaseFile, entry: object) -> bool:
    """Whether a file on the Hub has the content of a file here."""
    if not isinstance(entry, RepoFile) or file.size != entry.size:
        return False
    return file.sha256 == entry.lfs.sha256 if entry.lfs else file.blob_id == entry.blob_id
