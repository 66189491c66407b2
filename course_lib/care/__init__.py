"""Content-aware image restoration: honest pairs, training on them, and how far to trust the result."""

from course_lib.care.ensemble import Ensemble, train_ensemble
from course_lib.care.pairs import Pair, recorded_pair, simulated_pair, thinned_pair
from course_lib.care.pairs_on_disk import PairOnDisk
from course_lib.care.registration import MisregisteredError, Registration, register
from course_lib.care.training import Config, train

__all__ = [
    "Config",
    "Ensemble",
    "MisregisteredError",
    "Pair",
    "PairOnDisk",
    "Registration",
    "recorded_pair",
    "register",
    "simulated_pair",
    "thinned_pair",
    "train",
    "train_ensemble",
]
