"""The in-process limit: threads that run a SavedModel's v1 Session, as TensorFlow Serving would, in a loop.

It answers a line of standard input, rows a call, seconds and threads, by one of JSON, and rests between.

    python -m benchmarks.harness.limit SAVED_MODEL INPUTS.npz                            # as TensorFlow Serving runs it
    python -m benchmarks.harness.limit SAVED_MODEL INPUTS.npz SINGLE_THREADED_EXECUTOR   # as Unroll's engine does
"""

import itertools
import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from unroll.serving.engine.quiet import import_tensorflow


def main(saved_model: str, file: str, executor_type: str = "") -> None:
    import_tensorflow()
    import tensorflow as tf
    from tensorflow.core.protobuf import config_pb2

    config = tf.compat.v1.ConfigProto(intra_op_parallelism_threads=1, inter_op_parallelism_threads=-1)
    config.experimental.executor_type = executor_type
    session = tf.compat.v1.Session(graph=tf.Graph(), config=config)
    tf.get_logger().setLevel("ERROR")  # `loader` is deprecated; TensorFlow Serving loads so all the same
    meta_graph = tf.compat.v1.saved_model.loader.load(session, ["serve"], saved_model)
    signature = meta_graph.signature_def["serving_default"]
    inputs = dict(np.load(file, allow_pickle=True))
    call = session._make_callable_from_options(
        config_pb2.CallableOptions(
            feed=[signature.inputs[alias].name for alias in inputs],
            fetch=[output.name for output in signature.outputs.values()],
        )
    )
    for line in sys.stdin:
        rows, duration, threads = line.split()
        print(json.dumps(_measure(call, list(inputs.values()), int(rows), float(duration), int(threads))), flush=True)


def _measure(call, arrays, rows, duration, threads):  # type: ignore[no-untyped-def]
    parts = [[array[at : at + rows] for array in arrays] for at in range(0, len(arrays[0]) - rows + 1, rows)]
    begin, cpu = time.perf_counter(), time.process_time()

    def loop(number: int) -> list[float]:
        seconds = []
        for part in itertools.islice(itertools.cycle(parts), number * len(parts) // threads, None):
            start = time.perf_counter()
            if start > begin + duration:
                return seconds
            call(*part)  # other threads run meanwhile
            seconds.append(time.perf_counter() - start)
        return seconds

    with ThreadPoolExecutor(threads) as pool:
        seconds = sorted(itertools.chain.from_iterable(pool.map(loop, range(threads))))
    elapsed, cpu = time.perf_counter() - begin, time.process_time() - cpu
    return {
        "requests_per_second": len(seconds) / elapsed,
        "p50_ms": 1e3 * seconds[len(seconds) // 2],
        "p99_ms": 1e3 * seconds[len(seconds) * 99 // 100],
        "failed": 0,
        "cpu_us": 1e6 * cpu / len(seconds),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
