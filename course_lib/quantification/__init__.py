"""From objects to numbers: corrections, measurements, colocalization, classes, tracks, comparisons, tables on disk."""

from course_lib.quantification.dishes import Dish, DishPlan, simulated_cells, simulated_dishes
from course_lib.quantification.measure import measure

__all__ = [
    "Dish",
    "DishPlan",
    "measure",
    "simulated_cells",
    "simulated_dishes",
]
