"""From objects to numbers: corrections, measurements, colocalization, classes, tracks, comparisons, tables on disk."""

from course_lib.quantification.dishes import Dish, DishPlan, simulated_cells, simulated_dishes

__all__ = [
    "Dish",
    "DishPlan",
    "simulated_cells",
    "simulated_dishes",
]
