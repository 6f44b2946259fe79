"""The validation split in blocks: some choose among settings, the others tell whether the choice holds."""

from typing import Any

import tensorflow as tf

from unroll.pipelines.task import Task

CHOOSING = (0.0, 0.5)
"""Part of the validation split by which trials are pruned and compared."""
CHECKING = tuple((0.5 + i / 16, 0.5 + (i + 1) / 16) for i in range(8))
"""Blocks of the other part, on which nothing is chosen."""


def on_block(problem: Task, config: Any, begin: float, end: float) -> Task:
    """The problem with only a part of its validation split.

    Args:
        problem: with all of it.
        config: as it was set, before the data decided the rest.
        begin: of the part, a share of the split.
        end: of the part.
    """
    task: type[Task] = type(problem)

    class OnBlock(task):  # type: ignore[misc, valid-type]  # made of a class that is known at run time only
        def validation_batches(self) -> tf.data.Dataset:
            return problem.validation_block(begin, end)

    return OnBlock(config, problem.directory)
