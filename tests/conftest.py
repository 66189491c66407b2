"""What every test may use: the root of the repository, an effort that suits two cores, and no deadlines."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")  # a busy machine must not fail a test


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository."""
    return Path(__file__).resolve().parents[1]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COURSE_EFFORT", "quick")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute on one thread: for small networks, threads that wait for each other take longer than the work."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
