"""Patches and network of all that learns from noisy images alone."""

from course_lib.networks import UNetConfig
from course_lib.parameters import Parameters, parameter

__all__ = ["PatchSettings"]


class PatchSettings(Parameters):
    """What Noise2Void, photon splitting and Noise2Noise have in common."""

    dimensions: int = parameter(default=2, meaning="axes of an image, 2 for Y X, 3 for Z Y X", minimum=2, maximum=3)
    channels: int = parameter(default=1, meaning="channels, which the network sees together", minimum=1)
    patch_side: int = parameter(default=64, meaning="rows and columns of a patch", unit="pixels", minimum=8)
    patch_planes: int = parameter(default=8, meaning="planes of a patch of a stack", minimum=2)
    depth: int = parameter(default=2, meaning="how often the network halves the grid", minimum=1, maximum=6)
    base_channels: int = parameter(default=32, meaning="features on the finest grid", minimum=1)
    planes_halved: int = parameter(default=2, meaning="how often, at most, the planes are halved, too", minimum=0)
    views: str = parameter(
        default="turned",
        meaning="sides from which patches are shown: also turned by quarters, only mirrored where structures have a "
        "direction, or as they are",
        choices=("turned", "mirrored", "as they are"),
    )
    validation_share: float = parameter(
        default=0.1, meaning="of the images, or of each image, that is kept apart", minimum=0.01, maximum=0.5
    )

    @property
    def patch_shape(self) -> tuple[int, ...]:
        """Sides of a patch, ([z,] y, x)."""
        return (self.patch_planes, self.patch_side, self.patch_side)[-self.dimensions :]

    @property
    def network(self) -> UNetConfig:
        """A plain U-Net, which gives as many channels as it sees."""
        return UNetConfig(
            dimensions=self.dimensions,
            in_channels=self.channels,
            out_channels=self.channels,
            depth=self.depth,
            base_channels=self.base_channels,
            planes_halved=self.planes_halved,
        )
