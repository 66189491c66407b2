import warnings

import pytest

from course_lib.cli._messages import as_flags, told_at_once

NAMES = ("axes", "halo", "seed", "voxel_size_um", "memory_gib", "regularization", "overwrite", "boundary", "channel")


@pytest.mark.parametrize(
    ("text", "flags"),
    [
        ("halo is (1, 1), but must be larger.", "--halo is (1, 1), but must be larger."),
        ("a halo is a margin", "a halo is a margin"),
        ("rng is -4, but a seed must be at least 0", "--seed is -4, but a seed must be at least 0"),
        ("give voxel_size_um=(z, y, x), or (1, 1, 1)", "give --voxel-size-um z,y,x, or (1, 1, 1)"),
        ("or give more memory_gib.", "or give more --memory-gib."),
        ("noise_to_signal is -1", "--regularization is -1"),
        ("pass axes='CYX'", "pass --axes CYX"),
        ("pass overwrite=True to start anew", "add --overwrite to start anew"),
        ("use boundary='linear'", "use --boundary linear"),
        ("choose one, channel 0 to 1", "choose one, --channel 0 to 1"),
        ("choose one, --channel 0 to 1", "choose one, --channel 0 to 1"),
        ("--voxel-size-um Z,Y,X sets it", "--voxel-size-um Z,Y,X sets it"),
        ("read_noise_e is no flag here", "read_noise_e is no flag here"),
    ],
)
def test_parameters_are_named_as_flags(text: str, flags: str) -> None:
    assert as_flags(text, NAMES) == flags


def test_each_warning_is_told_when_it_comes_and_once(capsys: pytest.CaptureFixture[str]) -> None:
    with told_at_once(NAMES) as told:
        warnings.warn("halo is large", stacklevel=1)
        assert capsys.readouterr().err == "course: --halo is large\n"
        warnings.warn("halo is large", stacklevel=1)
        assert capsys.readouterr().err == ""
        warnings.warn("memory_gib is small", stacklevel=1)
        assert capsys.readouterr().err == "course: --memory-gib is small\n"
    assert told == ["--halo is large", "--memory-gib is small"]
    with pytest.raises(UserWarning, match="as before"):
        warnings.warn("as before", stacklevel=1)
