"""The words that completion knows, from the parser of the command.

After a change of flags write them anew::

    python -m course_lib.cli._completion_words
"""

import argparse
import json
from typing import Any

from course_lib.cli.completion import WORDS
from course_lib.cli.main import parser_of_all

__all__ = ["words_of"]


def words_of(parser: argparse.ArgumentParser) -> dict[str, Any]:
    """Return for each command its flags and other arguments, with what may follow them.

    Examples
    --------
    >>> words_of(parser_of_all())["completion"]
    {'shell': {'choices': ['bash', 'zsh', 'fish']}}
    """
    (commands,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return {
        name: {
            " ".join(action.option_strings) or action.dest: _following(action)
            for action in command._actions
            if action.dest != "help"
        }
        for name, command in commands.choices.items()
    }


def _following(action: argparse.Action) -> dict[str, Any]:
    told = {"choices": action.choices and list(action.choices), "nargs": action.nargs}
    return {name: value for name, value in told.items() if value is not None}


if __name__ == "__main__":
    WORDS.write_text(f"{json.dumps(words_of(parser_of_all()), indent=1)}\n", encoding="utf-8")
