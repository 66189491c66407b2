from collections.abc import Iterator

import matplotlib
import pytest

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def pyplot_keeps_no_figure() -> Iterator[None]:
    """Check that no function leaves a figure open, and close those that a test opened."""
    import matplotlib.pyplot as plt

    before = plt.get_fignums()
    yield
    left_open = plt.get_fignums()
    plt.close("all")
    assert left_open == before
