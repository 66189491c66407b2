"""From objects to numbers: corrections, measurements, colocalization, classes, tracks, comparisons, tables on disk."""

from course_lib.quantification.compare import Comparison, compare, compare_paired, compare_pooled_cells
from course_lib.quantification.costes_randomization import CostesRandomization, costes_randomization
from course_lib.quantification.costes_threshold import CostesThreshold, costes_threshold
from course_lib.quantification.dishes import Dish, DishPlan, simulated_cells, simulated_dishes
from course_lib.quantification.manders import Manders, manders
from course_lib.quantification.pearson import (
    CorrectedPearson,
    pearson,
    pearson_corrected_for_noise,
    pearson_from_repeats,
)

__all__ = [
    "Comparison",
    "CorrectedPearson",
    "CostesRandomization",
    "CostesThreshold",
    "Dish",
    "DishPlan",
    "Manders",
    "compare",
    "compare_paired",
    "compare_pooled_cells",
    "costes_randomization",
    "costes_threshold",
    "manders",
    "pearson",
    "pearson_corrected_for_noise",
    "pearson_from_repeats",
    "simulated_cells",
    "simulated_dishes",
]
