"""The microscope: from where light was emitted to where it arrives."""

from course_lib.optics.airy import airy_psf
from course_lib.optics.bead_psf import BeadPsf, bead_psf, point_fwhm_um
from course_lib.optics.confocal import confocal_psf
from course_lib.optics.convolution import Convolution
from course_lib.optics.fwhm import fwhm_um
from course_lib.optics.gaussian import gaussian_psf
from course_lib.optics.gibson_lanni import gibson_lanni_psf
from course_lib.optics.microscope import Microscope
from course_lib.optics.otf import Otf, otf, otf_cutoffs_per_um, otf_support, share_in_support
from course_lib.optics.pupil import Pupil, focal_field, make_pupil, pupil_nodes, pupil_otf
from course_lib.optics.two_photon import two_photon_psf
from course_lib.optics.vectorial import vectorial_psf
from course_lib.optics.zernike import zernike, zernike_psf

__all__ = [
    "BeadPsf",
    "Convolution",
    "Microscope",
    "Otf",
    "Pupil",
    "airy_psf",
    "bead_psf",
    "confocal_psf",
    "focal_field",
    "fwhm_um",
    "gaussian_psf",
    "gibson_lanni_psf",
    "make_pupil",
    "otf",
    "otf_cutoffs_per_um",
    "otf_support",
    "point_fwhm_um",
    "pupil_nodes",
    "pupil_otf",
    "share_in_support",
    "two_photon_psf",
    "vectorial_psf",
    "zernike",
    "zernike_psf",
]
