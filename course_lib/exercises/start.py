"""The exercise of the chapter *Start here*."""

import torch

from course_lib.exercises.exercise import Case, Exercise, Mistake

__all__ = ["brightest_pixel"]


def _draw(rng: torch.Generator) -> Case:
    height, width = (int(torch.randint(20, 60, (), generator=rng)) for _ in range(2))
    image = torch.poisson(torch.full((height, width), 5.0), generator=rng)
    row = int(torch.randint(1, height, (), generator=rng))
    column = (row + int(torch.randint(1, width, (), generator=rng))) % width
    image[row, column] = 100
    return Case((image,), (row, column))


def _solution(image: torch.Tensor) -> tuple[int, int]:
    row, column = divmod(int(image.argmax()), image.shape[1])
    return row, column


brightest_pixel = Exercise(
    draw=_draw,
    solution=_solution,
    mistakes=(
        Mistake(
            lambda image: _solution(image)[::-1],
            "You returned (column, row). Images are indexed (row, column), that is (y, x): swap the two.",
        ),
        Mistake(
            lambda image: int(image.argmax()),
            "argmax counts pixels row after row. Which row and which column is pixel number k of an image that is "
            "image.shape[1] pixels wide? divmod tells both.",
        ),
        Mistake(
            lambda image: divmod(int(image.argmax()), image.shape[0]),
            "A row is image.shape[1] pixels long, not image.shape[0]: divide by the width.",
        ),
        Mistake(
            lambda image: image.max(),
            "That is the brightest value. The question is where it is: its row and its column.",
        ),
    ),
    relative_tolerance=0.0,
    praise="Right: rows first, then columns. Everything in this course is ordered (z, y, x).",
)
