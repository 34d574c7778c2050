"""A teacher as small as can be: random decisions of a random model about a log of thirty users."""

from pathlib import Path

import pytest

from logs2lang.verbalizers.action import ActionVerbalizer


@pytest.fixture
def teacher_folder(save_adapter, tmp_path) -> Path:
    """An action adapter that decides between four, about the newest three records."""
    folder = save_adapter(tmp_path / "teacher", seed=2)
    ActionVerbalizer({}, history_length=3, decisions=4, successors=object()).save_config(folder)
    return folder
