"""How requests become batches: TensorFlow Serving's batching parameters, and what goes beyond them."""

import itertools
import os
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from google.protobuf.wrappers_pb2 import BoolValue, Int64Value, StringValue

from unroll.errors import UserError
from unroll.serving.protocol import text_protos

FILE_NAME = "batching_params.pbtxt"

# servables/tensorflow/session_bundle_config.proto
_Message = text_protos.message(
    "tensorflow.serving.BatchingParameters",
    {
        "max_batch_size": (1, Int64Value),
        "batch_timeout_micros": (2, Int64Value),
        "max_enqueued_batches": (3, Int64Value),
        "num_batch_threads": (4, Int64Value),
        "thread_pool_name": (5, StringValue),
        "enable_large_batch_splitting": (8, BoolValue),
        "max_execution_batch_size": (9, Int64Value),
        "allowed_batch_sizes": (6, "repeated int64"),
        "pad_variable_length_inputs": (7, "bool"),
    },
)
_MINIMA = {
    "max_batch_size": 1,
    "batch_timeout_micros": 0,
    "max_enqueued_batches": 1,
    "num_batch_threads": 1,
    "max_execution_batch_size": 1,
}


@dataclass(frozen=True)
class BatchingParameters:
    """Limits of a model version's queue, and how its batches are made.

    The defaults are for a server without a parameters file; `from_text` has TensorFlow Serving's.

    Args:
        max_batch_size: rows in one request, and in one run.
        batch_timeout_micros: how long the oldest request waits for company while its batch is not full.
            0: not at all. The event loop's clock counts whole milliseconds, so it may be one longer.
        max_enqueued_batches: full batches' worth of rows that wait per signature, beyond which requests are
            turned away. None: as many as the two limits below admit.
        num_batch_threads: batches that run at the same time. None: as many as there are cores, each where it has
            work that is worth a change of threads; see `unroll.serving.batching.shares`.
        thread_pool_name: what the threads are called.
        allowed_batch_sizes: rows that a run may have, ascending; smaller batches are filled up. Empty: any.
        pad_variable_length_inputs: whether requests of different lengths are padded to run together.
        enable_large_batch_splitting: whether a request of more rows than `max_execution_batch_size` runs in
            parts.
        max_execution_batch_size: rows in one run, where large requests are split. None: `max_batch_size`.
        max_queued_requests: requests that wait, beyond which new ones are turned away.
        max_queued_bytes: their size in all. One that is larger is let in while no other waits.
        padding_values: by input, what it is padded with, as text. Others are padded with each tensor's own
            first element, as in TensorFlow Serving.
        length_buckets: ascending edges; only requests whose lengths lie between the same two are padded
            to run together.
        pad_to_bucket: whether they are padded up to the upper edge, whatever the company.
    """

    max_batch_size: int = sys.maxsize
    batch_timeout_micros: int = 0
    max_enqueued_batches: int | None = None
    num_batch_threads: int | None = None
    thread_pool_name: str = "batch_threads"
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = True
    max_execution_batch_size: int | None = 256
    max_queued_requests: int = 4096
    max_queued_bytes: int = 256 << 20
    padding_values: Mapping[str, str] = field(default_factory=dict)
    length_buckets: tuple[int, ...] = ()
    pad_to_bucket: bool = False

    @classmethod
    def from_text(cls, text: str, source: str) -> "BatchingParameters":
        """Reads the text proto that TensorFlow Serving takes, with its defaults for what is left out.

        Args:
            text: of a `tensorflow.serving.BatchingParameters`.
            source: the file, for error messages.

        Raises:
            UserError: an unknown field or a bad value, with its line.

        Example:
            >>> BatchingParameters.from_text("max_batch_size { value: 128 }", "batching.txt").max_enqueued_batches
            10
        """
        message = text_protos.parse(text, _Message, source)
        given = {}
        for descriptor, value in message.ListFields():
            wrapped = descriptor.message_type is not None
            given[descriptor.name] = value.value if wrapped else tuple(value) if descriptor.is_repeated else value
        defaults = {
            "max_batch_size": 1000,
            "max_enqueued_batches": 10,
            "num_batch_threads": os.cpu_count() or 1,
            "enable_large_batch_splitting": False,
            "max_execution_batch_size": None,
        }
        values: dict[str, Any] = {**defaults, **given}
        _check(values, text, source)
        return cls(**values, max_queued_requests=sys.maxsize)  # the batches are counted instead

    @classmethod
    def from_file(cls, file: Path, option: str = "--batching_parameters_file") -> "BatchingParameters":
        """Reads a file that holds what `from_text` takes.

        Args:
            file: to read.
            option: the flag that asked for it, for error messages.

        Raises:
            UserError: see `from_text`; or it cannot be read.
        """
        return cls.from_text(text_protos.text_of(file, option), f"{option} {file}")

    def for_version(self, directory: Path) -> "BatchingParameters":
        """The parameters of a version that may bring its own, for `--enable_per_model_batching_parameters`.

        Args:
            directory: the version's; its `batching_params.pbtxt` is read if it has one.

        Returns:
            The file's parameters, or else the defaults; threads, padding values and buckets stay the server's.

        Raises:
            UserError: see `from_file`.
        """
        file = directory / FILE_NAME
        own = BatchingParameters()
        if file.exists():
            own = BatchingParameters.from_file(file, "--enable_per_model_batching_parameters")
        padding = {}
        if own.pad_variable_length_inputs:
            padding = {name: getattr(self, name) for name in ("padding_values", "length_buckets", "pad_to_bucket")}
        return replace(own, num_batch_threads=self.num_batch_threads, thread_pool_name=self.thread_pool_name, **padding)

    def with_lengths(
        self, padding_values: str = "", length_buckets: str = "", pad_to_bucket: bool = False
    ) -> "BatchingParameters":
        """Adds the flags `--padding_values`, `--length_buckets` and `--pad_to_bucket`.

        Args:
            padding_values: `input=value,input=value`.
            length_buckets: `32,64,128`.
            pad_to_bucket: see the class.

        Raises:
            UserError: a flag that cannot be read, or that has nothing to act on.
        """
        values = _padding_values(padding_values)
        buckets = _length_buckets(length_buckets)
        if (values or buckets) and not self.pad_variable_length_inputs:
            flag = "--padding_values" if values else "--length_buckets"
            raise UserError(
                f"{flag}: nothing is padded. Write `pad_variable_length_inputs: true` into the "
                "--batching_parameters_file."
            )
        if pad_to_bucket and not buckets:
            raise UserError("--pad_to_bucket: there are no buckets. Name their edges with --length_buckets=32,64,128.")
        return replace(self, padding_values=values, length_buckets=buckets, pad_to_bucket=pad_to_bucket)

    @property
    def rows_of_a_run(self) -> int:
        """Rows in one run at most."""
        if self.enable_large_batch_splitting and self.max_execution_batch_size is not None:
            return min(self.max_execution_batch_size, self.max_batch_size)
        return self.max_batch_size


def _check(values: Mapping[str, Any], text: str, source: str) -> None:
    def refuse(name: str, problem: str) -> None:
        """As of the line that names the field, or of the first where none does."""
        before = re.search(rf"(?m)^(?:[^#\n]*[\s,;])?{name}\b", text)
        line = text.count("\n", 0, before.end()) + 1 if before else 1
        raise UserError(f"{source}:{line}: {name}: {problem}")

    for name, least in _MINIMA.items():
        if values.get(name) is not None and values[name] < least:
            refuse(name, f"expected {least} or more, received {values[name]}. Give a larger number.")
    largest = values["max_batch_size"]
    run = (values["enable_large_batch_splitting"] and values["max_execution_batch_size"]) or largest
    if run > largest:
        refuse(
            "max_execution_batch_size",
            f"expected at most max_batch_size, which is {largest}, received {run}. Raise the one or lower the other.",
        )
    sizes = values.get("allowed_batch_sizes", ())
    if sizes and (sizes[0] < 1 or any(later <= earlier for earlier, later in itertools.pairwise(sizes))):
        refuse("allowed_batch_sizes", f"expected positive, ascending numbers, received {list(sizes)}. Sort them.")
    if sizes and sizes[-1] not in (largest, run):
        expected = f"max_batch_size, which is {largest}"
        if run < largest:
            expected += f", or max_execution_batch_size, which is {run}"
        refuse(
            "allowed_batch_sizes",
            f"the last must equal {expected}; received {sizes[-1]}. Add it to the end, or change the maximum.",
        )


def _padding_values(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for entry in filter(None, text.split(",")):
        alias, equals, value = entry.partition("=")
        if not alias or not equals or alias in values:
            raise UserError(
                f"--padding_values: expected an input's name and its value, each input once; received {entry!r}. "
                "Write it as --padding_values=ids=0,text=."
            )
        values[alias] = value
    return values


def _length_buckets(text: str) -> tuple[int, ...]:
    try:
        edges = tuple(int(edge) for edge in filter(None, text.split(",")))
    except ValueError:
        edges = (0,)
    if any(later <= earlier for earlier, later in itertools.pairwise((0, *edges))):
        raise UserError(
            f"--length_buckets: expected positive, ascending whole numbers, received {text!r}. "
            "Write it as --length_buckets=32,64,128."
        )
    return edges
