"""The command ``course`` and its subcommands, one module each."""

import argparse
import io
import logging
import os
import sys
from collections.abc import Sequence
from types import ModuleType

from course_lib import __version__, provenance
from course_lib.cli import completion
from course_lib.cli._messages import EXPECTED, as_flags, words_of

__all__ = ["main", "parser_of_all"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one subcommand; an error is one line on stderr and exit status 2.

    Parameters
    ----------
    arguments : sequence of str, optional
        The command line without the program's name; that of the process by default.

    Returns
    -------
    int
        Exit status: 0, 2 after an error, 130 after Ctrl-C.
    """
    if "_ARGCOMPLETE" in os.environ:
        completion.complete()
    logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what matters of its warnings is an error here
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a console without ρ or ⁻ shows a question mark
    words = list(sys.argv[1:] if arguments is None else arguments)
    parser = _parser_of([completion]) if words[:1] == ["completion"] else parser_of_all()
    parsed = parser.parse_args(words)
    try:
        with provenance.of_command(["course", *words]):
            parsed.run(parsed)
    except EXPECTED as error:
        print(f"course: {as_flags(words_of(error), vars(parsed))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("course: interrupted.", file=sys.stderr)
        return 130
    return 0


def parser_of_all() -> argparse.ArgumentParser:
    """Return the parser of all commands. It imports torch, which completion does not wait for."""
    from course_lib.cli import (
        deconvolve,
        denoise,
        export_model,
        inspect,
        measure,
        predict,
        psf,
        report,
        segment,
        simulate,
        train_care,
        train_segment,
    )

    restoring = (inspect, psf, simulate, deconvolve, denoise, train_care, predict, export_model)
    return _parser_of([*restoring, train_segment, segment, measure, report, completion])


def _parser_of(modules: Sequence[ModuleType]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="course", description="Deep learning for microscopy image analysis, for images of your own."
    )
    parser.add_argument("--version", action="version", version=f"course {__version__}")
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for module in modules:
        module.add(commands)
    return parser
