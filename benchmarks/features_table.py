"""A table of features: this library and scikit-image's regionprops_table, in one run.

    python -m benchmarks.features_table [--rounds N] [--cases NAME ...]

Objects are discs with three soft corners, of different sizes, on a lattice, in an image of normal noise in float64; in
the stack they are balls. Three tables are made: 20 columns of size, position, axes, bounding box and intensities; the
features of the outline, which take scikit-image longest; and all columns that both have, the median with them. The two
take turns, so that a machine that slows down slows down both; ratios are taken round by round. All columns must agree
to a relative difference of 1e-9, or the run stops.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
from skimage.measure import regionprops_table

from benchmarks.machine import write_results
from course_lib.quantification import measure

CASES: dict[str, tuple[int, tuple[int, ...]]] = {  # objects, shape
    "1000": (1000, (1448, 1448)),
    "8000": (8000, (4096, 4096)),
    "stack of 500": (500, (40, 480, 600)),
}
SPACING_SHARES = (0.32, 0.42)  # radii over the distance of neighbours
SIZE_UM = (0.5, 0.5, 0.5)
TOLERANCE = 1e-9
SHARED = {
    "label": "ID",
    "equivalent_diameter_area": "equivalent_diameter_um",
    "axis_major_length": "major_axis_um",
    "axis_minor_length": "minor_axis_um",
    "extent": "extent",
    "intensity_mean": "intensity_mean",
    "intensity_std": "intensity_std",
    "intensity_min": "intensity_min",
    "intensity_max": "intensity_max",
}
POSITION_AND_LIGHT = {
    2: SHARED
    | {"area": "area_um2", "eccentricity": "eccentricity", "orientation": "orientation_rad"}
    | {f"centroid-{place}": f"{letter}_um" for place, letter in enumerate("yx")}
    | {f"centroid_weighted-{place}": f"intensity_centre_{letter}_um" for place, letter in enumerate("yx")}
    | {f"bbox-{place}": f"bbox_{letter}_start_px" for place, letter in enumerate("yx")}
    | {f"bbox-{2 + place}": f"bbox_{letter}_stop_px" for place, letter in enumerate("yx")},
    3: SHARED
    | {"area": "volume_um3"}
    | {f"centroid-{place}": f"{letter}_um" for place, letter in enumerate("zyx")}
    | {f"centroid_weighted-{place}": f"intensity_centre_{letter}_um" for place, letter in enumerate("zyx")}
    | {f"bbox-{place}": f"bbox_{letter}_start_px" for place, letter in enumerate("zyx")}
    | {f"bbox-{3 + place}": f"bbox_{letter}_stop_px" for place, letter in enumerate("zyx")},
}
OUTLINE = {
    2: {"perimeter": "perimeter_um", "perimeter_crofton": "perimeter_crofton_um", "solidity": "solidity"},
    3: {"solidity": "solidity"},
}
TABLES = {  # by the number of axes: their columns, ours
    "position and light": POSITION_AND_LIGHT,
    "outline": OUTLINE,
    "all that both have": {
        axes: POSITION_AND_LIGHT[axes] | OUTLINE[axes] | {"intensity_median": "intensity_median"} for axes in (2, 3)
    },
}
FEATURES = {
    "position and light": ("geometry", "intensity"),
    "outline": ("outline",),
    "all that both have": ("geometry", "intensity", "outline", "percentiles"),
}


def blobs(objects: int, shape: tuple[int, ...]) -> np.ndarray:
    """Draw numbered objects on a lattice."""
    rng = np.random.default_rng(objects)
    across = int(np.ceil((objects * shape[-1] / shape[-2]) ** 0.5))
    spacing = shape[-1] / across
    image = np.zeros(shape, np.int32)
    middle = shape[0] / 2
    for number in range(objects):
        y, x = (np.array(divmod(number, across)) + 0.5 + rng.uniform(-0.05, 0.05, 2)) * spacing
        radius, turn = rng.uniform(*SPACING_SHARES) * spacing, rng.uniform(0, 2 * np.pi)
        window = tuple(
            slice(max(int(centre - 1.15 * radius), 0), min(int(centre + 1.15 * radius) + 2, side))
            for centre, side in zip((y, x), shape[-2:], strict=True)
        )
        rows, columns = np.ogrid[window]
        to_y, to_x = rows - y, columns - x
        reach = radius * (1 + 0.12 * np.cos(3 * np.arctan2(to_y, to_x) + turn))
        flat = (to_y / reach) ** 2 + (to_x / reach) ** 2
        if len(shape) == 2:
            image[window][flat <= 1] = number + 1
        else:
            away = (np.arange(shape[0]) - middle)[:, None, None] / (0.9 * min(radius, middle))
            image[:, *window][flat + away**2 <= 1] = number + 1
    return image


def own_columns(labels: np.ndarray, image: np.ndarray, table: str) -> dict[str, np.ndarray]:
    """Make one of the tables with this library."""
    found = measure(labels, image, voxel_size_um=SIZE_UM[: labels.ndim], features=FEATURES[table])
    return {theirs: found[ours].to_numpy() for theirs, ours in TABLES[table][labels.ndim].items()}


def peer_columns(labels: np.ndarray, image: np.ndarray, table: str) -> dict[str, np.ndarray]:
    """Make the same table with scikit-image."""
    columns = TABLES[table][labels.ndim]
    properties = sorted({name.split("-")[0] for name in columns})
    found = regionprops_table(labels, image, properties=properties, spacing=SIZE_UM[: labels.ndim])
    return {name: found[name] for name in columns}


def largest_difference(own: dict[str, np.ndarray], peer: dict[str, np.ndarray]) -> float:
    """Return the largest relative difference; orientations are compared as lines, which ±π/2 names twice."""
    largest = 0.0
    for name, theirs in peer.items():
        apart = np.abs(own[name] - theirs)
        apart = np.abs(np.sin(apart)) if name == "orientation" else apart / np.maximum(np.abs(theirs), 1)
        largest = max(largest, float(apart.max()))
    return largest


def timed(make: Callable[..., dict[str, np.ndarray]], *given: Any) -> tuple[float, dict[str, np.ndarray]]:
    """Return seconds and result of one call."""
    start = time.perf_counter()
    result = make(*given)
    return time.perf_counter() - start, result


def spread(values: Sequence[float]) -> list[float]:
    """Return least, median and most, rounded to three digits."""
    ordered = sorted(values)
    return [float(f"{value:.3g}") for value in (ordered[0], statistics.median(ordered), ordered[-1])]


def measure_case(name: str, table: str, *, rounds: int) -> dict[str, Any]:
    """Let both make one table of one case, in turns."""
    objects, shape = CASES[name]
    labels = blobs(objects, shape)
    image = np.random.default_rng(0).normal(200, 20, shape)
    own_columns(labels, image, table)  # the first call imports
    turns = []
    for _ in range(rounds):
        own_seconds, own = timed(own_columns, labels, image, table)
        peer_seconds, peer = timed(peer_columns, labels, image, table)
        difference = largest_difference(own, peer)
        if len(next(iter(own.values()))) != objects or not difference <= TOLERANCE:
            raise RuntimeError(f"{table} of {name}: relative difference {difference:.3g}, above {TOLERANCE:g}.")
        turns.append((own_seconds, peer_seconds))
    return {
        "work": f"{name}{' objects' if name.isdigit() else ''}, {table}",
        "columns": len(own),
        "voxels": labels.size,
        "course_lib_ms": spread([1000 * own for own, _ in turns]),
        "scikit_image_ms": spread([1000 * peer for _, peer in turns]),
        "faster_than_scikit_image": spread([peer / own for own, peer in turns]),
        "largest_relative_difference": float(f"{difference:.1g}"),
    }


def main() -> None:
    """Measure, print and write ``benchmarks/results/features_table.json``."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), help="which images")
    given = parser.parse_args()
    rows = [measure_case(name, table, rounds=given.rounds) for name in given.cases for table in TABLES]
    what = "a table of features of all objects, without reading or writing; [least, median, most] of the rounds"
    settings = {"rounds": given.rounds, "tolerance": TOLERANCE, "scikit_image": version("scikit-image")}
    write_results("features_table", {"what": what, **settings, "rows": rows})


if __name__ == "__main__":
    main()
