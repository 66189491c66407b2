"""Simulated objects whose truth is known, in 2D and 3D.

The same seed, and for test patterns the same numbers, give the same object in µm whatever the voxels. `filaments`,
`nuclei`, `resolution_target` and `siemens_star` return the density relative to 1 in the object, averaged over each
voxel; with ``fluorophores_per_um3=`` they return fluorophores per voxel, where a plane counts as 1 µm deep. `beads`
are fluorophores per voxel from the start, ``fluorophores_per_bead`` in each, because a point has no density.
"""

from course_lib.samples.beads import Beads, beads
from course_lib.samples.filaments import filaments
from course_lib.samples.nuclei import Nuclei, nuclei
from course_lib.samples.resolution_target import LinePairs, line_pairs, resolution_target
from course_lib.samples.siemens_star import siemens_star
from course_lib.samples.wedge import wedge

__all__ = [
    "Beads",
    "LinePairs",
    "Nuclei",
    "beads",
    "filaments",
    "line_pairs",
    "nuclei",
    "resolution_target",
    "siemens_star",
    "wedge",
]
