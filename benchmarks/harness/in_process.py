"""The candidates without any protocol: `benchmarks.harness.limit`, asked by what compares them with servers."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness.systems import ROOT
from unroll.serving.engine.cores import cores

LIMIT, ENGINE = "limit", "engine"
_EXECUTORS = {LIMIT: "", ENGINE: "SINGLE_THREADED_EXECUTOR"}
Measure = Callable[[int, float], dict[str, float]]
"""Rows a call and seconds in, figures out."""


def on_all_cores(name: str) -> str:
    """What a candidate is called that has a thread on each core."""
    return f"{name}, all cores"


def start(
    saved_model: Path, inputs: list[dict[str, NDArray[Any]]], scratch: Path, running: contextlib.ExitStack
) -> dict[str, Measure]:
    """Loads a model in processes of their own, which rest until they are asked.

    Args:
        saved_model: what they run.
        inputs: of requests, whose rows are taken in turn.
        scratch: an existing directory.
        running: ends the processes.

    Returns:
        By candidate: one thread, and as many as there are cores, each with calls of its own in flight.
    """
    joined: dict[str, Any] = {alias: np.concatenate([one[alias] for one in inputs]) for alias in inputs[0]}
    file = scratch / "inputs.npz"
    np.savez(file, **joined)
    measures: dict[str, Measure] = {}
    for name, executor in _EXECUTORS.items():
        ask = _process(running, str(saved_model.resolve()), str(file), executor)
        measures[name] = lambda rows, seconds, ask=ask: ask(rows, seconds, 1)  # type: ignore[misc]
        measures[on_all_cores(name)] = lambda rows, seconds, ask=ask: ask(rows, seconds, cores())  # type: ignore[misc]
    return measures


def _process(running: contextlib.ExitStack, *arguments: str) -> Callable[[int, float, int], dict[str, float]]:
    command = [sys.executable, "-m", "benchmarks.harness.limit", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    running.enter_context(process)  # leaving it closes standard input, which ends the process
    assert process.stdin
    assert process.stdout
    question, answer = process.stdin, process.stdout

    def measure(rows: int, seconds: float, threads: int) -> dict[str, float]:
        question.write(f"{rows} {seconds} {threads}\n")
        question.flush()
        line = answer.readline()
        if not line:
            sys.exit(f"{command} ended with code {process.wait()}")
        figures: dict[str, float] = json.loads(line)
        return figures

    return measure
