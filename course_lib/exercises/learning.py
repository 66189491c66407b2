"""The exercises of the chapter *Learning to restore*."""

import copy
from collections.abc import Callable

import torch
from torch import nn

from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["leak", "nrmse", "validation_loss"]

Batches = list[tuple[torch.Tensor, torch.Tensor]]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _whole(rng: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


# NRMSE --------------------------------------------------------------------------------------------------


def _draw_floats(rng: torch.Generator) -> Case:
    """Return two images in photons."""
    truth = _uniform(rng, 20, 2000) * torch.rand(48, 40, generator=rng, dtype=torch.float64) ** 3
    spread = _uniform(rng, 0.05, 0.4) * truth.max()
    estimate = _uniform(rng, 0.7, 0.9) * truth + spread * torch.rand(48, 40, generator=rng, dtype=torch.float64)
    return Case((estimate, truth), _nrmse(estimate, truth))


def _draw_bytes(rng: torch.Generator) -> Case:
    """Return two images of 8 bits, whose difference does not fit into 8 bits."""
    estimate, truth = (torch.randint(0, 256, (48, 40), generator=rng, dtype=torch.uint8) for _ in range(2))
    return Case((estimate, truth), _nrmse(estimate, truth))


def _nrmse(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    error: torch.Tensor = (estimate.double() - truth.double()).norm() / truth.double().norm()
    return error


def _rmse(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return (estimate.double() - truth.double()).square().mean().sqrt()


def _wrapped(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Subtract and square in the type of the images, as 8 bits allow."""
    return ((estimate - truth) ** 2).sum().double().sqrt() / (truth**2).sum().double().sqrt()


def _wrapped_without_root(estimate: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    return ((estimate - truth) ** 2).sum().double() / (truth**2).sum().double()


nrmse = Exercise(
    draw=_draw_floats,
    draw_other=_draw_bytes,
    solution=_nrmse,
    mistakes=(
        Mistake(
            lambda s, o: _nrmse(s, o) ** 2,
            "That is the formula of the slide. It has the squares of an error, but not the root: an error of 10 % "
            "everywhere reads 0.01. Take the square root of the ratio.",
        ),
        Mistake(
            _wrapped,
            "Right for images of real numbers, but some of the hidden images have 8 bits, as files often do. There "
            "3 - 5 is 254, and squares wrap around, too. Turn both images into real numbers first: `.double()`.",
        ),
        Mistake(
            _wrapped_without_root,
            "Two things. The root is missing: an error of 10 % everywhere must read 0.1. And some of the hidden images "
            "have 8 bits, where 3 - 5 is 254: turn both images into real numbers first, `.double()`.",
        ),
        Mistake(
            lambda s, o: ((s.double() - o.double()) ** 2).sum().sqrt() / (o**2).sum().double().sqrt(),
            "The upper sum is right, but some of the hidden images have 8 bits, where `truth**2` wraps around: 20² is "
            "144. Turn both images into real numbers first: `.double()`.",
        ),
        Mistake(
            lambda s, o: ((s - o).double() ** 2).sum().sqrt() / (o.double() ** 2).sum().sqrt(),
            "Nearly, but some of the hidden images have 8 bits, where 3 - 5 is 254. Turn the images into real numbers "
            "before you subtract, not after.",
        ),
        Mistake(
            _rmse,
            "That is the root-mean-square error, in the unit of the image. Divide it by the root mean square of the "
            "truth, so that the unit goes.",
        ),
        Mistake(
            lambda s, o: _rmse(s, o) / (o.double().max() - o.double().min()),
            "You divided by the range of the truth. There are papers that do, and their numbers are others: here it is "
            "divided by the root of the summed squared truth.",
        ),
        Mistake(
            lambda s, o: _rmse(s, o) / o.double().mean(),
            "You divided by the mean of the truth. There are papers that do, and their numbers are others: here it is "
            "divided by the root of the summed squared truth.",
        ),
        Mistake(
            lambda s, o: (s.double() - o.double()).abs().sum() / o.double().abs().sum(),
            "You took the absolute value where the formula has the square. That is a measure, too (the normalized "
            "mean absolute error), but not this one.",
        ),
        Mistake(
            lambda s, o: (s.double() - o.double()).norm() / s.double().norm(),
            "You divided by the estimate. Then a restoration that is much too bright can hardly be wrong. The measure "
            "is the truth: O in the formula.",
        ),
        Mistake(
            lambda s, o: (s.double() - o.double()).square().sum().sqrt() / o.double().square().sum(),
            "The root stands over the upper sum only. Then the result depends on the unit: ten times brighter images "
            "would seem ten times better. Take the root of the whole ratio.",
        ),
        Mistake(
            lambda s, o: (s.double() - o.double()).square().sum() / o.double().sum(),
            "The lower sum has lost its square. Then the result depends on the unit: ten times brighter images would "
            "seem ten times worse. And take the root of the ratio.",
        ),
    ),
    relative_tolerance=1e-3,
    mistake_tolerance=1e-4,
    praise="Right, for photons and for files of 8 bits. An error of 10 % everywhere now reads 0.1.",
)


# validation loss ----------------------------------------------------------------------------------------

PATCHES_OF_A_BATCH = 8
PATCH_SIDE = 16
PIXELS = PATCH_SIDE**2


class _Network(nn.Module):
    """A network whose answer depends on its mode, as with all that have batch normalization."""

    def __init__(self, rng: torch.Generator) -> None:
        super().__init__()
        self.normalize = nn.BatchNorm2d(1)
        self.weight = nn.Parameter(torch.tensor(_uniform(rng, 0.5, 1.5)))
        self.normalize.running_mean = torch.tensor([_uniform(rng, 0.4, 0.6)])
        self.normalize.running_var = torch.tensor([_uniform(rng, 0.05, 0.2)])

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = self.weight * self.normalize(image)
        return answer


def _draw_validation(rng: torch.Generator) -> Case:
    """Return a network in the mode for training, and batches of which the last is smaller and easier."""
    network = _Network(rng).train().requires_grad_(False)
    batches: Batches = []
    sizes = [PATCHES_OF_A_BATCH] * _whole(rng, 3, 5) + [_whole(rng, 2, 3)]
    for number, size in enumerate(sizes):
        image = torch.rand(size, 1, PATCH_SIDE, PATCH_SIDE, generator=rng)
        noise = 0.2 if number == len(sizes) - 1 else _uniform(rng, 0.8, 1.6)
        batches.append((image, image + noise * torch.randn(image.shape, generator=rng)))
    return Case((network, batches), _validation_loss(network, batches))


def _patch_losses(network: nn.Module, batches: Batches, *, learning: bool = False) -> list[torch.Tensor]:
    """Return the losses of the patches, batch by batch, without touching the network that was given."""
    network = copy.deepcopy(network).train(learning)
    return [(network(image) - target).square().mean(dim=(1, 2, 3)) for image, target in batches]


def _validation_loss(network: nn.Module, batches: Batches) -> torch.Tensor:
    return torch.cat(_patch_losses(network, batches)).mean()


def _learning(how: Callable[[list[torch.Tensor]], torch.Tensor]) -> Callable[[nn.Module, Batches], torch.Tensor]:
    """Return a wrong answer that leaves the network in the mode for training."""
    return lambda network, batches: how(_patch_losses(network, batches, learning=True))


def _looking(how: Callable[[list[torch.Tensor]], torch.Tensor]) -> Callable[[nn.Module, Batches], torch.Tensor]:
    return lambda network, batches: how(_patch_losses(network, batches))


def _learning_on_all_at_once(network: nn.Module, batches: Batches) -> torch.Tensor:
    image, target = (torch.cat(one) for one in zip(*batches, strict=True))
    return _patch_losses(network, [(image, target)], learning=True)[0].mean()


def _of_last(losses: list[torch.Tensor]) -> torch.Tensor:
    return losses[-1].mean()


def _mean_of_means(losses: list[torch.Tensor]) -> torch.Tensor:
    return torch.stack([one.mean() for one in losses]).mean()


def _of_all(losses: list[torch.Tensor]) -> torch.Tensor:
    return torch.cat(losses).mean()


validation_loss = Exercise(
    draw=_draw_validation,
    solution=_validation_loss,
    mistakes=(
        Mistake(
            _learning(_of_last),
            "That is still the loss of the last batch: each turn of the loop overwrites the one before. Collect the "
            "losses of all patches. (And the network is still in the mode for training: call `network.eval()` first.)",
        ),
        Mistake(
            _looking(_of_last),
            "That is the loss of the last batch only: each turn of the loop overwrites the one before. Collect the "
            "losses of all patches, and take their mean at the end.",
        ),
        Mistake(
            _learning(_mean_of_means),
            "Two things. The last batch is smaller, so that the mean of the batches' means gives its patches too much "
            "weight: add up patches. And the network is still in the mode for training: call `network.eval()` first.",
        ),
        Mistake(
            _looking(_mean_of_means),
            "Nearly. You took the mean of the batches' means, but the last batch is smaller, and its patches get too "
            "much weight. Weigh each batch by its number of patches, or collect the patches.",
        ),
        Mistake(
            _learning(_of_all),
            "All patches count, but the network is still in the mode for training, where batch normalization looks at "
            "the other patches of the batch: the loss then depends on how they were put together. Call "
            "`network.eval()` first.",
        ),
        Mistake(
            _looking(lambda losses: torch.stack([one.mean() for one in losses]).sum()),
            "You added up the means of the batches. Then twice as many patches have twice the loss. Divide by the "
            "number of patches, each batch weighed by how many it has.",
        ),
        Mistake(
            _looking(lambda losses: torch.cat(losses).sum()),
            "You added up the losses of all patches. Divide by their number, or twice as many have twice the loss.",
        ),
        Mistake(
            _looking(lambda losses: losses[0].mean()),
            "That is the first batch: your `return` stands inside the loop.",
        ),
        Mistake(
            _learning(lambda losses: losses[0].mean()),
            "Two things. That is the first batch only: your `return` stands inside the loop. And the network is still "
            "in the mode for training: call `network.eval()` first.",
        ),
        Mistake(
            _learning(lambda losses: torch.stack([one.mean() for one in losses]).sum()),
            "Two things. You added up the means of the batches: twice as many patches have twice the loss. And the "
            "network is still in the mode for training: call `network.eval()` first.",
        ),
        Mistake(
            _learning_on_all_at_once,
            "The mean is right, but the network is still in the mode for training: call `network.eval()` first.",
        ),
        Mistake(
            _looking(lambda losses: PIXELS * torch.cat(losses).mean()),
            "You divided the sum over pixels by the number of patches. Divide by that of pixels, as `.mean()` does.",
        ),
        Mistake(
            _looking(lambda losses: torch.cat(losses[:-1]).mean()),
            "The last, smaller batch is missing. It belongs to the validation set.",
        ),
    ),
    relative_tolerance=1e-4,
    mistake_tolerance=1e-5,
    praise=(
        "Right: every patch counts once, and the network is not in the mode for training. Now the number depends on "
        "the network, and not on the order of the patches. (In a training loop, put the mode back afterwards, or batch "
        "normalization stays frozen from the first look at the validation set.)"
    ),
)


# leak ---------------------------------------------------------------------------------------------------

FIELDS, TIMES, FIELD_SIDE = 4, 3, 256


def _draw_corners(count: int, side: int, rng: torch.Generator) -> torch.Tensor:
    """Return field, time, row and column of the corners of patches: half on a grid, where patches touch, half not."""
    places = torch.randint(0, FIELD_SIDE - side + 1, (count, 2), generator=rng)
    places[::2] = places[::2] // (side // 2) * (side // 2)
    field, time = (torch.randint(0, most, (count, 1), generator=rng) for most in (FIELDS, TIMES))
    return torch.cat([field, time, places], dim=1)


def _draw_leak(rng: torch.Generator) -> Case:
    side = 2 * _whole(rng, 10, 20)
    training, validation = (_draw_corners(_whole(rng, *most), side, rng) for most in ((50, 70), (280, 320)))
    return Case((training, validation, side), _leaks(training, validation, side))


def _pairs(training: torch.Tensor, validation: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Return, for each validation and training patch, whether they are of one field, of one time, and how far apart."""
    one, other = validation[:, None], training[None]
    apart = (one - other).abs()
    return apart[..., 0] == 0, apart[..., 1] == 0, apart[..., 2], apart[..., 3]


def _touching(training: torch.Tensor, validation: torch.Tensor, side: int) -> torch.Tensor:
    """Tell of each pair whether the two share pixels of one field, at whatever time."""
    field, _, rows, columns = _pairs(training, validation)
    return field & (rows < side) & (columns < side)


def _count(shares: torch.Tensor) -> int:
    return int(shares.any(dim=1).sum())


def _leaks(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    return _count(_touching(training, validation, side))


def _in_one_frame(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    return _count(_touching(training, validation, side) & _pairs(training, validation)[1])


def _in_any_field(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    _, _, rows, columns = _pairs(training, validation)
    return _count((rows < side) & (columns < side))


def _same_corner(training: torch.Tensor, validation: torch.Tensor, _side: int) -> int:
    field, _, rows, columns = _pairs(training, validation)
    return _count(field & (rows == 0) & (columns == 0))


def _with_neighbours(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    field, _, rows, columns = _pairs(training, validation)
    return _count(field & (rows <= side) & (columns <= side))


def _one_axis(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    field, _, rows, columns = _pairs(training, validation)
    return _count(field & ((rows < side) | (columns < side)))


def _in_a_circle(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    field, _, rows, columns = _pairs(training, validation)
    return _count(field & (rows**2 + columns**2 < side**2))


def _half_near(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    field, _, rows, columns = _pairs(training, validation)
    return _count(field & (rows < side / 2) & (columns < side / 2))


def _without_abs(training: torch.Tensor, validation: torch.Tensor, side: int) -> int:
    apart = validation[:, None] - training[None]
    return _count((apart[..., 0] == 0) & (apart[..., 2] < side) & (apart[..., 3] < side))


leak = Exercise(
    draw=_draw_leak,
    solution=_leaks,
    mistakes=(
        Mistake(
            lambda t, v, side: int((t[None] == v[:, None]).all(dim=-1).any(dim=1).sum()),
            "You counted only patches that are in both sets, number by number. But patches that overlap share pixels, "
            "too, and the same place at another time shows the same cell.",
        ),
        Mistake(
            _in_one_frame,
            "You looked within one frame. But the same field at another time shows the same cells, at nearly the same "
            "place: what was learned from one time is known at the next. Leave the time out of the comparison.",
        ),
        Mistake(
            _in_any_field,
            "You compared places, but not fields. Row 64 of one field has nothing to do with row 64 of another: "
            "columns 0 must be the same.",
        ),
        Mistake(
            _same_corner,
            "You counted patches with the same corner. Patches whose corners differ by less than their side overlap, "
            "and share the pixels in which they do.",
        ),
        Mistake(
            _with_neighbours,
            "You counted neighbours as well: where corners differ by just the side, patches touch, and have no pixel "
            "in common. (Real neighbours may be worth a gap, since structures cross the border; here we count pixels.)",
        ),
        Mistake(
            _in_a_circle,
            "You took the distance of the corners. Patches are squares: corners that are 20 rows and 20 columns apart "
            "are 28 pixels apart, and patches of 24 pixels still overlap. Compare rows and columns, each by itself.",
        ),
        Mistake(
            _without_abs,
            "A difference can be negative: the training patch may lie above or to the left as well. Take `.abs()`.",
        ),
        Mistake(
            _half_near,
            "Corners may differ by up to the whole side, not half of it: two patches of 32 pixels whose rows begin 20 "
            "apart share 12 rows.",
        ),
        Mistake(
            _one_axis,
            "Near along one axis is not enough: two patches overlap if both their rows and their columns do. Put `and` "
            "(`&`) in the place of `or` (`|`).",
        ),
        Mistake(
            lambda t, v, side: int(_touching(t, v, side).any(dim=0).sum()),
            "You counted the training patches that have a counterpart. The question is how many *validation* patches "
            "are spoiled.",
        ),
        Mistake(
            lambda t, v, side: int(_touching(t, v, side).sum()),
            "You counted pairs. A validation patch that overlaps with three training patches is spoiled once: ask "
            "whether it overlaps with any (`.any(dim=1)`).",
        ),
        Mistake(
            lambda t, v, side: _leaks(t, v, side) / len(v),
            "That is the share. The question is how many.",
        ),
        Mistake(
            lambda t, v, side: len(v) - _leaks(t, v, side),
            "You counted those that are clean. The question is how many leak.",
        ),
    ),
    relative_tolerance=0.0,
    mistake_tolerance=1e-6,
    praise=(
        "All found. So many of these validation patches do not ask whether the network has learned, but whether it "
        "remembers. Splitting by field, before any patch is cut, would have left none."
    ),
)
