"""One Ray with two CPUs for all tests of this folder: starting one takes longer than writing a few texts."""

from collections.abc import Iterator
from importlib.util import find_spec

import pytest

from logs2lang.bulk.ray_session import ray_session


@pytest.fixture(scope="session")
def ray(tmp_path_factory) -> Iterator[None]:
    if find_spec("ray") is None:  # importing it here would settle what `ray_session` is to settle
        pytest.skip("needs the extra `ray`")
    with ray_session(None, 2, tmp_path_factory.mktemp("ray") / "ray.log"):
        yield
