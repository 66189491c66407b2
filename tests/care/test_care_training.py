import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from course_lib import care, datasets, metrics, samples
from course_lib.care import Config, Ensemble, Pair, thinned_pair, train, train_ensemble
from course_lib.networks import EpochRecord, Model, TrainingConfig

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = Config(patch_side=32, patch_planes=4, base_channels=8, depth=2)
KEEPS_THE_FIRST_APART, KEEPS_THE_LAST_APART = (
    next(seed for seed in range(99) if torch.randperm(6, generator=torch.Generator().manual_seed(seed))[0] == one)
    for one in (0, 5)
)
SHORT = TrainingConfig(epochs=4, steps_per_epoch=40, batch_size=8, learning_rate=2e-3, precision="float32")


def counts(shape: tuple[int, ...] = (128, 128), seed: int = 0) -> torch.Tensor:
    voxel = (0.3, 0.1, 0.1)[-len(shape) :]
    scene = samples.filaments(shape, voxel_size_um=voxel, count=40, rng=seed)
    mean = torch.nn.functional.avg_pool2d(scene.reshape(-1, 1, *shape[-2:]), 3, 1, 1).reshape(shape)
    return torch.poisson(60 * mean / mean.max() + 4, generator=torch.Generator().manual_seed(seed))[None]


def pairs(count: int, shape: tuple[int, ...] = (128, 128)) -> list[Pair]:
    return [thinned_pair(counts(shape, seed), fraction=0.2, rng=seed).scaled() for seed in range(count)]


def noise_of(pair: Pair) -> float:
    """Return the variance of the noise of a target: four fifths of the photons, divided by four."""
    return float(pair.target.mean()) / 4


@pytest.fixture(scope="module")
def trained() -> Model:
    return train(pairs(6), SMALL, SHORT, rng=0, device="cpu", progress=False)


def test_it_restores_images_it_has_not_seen(trained: Model) -> None:
    unseen = thinned_pair(counts(seed=50), fraction=0.2, rng=50).scaled()
    restored = trained.predict(unseen.image[0], device="cpu")
    assert metrics.nrmse(restored, unseen.target[0]) < 0.75 * metrics.nrmse(unseen.image[0], unseen.target[0])
    assert float(restored.mean()) == pytest.approx(float(unseen.image.mean()), rel=0.05)


def test_it_restores_real_photon_counts() -> None:
    """One sub-image of eight of the seminal receptacle, against the other seven; learned left, judged right."""
    real = datasets.load("receptacle_split").tensor()
    dim, bright = real[:1], real[1:].sum(0, keepdim=True)
    learned = Pair(image=dim[..., :256], target=bright[..., :256], dose_ratio=7).matched()
    judged = Pair(image=dim[..., 256:], target=bright[..., 256:], dose_ratio=7).matched()
    model = train([learned], SMALL, SHORT, rng=0, device="cpu", progress=False)
    restored = model.predict(judged.image[0], device="cpu")
    assert metrics.nrmse(restored, judged.target[0]) < 0.8 * metrics.nrmse(judged.image[0], judged.target[0])


@pytest.mark.parametrize("loss", ["mae", "mse", "probabilistic"])
def test_stacks_of_two_channels_train_too(loss: str) -> None:
    stack = torch.cat([counts((8, 64, 64), seed) for seed in (0, 1)])
    pair = thinned_pair(stack, fraction=0.3, rng=0).scaled()
    config = SMALL.replace(loss=loss, depth=1, base_channels=4)
    model = train([pair], config, SHORT.replace(epochs=1, steps_per_epoch=3), rng=0, device="cpu", progress=False)
    assert model.predict(pair.image, device="cpu").shape == (2, 8, 64, 64)
    assert model.settings["care"]["loss"] == loss


def test_the_same_seed_gives_the_same_model_also_after_a_break(tmp_path: Path) -> None:
    short = SHORT.replace(epochs=2, steps_per_epoch=3)
    state = tmp_path / "care.state"

    class PowerCutError(Exception):
        pass

    def cut(record: EpochRecord) -> None:
        raise PowerCutError

    with pytest.raises(PowerCutError):
        train(pairs(1), SMALL, short, rng=3, device="cpu", state_path=state, on_epoch=cut, progress=False)
    resumed = train(pairs(1), SMALL, short, rng=3, device="cpu", state_path=state, progress=False)
    whole = train(pairs(1), SMALL, short, rng=3, device="cpu", progress=False)
    image = pairs(1)[0].image[0]
    assert torch.equal(resumed.predict(image, device="cpu"), whole.predict(image, device="cpu"))


def test_another_offset_of_the_camera_is_survived_or_said(trained: Model) -> None:
    image = pairs(1)[0].image[0]
    own = trained.predict(image, normalization="image", device="cpu")
    moved = trained.predict(2.5 * image + 400, normalization="image", device="cpu")
    torch.testing.assert_close(moved, 2.5 * own + 400, rtol=1e-3, atol=1e-2)
    with pytest.warns(UserWarning, match="the background of channel 0 is 40.*the model has not seen such images"):
        trained.predict(image + 400, device="cpu")


def test_a_probabilistic_network_knows_where_it_is_wrong() -> None:
    model = train(pairs(6), SMALL.replace(loss="probabilistic"), SHORT, rng=0, device="cpu", progress=False)
    unseen = thinned_pair(counts(seed=50), fraction=0.2, rng=50).scaled()
    values, errors = model.predict_with_errors(unseen.image[0], device="cpu")
    wrong = (values - unseen.target[0]).abs()
    assert float(errors.min()) > 0
    assert float(errors.mean()) == pytest.approx(float(wrong.mean()), rel=0.25)
    order = errors.flatten().argsort()
    half = order.numel() // 2
    assert float(wrong.flatten()[order[half:]].mean()) > 1.3 * float(wrong.flatten()[order[:half]].mean())


def test_an_ensemble_is_right_about_its_errors_once_calibrated(tmp_path: Path) -> None:
    short = SHORT.replace(epochs=2, steps_per_epoch=20)
    ensemble = train_ensemble(pairs(6), SMALL, short, members=3, rng=0, device="cpu", progress=False)
    kept = [thinned_pair(counts(seed=seed), fraction=0.2, rng=seed).scaled() for seed in (60, 61)]
    variances = [noise_of(pair) for pair in kept]
    calibrated = ensemble.calibrated(kept, noise_variances=variances, device="cpu")
    assert calibrated.factor < ensemble.calibrated(kept, noise_variances=[0, 0], device="cpu").factor
    with pytest.raises(ValueError, match="no error is left to calibrate: check noise_variances"):
        ensemble.calibrated(kept, noise_variances=[1e4, 1e4], device="cpu")
    unseen = thinned_pair(counts(seed=70), fraction=0.2, rng=70).scaled()
    values, errors = calibrated.predict(unseen.image[0], device="cpu")
    wrong = metrics.unbiased_mse(values, unseen.target[0], noise_variance=noise_of(unseen)).sqrt()
    assert float(errors.square().mean().sqrt()) == pytest.approx(float(wrong), rel=0.25)
    single = float(metrics.nrmse(ensemble.models[0].predict(unseen.image[0], device="cpu"), unseen.target[0]))
    assert float(metrics.nrmse(values, unseen.target[0])) < 1.02 * single


def test_wrong_ensembles_get_a_clear_error(trained: Model) -> None:
    with pytest.raises(ValueError, match="nobody to disagree with"):
        Ensemble(models=(trained,))
    with pytest.raises(ValueError, match="there is no model"):
        Ensemble(models=())
    with pytest.raises(ValueError, match="no pair to calibrate with"):
        Ensemble(models=(trained, trained)).calibrated([], noise_variances=[])
    with pytest.raises(ValueError, match=r"noise_variances are \[1.0\] for 2 pairs: give one for each"):
        Ensemble(models=(trained, trained)).calibrated(pairs(2), noise_variances=[1.0])
    with pytest.raises(ValueError, match=r"noise_variances are \[-1.0\] for 1 pairs: give one for each, at least 0"):
        Ensemble(models=(trained, trained)).calibrated(pairs(1), noise_variances=[-1.0])
    with pytest.raises(ValueError, match="the models agree everywhere, and tell no error"):
        Ensemble(models=(trained, trained)).calibrated(pairs(1), noise_variances=[0.0], device="cpu")
    with pytest.raises(ValueError, match="members is 1"):
        train_ensemble(pairs(1), SMALL, SHORT, members=1, rng=0)
    with pytest.raises(ValueError, match="gives no errors: train it with the probabilistic loss"):
        trained.predict_with_errors(torch.rand(32, 32))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ([], "no pair to learn from"),
        ([*pairs(1), Pair(image=torch.rand(2, 64, 64), target=torch.rand(2, 64, 64), dose_ratio=1)], "image of pair 1"),
        ([*pairs(1), *pairs(1, (8, 64, 64))], "image of pair 1 has shape"),
        ([Pair(image=torch.rand(1, 1, 64, 64), target=torch.rand(1, 1, 64, 64), dose_ratio=1)], "stacks of 1 plane"),
        ([Pair(image=torch.rand(1, 20, 64), target=torch.rand(1, 20, 64), dose_ratio=1)], "make the patch smaller"),
        ([Pair(image=torch.ones(1, 64, 64), target=torch.rand(1, 64, 64), dose_ratio=1)], "constant"),
        ([replace(one, sample="a") for one in (*pairs(1), *pairs(1, (128, 100)))], "sample 'a' differ in their sides"),
    ],
)
def test_wrong_pairs_get_a_clear_error(given: list[Pair], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        train(given, SMALL, SHORT, rng=0, device="cpu", progress=False)


def test_patches_must_fit_the_network() -> None:
    with pytest.raises(ValueError, match=r"patches are \(36, 36\), but .* multiples of \(8, 8\): change patch_side"):
        train(pairs(1), SMALL.replace(patch_side=36, depth=3), SHORT, rng=0, device="cpu")


def test_only_a_training_with_a_seed_goes_on(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="rng is None, but only a training with a seed"):
        train(pairs(1), SMALL, SHORT, rng=None, device="cpu", state_path=tmp_path / "care.state")


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"rng": KEEPS_THE_LAST_APART}, "kept apart was"),
        ({"pairs": [thinned_pair(counts(seed=9), fraction=0.2, rng=seed).scaled() for seed in range(6)]}, "images was"),
        ({"config": SMALL.replace(loss="mse")}, "loss was mae and is mse"),
        ({"config": SMALL.replace(base_channels=4)}, "base_channels was 8 and is 4"),
    ],
)
def test_another_training_does_not_go_on_with_the_state(tmp_path: Path, changes: dict, says: str) -> None:
    def cut(record: EpochRecord) -> None:
        raise KeyboardInterrupt

    given = {"pairs": pairs(6), "config": SMALL, "rng": KEEPS_THE_FIRST_APART}
    rest = {"device": "cpu", "state_path": tmp_path / "care.state", "progress": False}
    short = SHORT.replace(epochs=2, steps_per_epoch=1)
    with pytest.raises(KeyboardInterrupt):
        train(given["pairs"], given["config"], short, rng=given["rng"], on_epoch=cut, **rest)
    given |= changes
    with pytest.raises(ValueError, match=says):
        train(given["pairs"], given["config"], short, rng=given["rng"], **rest)


def test_what_is_kept_apart_changes_nothing_that_is_learned() -> None:
    given = pairs(6)
    short = SHORT.replace(epochs=1, steps_per_epoch=2)
    models = []
    for factor in (1.0, 50.0):
        changed = [
            replace(one, image=one.image * factor if index == 5 else one.image) for index, one in enumerate(given)
        ]
        models.append(train(changed, SMALL, short, rng=KEEPS_THE_LAST_APART, device="cpu", progress=False))
    assert models[0].input_normalization == models[1].input_normalization
    for one, other in zip(*(model.network.state_dict().values() for model in models), strict=True):
        assert torch.equal(one, other)


def test_the_laplace_loss_is_least_at_median_and_mean_absolute_error() -> None:
    from course_lib.care.losses import LOSSES

    target = torch.tensor([0.0, 1.0, 5.0]).reshape(1, 1, 1, 3)
    grid = torch.linspace(-1, 6, 701)
    scales = torch.linspace(0.5, 4, 351)
    loss = torch.stack([(target - center).abs().mean() / scales + scales.log() + math.log(2) for center in grid])
    best = int(loss.argmin())
    assert float(grid[best // 351]) == pytest.approx(1.0, abs=0.011)
    assert float(scales[best % 351]) == pytest.approx(5 / 3, abs=0.011)
    output = torch.tensor([1.0, 5 / 3]).reshape(1, 2, 1, 1).expand(1, 2, 1, 3)
    assert float(LOSSES["probabilistic"](output, target)) == pytest.approx(float(loss.min()), abs=1e-3)
    assert care.Config().loss == "mae"


@pytest.mark.parametrize(("views", "seen"), [("turned", 8), ("mirrored", 4), ("as they are", 1)])
def test_patches_are_shown_from_the_sides_that_are_asked_for(
    views: str, seen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a pattern without symmetry, with the smallest pixel first, each side is another picture."""
    tile = torch.arange(64.0).reshape(8, 8)
    pair = Pair(image=tile.repeat(1, 8, 8), target=tile.repeat(1, 8, 8), dose_ratio=1)
    shown: set[tuple[bool, bool, bool]] = set()
    loss = care.training.LOSSES["mae"]

    def look(output: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        if torch.is_grad_enabled():
            for one in target[:, 0]:
                rows = float(one.diff(dim=0).median())
                columns = float(one.diff(dim=1).median())
                shown.add((abs(rows) > abs(columns), rows > 0, columns > 0))
        return loss(output, target)

    monkeypatch.setitem(care.training.LOSSES, "mae", look)
    config = SMALL.replace(views=views, patch_side=16, base_channels=2, depth=1)
    train([pair], config, SHORT.replace(epochs=1, steps_per_epoch=20), rng=0, device="cpu", progress=False)
    assert len(shown) == seen
    assert (True, True, True) in shown
