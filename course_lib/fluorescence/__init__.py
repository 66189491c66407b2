"""Fluorescence: spectra and filters, the photon budget, saturation, bleaching, phototoxicity, nonlinear contrast."""

from course_lib.fluorescence.bands import Band, band_spectrum
from course_lib.fluorescence.bleaching_trace import BleachingTrace, bleaching_trace
from course_lib.fluorescence.budget import PhotonBudget, emitted_photons, photon_budget
from course_lib.fluorescence.channels import Channel, bleed_through, channel_brightness, unmix
from course_lib.fluorescence.collection import collected_fraction, collected_fraction_across
from course_lib.fluorescence.excitation import (
    excited_fraction,
    photon_energy_j,
    photon_flux_per_cm2_s,
    saturation_irradiance_w_per_cm2,
)
from course_lib.fluorescence.filters import FilterSet, bandpass, filter_set, list_filter_sets, longpass, shortpass
from course_lib.fluorescence.fit_bleaching import BleachingFit, fit_bleaching
from course_lib.fluorescence.fit_bleaching_double import DoubleBleachingFit, fit_bleaching_double
from course_lib.fluorescence.fluorophores import Fluorophore, fluorophore, list_fluorophores
from course_lib.fluorescence.light import LightSource, PulsedLaser, lamp, laser, led, pulsed_laser
from course_lib.fluorescence.movie import MoviePlan, plan_movie
from course_lib.fluorescence.phototoxicity import healthy_fraction, light_dose_j_per_cm2
from course_lib.fluorescence.second_harmonic import (
    coherence_length_um,
    fibre_response,
    second_harmonic_intensity,
    second_harmonic_spectrum,
    wave_mismatch_per_um,
)
from course_lib.fluorescence.spectrum import Spectrum, overlap
from course_lib.fluorescence.split_dose import split_dose
from course_lib.fluorescence.survival import survival, survival_double
from course_lib.fluorescence.two_photon import pulsed_cycle_rate_per_s, two_photon_rate_per_s

__all__ = [
    "Band",
    "BleachingFit",
    "BleachingTrace",
    "Channel",
    "DoubleBleachingFit",
    "FilterSet",
    "Fluorophore",
    "LightSource",
    "MoviePlan",
    "PhotonBudget",
    "PulsedLaser",
    "Spectrum",
    "band_spectrum",
    "bandpass",
    "bleaching_trace",
    "bleed_through",
    "channel_brightness",
    "coherence_length_um",
    "collected_fraction",
    "collected_fraction_across",
    "emitted_photons",
    "excited_fraction",
    "fibre_response",
    "filter_set",
    "fit_bleaching",
    "fit_bleaching_double",
    "fluorophore",
    "healthy_fraction",
    "lamp",
    "laser",
    "led",
    "light_dose_j_per_cm2",
    "list_filter_sets",
    "list_fluorophores",
    "longpass",
    "overlap",
    "photon_budget",
    "photon_energy_j",
    "photon_flux_per_cm2_s",
    "plan_movie",
    "pulsed_cycle_rate_per_s",
    "pulsed_laser",
    "saturation_irradiance_w_per_cm2",
    "second_harmonic_intensity",
    "second_harmonic_spectrum",
    "shortpass",
    "split_dose",
    "survival",
    "survival_double",
    "two_photon_rate_per_s",
    "unmix",
    "wave_mismatch_per_um",
]
