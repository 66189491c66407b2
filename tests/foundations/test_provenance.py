"""Files say which command wrote them, and say nothing where no command did."""

from pathlib import Path

import numpy as np
import pytest

from course_lib import __version__, images, provenance
from course_lib.images.target import blank, make_target


def test_images_written_by_a_command_carry_it_and_others_nothing(tmp_path: Path) -> None:
    image = images.Image(np.zeros((4, 5), np.uint8), axes="YX", voxel_size_um=(0.1, 0.1))
    images.write(tmp_path / "plain.tif", image)
    with provenance.of_command(["course", "segment", "Zelle 5 µm.tif", "--diameter-um", "3"]):
        images.write(tmp_path / "told.tif", image)
        target = make_target(tmp_path / "tiled.tif", blank((4, 5), axes="YX"))
        target.create()
        target.finish()
    expected = {
        "program": f"deep-learning-microscopy-course {__version__}",
        "command": "course segment 'Zelle 5 µm.tif' --diameter-um 3",
    }
    assert images.read_provenance(tmp_path / "told.tif") == expected
    assert images.read_provenance(tmp_path / "tiled.tif") == expected
    assert images.read_provenance(tmp_path / "plain.tif") == {}
    assert np.array_equal(images.read(tmp_path / "told.tif").data, image.data)


def test_a_command_ends_also_by_an_error() -> None:
    def stopped() -> None:
        with provenance.of_command(["course", "inspect"]):
            assert provenance.record()["command"] == "course inspect"
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        stopped()
    assert provenance.record() == {}


@pytest.mark.parametrize("content", [b"", b"no TIFF"])
def test_what_is_no_image_has_no_provenance(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.tif").write_bytes(content)
    with pytest.raises(ValueError, match="is not a TIFF file"):
        images.read_provenance(tmp_path / "a.tif")
