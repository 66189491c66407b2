"""``course completion``: what a shell needs to complete commands and flags at the Tab key.

At the Tab key nothing heavy may load. So argcomplete gets a parser that is made of ``completion.json``, which has the
words of all commands; `course_lib.cli._completion_words` writes it.
"""

import argparse
import json
from pathlib import Path
from typing import Any

__all__ = ["WORDS", "add", "complete", "parser_of"]

SHELLS = ("bash", "zsh", "fish")
WORDS = Path(__file__).with_name("completion.json")


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand to the parser."""
    parser = commands.add_parser(
        "completion",
        help="print what lets a shell complete commands and flags at the Tab key",
        description='Print a script for the shell. For bash, put this line into ~/.bashrc: eval "$(course completion '
        'bash)"; for zsh the same into ~/.zshrc; for fish: course completion fish > '
        "~/.config/fish/completions/course.fish",
    )
    parser.add_argument("shell", choices=SHELLS, help="which shell")
    parser.set_defaults(run=_run)


def _run(arguments: argparse.Namespace) -> None:
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError as error:
        raise ValueError(
            "completion needs the package argcomplete, which is not installed: pip install "
            "'deep-learning-microscopy-course[completion]'."
        ) from error
    print(shellcode(["course"], shell=arguments.shell))


def complete() -> None:
    """Answer the shell, and end, where it asks at the Tab key; see argcomplete."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(parser_of(json.loads(WORDS.read_text(encoding="utf-8"))))


def parser_of(words: dict[str, Any]) -> argparse.ArgumentParser:
    """Return a parser that knows these words, and nothing of what they mean.

    Examples
    --------
    >>> parser_of({"measure": {"image": {"nargs": "+"}, "--overwrite": {"nargs": 0}}}).parse_args(["measure", "a.tif"])
    Namespace(version=False, image=['a.tif'], overwrite=False)
    """
    parser = argparse.ArgumentParser(prog="course")
    parser.add_argument("--version", action="store_true")
    commands = parser.add_subparsers()
    for name, arguments in words.items():
        command = commands.add_parser(name)
        for flags, following in arguments.items():
            if following.get("nargs") == 0:
                command.add_argument(*flags.split(), action="store_true")
            else:
                command.add_argument(*flags.split(), **following)
    return parser
