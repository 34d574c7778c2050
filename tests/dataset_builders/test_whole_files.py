"""What somebody put into a folder of ours stays there when the folder is written anew."""

from logs2lang.dataset_builders.whole_files import whole_folder


def test_a_replaced_folder_keeps_what_somebody_put_there(tmp_path):
    folder = tmp_path / "adapter"
    (folder / "mine").mkdir(parents=True)
    for name in ("run.json", "curves.svg", "notes.txt", "mine/table.csv"):
        (folder / name).write_text("earlier")
    with whole_folder(folder, ours=["curves.svg"]) as partial:
        (partial / "run.json").write_text("new")
    read = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert read == {"run.json": "new", "notes.txt": "earlier", "mine/table.csv": "earlier"}
    assert list(tmp_path.iterdir()) == [folder]
