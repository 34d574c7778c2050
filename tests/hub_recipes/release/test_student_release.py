"""A student is released like any adapter: adopted with its results, checked, pushed to a Hub, and opened again."""

import json
import pickle
import re
from datetime import datetime, timezone
from pathlib import Path

import pytest
from huggingface_hub import ModelCard
from loopback_hub import USER
from small_release import results_document, write_json
from small_student import rule_lesson

from logs2lang.dataset_builders.dataset_folder.built_dataset import BuiltDataset
from logs2lang.dataset_builders.input_error import InputError
from logs2lang.release.adapter import ReleasedAdapter
from logs2lang.release.adoption import adopt_adapter
from logs2lang.release.cards import stale_cards, write_cards
from logs2lang.release.checks import check_release
from logs2lang.release.plan import Links, plan_release
from logs2lang.release.publishing import Publisher
from logs2lang.training.distillation.action_student import distil, write_student
from logs2lang.verbalizers.action import ActionVerbalizer

NAME = "small-simulation-verbalizer-action-student"


@pytest.fixture
def student(save_adapter, tiny_language_model, simulation_folder, tmp_path) -> Path:
    """A folder as `logs2lang distill` writes it, of a teacher that follows a rule."""
    dataset = BuiltDataset.open(simulation_folder)
    lists = dataset.successors()
    teacher = ActionVerbalizer(dataset.items(), tiny_language_model, history_length=4, decisions=4, successors=lists)
    found = distil(teacher, dataset, *(rule_lesson(dataset, split, teacher) for split in ("train", "validation")))
    adapter, now = save_adapter(tmp_path / "teacher"), datetime.now(timezone.utc)
    return write_student(found, tmp_path / "run" / "student", dataset, str(adapter), NAME, {"seed": 0}, now)


@pytest.fixture
def released(student, simulation_folder, tmp_path) -> Path:
    """A folder like model_cards, with the student in it."""
    document = results_document(simulation_folder)
    rows = {row["row"]: row for row in document["rows"]}
    own = {
        "agreement": 0.875,
        "teacher_gain": -0.05,
        "teacher_gain_interval": [-0.2, 0.1],
        "histories_per_second": 4_321.0,
    }
    document["rows"] += [{**rows["rewrite"], "row": "action"}, {**rows["rewrite"], "row": "student", **own}]
    (tmp_path / "results").mkdir()
    write_json(tmp_path / "results" / "results.json", document)
    adopt_adapter(student, tmp_path / "results", None, simulation_folder, tmp_path / "released")
    return tmp_path / "released"


def test_a_student_is_adopted_with_its_row_and_its_card(released, student):
    folder = released / NAME
    names = {"README.md", "run.json", "student.safetensors", "verbalizer_config.json"}
    assert {path.name for path in folder.iterdir()} == names
    assert json.loads((folder / "run.json").read_text())["results"]["row"] == "student"
    assert (folder / "student.safetensors").read_bytes() == (student / "student.safetensors").read_bytes()
    assert stale_cards(released) == []


def test_the_card_shows_what_the_policy_learned_and_what_it_keeps_of_its_teacher(released):
    text = (released / NAME / "README.md").read_text()
    headings = re.findall(r"^## (.+)$", text, re.MULTILINE)
    assert headings == [
        "How to use", "What the policy learned", "What it keeps of its teacher", "Training", "Results", "Limits",
        "Privacy", "Licence", "Citation",
    ]  # fmt: skip
    told = json.loads((released / NAME / "run.json").read_text())["student"]
    table = re.findall(
        r"^\| (.+?) \| ([+-]\d.\d\d) \| ([+-]\d.\d\d) \| ([+-]\d.\d\d) \| ([+-]\d.\d\d) \|$", text, re.MULTILINE
    )
    shown = {name: [float(weight) for weight in weights] for name, *weights in table}
    assert shown == {
        name: [round(weights[decision], 2) for decision in ("drop", "keep", "detail", "next")]
        for name, weights in told["weights"].items()
    }
    assert (
        next(iter(shown)) == "place from the newest (log2)"
    )  # the rule knows nothing else: the strongest comes first
    assert f"on {told['agreement']:.1%} of the records" in text
    assert "| **student** (this student) | 0.300 [0.200, 0.400] | 30 | 0.250 [0.150, 0.350] | 40 | 0 |" in text
    assert "| action | 0.300" in text
    assert "the row `action`, on 87.5% of the records. Its Recall@1 differs from the teacher's by -5.0%" in text
    assert "interval is\n[-20.0%, +10.0%]" in text
    assert "One process wrote 4,321 histories per second." in text
    for stub in ("TODO", "None", "\n\n\n"):
        assert stub not in text
    compile(re.search(r"```python\n(.*?)```", text, re.DOTALL)[1], "card", "exec")
    data = ModelCard(text).data
    assert (data.model_name, data.library_name, data.base_model) == (NAME, "logs2lang", None)
    assert [result.metric_value for result in data.eval_results] == [9 / 30, 10 / 40]


def test_trees_have_a_card_too_and_it_says_what_they_ask_about(released):
    path = released / NAME / "run.json"
    run = json.loads(path.read_text())
    uses = {"popularity (log2)": 12, "event is a | <b>`x`": 3}
    run["student"] |= {"kind": "gradient boosting", "uses": uses}
    write_json(path, run)
    text = ReleasedAdapter.open(path.parent).card()
    assert "How often the trees ask about a feature: popularity (log2) 12, event is a \\| &lt;b>'x' 3." in text
    assert "The weights below are those of a logistic regression of the\nsame decisions" in text


def test_no_user_and_no_title_stands_in_what_is_released(released, simulation_folder):
    dataset = BuiltDataset.open(simulation_folder)
    content = b"".join(path.read_bytes() for path in (released / NAME).iterdir()).decode("latin-1")
    titles = {item["title"] for item in dataset.items().values()}
    assert not [title for title in titles if title in content]
    assert not [user for user in dataset.training_interactions()["user"].unique() if user in content]


def test_it_goes_to_a_hub_and_opens_from_there(released, simulation_folder, student, hub, hub_api, tmp_path):
    plan = plan_release(
        Links(USER, hub.endpoint), "v1", data=simulation_folder.parent, adapters=released, with_spaces=False
    )
    check_release(plan.repos, plan.links)
    list(Publisher(hub_api, plan, False, False).publish())
    folder = hub_api.snapshot_download(f"{USER}/{NAME}", local_dir=tmp_path / "downloaded")
    dataset = BuiltDataset.open(simulation_folder)
    histories = dataset.examples("test")["history"][:5]
    texts = [
        ActionVerbalizer.from_pretrained(str(place), dataset.items(), successors=dataset.successors()).verbalize(
            histories
        )
        for place in (folder, student)
    ]
    assert texts[0] == texts[1]
    assert f'from_pretrained("{USER}/{NAME}"' in Path(folder, "README.md").read_text()


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "student.pkl").write_bytes(b"x"), "student.pkl is not part of a released adapter"),
        (
            lambda folder: (folder / "student.safetensors").write_bytes(pickle.dumps([])),
            "is not a student that can be read",
        ),
    ],
    ids=["a pickle beside it", "a pickle in its place"],
)
def test_what_is_no_student_is_not_published(released, simulation_folder, spoil, said):
    spoil(released / NAME)
    plan = plan_release(
        Links(USER, "http://hub"), "v1", data=simulation_folder.parent, adapters=released, with_spaces=False
    )
    with pytest.raises(InputError, match=said):
        check_release(plan.repos, plan.links)


def test_the_record_of_an_adapter_makes_no_student(released, simulation_folder):
    path = released / NAME / "run.json"
    write_json(path, {name: value for name, value in json.loads(path.read_text()).items() if name != "student"})
    with pytest.raises(InputError, match="is not the record of a student"):
        write_cards(path.parent, simulation_folder)
