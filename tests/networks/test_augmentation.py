import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.networks.augmentation import VIEWS, random_views, view, view_back


@given(number=st.integers(0, VIEWS - 1), planes=st.integers(1, 3), rows=st.integers(1, 5), columns=st.integers(1, 5))
def test_a_view_is_undone(number: int, planes: int, rows: int, columns: int) -> None:
    image = torch.arange(float(planes * rows * columns)).reshape(planes, rows, columns)
    assert torch.equal(view_back(view(image, number), number), image)


def test_the_eight_views_differ() -> None:
    image = torch.arange(9.0).reshape(3, 3)
    assert len({tuple(view(image, number).flatten().tolist()) for number in range(VIEWS)}) == VIEWS


@pytest.mark.parametrize("shape", [(400, 1, 4, 4), (400, 1, 2, 4, 4)])
def test_all_views_are_equally_probable(shape: tuple[int, ...]) -> None:
    one = torch.arange(float(torch.Size(shape[1:]).numel())).reshape(shape[1:])
    batch = one.expand(shape)
    (shown,) = random_views((batch,), rng=torch.Generator().manual_seed(0), turn=True, flip_planes=len(shape) == 5)
    counts: dict[tuple[float, ...], int] = {}
    for example in shown:
        key = tuple(example.flatten().tolist())
        counts[key] = counts.get(key, 0) + 1
    kinds = VIEWS * (2 if len(shape) == 5 else 1)
    assert len(counts) == kinds
    expected = 400 / kinds
    assert sum((count - expected) ** 2 / expected for count in counts.values()) < 3 * kinds  # chi-squared


def test_planes_are_never_turned_into_columns() -> None:
    stack = torch.zeros(64, 1, 4, 4, 4)
    stack[:, :, 1] = torch.arange(16.0).reshape(4, 4) + 1
    (shown,) = random_views((stack,), rng=torch.Generator().manual_seed(0), turn=True, flip_planes=True)
    filled = (shown != 0).flatten(3).any(-1).squeeze(1)
    assert filled.sum(1).eq(1).all()
    assert set(filled.float().argmax(1).tolist()) == {1, 2}


def test_without_quarter_turns_oblong_patches_and_rows_stay() -> None:
    patches = torch.arange(8.0).reshape(1, 1, 2, 4).expand(100, 1, 2, 4)
    (shown,) = random_views((patches,), rng=torch.Generator().manual_seed(0), turn=False, flip_planes=False)
    assert shown.shape == patches.shape
    assert len({tuple(one.flatten().tolist()) for one in shown}) == 4
    assert {tuple(sorted(row.tolist())) for row in shown.reshape(-1, 4)} == {(0, 1, 2, 3), (4, 5, 6, 7)}


def test_what_belongs_together_is_shown_from_the_same_side() -> None:
    image = torch.rand((20, 2, 6, 6), generator=torch.Generator().manual_seed(0))
    shown, target = random_views(
        (image, 10 * image), rng=torch.Generator().manual_seed(1), turn=True, flip_planes=False
    )
    assert torch.equal(10 * shown, target)
    assert not torch.equal(shown, image)
