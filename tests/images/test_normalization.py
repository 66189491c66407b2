import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from course_lib.images import MeanStandardDeviationNormalization, Normalization, PercentileNormalization

KINDS = [PercentileNormalization(), PercentileNormalization(low=0, high=100), MeanStandardDeviationNormalization()]


@given(offset=st.floats(-1e4, 1e4), scale=st.floats(1e-2, 1e4), kind=st.sampled_from(KINDS), seed=st.integers(0, 99))
def test_inverse_and_invariance(offset: float, scale: float, kind: PercentileNormalization, seed: int) -> None:
    image = torch.rand(16, 16, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    moved = offset + scale * image
    fitted = kind.fit(moved)
    assert torch.allclose(fitted.invert(fitted.apply(moved)), moved, rtol=1e-12, atol=1e-9)
    assert torch.allclose(fitted.apply(moved), kind.fit(image).apply(image), atol=1e-6)
    assert Normalization.from_dict(fitted.to_dict()) == fitted


def test_percentiles_are_numpys_even_for_very_many_pixels() -> None:
    image = torch.arange(17_000_000, dtype=torch.float32).reshape(1000, 17_000)
    fitted = PercentileNormalization(low=1, high=99).fit(image)
    low, high = np.percentile(image.numpy(), [1, 99])
    assert (fitted.offset, fitted.scale) == (pytest.approx(low), pytest.approx(high - low))


def test_mean_and_deviation() -> None:
    image = 1e4 + torch.randn(200, 200, generator=torch.Generator().manual_seed(0))
    normalized = MeanStandardDeviationNormalization().fit(image).apply(image.double())
    assert float(normalized.mean()) == pytest.approx(0, abs=1e-3)
    assert float(normalized.std()) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("kind", KINDS)
def test_images_without_a_scale_are_refused(kind: PercentileNormalization) -> None:
    with pytest.raises(ValueError, match="constant"):
        kind.fit(torch.full((8, 8), 3.0))
    with pytest.raises(ValueError, match="NaN or infinite"):
        kind.fit(torch.full((8, 8), float("nan")))
    with pytest.raises(ValueError, match="without any element"):
        kind.fit(torch.zeros(0, 8))


def test_bad_settings() -> None:
    with pytest.raises(ValueError, match=r"low is 90.0 % and high 10.0 %, but 0 <= low < high <= 100"):
        PercentileNormalization(low=90.0, high=10.0)
    with pytest.raises(ValueError, match=r"scale 0.0, but both must be finite and scale above 0"):
        Normalization(offset=0.0, scale=0.0)
