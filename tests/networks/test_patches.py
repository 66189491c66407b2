from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from course_lib.networks import Patches, Region, split_regions


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def voxels(region: Region) -> set[tuple[int, ...]]:
    return {tuple(np.add(place, region.start)) for place in np.ndindex(*region.sides)}


@given(
    count=st.integers(1, 8), sides=st.tuples(st.integers(8, 30), st.integers(8, 30)),
    patch=st.tuples(st.integers(1, 4), st.integers(1, 4)), share=st.floats(0.05, 0.5), seed=st.integers(0, 99),
)  # fmt: skip
def test_training_and_validation_have_no_voxel_in_common(
    count: int, sides: tuple[int, int], patch: tuple[int, int], share: float, seed: int
) -> None:
    images = list(torch.rand((count, 1, *sides), generator=seeded(seed)))
    training, validation = split_regions(images, patch_shape=patch, validation_share=share, rng=seeded(seed))
    for image in range(count):
        learned = [voxels(region) for region in training if region.image == image]
        kept = [voxels(region) for region in validation if region.image == image]
        together = learned + kept
        assert sum(map(len, together)) == len(set.union(*together)) == sides[0] * sides[1]
    assert all(side >= one for region in training + validation for side, one in zip(region.sides, patch, strict=True))


def test_of_many_images_whole_ones_are_kept_apart() -> None:
    training, validation = split_regions([torch.zeros(1, 9, 9)] * 20, patch_shape=(4, 4), rng=seeded())
    assert len(validation) == 2
    assert {one.image for one in training}.isdisjoint({one.image for one in validation})
    assert all(one.sides == (9, 9) for one in training + validation)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("planes", [(), (40,)])
def test_a_band_of_typical_brightness_is_kept_apart(axis: int, planes: tuple[int, ...]) -> None:
    profile = torch.cat([torch.zeros(40), torch.linspace(0, 20, 40), torch.linspace(20, 0, 40), torch.zeros(40)])
    image = profile.expand(1, *planes, 40, 160) if axis == 2 else profile[:, None].expand(1, *planes, 160, 40)
    patch = (8,) * len(planes) + (8, 8)
    for given_as in (image, image.numpy()):
        _, (kept,) = split_regions([given_as], patch_shape=patch, rng=seeded())
        low, high = kept.start[-3 + axis], kept.stop[-3 + axis]
        assert high - low == 16
        assert float(profile[low:high].mean()) == pytest.approx(float(profile.mean()), abs=0.3)


def test_rows_are_looked_at_in_parts_as_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    image = torch.rand((2, 50, 20), generator=seeded())
    whole = split_regions([image], patch_shape=(8, 8), rng=seeded())
    monkeypatch.setattr("course_lib.networks.regions.MOST_AT_ONCE", 7 * 40)
    assert split_regions([image], patch_shape=(8, 8), rng=seeded()) == whole


def test_planes_are_not_split() -> None:
    training, validation = split_regions([torch.zeros(1, 40, 16, 20)], patch_shape=(8, 8, 8), rng=seeded())
    assert training[0].sides[0] == validation[0].sides[0] == 40


@settings(max_examples=30)
@given(sides=st.tuples(st.integers(3, 9), st.integers(3, 9)), seed=st.integers(0, 99))
def test_each_patch_is_a_part_of_its_image_and_pairs_belong_together(sides: tuple[int, int], seed: int) -> None:
    image = torch.arange(float(sides[0] * sides[1])).reshape(1, *sides)
    target = torch.stack((-image[0], image[0] * 2))
    region = Region(image=0, start=(0, 0), stop=sides)
    inputs, targets = Patches([(image, target)], [region], patch_shape=(3, 2)).draw(20, rng=seeded(seed))
    assert inputs.shape == (20, 1, 3, 2)
    assert torch.equal(targets, torch.cat((-inputs, inputs * 2), dim=1))
    steps = torch.tensor([[0, 1], [1, 0]]).float() @ torch.tensor([sides[1], 1]).float()
    assert (inputs[..., 0, 1] - inputs[..., 0, 0]).eq(steps[0]).all()
    assert (inputs[..., 1, 0] - inputs[..., 0, 0]).eq(steps[1]).all()


def test_every_place_is_equally_probable() -> None:
    image = torch.arange(13.0 * 11).reshape(1, 13, 11)
    patches = Patches([(image,)], [Region(image=0, start=(2, 1), stop=(13, 11))], patch_shape=(5, 4))
    corners = patches.draw(6300, rng=seeded())[0][:, 0, 0, 0].long()
    rows, columns = corners // 11, corners % 11
    counts = torch.zeros(13, 11).index_put_((rows, columns), torch.ones(6300), accumulate=True)
    places = counts[2:9, 1:8]  # 7 × 7 places
    assert int(places.sum()) == 6300
    expected = 6300 / 49
    assert float(((places - expected) ** 2 / expected).sum()) < 48 + 4 * 96**0.5


def test_patches_without_foreground_are_left_out() -> None:
    image = torch.rand((1, 64, 64), generator=seeded())
    image[:, 40:56, 40:56] += 100
    region = Region(image=0, start=(0, 0), stop=(64, 64))
    everywhere = Patches([(image,)], [region], patch_shape=(16, 16)).draw(200, rng=seeded())[0]
    bright = Patches([(image,)], [region], patch_shape=(16, 16), foreground_share=0.3).draw(200, rng=seeded())[0]
    assert (everywhere.amax((1, 2, 3)) > 50).float().mean() < 0.5
    assert (bright.amax((1, 2, 3)) > 50).float().mean() > 0.95


def test_a_memory_map_gives_the_same_as_a_tensor(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 1000, (1, 6, 30, 31)).astype(np.uint16)
    np.save(tmp_path / "stack.npy", values)
    region = Region(image=0, start=(0, 0, 0), stop=(6, 30, 31))
    mapped = Patches([(np.load(tmp_path / "stack.npy", mmap_mode="r"),)], [region], patch_shape=(4, 8, 8))
    held = Patches([(torch.from_numpy(values.astype(np.float32)),)], [region], patch_shape=(4, 8, 8))
    assert torch.equal(mapped.draw(7, rng=seeded())[0], held.draw(7, rng=seeded())[0])


def test_processes_share_a_batch() -> None:
    image = torch.rand((1, 20, 20), generator=seeded())
    patches = Patches([(image,)], [Region(image=0, start=(0, 0), stop=(20, 20))], patch_shape=(4, 4))
    whole = patches.draw(6, rng=seeded())[0]
    shares = [patches.draw(6, rng=seeded(), rank=rank, ranks=2)[0] for rank in (0, 1)]
    assert torch.equal(whole[0::2], shares[0])
    assert torch.equal(whole[1::2], shares[1])


@pytest.mark.parametrize("ranks", [1, 3])
def test_the_validation_set_is_seen_once_and_wholly(ranks: int) -> None:
    images = [(torch.arange(48.0).reshape(1, 6, 8),), (100 + torch.arange(48.0).reshape(1, 6, 8),)]
    regions = [Region(image=0, start=(0, 0), stop=(6, 8)), Region(image=1, start=(2, 4), stop=(6, 8))]
    patches = Patches(images, regions, patch_shape=(2, 4))
    seen = torch.cat([batch[0] for rank in range(ranks) for batch in patches.each(3, rank=rank, ranks=ranks)])
    expected = torch.cat([images[0][0].flatten(), images[1][0][:, 2:, 4:].flatten()])
    assert torch.equal(seen.flatten().sort().values, expected.sort().values)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"patch_shape": (9, 4)}, r"patch_shape is \(9, 4\), but image 0 offers only \(8, 8\): make the patch smaller"),
        ({"patch_shape": (0, 4)}, r"patch_shape is \(0, 4\)"),
        ({"patch_shape": (2, 4, 4)}, r"image 0 has shape \(1, 8, 8\), but a patch of \(2, 4, 4\) needs 4 axes"),
        ({"foreground_share": 1.5}, "foreground_share is 1.5"),
        ({"regions": []}, "no region"),
        ({"images": [(torch.zeros(1, 8, 8), torch.zeros(1, 8, 9))]}, r"field 0 have the sides \[\(8, 8\), \(8, 9\)\]"),
    ],
)
def test_wrong_patches_get_a_clear_error(arguments: dict, says: str) -> None:
    given_ = {
        "images": [(torch.zeros(1, 8, 8),)],
        "regions": [Region(image=0, start=(0, 0), stop=(8, 8))],
        "patch_shape": (4, 4),
    } | arguments
    with pytest.raises(ValueError, match=says):
        Patches(given_.pop("images"), given_.pop("regions"), **given_)


@pytest.mark.parametrize(
    ("shapes", "patch", "share", "says"),
    [
        ([(8, 9)], (5, 5), 0.1, "too few along its longer side.*make the patch at most 4 long"),
        ([(8, 9)], (9, 5), 0.1, "offers only"),
        ([(8, 9)], (2, 2, 2), 0.1, "image 0 has 2 spatial axes"),
        ([(8, 9)], (2, 2), 0.0, "validation_share is 0"),
        ([(8, 9)], (2, 2), 0.9, "validation_share is 0.9"),
    ],
)
def test_a_wrong_split_gets_a_clear_error(
    shapes: list[tuple[int, ...]], patch: tuple[int, ...], share: float, says: str
) -> None:
    images = [torch.zeros(1, *shape) for shape in shapes]
    with pytest.raises(ValueError, match=says):
        split_regions(images, patch_shape=patch, validation_share=share, rng=seeded())
