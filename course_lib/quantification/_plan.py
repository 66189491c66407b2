"""What is to be measured, checked once, and the table of one image or of a part of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from course_lib.noise import Camera
from course_lib.parameters import Parameter
from course_lib.quantification._geometry import geometry, size_and_centre
from course_lib.quantification._intensities import centre, percentiles, spread
from course_lib.quantification._light import BackgroundLevel, Counted, Light, Recorded, ThroughCamera
from course_lib.quantification._neighbours import neighbours
from course_lib.quantification._objects import Array, Floats, Objects
from course_lib.quantification._outline import outline
from course_lib.quantification._texture import texture

__all__ = ["EVERYTHING_BUT_TEXTURE", "Feature", "Plan", "Unit"]

Feature = Literal["geometry", "outline", "neighbours", "intensity", "percentiles", "texture"]
Unit = Literal["grey", "photons"]

EVERYTHING_BUT_TEXTURE: tuple[Feature, ...] = ("geometry", "outline", "neighbours", "intensity", "percentiles")
DISTANCE = Parameter(
    name="neighbour_distance_um",
    default=0.0,
    meaning="farthest nearest pixels of neighbours; 0 for objects that touch",
    unit="µm",
    minimum=0.0,
)

EXPOSURE = Parameter(name="exposure_ms", default=100.0, meaning="exposure", unit="ms", minimum=0.0)


@dataclass(frozen=True, eq=False, kw_only=True)
class Plan:
    """What is to be measured of an image; the names are those of `measure`."""

    voxel_size_um: tuple[float, ...]
    camera: Camera | None
    exposure_ms: float
    unit: Unit
    features: Sequence[Feature]
    neighbour_distance_um: float
    object_type: str

    def __post_init__(self) -> None:
        """Check what does not depend on the images."""
        if isinstance(self.features, str):
            raise TypeError(f"features is {self.features!r}, but must be a list of words: [{self.features!r}].")
        for feature in self.features:
            if feature not in get_args(Feature):
                known = ", ".join(map(repr, get_args(Feature)))
                raise ValueError(f"features has {feature!r}, but must be of {known}.")
        if self.unit not in get_args(Unit):
            raise ValueError(f"unit is {self.unit!r}, but must be 'grey' or 'photons'.")
        if self.camera is not None and not isinstance(self.camera, Camera):
            raise TypeError(f"camera is a {type(self.camera).__name__}, but must be a course_lib.noise.Camera.")
        if self.camera is not None and self.unit == "photons":
            raise ValueError(
                "unit is 'photons' and a camera is given, which makes photons of grey values: "
                "leave out the camera where the image is in photons already, or the unit where it is not."
            )
        DISTANCE.check(self.neighbour_distance_um)
        EXPOSURE.check(self.exposure_ms)

    def table(self, objects: Objects, channels: Mapping[str, Array], backgrounds: Mapping[str, BackgroundLevel]) -> Any:
        """Measure the objects of an image, or of a part of it."""
        import pandas as pd

        wanted, size = set(self.features), self.voxel_size_um
        columns: dict[str, Any] = {
            "ID": objects.numbers,
            "Type": pd.array([self.object_type] * objects.count, dtype="str"),
        }
        columns |= size_and_centre(objects, size)
        if "geometry" in wanted:
            columns |= geometry(objects, size)
        if "outline" in wanted:
            columns |= outline(objects, size)
        if "neighbours" in wanted:
            columns["neighbours"] = neighbours(objects, size, distance_um=self.neighbour_distance_um)
        for name, image in channels.items():
            columns |= self._columns_of_light(objects, image, backgrounds[name], name=name)
        return pd.DataFrame(columns)

    def _columns_of_light(
        self, objects: Objects, image: Array, background: BackgroundLevel, *, name: str
    ) -> dict[str, Floats]:
        light, suffix = self._light(image, background), f"_{name}" if name else ""
        parts = [self._columns_of_part(part, light.of(part), name) for part in objects.parts()]
        prefix = "photons" if self.counts_photons else "intensity"
        columns = {f"{prefix}_{key}{suffix}": np.concatenate([part[key] for part in parts]) for key in parts[0]}
        if "texture" in self.features:
            found = texture(objects, light.of(objects).values.astype(np.float64, copy=False))
            columns |= {f"texture_{key}{suffix}": column for key, column in found.items()}
        return columns

    def _columns_of_part(self, objects: Objects, light: Light, name: str) -> dict[str, Floats]:
        _check_finite(objects, light, name)
        columns: dict[str, Floats] = {}
        if "intensity" in self.features:
            columns |= _summed(objects, light)
            columns |= {f"centre_{key}": value for key, value in self._centre(objects, light).items()}
        if "percentiles" in self.features:
            columns |= {key: value - light.level for key, value in percentiles(objects, light.values).items()}
        return columns

    def _centre(self, objects: Objects, light: Light) -> dict[str, Floats]:
        return centre(objects, light.values.astype(np.float64, copy=False) - light.level, self.voxel_size_um)

    @property
    def counts_photons(self) -> bool:
        """Whether the table is in photons."""
        return self.camera is not None or self.unit == "photons"

    def _light(self, image: Array, background: BackgroundLevel) -> Recorded | ThroughCamera:
        if self.camera is not None:
            return ThroughCamera(image, background, camera=self.camera, exposure_ms=self.exposure_ms)
        return (Counted if self.unit == "photons" else Recorded)(image, background)


def _summed(objects: Objects, light: Light) -> dict[str, Floats]:
    """Return sum and mean, their standard errors where known, spread and extrema."""
    found = spread(objects, light.values)
    mean = found["mean"] - light.level
    columns = {"sum": mean * objects.pixels}
    if light.variance_of_sum is not None:
        error = np.sqrt(light.variance_of_sum)
        columns |= {"sum_standard_error": error, "mean": mean, "mean_standard_error": error / objects.pixels}
    else:
        columns["mean"] = mean
    return columns | {"std": found["std"], "min": found["min"] - light.level, "max": found["max"] - light.level}


def _check_finite(objects: Objects, light: Light, name: str) -> None:
    with np.errstate(invalid="ignore", over="ignore"):
        total = objects.sum_of_pixels(light.values.astype(np.float64, copy=False))
    bad = objects.numbers[~np.isfinite(total)]
    if len(bad):
        channel = f"intensity[{name!r}]" if name else "intensity"
        raise ValueError(
            f"{channel} is NaN or infinite within objects, the first of them {bad[0]}: "
            f"set their labels to 0, or replace the values first."
        )
