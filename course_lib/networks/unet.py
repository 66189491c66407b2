r"""The U-Net: look at ever larger surroundings on ever coarser grids, then come back with what was seen.

On the way down, each level has two convolutions and halves the grid, so that the next level sees twice as far for the
same work. On the way up, each level doubles the grid and joins what the same level saw on the way down (the skip),
so that no detail is lost [1]_. A last convolution of one pixel mixes the features into the output. The number of
features doubles with each level and halves on the way back, as in CSBDeep, CARE and Noise2Void [2]_: with
``base_channels=32, depth=2`` in 2D these are 332,641 numbers to learn.

What an output pixel depends on, its receptive field, is finite: 44 pixels wide for depth 2, about 100 for depth 3. So
an image can be predicted in tiles without a seam, if each tile has a margin as wide as the network reaches to one side
(`UNetConfig.halo`), which is thrown away, and begins on the coarsest grid.

References
----------
.. [1] O. Ronneberger, P. Fischer, T. Brox, "U-Net: convolutional networks for biomedical image segmentation", MICCAI
   (2015), doi:10.1007/978-3-319-24574-4_28.
.. [2] M. Weigert et al., "Content-aware image restoration: pushing the limits of fluorescence microscopy", Nature
   Methods 15, 1090-1097 (2018), doi:10.1038/s41592-018-0216-7.
.. [3] E. Höck, T.-O. Buchholz, A. Brachmann, F. Jug, A. Freytag, "N2V2 - fixing Noise2Void checkerboard artifacts with
   modified sampling strategies and a tweaked network architecture", ECCV Workshops (2022),
   doi:10.1007/978-3-031-25069-9_33.
.. [4] R. Zhang, "Making convolutional networks shift-invariant again", ICML (2019).
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Any, Literal

import torch
from torch import nn
from torch.nn import functional

from course_lib.parameters import Parameters, parameter
from course_lib.seeding import generator

__all__ = ["UNet", "UNetConfig"]

LEAST_ERROR = 1e-3
"""No error is expected to be smaller, in the normalized image, so that no pixel counts without limit."""

FEWEST_PLANES_IN_16_BITS = 3
"""With one or two, weights of 3D convolutions get wrong gradients, NaN among them, on processors (torch 2.13)."""


class UNetConfig(Parameters):
    """The shape of a U-Net.

    Examples
    --------
    >>> UNetConfig(dimensions=3, depth=2).steps
    (4, 4, 4)
    >>> UNetConfig(dimensions=3, depth=3, planes_halved=1).steps
    (2, 8, 8)
    """

    dimensions: int = parameter(default=2, meaning="axes of the images, 2 for Y X, 3 for Z Y X", minimum=2, maximum=3)
    in_channels: int = parameter(default=1, meaning="channels of the input", minimum=1)
    out_channels: int = parameter(default=1, meaning="channels of the output", minimum=1)
    depth: int = parameter(default=2, meaning="how often the grid is halved", minimum=1, maximum=6)
    base_channels: int = parameter(default=32, meaning="features on the finest grid", minimum=1)
    planes_halved: int = parameter(
        default=6, meaning="how often, at most, the planes of a 3D image are halved, too: less where few", minimum=0
    )
    normalization: str = parameter(default="none", meaning="between convolution and ReLU", choices=("none", "batch"))
    pooling: str = parameter(
        default="max", meaning="how the grid is halved: blur pooling aliases less", choices=("max", "blur")
    )
    skips: str = parameter(
        default="all", meaning="levels that are joined; N2V2 leaves out the finest", choices=("all", "not the finest")
    )
    centre: float = parameter(
        default=0.0,
        meaning="value of the normalized input that is 0 inside the network, and what is put around the image by its "
        "convolutions",
    )
    learns: str = parameter(
        default="the image",
        meaning="whether the output is the image, or what is added to the input's channels",
        choices=("the image", "the change"),
    )
    gives: str = parameter(
        default="values",
        meaning="whether each value comes with the error that is to be expected, after all values",
        choices=("values", "values and errors"),
    )

    def __post_init__(self) -> None:
        """Check each value, and that a change has something to be added to."""
        super().__post_init__()
        if self.learns == "the change" and self.in_channels > self.out_channels:
            raise ValueError(
                f"learns is 'the change', but {self.in_channels} channels go in and {self.out_channels} come out: "
                f"let as many come out, or pass learns='the image'."
            )

    @property
    def steps(self) -> tuple[int, ...]:
        """Pixels of the input, along each spatial axis, that one pixel of the coarsest grid covers."""
        planes = min(self.depth, self.planes_halved)
        return (2**self.depth,) * 2 if self.dimensions == 2 else (2**planes, 2**self.depth, 2**self.depth)

    @property
    def halo(self) -> tuple[int, ...]:
        """Pixels around an output pixel, along each spatial axis, on which it can depend: whole `steps`."""
        halved = (self.depth,) * self.dimensions
        if self.dimensions == 3:
            halved = (min(self.depth, self.planes_halved), self.depth, self.depth)
        blur = 1 if self.pooling == "blur" else 0
        reaches = []
        for most in halved:
            reach, grid = 0, 1
            for level in range(self.depth):
                reach += (2 + blur * (level < most)) * grid  # two convolutions of 3 pixels, and the blur
                grid *= 2 if level < most else 1
            reach += 2 * grid + grid - 1  # the bottom, where a pixel may be at either end of its coarse one
            for level in reversed(range(self.depth)):
                grid //= 2 if level < most else 1
                reach += 2 * grid
            reaches.append(reach)
        return tuple(-(-reach // step) * step for reach, step in zip(reaches, self.steps, strict=True))


class UNet(nn.Module):
    """The network; weights are drawn after He, from `rng`.

    Parameters
    ----------
    config : UNetConfig
        Its shape.
    rng : int, torch.Generator or None
        Draws the first weights.

    Examples
    --------
    >>> network = UNet(UNetConfig(base_channels=32, depth=2), rng=0)
    >>> sum(weights.numel() for weights in network.parameters())
    332641
    >>> network(torch.zeros(2, 1, 64, 48)).shape
    torch.Size([2, 1, 64, 48])
    """

    def __init__(self, config: UNetConfig, *, rng: int | torch.Generator | None) -> None:
        super().__init__()
        self.config = config
        features = [config.base_channels * 2**level for level in range(config.depth + 1)]
        skipped = [0 if level == 0 and config.skips == "not the finest" else one for level, one in enumerate(features)]
        before = [config.in_channels, *features]
        self.down = nn.ModuleList(self._block(before[k], features[k], features[k]) for k in range(config.depth))
        self.bottom = self._block(before[config.depth], features[-1], features[-2])
        self.up = nn.ModuleList(
            _Rising(self._block(features[k] + skipped[k], features[k], features[max(k - 1, 0)]), self._halving(k))
            for k in range(config.depth)
        )
        convolution = nn.Conv2d if config.dimensions == 2 else nn.Conv3d
        outputs = config.out_channels * (2 if config.gives == "values and errors" else 1)
        self.last = convolution(features[0], outputs, kernel_size=1)
        draw = generator(rng)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Conv3d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=draw)
                nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        if config.learns == "the change":
            nn.init.zeros_(self.last.weight)
        # convolutions are faster where the channels of a pixel lie side by side
        layout = torch.channels_last if config.dimensions == 2 else torch.channels_last_3d
        self.to(memory_format=layout)  # type: ignore[call-overload]

    def _block(self, before: int, between: int, after: int) -> nn.Sequential:
        convolution: Any = nn.Conv2d if self.config.dimensions == 2 else nn.Conv3d
        normalization: Any = nn.BatchNorm2d if self.config.dimensions == 2 else nn.BatchNorm3d
        layers: list[nn.Module] = []
        for into, out in ((before, between), (between, after)):
            layers.append(convolution(into, out, kernel_size=3, padding=1))
            if self.config.normalization == "batch":
                layers.append(normalization(out))
            layers.append(nn.ReLU(inplace=True))
        return nn.Sequential(*layers)

    def _halving(self, level: int) -> tuple[int, ...]:
        """Return by how much each spatial axis is halved below `level`."""
        if self.config.dimensions == 2:
            return (2, 2)
        return (2 if level < self.config.planes_halved else 1, 2, 2)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """Return the output for images (N, C, [Z,] Y, X), whose sides are whole multiples of `config.steps`."""
        self._check(image)
        seen = []
        features = image - self.config.centre if self.config.centre else image
        for level, block in enumerate(self.down):
            features = _applied(block, features)
            seen.append(features)
            features = _halved(features, self._halving(level), pooling=self.config.pooling)
        features = _applied(self.bottom, features)
        for level in reversed(range(self.config.depth)):
            joined = seen[level] if level > 0 or self.config.skips == "all" else None
            features = _applied(self.up[level], features, joined)
        with _in_full_precision(image.device.type):  # bright pixels need more digits than 16 bits have
            output: torch.Tensor = self.last(features.float() if features.dtype == torch.bfloat16 else features)
        values, errors = output.tensor_split([self.config.out_channels], dim=1)
        if self.config.learns == "the change":
            changed, others = values.tensor_split([self.config.in_channels], dim=1)
            values = torch.cat((image + changed, others), dim=1)
        elif self.config.centre:
            values = values + self.config.centre
        if self.config.gives == "values":
            return values
        return torch.cat((values, functional.softplus(errors) + LEAST_ERROR), dim=1)

    def _check(self, image: torch.Tensor) -> None:
        axes: Literal["Y, X", "Z, Y, X"] = "Y, X" if self.config.dimensions == 2 else "Z, Y, X"
        if image.ndim != self.config.dimensions + 2:
            raise ValueError(
                f"the image has shape {tuple(image.shape)}, but this is a {self.config.dimensions}D network: "
                f"give it images of shape (N, C, {axes})."
            )
        if image.shape[1] != self.config.in_channels:
            raise ValueError(
                f"the image has {image.shape[1]} channels, but this network takes {self.config.in_channels}: "
                f"its shape is {tuple(image.shape)}, to be read as (N, C, {axes})."
            )
        sides = image.shape[2:]
        if any(side % step or side == 0 for side, step in zip(sides, self.config.steps, strict=True)):
            raise ValueError(
                f"the image has sides {tuple(sides)}, but they must be whole multiples of {self.config.steps}: "
                f"Model.predict pads and crops by itself."
            )


def _applied(block: nn.Module, features: torch.Tensor, *joined: torch.Tensor | None) -> torch.Tensor:
    """Apply a block; of few planes in 32 bits on a processor, where torch takes gradients of 16 from stray memory."""
    output: torch.Tensor
    few = features.ndim == 5 and features.shape[2] < FEWEST_PLANES_IN_16_BITS
    if not (few and features.device.type == "cpu" and torch.is_autocast_enabled("cpu")):
        output = block(features, *joined)
        return output
    with _in_full_precision("cpu"):
        output = block(features.float(), *(None if one is None else one.float() for one in joined))
    return output


def _in_full_precision(device_type: str) -> AbstractContextManager[Any]:
    """Switch autocast off where it is on; elsewhere change nothing, because ONNX knows no such context."""
    return torch.autocast(device_type, enabled=False) if torch.is_autocast_enabled(device_type) else nullcontext()


class _Rising(nn.Sequential):
    """A block that sees coarse features, each pixel repeated, and what is joined to them on the finer grid."""

    def __init__(self, layers: nn.Sequential, steps: tuple[int, ...]) -> None:
        super().__init__(*layers)
        self.steps = steps

    def forward(self, coarse: torch.Tensor, joined: torch.Tensor | None) -> torch.Tensor:  # type: ignore[override]
        convolution, *others = self
        features = _refined(coarse, joined, convolution, self.steps)  # type: ignore[arg-type]
        for layer in others:
            features = layer(features)
        return features


def _refined(
    coarse: torch.Tensor, joined: torch.Tensor | None, convolution: nn.Conv2d | nn.Conv3d, steps: tuple[int, ...]
) -> torch.Tensor:
    """Return the convolution of coarse features, each pixel repeated along the axes of step 2, with those joined to it.

    Repeated pixels are equal, so that the weights which fall on the same one can be added before: of 3 × 3 products, 2
    × 2 are left. This is a transposed convolution; neither the repeated features nor the joined ones are ever stored.
    """
    flat = len(steps) == 2
    kernel = convolution.weight[:, : coarse.shape[1]]
    for axis, step in enumerate(steps, start=2):
        if step == 2:
            none = torch.zeros_like(kernel.narrow(axis, 0, 1))
            kernel = torch.cat((none, kernel), dim=axis) + torch.cat((kernel, none), dim=axis)
    kernel = kernel.flip(*range(2, kernel.ndim)).transpose(0, 1)
    transposed: Any = functional.conv_transpose2d if flat else functional.conv_transpose3d
    refined: torch.Tensor
    if joined is None:
        refined = transposed(coarse, kernel, convolution.bias, stride=steps, padding=1)
        return refined
    plain: Any = functional.conv2d if flat else functional.conv3d
    own: torch.Tensor = plain(joined, convolution.weight[:, coarse.shape[1] :], convolution.bias, padding=1)
    refined = own + transposed(coarse, kernel, stride=steps, padding=1)
    return refined


def _halved(features: torch.Tensor, steps: tuple[int, ...], *, pooling: str) -> torch.Tensor:
    """Return every second pixel along the axes of step 2: the largest of a pair, or a blurred maximum [3]_, [4]_."""
    pool = functional.max_pool2d if len(steps) == 2 else functional.max_pool3d
    if pooling == "max":
        return pool(features, kernel_size=steps)
    # the largest of each pixel and the next, at every pixel, then blurred by (1 2 1)/4, then every second
    dense = functional.pad(features, [place for step in reversed(steps) for place in (0, step - 1)], mode="replicate")
    dense = pool(dense, kernel_size=steps, stride=1)
    for axis, step in enumerate(steps, start=2):
        if step == 2:
            left = dense.narrow(axis, 0, 1)
            right = dense.narrow(axis, dense.shape[axis] - 1, 1)
            wide = torch.cat((left, dense, right), dim=axis)
            side = dense.shape[axis]
            blurred = wide.narrow(axis, 0, side) + 2 * dense + wide.narrow(axis, 2, side)
            pairs = blurred.reshape(*blurred.shape[:axis], side // 2, 2, *blurred.shape[axis + 1 :])
            dense = pairs.select(axis + 1, 0) / 4
    return dense
