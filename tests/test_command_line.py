"""What the command line says of what it does not understand: one line."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tests.conftest import unroll
from unroll.cli import app
from unroll.workspace import Workspace


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("frobnicate", "unroll: no such command 'frobnicate'. See `unroll --help`"),
        ("promot x 1", "unroll: no such command 'promot'. Did you mean 'promote'? See `unroll --help`"),
        (
            "monitor reprot x",
            "unroll monitor: no such command 'reprot'. Did you mean 'report'? See `unroll monitor --h",
        ),
        ("promote x", "unroll promote: missing argument 'version'. See `unroll promote --help`"),
        ("promote x abc", "unroll promote: invalid value for 'version': "),
        ("predict x --inptu good", "unroll predict: no such option: --inptu (Possible options: --import, --input"),
        ("predict x --json --input", "unroll: option '--input' requires an argument."),
        ("ui --port 99999", "unroll ui: invalid value for '--port': "),
        ("models --json extra", "unroll models: got unexpected extra argument"),
    ],
)
def test_a_misused_command_is_told_in_one_line(arguments: str, said: str) -> None:
    done = unroll(*arguments.split(), check=2)
    assert done.stderr.startswith(f"error: {said}")
    assert done.stderr.count("\n") == 1
    assert not done.stdout


def test_a_value_that_is_none_is_shown() -> None:
    assert "received 'abc'" in unroll("promote", "x", "abc", check=2).stderr


@pytest.mark.parametrize("command", [(), ("monitor",)])
def test_help_is_printed_where_no_command_is_given(command: tuple[str, ...], capfd: pytest.CaptureFixture[str]) -> None:
    done = unroll(*command, check=2)
    printed = capfd.readouterr()
    assert "Usage: unroll" in done.stdout + done.stderr + printed.out + printed.err


@pytest.mark.parametrize("command", ["train sentiment", "models", "monitor report x"])
def test_a_workspace_is_no_file(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    home = tmp_path / "file" / "below"
    done = unroll(*command.split(), "--home", home, check=2)
    problem = f"the workspace cannot be here: {tmp_path / 'file'} is a file. Name another folder, or move it away."
    assert done.stderr == f"error: {home}: {problem}\n"


def test_a_folder_that_is_not_there_yet_may_be_a_workspace(tmp_path: Path) -> None:
    assert Workspace(tmp_path / "new" / "home").store == tmp_path / "new" / "home" / "store"
    with pytest.raises(NotADirectoryError):
        Workspace(Path(__file__))


def test_help_shows_what_is_in_brackets() -> None:
    """Rich would read `[default: the task's]` as markup, and print nothing of it."""
    group = typer.main.get_command(app)
    found = 0
    for name, command in group.commands.items():
        told = " ".join(
            CliRunner().invoke(app, [name, "--help"], terminal_width=400, env={"COLUMNS": "400"}).output.split()
        )
        for parameter in getattr(command, "params", []):
            words = " ".join((getattr(parameter, "help", None) or "").split())
            if "[" in words:
                found += 1
                assert words in told, f"unroll {name}: {parameter.name}"
    assert found > 4
