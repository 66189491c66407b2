import numpy as np
import torch

from course_lib.optics._grid import quadrature


def test_long_phases_are_followed_and_no_longer_than_needed():
    for radians in (0.0, 3.0, 50.0, 112.0, 390.0, 410.0, 5000.0):
        nodes, weights = quadrature(radians)
        expected = np.sinc(radians / 2 / np.pi) * np.exp(0.5j * radians)
        assert abs(complex((weights * torch.exp(1j * radians * nodes)).sum()) - expected) < 1e-8
        assert len(nodes) < 0.35 * radians + 30
