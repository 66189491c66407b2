"""A trained model: weights, and all that is needed to use them rightly a year later.

Weights alone are useless without the network's shape, and misleading without the normalization that the training used.
So a model's file holds these three, the settings and the history of the training, and the version of the library that
wrote it. It is read without executing anything in it (``weights_only=True``).
"""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal, Self

import torch

from course_lib import devices
from course_lib.axes import check_spatial
from course_lib.images import Normalization, PercentileNormalization
from course_lib.networks._files import load_tensors, save_tensors
from course_lib.networks.tiling import predict_tiles
from course_lib.networks.training import EpochRecord, precision_for
from course_lib.networks.unet import UNet, UNetConfig

__all__ = ["FORMAT", "Model"]

FORMAT = 1
"""Number of the layout of the file; it grows when an older library could not read the newer layout."""

FARTHEST_BACKGROUND = 0.2
"""An image's dark pixels may differ from the training's by so much of the training's contrast, before it is said."""


@dataclass(frozen=True, kw_only=True)
class Model:
    """A network that knows its units.

    Attributes
    ----------
    network : UNet
        With its trained weights.
    method : str
        Who trained it, for example ``"care"``.
    input_normalization, output_normalization : tuple of Normalization
        One for each channel: what becomes 0 and 1 on the way in, and what 0 and 1 become on the way out.
    settings : dict
        Settings of the training, and where its images came from: plain numbers and words.
    history : tuple of EpochRecord
        What each epoch brought.

    Examples
    --------
    >>> network = UNet(UNetConfig(base_channels=4, depth=1), rng=0)
    >>> plain = Normalization(offset=0.0, scale=1.0)
    >>> model = Model(network=network, method="example", input_normalization=(plain,), output_normalization=(plain,))
    >>> model.predict(torch.zeros(3, 33, 50)).shape
    torch.Size([3, 33, 50])
    """

    network: UNet
    method: str
    input_normalization: tuple[Normalization, ...]
    output_normalization: tuple[Normalization, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    history: tuple[EpochRecord, ...] = ()

    def __post_init__(self) -> None:
        """Check that each channel has its normalization."""
        config = self.network.config
        for name, given, channels in (
            ("input_normalization", self.input_normalization, config.in_channels),
            ("output_normalization", self.output_normalization, config.out_channels),
        ):
            if len(given) != channels:
                raise ValueError(f"{name} has {len(given)} entries, but the network has {channels} such channels.")

    def predict(
        self,
        image: torch.Tensor,
        *,
        normalization: Literal["training", "image"] = "training",
        tile: Sequence[int] | None = None,
        batch_size: int = 1,
        views: Literal[1, 8] = 1,
        device: str | torch.device = "auto",
        precision: Literal["auto", "float32", "bfloat16"] = "float32",
        progress: bool = False,
    ) -> torch.Tensor:
        """Return the network's answer for images of any size.

        Parameters
        ----------
        image : torch.Tensor
            Shape (..., [Z,] Y, X) for a network of one channel, else (..., C, [Z,] Y, X).
        normalization : {"training", "image"}
            ``"training"`` takes the image to be in the training's unit, and warns where its background is not.
            ``"image"`` normalizes each image by its own percentiles, and undoes that in the answer, which so follows
            any change of offset and gain; but the network no longer knows how many photons a grey level is.
        tile, batch_size, views, progress
            See `predict_tiles`.
        device : str or torch.device
            Where to compute.
        precision : {"float32", "bfloat16", "auto"}
            bfloat16 is faster where the processor has it, and exact to about 1 % of the contrast.

        Returns
        -------
        torch.Tensor
            On the CPU, float32, with the axes of `image`; C as many as the network gives.

        Raises
        ------
        ValueError, TypeError
            If axes, channels or values do not fit.
        """
        channels = self.network.config.out_channels
        answers = self._answers(
            image,
            normalization=normalization,
            tile=tile,
            batch_size=batch_size,
            views=views,
            device=device,
            precision=precision,
            progress=progress,
        )
        return self._like(image, answers[:, :channels])

    def predict_with_errors(
        self, image: torch.Tensor, *, device: str | torch.device = "auto", progress: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the answer, and the mean absolute error that the network expects of each of its values.

        Parameters
        ----------
        image, device, progress
            See `predict`.

        Raises
        ------
        ValueError
            If the network does not tell its errors.
        """
        if self.network.config.gives == "values":
            raise ValueError(
                "this network gives no errors: train it with the probabilistic loss, or train an ensemble."
            )
        channels = self.network.config.out_channels
        answers = self._answers(image, device=device, progress=progress)
        return self._like(image, answers[:, :channels]), self._like(image, answers[:, channels:])

    def _answers(
        self,
        image: torch.Tensor,
        *,
        normalization: Literal["training", "image"] = "training",
        tile: Sequence[int] | None = None,
        batch_size: int = 1,
        views: Literal[1, 8] = 1,
        device: str | torch.device,
        precision: Literal["auto", "float32", "bfloat16"] = "float32",
        progress: bool,
    ) -> torch.Tensor:
        """Return all that the network gives, (N, C, [Z,] Y, X), N for all leading axes together."""
        config = self.network.config
        frames = self._frames(image)
        if normalization not in ("training", "image"):
            raise ValueError(f"normalization is {normalization!r}, but must be 'training' or 'image'.")
        fitted = [self.fitted_to(frame, normalization) for frame in frames]
        where = devices.resolve(device)
        sides = tuple(frames.shape[2:])
        outputs = config.out_channels * (2 if config.gives == "values and errors" else 1)
        answers = torch.empty((len(frames), outputs, *sides))

        def read(number: int, place: tuple[slice, ...]) -> torch.Tensor:
            return fitted[number].normalized(frames[number][(slice(None), *place)])

        def write(number: int, place: tuple[slice, ...], values: torch.Tensor) -> None:
            answers[number][(slice(None), *place)] = fitted[number].in_unit(values)

        predict_tiles(
            self.network.to(where),
            read,
            write,
            sides=sides,
            frames=len(frames),
            tile=None if tile is None else tuple(tile),
            batch_size=batch_size,
            views=views,
            precision=precision_for(where, precision),
            progress=progress,
        )
        return answers

    def normalized(self, image: torch.Tensor) -> torch.Tensor:
        """Return what the network sees of an image in its unit, (C, [Z,] Y, X)."""
        channels = zip(image.float(), self.input_normalization, strict=True)
        return torch.stack([one.apply(channel) for channel, one in channels])

    def in_unit(self, given: torch.Tensor) -> torch.Tensor:
        """Return what the network gives, (C, [Z,] Y, X), in the unit of the output: values, and errors if any."""
        out_of = self.output_normalization
        if self.network.config.gives == "values and errors":
            out_of = (*out_of, *(Normalization(offset=0.0, scale=one.scale) for one in out_of))
        return torch.stack([one.invert(channel) for channel, one in zip(given, out_of, strict=True)])

    def _frames(self, image: torch.Tensor) -> torch.Tensor:
        """Return the images as (N, C, [Z,] Y, X)."""
        config = self.network.config
        check_spatial(image, config.dimensions)
        if config.dimensions == 3 and image.shape[-3] == 1:
            raise ValueError(
                "the image has 1 plane, but this is a 3D network, which learned from what lies above and below: "
                "give a stack, or use a 2D model."
            )
        whole = image.unsqueeze(-config.dimensions - 1) if config.in_channels == 1 else image
        if whole.ndim < config.dimensions + 1 or whole.shape[-config.dimensions - 1] != config.in_channels:
            raise ValueError(
                f"image has shape {tuple(image.shape)}, but this model takes {config.in_channels} channels, "
                f"(..., C, {'Z, ' if config.dimensions == 3 else ''}Y, X)."
            )
        return whole.detach().reshape(-1, *whole.shape[-config.dimensions - 1 :])

    def _like(self, image: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Return answers (N, C, [Z,] Y, X) with the axes of the image."""
        config = self.network.config
        if config.in_channels == 1:
            leading = image.shape[: image.ndim - config.dimensions]
            return answers.reshape(*leading, *answers.shape[int(answers.shape[1] == 1) + 1 :])
        leading = image.shape[: image.ndim - config.dimensions - 1]
        return answers.reshape(*leading, *answers.shape[1:])

    def fitted_to(self, image: torch.Tensor, normalization: str) -> Self:
        """Return the model for images like one, (C, ...): see `normalization` of `predict`."""
        if normalization == "training":
            self._warn_of_another_background(image)
            return self
        own = tuple(PercentileNormalization().fit(channel.float()) for channel in image)
        if len(own) != len(self.output_normalization):
            raise ValueError(
                f"normalization is 'image', but {len(own)} channels go in and {len(self.output_normalization)} come "
                f"out, whose units are not theirs: use 'training'."
            )
        changed = tuple(
            Normalization(
                offset=one.offset + one.scale * (out.offset - trained.offset) / trained.scale,
                scale=one.scale * out.scale / trained.scale,
            )
            for one, trained, out in zip(own, self.input_normalization, self.output_normalization, strict=True)
        )
        return replace(self, input_normalization=own, output_normalization=changed)

    def _warn_of_another_background(self, frame: torch.Tensor) -> None:
        for number, (channel, one) in enumerate(zip(frame, self.input_normalization, strict=True)):
            dark = float(one.apply(torch.quantile(_sample(channel.float()), 0.01)))
            if abs(dark) > FARTHEST_BACKGROUND:
                warnings.warn(
                    f"the background of channel {number} is {one.offset + one.scale * dark:.4g}, but the training's "
                    f"was {one.offset:.4g}, and its contrast {one.scale:.4g}: the model has not seen such images. If "
                    f"only the camera's offset or gain differs, pass normalization='image'.",
                    stacklevel=4,
                )

    def save(self, path: str | os.PathLike[str], *, weights: Literal["float32", "float16"] = "float32") -> None:
        """Write the model; float16 halves the file, and changes predictions by about a thousandth of their contrast.

        Raises
        ------
        OSError
            If the file cannot be written; an older one is kept.
        """
        type_ = torch.float32 if weights == "float32" else torch.float16
        state = {
            name: value.cpu().to(type_) if value.is_floating_point() else value.cpu()
            for name, value in self.network.state_dict().items()
        }
        save_tensors(
            Path(path),
            {
                "format": FORMAT,
                "library": version("deep-learning-microscopy-course"),
                "method": self.method,
                "network": asdict(self.network.config),
                "weights": state,
                "input_normalization": [one.to_dict() for one in self.input_normalization],
                "output_normalization": [one.to_dict() for one in self.output_normalization],
                "settings": dict(self.settings),
                "history": [asdict(record) for record in self.history],
            },
        )

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, dimensions: int | None = None) -> Self:
        """Read a model.

        Parameters
        ----------
        path : str or path
            What `save` wrote.
        dimensions : {2, 3}, optional
            Refuses models of another dimension.

        Raises
        ------
        FileNotFoundError
            If there is no such file.
        ValueError
            If it is damaged, of a later library, or of another dimension.
        """
        path = Path(path)
        content = load_tensors(path)
        if "format" not in content or "network" not in content:
            raise ValueError(f"{path} holds tensors, but no model of this course: take another file.")
        if content["format"] > FORMAT:
            raise ValueError(
                f"{path} was written by version {content['library']} of the course, in format {content['format']}, but "
                f"this version reads up to format {FORMAT}: update the course."
            )
        config = UNetConfig(**content["network"])
        if dimensions is not None and config.dimensions != dimensions:
            raise ValueError(f"{path} is a {config.dimensions}D model, but the image needs a {dimensions}D one.")
        network = UNet(config, rng=0)
        network.load_state_dict(content["weights"])
        network.eval()
        return cls(
            network=network,
            method=content["method"],
            input_normalization=tuple(Normalization.from_dict(one) for one in content["input_normalization"]),
            output_normalization=tuple(Normalization.from_dict(one) for one in content["output_normalization"]),
            settings=content["settings"],
            history=tuple(EpochRecord(**record) for record in content["history"]),
        )


def _sample(values: torch.Tensor) -> torch.Tensor:
    """Return about a million of the values at most, evenly chosen."""
    flat = values.reshape(-1)
    return flat[:: max(1, flat.numel() // 2**20)]
