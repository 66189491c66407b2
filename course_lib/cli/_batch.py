"""One command, many images: several files or folders of them, of which a bad one does not stop the others."""

import argparse
import copy
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from course_lib.cli._messages import EXPECTED, as_flags, tell, words_of

__all__ = ["add_images", "add_series", "files_of", "for_each", "stem_of"]

ENDINGS = (".tif", ".tiff")
MOST_NAMED = 20
"""Images that failed, named in the last line."""


def add_images(parser: argparse.ArgumentParser, *, metavar: str = "IMAGE", also: str = "") -> None:
    """Add the images that a command takes; `also` names formats beside TIFF."""
    parser.add_argument(
        "image",
        nargs="+",
        type=Path,
        metavar=metavar,
        help=f"TIFF, ImageJ TIFF, OME-TIFF{also}; several, or a folder of TIFF files, with -o FOLDER: then what is "
        f"there already is left, and a bad image does not stop the others",
    )


def add_series(parser: argparse.ArgumentParser) -> None:
    """Add the flag that chooses an image of a file that has several, such as positions or a preview."""
    parser.add_argument(
        "--series", type=int, metavar="N", help="which image, from 0, of a file that holds several, such as positions"
    )


def stem_of(path: Path) -> str:
    """Return the name of an image without its endings.

    Examples
    --------
    >>> stem_of(Path("data/cells.ome.tif"))
    'cells'
    """
    return path.name.removesuffix(path.suffix).removesuffix(".ome")


def files_of(paths: Iterable[Path]) -> list[Path]:
    """Put the TIFF files of each folder, sorted by name, in the place of the folder; a folder ``.zarr`` is an image.

    Raises
    ------
    ValueError
        If a folder has no TIFF file.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir() or path.suffix.lower() == ".zarr":
            found.append(path)
            continue
        inside = sorted(one for one in path.iterdir() if _is_image(one))
        if not inside:
            raise ValueError(f"{path} is a folder without a file that ends in {' or '.join(ENDINGS)}: choose another.")
        found += inside
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in ENDINGS and not path.name.startswith(".") and path.is_file()


def for_each(arguments: argparse.Namespace, run: Callable[[argparse.Namespace], None], *, result: str) -> None:
    """Run a command for each of its images, ``arguments.image``.

    Parameters
    ----------
    arguments : argparse.Namespace
        With `image`, a list of paths, `output`, a path or None, and `overwrite`.
    run : callable
        The command for one image: gets the arguments with one path as `image`, and the path of its result, or None,
        as `output`.
    result : str
        What the name of a result has in the place of the image's ending.

    Raises
    ------
    ValueError
        If no folder for the results is given, if two results would have one name, or, at the end, if an image failed.
    """
    paths: list[Path] = arguments.image
    if len(paths) == 1 and (not paths[0].is_dir() or paths[0].suffix.lower() == ".zarr"):
        run(_with(arguments, paths[0], arguments.output))
        return
    files = files_of(paths)
    folder = _folder(arguments.output, result)
    outputs = _outputs(files, folder, result)
    failed: list[Path] = []
    skipped = 0
    for number, (path, output) in enumerate(zip(files, outputs, strict=True), start=1):
        if output.exists() and not arguments.overwrite:
            skipped += 1
            continue
        print(f"[{number}/{len(files)}] {path}", file=sys.stderr)
        try:
            run(_with(arguments, path, output))
        except EXPECTED as error:
            failed.append(path)
            tell(f"{path} failed: {as_flags(words_of(error), vars(arguments))}")
    print(f"{folder}: {len(files) - skipped - len(failed)} of {len(files)} images done", end="")
    print(f"; {skipped} had a result before, which --overwrite replaces" if skipped else "")
    if failed:
        named = ", ".join(map(str, failed[:MOST_NAMED]))
        more = f" and {len(failed) - MOST_NAMED} more" if len(failed) > MOST_NAMED else ""
        raise ValueError(f"{len(failed)} of {len(files)} images failed, why stands above: {named}{more}.")


def _with(arguments: argparse.Namespace, image: Path, output: Path | None) -> argparse.Namespace:
    one = copy.copy(arguments)
    one.image, one.output = image, output
    return one


def _folder(output: Path | None, result: str) -> Path:
    """Make the folder of the results."""
    if output is None:
        raise ValueError(f"several images give several results: add -o FOLDER, where each is called NAME{result}.")
    if output.exists() and not output.is_dir():
        raise ValueError(f"{output} is a file, but several images need a folder: choose another name with -o.")
    output.mkdir(exist_ok=True)
    return output


def _outputs(files: list[Path], folder: Path, result: str) -> list[Path]:
    """Return the path of each result; two images must not write into the same."""
    outputs: dict[Path, Path] = {}
    for path in files:
        output = folder / f"{stem_of(path)}{result}"
        if output in outputs:
            raise ValueError(f"{outputs[output]} and {path} would both be written to {output}: rename one of them.")
        outputs[output] = path
    return list(outputs)
