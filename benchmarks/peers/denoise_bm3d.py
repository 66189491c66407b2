"""BM3D of images whose noise is 1 everywhere.

    python denoise_bm3d.py INPUT.npz OUTPUT.npz

``INPUT.npz`` holds ``images`` (N, Y, X), ``OUTPUT.npz`` receives ``restored``, of the same shape.
"""

import sys

import bm3d
import numpy as np

with np.load(sys.argv[1]) as given:
    images = given["images"]
np.savez(sys.argv[2], restored=np.stack([bm3d.bm3d(image, sigma_psd=1.0) for image in images]))
