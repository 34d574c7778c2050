"""What is wrong with a Ray is said before one is started, in one sentence."""

import socket

import pytest

from logs2lang.bulk import ray_session


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def refused(run_main, simulation_folder, tiny_model_folder, tmp_path):
    """Runs a command that must be refused, and returns its one sentence."""

    def run(*words: object) -> str:
        own = ("--model", tiny_model_folder, "-o", tmp_path / "texts")
        code, _, err = run_main("verbalize", simulation_folder, *words, *own)
        errors = [line for line in err.splitlines() if line.startswith("Error: ")]
        assert (code, len(errors)) == (2, 1), err
        assert "Traceback" not in err
        assert not list(tmp_path.rglob("*.parquet"))
        return errors[0].removeprefix("Error: ")

    return run


@pytest.mark.parametrize("address", ["localhost", "ray://head:10001", "head:port", ""])
def test_an_address_of_another_form_is_refused(refused, address):
    said = refused("--engine", "ray", "--address", address)
    assert said == f"--address is {address!r}; write it as auto or as HOST:PORT, such as 10.0.0.1:6379."


def test_an_address_that_does_not_answer_is_named(refused):
    address = f"127.0.0.1:{free_port()}"
    assert refused("--engine", "ray", "--address", address).startswith(f"No Ray answers at {address} (")


def test_a_port_that_is_not_ray_is_told_from_one_that_is(refused, monkeypatch):
    monkeypatch.setattr(ray_session, "_ANSWER_S", 3.0)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        said = refused("--engine", "ray", "--address", address)
    assert said.startswith(f"Something listens at {address} and does not answer as Ray does within 3 seconds.")


def test_a_missing_ray_is_said_with_what_installs_it(refused, monkeypatch):
    monkeypatch.setattr(ray_session, "find_spec", lambda name: None)
    said = refused("--engine", "ray")
    assert said == "--engine ray needs Ray Data. Install it with `pip install 'logs2lang[ray]'`."


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--address", "auto"], "--address auto is for Ray; add --engine ray."),
        (["--actors", "2"], "--actors 2 is for Ray; add --engine ray."),
        (["--engine", "ray", "--verbalizer", "action:random"], "action:random draws its decisions one after"),
        (["--engine", "ray", "--verbalizer", "action"], "'action' needs a trained adapter"),
        (["--engine", "ray", "--verbalizer", "rewrite", "--verbalizer-adapter", "rewrite=nowhere/x"], "nowhere/x is"),
    ],
)
def test_what_cannot_be_written_is_said_before_ray_starts(refused, words, said):
    assert refused(*words).startswith(said)


@pytest.mark.parametrize("folder", ["texts.parquet"])
def test_a_file_is_no_place_for_shards(run_main, simulation_folder, tmp_path, folder):
    (tmp_path / folder).write_text("years of work")
    code, _, err = run_main("verbalize", simulation_folder, "--engine", "ray", "-o", tmp_path / folder)
    assert (code, (tmp_path / folder).read_text()) == (2, "years of work")
    assert "is a file; give the path of a folder" in err
