"""The exercises of the chapter *CARE: content-aware restoration*."""

import math
from collections.abc import Callable

import torch

from course_lib.exercises.exercise import Case, Exercise, Mistake
from course_lib.networks import UNet, UNetConfig

__all__ = ["bias_slope", "drift", "invented", "seamless"]

Network = Callable[[torch.Tensor], torch.Tensor]


def _uniform(rng: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=rng))


def _whole(rng: torch.Generator, low: int, high: int) -> int:
    """Draw a whole number from `low` to `high`, both included."""
    return int(torch.randint(low, high + 1, (), generator=rng))


def _spot(side: int, row: float, column: float, sigma: float) -> torch.Tensor:
    """Return a spot of one photon in the middle of a pixel or between pixels, (side, side), in float64."""
    along = torch.arange(side, dtype=torch.float64)
    down, right = (torch.exp(-0.5 * ((along - at) / sigma) ** 2) for at in (row, column))
    return down[:, None] * right / (2 * math.pi * sigma**2)


# drift --------------------------------------------------------------------------------------------------

FIELD = 96


def _draw_drift(rng: torch.Generator) -> Case:
    """Return a bright and a dim image of spots that lie far from the border, and the drift between them."""
    places = [[14 * corner + _uniform(rng, 22, 30) for corner in divmod(number, 4)] for number in range(16)]
    brightness = [_uniform(rng, 0.3, 1.0) for _ in places]
    fractions = [_whole(rng, 1, 4) + _uniform(rng, 0.25, 0.75) for _ in range(2)]
    sign = 1 if torch.rand((), generator=rng) < 0.5 else -1
    down, right = sign * fractions[0], -sign * (fractions[1] + 1)

    def seen(photons: float, row: float, column: float) -> torch.Tensor:
        spots = [b * _spot(FIELD, y + row, x + column, 1.6) for b, (y, x) in zip(brightness, places, strict=True)]
        return torch.poisson(photons * torch.stack(spots).sum(dim=0) + 1, generator=rng)

    return Case((seen(40000, 0, 0), seen(2000, down, right)), (down, right))


def _overlap_peak(target: torch.Tensor, image: torch.Tensor) -> tuple[torch.Tensor, int, int]:
    """Return how well the two agree for each shift of the target on a ring, and where best."""
    spectra = torch.fft.fft2(image) * torch.fft.fft2(target).conj()
    overlap = torch.fft.ifft2(spectra).real
    row, column = divmod(int(overlap.argmax()), overlap.shape[1])
    return overlap, row, column


def _centred(shift: float, side: int) -> float:
    return shift - side if shift > side / 2 else shift


def _top(before: torch.Tensor, peak: torch.Tensor, after: torch.Tensor) -> float:
    """Return where a parabola through three neighbours has its top, relative to the middle one."""
    return float(0.5 * (before - after) / (before - 2 * peak + after))


def _drift(target: torch.Tensor, image: torch.Tensor) -> tuple[float, float]:
    overlap, row, column = _overlap_peak(target, image)
    along = overlap.roll((1 - row, 1 - column), dims=(0, 1))  # the peak lies at [1, 1]
    down, right = row + _top(*along[:3, 1]), column + _top(*along[1, :3])
    return _centred(down, overlap.shape[0]), _centred(right, overlap.shape[1])


def _whole_pixels(target: torch.Tensor, image: torch.Tensor) -> tuple[float, float]:
    overlap, row, column = _overlap_peak(target, image)
    return _centred(row, overlap.shape[0]), _centred(column, overlap.shape[1])


def _backwards(target: torch.Tensor, image: torch.Tensor) -> tuple[float, float]:
    down, right = _drift(target, image)
    return -down, -right


drift = Exercise(
    draw=_draw_drift,
    solution=_drift,
    mistakes=(
        Mistake(
            _whole_pixels,
            "Right to the whole pixel. But half a pixel of drift is half a pixel of blur that the network learns. Look "
            "at the neighbours of the peak: a parabola through three of them has its top between pixels.",
            tolerance=1e-6,
        ),
        Mistake(
            lambda target, image: _overlap_peak(target, image)[1:],
            "That is the highest point of the cross-correlation, but on the ring of the Fourier transform: a shift of "
            "-3 pixels appears at 96 - 3 = 93. Subtract the side from all that is more than half of it. Then refine.",
            tolerance=1e-6,
        ),
        Mistake(
            _backwards,
            "The amount is right, the direction is not: the target is to be moved, by so many pixels down and to the "
            "right. You found how the image is to be moved. Exchange image and target, or change both signs.",
            tolerance=0.05,
        ),
        Mistake(
            lambda target, image: _drift(target, image)[::-1],
            "The two numbers are exchanged: first down (along the rows' axis, 0), then to the right (axis 1).",
            tolerance=0.05,
        ),
        Mistake(
            lambda target, image: tuple(one % FIELD for one in _drift(target, image)),
            "On the ring of the Fourier transform a shift of -3 pixels appears at the other end, 96 - 3 = 93. Subtract "
            "the side from all that is more than half of it.",
            tolerance=0.05,
        ),
    ),
    relative_tolerance=0.0,
    absolute_tolerance=0.1,
    praise=(
        "Right, to a tenth of a pixel, though no single spot of the dim image could be placed so well: all photons of "
        "the field vote."
    ),
)


# seamless -----------------------------------------------------------------------------------------------

TILE, HALO, STEP = 32, 23, 4
LARGEST_WINDOW = TILE + 2 * (-(-HALO // STEP) * STEP)


def _draw_seamless(rng: torch.Generator) -> Case:
    """Return an image, a small U-Net of depth 2 with random weights, and how the image is to be cut."""
    unet = UNet(UNetConfig(base_channels=4, depth=2), rng=rng).double().eval().requires_grad_(False)

    def answered(image: torch.Tensor) -> torch.Tensor:
        answer: torch.Tensor = unet(image.double()[None, None])[0, 0]
        return answer

    def network(image: torch.Tensor) -> torch.Tensor:
        if image.ndim != 2 or any(side % STEP for side in image.shape):
            raise ValueError(
                f"the network was given {tuple(image.shape)}, but takes images (Y, X) whose sides are multiples of "
                f"{STEP}, since it halves the grid twice"
            )
        if max(image.shape) > LARGEST_WINDOW:
            raise ValueError(
                f"the network was given {tuple(image.shape)}, but its memory is full at {LARGEST_WINDOW} × "
                f"{LARGEST_WINDOW}: a tile, and a margin of {HALO} on each side, rounded up to a multiple of {STEP}"
            )
        return answered(image)

    sides = [STEP * _whole(rng, 21, 30) for _ in range(2)]
    image = torch.rand(sides, generator=rng, dtype=torch.float64)
    return Case((image, network, TILE, HALO, STEP), answered(image))


def _pieces(side: int, tile: int) -> list[tuple[int, int]]:
    return [(start, min(start + tile, side)) for start in range(0, side, tile)]


def _in_tiles(image: torch.Tensor, network: Network, tile: int, margin: int, step: int) -> torch.Tensor:
    """Predict tile by tile, each with a margin that ends at the image's border and begins on the coarse grid."""
    result = torch.empty_like(image)
    for top, bottom in _pieces(image.shape[0], tile):
        for left, right in _pieces(image.shape[1], tile):
            first, start = (max(0, (place - margin) // step * step) for place in (top, left))
            last, stop = (-(-(place + margin) // step) * step for place in (bottom, right))
            answer = network(image[first:last, start:stop])
            result[top:bottom, left:right] = answer[top - first : bottom - first, left - start : right - start]
    return result


def _margins_kept(image: torch.Tensor, network: Network, tile: int, halo: int, step: int) -> torch.Tensor:
    result = torch.empty_like(image)
    margin = -(-halo // step) * step
    for top, bottom in _pieces(image.shape[0], tile):
        for left, right in _pieces(image.shape[1], tile):
            window = (slice(max(0, top - margin), bottom + margin), slice(max(0, left - margin), right + margin))
            result[window] = network(image[window])
    return result


def _off_the_grid(image: torch.Tensor, network: Network, tile: int, halo: int, step: int) -> torch.Tensor:
    """Cut windows of one size, each as near as can be to the middle of its tile."""
    result = torch.empty_like(image)
    size = -(-(tile + 2 * halo) // step) * step
    for top, bottom in _pieces(image.shape[0], tile):
        for left, right in _pieces(image.shape[1], tile):
            first, start = (
                min(max(0, place - halo), side - size) for place, side in zip((top, left), image.shape, strict=True)
            )
            answer = network(image[first : first + size, start : start + size])
            result[top:bottom, left:right] = answer[top - first : bottom - first, left - start : right - start]
    return result


def _cut_alike(image: torch.Tensor, network: Network, tile: int, halo: int, step: int) -> torch.Tensor:
    """Cut the same part out of each answer, though windows at the upper and left border have no margin there."""
    result = torch.zeros_like(image)
    margin = -(-halo // step) * step
    for top in range(0, image.shape[0], tile):
        for left in range(0, image.shape[1], tile):
            window = image[max(0, top - margin) : top + tile + margin, max(0, left - margin) : left + tile + margin]
            kept = network(window)[margin : margin + tile, margin : margin + tile]
            room = result[top : top + tile, left : left + tile]
            kept = kept[: room.shape[0], : room.shape[1]]
            room[: kept.shape[0], : kept.shape[1]] = kept
    return result


def _mirrored(image: torch.Tensor, network: Network, tile: int, halo: int, step: int) -> torch.Tensor:
    margin = -(-halo // step) * step
    padded = torch.nn.functional.pad(image[None, None], (margin,) * 4, mode="reflect")[0, 0]
    inner = slice(margin, -margin)
    return _in_tiles(padded, network, tile, margin, step)[inner, inner]


seamless = Exercise(
    draw=_draw_seamless,
    solution=lambda image, network, tile, halo, step: _in_tiles(image, network, tile, halo, step),
    mistakes=(
        Mistake(
            lambda image, network, tile, halo, step: _in_tiles(image, network, tile, 0, step),
            "That has seams: at its border each tile sees nothing of what lies beyond. Give the network a window that "
            "is larger by `halo` on each side, and keep only the tile of its answer.",
        ),
        Mistake(
            lambda image, network, tile, halo, step: _in_tiles(image, network, tile, halo // 2, step),
            "The margin is too small: half of `halo` on each side. The seams are fainter, and still there. A pixel of "
            "the answer depends on pixels up to `halo` away, to each side.",
        ),
        Mistake(
            _margins_kept,
            "The windows are right, but you kept their margins as well, and wrote them over the neighbours' tiles. A "
            "margin is there to be seen, and then thrown away.",
        ),
        Mistake(
            _cut_alike,
            "The windows are right, but at the upper and left border of the image they have no margin, since nothing "
            "lies beyond; there the tile begins at 0 of the answer, not at the margin. It begins at `top - first`.",
        ),
        Mistake(
            _off_the_grid,
            "Margins as they should be, but windows begin anywhere. The network halves the grid by taking the larger "
            "of each pair of pixels; a window that begins between pairs has other pairs. Begin at multiples of `step`.",
        ),
        Mistake(
            _mirrored,
            "No seam, but the borders of the image differ: you continued it by its mirror image, which the network did "
            "not do when it saw the whole. Let windows end where the image ends.",
        ),
    ),
    relative_tolerance=1e-6,
    mistake_tolerance=1e-9,
    praise=(
        "Right, to the last digits: nobody can tell that this was computed in tiles. The price is work: each window is "
        "several times as large as its tile. Larger tiles waste less."
    ),
)


# bias slope ---------------------------------------------------------------------------------------------

BOX = 4
"""Pixels of a spot's box to each side of its middle."""


def _draw_spots(rng: torch.Generator) -> Case:
    """Return a restored image, the truth, the places of 16 spots, and the level of the background."""
    side, cell = 96, 24
    background, loss, power = _uniform(rng, 1, 4), _uniform(rng, 0.4, 0.9), _uniform(rng, 0.2, 0.5)
    truth, restored = (torch.full((side, side), background, dtype=torch.float64) for _ in range(2))
    places = []
    for number in range(16):
        row, column = (cell * corner + _whole(rng, 8, 15) for corner in divmod(number, 4))
        places.append((row, column))
        photons = _uniform(rng, 10, 40)
        kept = loss * (photons / 40) ** power * photons
        truth += photons * _spot(side, row, column, 1.2)
        restored += kept * _spot(side, row, column, 1.5)
    given = (restored, truth, torch.tensor(places), background)
    return Case(given, _bias_slope(*given))


def _light(image: torch.Tensor, places: torch.Tensor, background: float) -> torch.Tensor:
    """Return the light of each spot above the background."""
    boxes = [image[row - BOX : row + BOX + 1, column - BOX : column + BOX + 1] for row, column in places.tolist()]
    return (torch.stack(boxes) - background).sum(dim=(1, 2))


def _through_origin(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    return (found * true).sum() / true.square().sum()


def _with_intercept(found: torch.Tensor, true: torch.Tensor) -> torch.Tensor:
    return _through_origin(found - found.mean(), true - true.mean())


def _bias_slope(restored: torch.Tensor, truth: torch.Tensor, places: torch.Tensor, background: float) -> torch.Tensor:
    return _through_origin(_light(restored, places, background), _light(truth, places, background))


def _of_light(
    how: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor, float], torch.Tensor]:
    """Return an answer that relates the spots' light in another way."""
    return lambda restored, truth, places, background: how(
        _light(restored, places, background), _light(truth, places, background)
    )


def _of_peaks(restored: torch.Tensor, truth: torch.Tensor, places: torch.Tensor, background: float) -> torch.Tensor:
    rows, columns = places.unbind(1)
    return _through_origin(restored[rows, columns] - background, truth[rows, columns] - background)


def _boxes_less_one_pixel(
    restored: torch.Tensor, truth: torch.Tensor, places: torch.Tensor, background: float
) -> torch.Tensor:
    """Subtract the background of one pixel from the sum of a box."""
    return _through_origin(_light(restored, places, 0.0) - background, _light(truth, places, 0.0) - background)


def _boxes_too_small(
    restored: torch.Tensor, truth: torch.Tensor, places: torch.Tensor, background: float
) -> torch.Tensor:
    """Leave out the last row and column of each box, as a slice to `row + 4` does."""
    sums = [
        [
            (image[row - BOX : row + BOX, column - BOX : column + BOX] - background).sum()
            for row, column in places.tolist()
        ]
        for image in (restored, truth)
    ]
    found, true = (torch.stack(one) for one in sums)
    return _through_origin(found, true)


bias_slope = Exercise(
    draw=_draw_spots,
    solution=_bias_slope,
    mistakes=(
        Mistake(
            lambda restored, truth, places, background: _bias_slope(restored, truth, places, 0.0),
            "The background is still in the sums. In 81 pixels it is far more light than a dim spot, and it is the "
            "same in both images, so that the slope is nearly 1 whatever became of the spots. Subtract it first.",
        ),
        Mistake(
            _boxes_less_one_pixel,
            "You subtracted the background once from each sum. It lies in each of the 81 pixels: subtract it before "
            "you sum.",
        ),
        Mistake(
            _boxes_too_small,
            "Nearly: your boxes have 8 × 8 pixels. A slice ends before its last number, so 9 rows around `row` are "
            "`row - 4 : row + 5`.",
        ),
        Mistake(
            _of_peaks,
            "You compared the brightest pixels. A restoration may widen a spot, and then its peak falls although no "
            "light is lost. Compare sums over the box.",
        ),
        Mistake(
            _of_light(lambda found, true: _through_origin(true, found)),
            "The two are exchanged: the truth goes along x, what was restored along y. A slope below 1 then says that "
            "light is missing.",
        ),
        Mistake(
            _of_light(_with_intercept),
            "That is the slope of a line with an intercept. It says by how much the restored light grows; what is "
            "missing of every spot hides in the intercept. No light should give no light: the line goes through 0.",
        ),
        Mistake(
            _of_light(lambda found, true: (found / true).mean()),
            "That is the mean of the ratios, another sensible number, in which the dimmest spots count as much as the "
            "brightest. The slope asked for is sum(restored × true) / sum(true²).",
        ),
        Mistake(
            _of_light(lambda found, true: found.sum() / true.sum()),
            "That is the ratio of the sums, close to the slope, but not it: sum(restored × true) / sum(true²) gives a "
            "spot a weight that grows with the square of its light.",
        ),
    ),
    relative_tolerance=2e-3,
    mistake_tolerance=1e-6,
    praise=(
        "Right, for these 16 together. Of the dimmest less is left than the slope says, of the brightest more. If you "
        "must measure, measure on the recorded image; the restored one may tell you where."
    ),
)


# invented -----------------------------------------------------------------------------------------------


def _draw_empty(rng: torch.Generator) -> Case:
    """Return what a network made of a field without any object: some bumps, low and high, and thin threads."""
    side = 128
    background, height, pixel_um = _uniform(rng, 6, 12), _uniform(rng, 1.5, 3), _uniform(rng, 0.08, 0.3)
    restored = torch.full((side, side), background, dtype=torch.float64)
    for number in range(_whole(rng, 10, 16)):
        peak = height * (_uniform(rng, 1.3, 3) if number % 2 else _uniform(rng, 0.3, 0.7))
        sigma = _uniform(rng, 1.2, 2.5)
        spot = _spot(side, _uniform(rng, 0, side - 1), _uniform(rng, 0, side - 1), sigma)
        restored += peak * spot / spot.max()
    for _ in range(3):  # of a diagonal thread the pixels touch only at their corners
        row, column = _whole(rng, 0, side - 8), _whole(rng, 0, side - 8)
        along = torch.arange(7)
        restored[row + along, column + along] += 1.5 * height
    given = (restored, background, height, pixel_um)
    return Case(given, _invented(*given))


def _objects(above: torch.Tensor, *, corners: bool = True) -> int:
    from scipy import ndimage

    return int(ndimage.label(above.numpy(), structure=[[1] * 3] * 3 if corners else None)[1])


def _area(image: torch.Tensor, pixel_um: float) -> float:
    """Return the area of an image in units of 100 µm²."""
    return image.numel() * pixel_um**2 / 100


def _invented(restored: torch.Tensor, background: float, height: float, pixel_um: float) -> float:
    return _objects(restored > background + height) / _area(restored, pixel_um)


invented = Exercise(
    draw=_draw_empty,
    solution=_invented,
    mistakes=(
        Mistake(
            lambda r, b, h, p: float((r > b + h).sum()) / _area(r, p),
            "You counted pixels. One invented object has many: give touching pixels one number, as "
            "`scipy.ndimage.label` does, and count the numbers.",
        ),
        Mistake(
            lambda r, b, h, p: _objects(r > h) / _area(r, p),
            "You forgot the background: the field itself lies above that threshold, and counts as one large object. An "
            "object rises by more than `height` above the background.",
        ),
        Mistake(
            lambda r, b, h, p: _objects(r > b + h, corners=False) / _area(r, p),
            "Thin diagonal threads came out as many objects: their pixels touch at corners only. Let corners count as "
            "touching: `structure=torch.ones(3, 3)`.",
        ),
        Mistake(
            lambda r, b, h, p: float(_objects(r > b + h)),
            "That is the number in this field. To compare with other fields and other microscopes, divide by the area, "
            "and give it per 100 µm².",
        ),
        Mistake(
            lambda r, b, h, p: float(_objects(r > b + h, corners=False)),
            "Two things. Corners must count as touching, or a thin diagonal thread is many objects: "
            "`structure=torch.ones(3, 3)`. And the number is asked for per 100 µm².",
        ),
        Mistake(
            lambda r, b, h, p: (_objects(r > b + h) + 1) / _area(r, p),
            "One too many: the number 0 of `label` is the ground, and no object. `label` returns the count as well.",
        ),
        Mistake(
            lambda r, b, h, p: _objects(r > b + h) / (r.numel() * p**2),
            "That is the number per µm². Asked for is the number per 100 µm².",
        ),
        Mistake(
            lambda r, b, h, p: 100 * _objects(r > b + h) / (r.numel() * p),
            "The area of a pixel is its side squared.",
        ),
    ),
    relative_tolerance=1e-3,
    mistake_tolerance=1e-6,
    praise=(
        "Right. So many objects does this network find where there is nothing. Whatever you count in a real field, "
        "count an empty one with it."
    ),
)
