"""Completion at the Tab key: a script for each shell, and bash itself asked what comes next."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from course_lib.cli import completion, main
from course_lib.cli._completion_words import words_of
from course_lib.cli.main import parser_of_all

BASH = shutil.which("bash")


@pytest.mark.parametrize(("shell", "says"), [("bash", "complete "), ("zsh", "compdef"), ("fish", "complete --command")])
def test_a_script_for_each_shell(shell: str, says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    told = capsys.readouterr().out
    assert says in told
    assert "course" in told


def test_without_argcomplete_the_remedy_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "argcomplete", None)
    monkeypatch.setitem(sys.modules, "argcomplete.shell_integration", None)
    assert main(["completion", "bash"]) == 2
    told = capsys.readouterr().err
    assert told.startswith("course: completion needs the package argcomplete, which is not installed: pip install")
    assert told.count("\n") == 1


def test_the_words_are_those_of_the_commands() -> None:
    known = json.loads(completion.WORDS.read_text(encoding="utf-8"))
    assert known == words_of(parser_of_all()), "write them anew: python -m course_lib.cli._completion_words"
    assert words_of(completion.parser_of(known)) == known


@pytest.mark.parametrize("words", [("completion", "bash"), ("segment", "--min-v")])
def test_torch_is_not_loaded_at_the_tab_key_or_when_a_shell_starts(words: tuple[str, ...]) -> None:
    line = " ".join(("course", *words))
    program = (
        "import os, sys\n"
        "from course_lib.cli import main\n"
        "def leave(status):\n"
        "    print('torch' in sys.modules, status)\n"
        "    raise SystemExit\n"
        "os._exit = leave\n"
        f"leave(main({list(words)}))"
    )
    asked = {
        "_ARGCOMPLETE": "1",
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
        "_ARGCOMPLETE_STDOUT_FILENAME": os.devnull,
    }
    environment = {**os.environ, **(asked if words[0] == "segment" else {})}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "False 0"


def test_bash_completes_the_flags_of_a_command(tmp_path: Path) -> None:
    line, offered = "course segment --min-v", {"--min-volume-um3"}
    program = tmp_path / "course"
    program.write_text(
        f"#!{sys.executable}\nimport sys\nfrom course_lib.cli import main\nsys.exit(main())\n", encoding="utf-8"
    )
    program.chmod(0o755)
    script = (
        'eval "$(course completion bash)"\n'
        f"COMP_LINE='{line}'; COMP_POINT={len(line)}; COMP_TYPE=9; COMP_WORDS=({line}); COMP_CWORD={line.count(' ')}\n"
        'function_name="$(complete -p course | sed -E "s/.*-F ([^ ]+).*/\\1/")"\n'
        '"$function_name" course 2>/dev/null\nprintf "%s\\n" "${COMPREPLY[@]}"'
    )
    environment = {**os.environ, "PATH": f"{tmp_path}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run([str(BASH), "-c", script], env=environment, capture_output=True, text=True, check=True)
    assert {word.strip() for word in done.stdout.splitlines() if word.strip()} == offered, done.stderr
