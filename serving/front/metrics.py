"""What the server counts, in Prometheus' text format, under TensorFlow Serving's names and some of our own.

Written here rather than with prometheus-client, which appends `_total` to a counter's name, where TensorFlow
Serving's have none, and takes four times as long for what `answered` counts in 0.7 microseconds. Used in the event
loop's thread; several processes add up with `merged`.

https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import grpc

from unroll.serving.protocol.call import Call

Labels = tuple[str, ...]
_PREFIX = ":tensorflow:serving:"
_OK = grpc.StatusCode.OK
_MAX_SERIES = 1024  # models and versions come and go; clients make names up
_OTHER = "(other)"


def exponential(scale: float, growth: float, count: int) -> list[float]:
    """Upper limits of a histogram's buckets but the last, which has none."""
    return [scale * growth**power for power in range(count)]


_LATENCY = exponential(10, 1.8, 33)  # microseconds
_QUEUING = exponential(100, 1.2, 52)  # microseconds
_EXAMPLES = exponential(1, 2, 15)
_BATCH = exponential(1, 2, 14)


class _Histogram:
    __slots__ = ("counts", "limits", "sum")

    def __init__(self, limits: list[float]) -> None:
        self.limits = limits
        self.counts = [0] * (len(limits) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect_right(self.limits, value)] += 1
        self.sum += value

    def add_all(self, values: Sequence[float]) -> None:
        counts, limits = self.counts, self.limits
        for value in values:
            counts[bisect_right(limits, value)] += 1
        self.sum += sum(values)


class _Calls:
    """Calls of one model, method, endpoint and outcome."""

    __slots__ = ("latency", "number", "runtime")

    def __init__(self) -> None:
        self.number = 0
        self.latency = _Histogram(_LATENCY)
        self.runtime = _Histogram(_LATENCY)


def _histogram(known: dict[str, _Histogram], key: str, limits: list[float]) -> _Histogram:
    return known.get(key) or known.setdefault(key, _Histogram(limits))


class Metrics:
    """Counts calls, batches and what is read off at the time of asking.

    Example:
        >>> metrics = Metrics()
        >>> metrics.answered(Call("/s/Predict", model="m", version=1), grpc.StatusCode.OK, 0.002)
        >>> b'request_count{model_name="m",status="OK"} 1' in metrics.exposition()
        True
    """

    def __init__(self) -> None:
        # Keyed by what is at hand; put together as TensorFlow Serving slices them when somebody asks.
        self._calls: dict[tuple[str, str, str, grpc.StatusCode], _Calls] = {}
        self._by_version: dict[tuple[str, int, grpc.StatusCode], _Calls] = {}
        self._examples: dict[str, _Histogram] = {}
        self._queuing: dict[str, _Histogram] = {}
        self._input_rows = _Histogram(_BATCH)
        self._processed_rows = _Histogram(_BATCH)
        self._read: list[
            tuple[str, Literal["gauge", "counter"], str, Labels, Callable[[], Mapping[Labels, float]]]
        ] = []

    def answered(self, call: Call, code: grpc.StatusCode, seconds: float) -> None:
        """Counts a call that has an answer.

        Args:
            call: with what became known of it.
            code: the answer's.
            seconds: since the call came in.
        """
        microseconds = seconds * 1e6
        key = (call.model, call.path, call.entrypoint, code)
        calls = self._calls.get(key) or self._new_calls(key)
        calls.number += 1
        if code is _OK:
            calls.latency.add(microseconds)
            if call.run_seconds:
                calls.runtime.add(call.run_seconds * 1e6)
            if call.examples:
                _histogram(self._examples, call.model, _EXAMPLES).add(call.examples)
        if call.version is not None:
            by_version = (call.model, call.version, code)
            calls = self._by_version.get(by_version) or self._new_version(by_version)
            calls.number += 1
            calls.latency.add(microseconds)

    def batched(self, pool: str, waits: Sequence[float], rows: Sequence[int], processed_rows: int) -> None:
        """Counts a batch.

        Args:
            pool: name of the threads that run it.
            waits: seconds that each of its requests was in the queue.
            rows: of each of them.
            processed_rows: of the batch, with those that fill it up.
        """
        _histogram(self._queuing, pool, _QUEUING).add_all([seconds * 1e6 for seconds in waits])
        self._input_rows.add_all(rows)
        self._processed_rows.add(processed_rows)

    def reads(
        self,
        name: str,
        kind: Literal["gauge", "counter"],
        description: str,
        labels: Labels,
        values: Callable[[], Mapping[Labels, float]],
    ) -> None:
        """Adds a metric that is read off whenever somebody asks.

        Args:
            name: with its unit; a counter's ends with `_total`.
            kind: Prometheus'.
            description: one line.
            labels: names.
            values: the numbers by the labels' values.

        Example:
            >>> metrics = Metrics()
            >>> metrics.reads("unroll_queued", "gauge", "Requests that wait.", ("model",), lambda: {("m",): 3})
            >>> b'unroll_queued{model="m"} 3' in metrics.exposition()
            True
        """
        self._read.append((name, kind, description, labels, values))

    def exposition(self) -> bytes:
        """All of it in Prometheus' text format."""
        counts: dict[Labels, float] = {}
        latency: dict[Labels, list[_Histogram]] = {}
        runtime: dict[Labels, list[_Histogram]] = {}
        for (model, path, entrypoint, code), calls in self._calls.items():
            _add(counts, (model, code.name), calls.number)
            if calls.runtime.sum:
                runtime.setdefault((model, _api(path, "GRPC"), "TF1"), []).append(calls.runtime)
            if code is _OK:
                latency.setdefault((model, _api(path, entrypoint), entrypoint), []).append(calls.latency)
        version_counts: dict[Labels, float] = {}
        version_latency: dict[Labels, list[_Histogram]] = {}
        for (model, version, code), calls in self._by_version.items():
            _add(version_counts, (model, str(version), code.name), calls.number)
            version_latency.setdefault((model, str(version)), []).append(calls.latency)
        examples: dict[Labels, list[_Histogram]] = {(model,): [one] for model, one in self._examples.items()}
        example_totals: dict[Labels, float] = {(model,): one.sum for model, one in self._examples.items()}
        queuing: dict[Labels, list[_Histogram]] = {(queue,): [one] for queue, one in self._queuing.items()}
        session = f"{_PREFIX}batching_session:"
        lines = [
            *_scalar(f"{_PREFIX}request_count", "counter", "Requests.", ("model_name", "status"), counts),
            *_histograms(
                f"{_PREFIX}request_latency",
                "Microseconds to answer a request.",
                ("model_name", "API", "entrypoint"),
                latency,
            ),
            *_histograms(
                f"{_PREFIX}runtime_latency",
                "Microseconds until TensorFlow's outputs, those in the queue included.",
                ("model_name", "API", "runtime"),
                runtime,
            ),
            *_histograms(f"{_PREFIX}request_example_counts", "Examples in a request.", ("model",), examples),
            *_scalar(f"{_PREFIX}request_example_count_total", "counter", "Examples.", ("model",), example_totals),
            *_histograms(f"{session}queuing_latency", "Microseconds in a queue.", ("thread_pool_name",), queuing),
            *_scalar(f"{session}wrapped_run_count", "counter", "Batches.", (), {(): sum(self._processed_rows.counts)}),
            *_histograms(f"{session}input_batch_size", "Rows in a request.", (), {(): [self._input_rows]}),
            *_histograms(f"{session}processed_batch_size", "Rows in a batch.", (), {(): [self._processed_rows]}),
            *_scalar("unroll_requests_total", "counter", "Requests.", ("model", "version", "code"), version_counts),
            *_histograms(
                "unroll_request_latency_microseconds",
                "Microseconds to answer a request, refused ones included.",
                ("model", "version"),
                version_latency,
            ),
        ]
        for name, kind, description, labels, values in self._read:
            lines += _scalar(name, kind, description, labels, values())
        return "".join(f"{line}\n" for line in lines).encode()

    def _new_calls(self, key: tuple[str, str, str, grpc.StatusCode]) -> _Calls:
        if len(self._calls) >= _MAX_SERIES:
            key = (_OTHER, "", *key[2:])
        return self._calls.get(key) or self._calls.setdefault(key, _Calls())

    def _new_version(self, key: tuple[str, int, grpc.StatusCode]) -> _Calls:
        if len(self._by_version) >= _MAX_SERIES:
            del self._by_version[next(iter(self._by_version))]  # the oldest
        return self._by_version.setdefault(key, _Calls())


def merged(expositions: Iterable[bytes]) -> bytes:
    """Adds up what several processes of a server count: every number of the same name and labels, gauges too."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, dict[str, float]] = {}
    for exposition in expositions:
        family = ""
        for line in exposition.decode().removesuffix("\n").split("\n"):
            if line.startswith("# "):
                family = line.split(" ", 3)[2]
                if line not in heads.setdefault(family, []):
                    heads[family].append(line)
                continue
            sample, _, value = line.rpartition(" ")
            known = samples.setdefault(family, {})
            known[sample] = known.get(sample, 0) + float(value)
    lines = []
    for family, head in heads.items():
        lines += [*head, *(f"{sample} {_number(value)}" for sample, value in samples.get(family, {}).items())]
    return "".join(f"{line}\n" for line in lines).encode()


def _api(path: str, entrypoint: str) -> str:
    """TensorFlow Serving's label of a method: lower case by REST, where only those of URLs have one."""
    method = path.rpartition("/")[2]
    if entrypoint != "REST":
        return method
    return method.lower() if method in ("Predict", "Classify", "Regress") else ""


def _add(totals: dict[Labels, float], labels: Labels, number: float) -> None:
    totals[labels] = totals.get(labels, 0) + number


def _head(name: str, kind: str, description: str) -> list[str]:
    return [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]


def _scalar(name: str, kind: str, description: str, labels: Labels, values: Mapping[Labels, float]) -> list[str]:
    return [
        *_head(name, kind, description),
        *(f"{name}{_labelled(labels, of)} {_number(value)}" for of, value in values.items()),
    ]


def _histograms(name: str, description: str, labels: Labels, values: Mapping[Labels, list[_Histogram]]) -> list[str]:
    lines = _head(name, "histogram", description)
    for of, histograms in values.items():
        total = 0
        limits = [*map("{:g}".format, histograms[0].limits), "+Inf"]
        for limit, counts in zip(limits, zip(*(one.counts for one in histograms), strict=True), strict=True):
            total += sum(counts)
            lines.append(f"{name}_bucket{_labelled((*labels, 'le'), (*of, limit))} {total}")
        lines.append(f"{name}_sum{_labelled(labels, of)} {_number(sum(one.sum for one in histograms))}")
        lines.append(f"{name}_count{_labelled(labels, of)} {total}")
    return lines


def _labelled(names: Labels, values: Labels) -> str:
    pairs = (f'{name}="{_escaped(value)}"' for name, value in zip(names, values, strict=True))
    return f"{{{','.join(pairs)}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").encode(errors="replace").decode()


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(float(value))
