import io

import matplotlib
import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from course_lib.plotting import label_overlay
from course_lib.plotting.label_overlay import OUTLINES

truth = np.zeros((24, 32), np.int32)
truth[3:10, 3:12] = 4
truth[12:22, 14:30] = 9
image = (truth > 0).astype(np.float32)


def outlines(axes):
    """Return the corners of the boxes around each outline, by its colour."""
    found = {}
    for collection in axes.collections:
        color = matplotlib.colors.to_hex(collection.get_edgecolor()[0])
        paths = [path.vertices for path in collection.get_paths()]
        found[color] = [tuple(path.min(axis=0)) + tuple(path.max(axis=0)) for path in paths]
    return found


def color(kind):
    return OUTLINES[kind][0]


def test_outlines_run_between_the_pixels_of_an_object_and_the_others():
    figure = label_overlay(image, [truth])
    assert outlines(figure.axes[0]) == {color("found"): [(2.5, 2.5, 11.5, 9.5), (13.5, 11.5, 29.5, 21.5)]}
    assert not figure.legends


def test_objects_at_the_border_are_closed():
    whole = np.ones((6, 8), np.int32)
    (line,) = outlines(label_overlay(whole, [whole]).axes[0])[color("found")]
    assert line == (-0.5, -0.5, 7.5, 5.5)


def test_neighbours_keep_an_outline_each():
    halves = np.ones((6, 8), np.int32)
    halves[:, 4:] = 2
    assert len(outlines(label_overlay(halves, [halves]).axes[0])[color("found")]) == 2


def test_with_the_truth_found_invented_and_missed_are_told_apart():
    labels = np.where(truth == 9, 0, truth)
    labels[14:18, 3:7] = 2
    drawn = outlines(label_overlay(image, [labels], truth=truth).axes[0])
    assert drawn[color("found")] == [(2.5, 2.5, 11.5, 9.5)]
    assert drawn[color("invented")] == [(2.5, 13.5, 6.5, 17.5)]
    assert drawn[color("missed")] == [(13.5, 11.5, 29.5, 21.5)]


def test_the_threshold_decides_what_is_found():
    labels = np.roll(truth, 1, axis=1)  # IoU 8/10 and 15/17
    for threshold, count in ((0.75, 2), (0.85, 1), (0.9, 0)):
        drawn = outlines(label_overlay(image, [labels], truth=truth, iou_threshold=threshold).axes[0])
        assert len(drawn.get(color("found"), [])) == count


def test_one_image_serves_all_panels_and_each_may_have_its_own():
    one = label_overlay(image, [truth, truth], titles=["a", "b"], pixel_size_um=0.5)
    many = label_overlay([image, 2 * image], [truth, torch.from_numpy(truth)])
    for figure in (one, many):
        figure.savefig(io.BytesIO())
        assert len([axes for axes in figure.axes if axes.images]) == 2
    assert one.axes[0].texts[0].get_text() == "5 µm"


def test_no_object_draws_nothing():
    figure = label_overlay(image, [np.zeros_like(truth)], truth=np.zeros_like(truth))
    figure.savefig(io.BytesIO())
    assert not any(outlines(figure.axes[0]).values())


def test_the_colours_stay_apart_in_grey():
    rgb = np.array([matplotlib.colors.to_rgb(color(kind)) for kind in OUTLINES])
    assert np.diff(np.sort(rgb2lab(rgb)[:, 0])).min() >= 10
    assert len({str(line) for _, line in OUTLINES.values()}) == len(OUTLINES)


@pytest.mark.parametrize(
    ("labels", "arguments", "message"),
    [
        ([], {}, "labels is empty, but must hold at least one label image"),
        ([image], {}, "labels 0 has dtype float32 .* but must be whole numbers"),
        ([truth[None]], {}, r"labels 0 has dtype int32 and shape \(1, 24, 32\)"),
        ([truth[:5]], {}, r"labels 0 have shape \(5, 32\), but image 0 has \(24, 32\): take all"),
        ([truth], {"truth": truth[:5]}, r"labels 0 have shape \(24, 32\), but truth has \(5, 32\)"),
        ([truth], {"truth": truth, "iou_threshold": 0.0}, "iou_threshold is 0, but must be above 0"),
    ],
)
def test_bad_labels_are_refused(labels, arguments, message):
    with pytest.raises(ValueError, match=message):
        label_overlay(image, labels, **arguments)


def test_as_many_images_as_labels():
    with pytest.raises(ValueError, match="there are 2 images for 3 label images: pass one for each, or one"):
        label_overlay([image, image], [truth] * 3)
