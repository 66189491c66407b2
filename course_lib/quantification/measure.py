r"""The table of features: one row an object, one column a feature, its unit in its name.

=========================== ==========================================================================================
always                      ``ID`` (the label), ``Type`` (for classes), ``area_um2`` or in a stack ``volume_um3``, and
                            the centre ``[z_um,] y_um, x_um``: the mean position of pixels, the first pixel at 0
geometry                    ``equivalent_diameter_um`` (disc or ball of the same size), ``major_axis_um``,
                            [``middle_axis_um``,] ``minor_axis_um`` (ellipse or ellipsoid of the same second moments),
                            ``orientation_rad`` (from y to the major axis, as in scikit-image) and ``eccentricity`` in
                            the plane, ``extent`` (share of the bounding box), ``bbox_y_start_px``, ``bbox_y_stop_px``,
                            ..., ``touches_border``
outline                     ``perimeter_um`` (as scikit-image), ``perimeter_crofton_um``, ``circularity``, ``solidity``;
                            in a stack ``surface_um2``, ``sphericity``, ``solidity``; circularity and sphericity are
                            NaN below 10 pixels
neighbours                  ``neighbours``: objects that touch, or lie within `neighbour_distance_um`
intensity                   ``intensity_sum``, ``_mean``, ``_std``, ``_min``, ``_max``, and the centre of the light
                            ``_centre_y_um``, ...; in photons ``photons_sum``, ..., and
                            ``photons_sum_standard_error``, ``photons_mean_standard_error``
percentiles                 ``intensity_p05``, ``_median``, ``_p95``
texture                     ``texture_contrast``, ``_correlation``, ``_entropy_bits``; only where asked for
=========================== ==========================================================================================

Columns of several channels end in their names: ``intensity_mean_dna``. Measure the raw image: segment a restored one if
that is better, but its intensities are guesses of a network or a filter.

Everything is counted for all objects at once; no object is cut out. Areas, centres and moments are sums over runs of
pixels in closed form, intensities sums over the pixels sorted by object. Where scikit-image has the same feature,
values are equal to nine digits.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch

from course_lib.noise import Camera
from course_lib.quantification._inputs import channels_of
from course_lib.quantification._light import BackgroundLevel
from course_lib.quantification._objects import Array, check_labels, objects_of
from course_lib.quantification._plan import EVERYTHING_BUT_TEXTURE, Feature, Plan, Unit
from course_lib.quantification._provenance import provenance
from course_lib.segmentation._check import check_voxel_size

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["measure"]

Image = torch.Tensor | Array


def measure(
    labels: Image,
    intensity: Image | Mapping[str, Image] | None = None,
    *,
    voxel_size_um: Sequence[float],
    background: BackgroundLevel | Mapping[str, BackgroundLevel] = None,
    camera: Camera | None = None,
    exposure_ms: float = 100.0,
    unit: Unit = "grey",
    features: Sequence[Feature] = EVERYTHING_BUT_TEXTURE,
    neighbour_distance_um: float = 0.0,
    object_type: str = "",
) -> "pd.DataFrame":
    """Measure every object of a label image: where it is, how large, of which shape, how bright.

    Parameters
    ----------
    labels : numpy.ndarray or torch.Tensor of int, shape (y, x) or (z, y, x)
        0 background, objects above; gaps are allowed, the numbers are kept.
    intensity : numpy.ndarray or torch.Tensor, or mapping of channel names to them, same shape
        The raw image, in grey values or photons. Without it, shapes alone are measured.
    voxel_size_um : sequence of float
        ([z,] y, x) in µm.
    background : float, Background, image of the same shape, or mapping of channel names to them
        What is taken off each pixel, in the unit of the image: with the camera's offset where the image has it.
        `estimate_background` returns one with its standard error, which goes into those of the columns. A number, or an
        image as from `background_map`, is taken as known without error. Nothing is clipped at 0.
    camera : Camera, optional
        The camera whose grey values (ADU) the image holds. Intensities are then photons, with standard errors from the
        noise of photons and camera. Without a background, its offset and dark current are taken off.
    exposure_ms : float
        Exposure in ms, for the camera's dark current.
    unit : {"grey", "photons"}
        "photons" of an image that holds counts of photons: their variance is their number.
    features : sequence of str
        Groups of columns, from the table above.
    neighbour_distance_um : float
        Neighbours are objects whose nearest pixels are that close, from centre to centre; 0 counts those that touch.
    object_type : str
        What the column ``Type`` says of all objects.

    Returns
    -------
    pandas.DataFrame
        Sorted by ID. ``attrs["provenance"]`` tells how it was made, with the unit of each column.

    Raises
    ------
    ValueError
        If shapes differ, labels are negative, values are NaN or infinite within an object (outside they do not matter),
        voxel sizes are not above 0,
        a feature is unknown, or a background is missing for a channel.
    TypeError
        If labels are not whole numbers, or images not real ones.

    Notes
    -----
    Standard errors hold for the pixels that the labels name: that other pixels would have been named in another
    recording is not in them. An object of 0 or 1 photons has its count for its variance, so pool many of such objects.

    See Also
    --------
    measure_blocks : the same of an image that is larger than the memory.
    measure_frames : the same of each frame of a time series.

    Examples
    --------
    >>> import numpy as np
    >>> labels = np.array([[0, 3, 3], [0, 3, 3], [8, 0, 0]])
    >>> table = measure(labels, labels * 10.0, voxel_size_um=(0.5, 0.5), background=2.0)
    >>> table[["ID", "area_um2", "x_um", "intensity_mean"]].round(2).to_dict("list")
    {'ID': [3, 8], 'area_um2': [1.0, 0.25], 'x_um': [0.75, 0.0], 'intensity_mean': [28.0, 78.0]}
    >>> table.attrs["provenance"]["units"]["area_um2"]
    'µm²'
    """
    image = check_labels(labels)
    plan = Plan(
        voxel_size_um=check_voxel_size(voxel_size_um, image.ndim),
        camera=camera,
        exposure_ms=exposure_ms,
        unit=unit,
        features=features,
        neighbour_distance_um=neighbour_distance_um,
        object_type=object_type,
    )
    channels = channels_of(intensity, background, image.shape)
    table = plan.table(objects_of(image), *channels.at(slice(None)))
    table.attrs["provenance"] = provenance(
        plan, command="measure", shape=image.shape, backgrounds=channels.backgrounds, columns=table.columns
    )
    return table
