"""``course completion``: what a shell needs to complete commands and flags at the Tab key."""

import argparse

__all__ = ["add", "complete"]

SHELLS = ("bash", "zsh", "fish")


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


def complete(parser: argparse.ArgumentParser) -> None:
    """Answer the shell, and end, where it asks at the Tab key; see argcomplete."""
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(parser)
