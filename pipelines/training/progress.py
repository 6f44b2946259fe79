"""Shows long work on the terminal's standard error."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import rich.progress
from rich.console import Console
from rich.table import Column
from rich.text import Text


class Stage:
    """One line of progress.

    Args:
        bar: the terminal's progress display.
        task: the line's number in it.
    """

    def __init__(self, bar: rich.progress.Progress, task: rich.progress.TaskID):
        self._bar = bar
        self._task = task

    def advance(self, steps: float = 1) -> None:
        self._bar.advance(self._task, steps)

    def say(self, detail: str) -> None:
        """Replaces the text at the end of the line."""
        self._bar.update(self._task, detail=detail)


class Progress:
    """A display with one line a stage: a moving bar on a terminal, one line at the end of each elsewhere.

    Example:
        >>> with Progress() as progress, progress.stage("reading", total=3) as stage:
        ...     stage.advance()
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True)
        self._prefix = ""
        self._bar = rich.progress.Progress(
            rich.progress.SpinnerColumn(finished_text="[green]✓"),
            rich.progress.TextColumn("{task.description}"),
            rich.progress.BarColumn(bar_width=24),
            rich.progress.TimeElapsedColumn(),
            rich.progress.TextColumn(
                "{task.fields[detail]}",
                style="dim",
                markup=False,
                # takes what room is left, so that a long text does not squeeze the other columns
                table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis"),
            ),
            console=self.console,
            expand=True,
            disable=not self.console.is_terminal,
        )

    def __enter__(self) -> "Progress":
        self._bar.start()
        return self

    def __exit__(self, *exception) -> None:
        self._bar.stop()

    @contextmanager
    def stage(self, description: str, total: float | None = None) -> Iterator[Stage]:
        """A line that lives as long as the `with` block; without `total` its bar only shows life."""
        description = self._prefix + description
        task = self._bar.add_task(description, total=total, detail="")
        yield Stage(self._bar, task)
        done = self._bar.tasks[self._bar.task_ids.index(task)]
        self._bar.update(task, total=done.total or 1, completed=done.total or 1)
        if not self.console.is_terminal:
            self.line(f"{description}: {done.fields['detail'] or 'done'}")

    def named(self, prefix: str) -> "Progress":
        """The same display; stages begun through it have `prefix` before their description."""
        view = copy.copy(self)
        view._prefix = f"{self._prefix}{prefix}: "
        return view

    def line(self, text: str, style: str = "") -> None:
        """Prints a line above the bars, as it is."""
        self._bar.console.print(Text(text, style), soft_wrap=True)
