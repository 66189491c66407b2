"""From objects to numbers: corrections, measurements, colocalization, classes, tracks, comparisons, tables on disk."""

from course_lib.quantification.background import Background, background_map, estimate_background, subtract_background
from course_lib.quantification.bleaching import BleachingCorrection, correct_bleaching
from course_lib.quantification.bleed_through import measure_bleed_through, unmix, unmixed_variance
from course_lib.quantification.classify import (
    Classifier,
    ClassifierValidation,
    Limits,
    Rule,
    classify,
    predict_types,
    validate_classifier,
)
from course_lib.quantification.compare import Comparison, compare, compare_paired, compare_pooled_cells
from course_lib.quantification.costes_randomization import CostesRandomization, costes_randomization
from course_lib.quantification.costes_threshold import CostesThreshold, costes_threshold
from course_lib.quantification.dishes import Dish, DishPlan, simulated_cells, simulated_dishes
from course_lib.quantification.flat_field import flat_field
from course_lib.quantification.link import link
from course_lib.quantification.manders import Manders, manders
from course_lib.quantification.measure import measure
from course_lib.quantification.measure_blocks import measure_blocks
from course_lib.quantification.measure_frames import measure_frames
from course_lib.quantification.pearson import (
    CorrectedPearson,
    pearson,
    pearson_corrected_for_noise,
    pearson_from_repeats,
)
from course_lib.quantification.tables import read_table, write_table

__all__ = [
    "Background",
    "BleachingCorrection",
    "Classifier",
    "ClassifierValidation",
    "Comparison",
    "CorrectedPearson",
    "CostesRandomization",
    "CostesThreshold",
    "Dish",
    "DishPlan",
    "Limits",
    "Manders",
    "Rule",
    "background_map",
    "classify",
    "compare",
    "compare_paired",
    "compare_pooled_cells",
    "correct_bleaching",
    "costes_randomization",
    "costes_threshold",
    "estimate_background",
    "flat_field",
    "link",
    "manders",
    "measure",
    "measure_bleed_through",
    "measure_blocks",
    "measure_frames",
    "pearson",
    "pearson_corrected_for_noise",
    "pearson_from_repeats",
    "predict_types",
    "read_table",
    "simulated_cells",
    "simulated_dishes",
    "subtract_background",
    "unmix",
    "unmixed_variance",
    "validate_classifier",
    "write_table",
]
