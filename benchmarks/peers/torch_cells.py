"""A recurrent layer of torch that takes a training step for each line of its input, and answers with seconds.

    python torch_cells.py '{"cell": "lstm", "batch": 64, "time": 100, "units": 64, "features": 64, "threads": 1}'

Run by `benchmarks/cells/steps.py` in an environment that has torch.
"""

import json
import sys
import time

import torch


def main(case: dict) -> None:
    layer = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[case["cell"]]
    layer = layer(case["features"], case["units"], batch_first=True)
    x = torch.randn(case["batch"], case["time"], case["features"], requires_grad=True)
    if case["threads"]:
        torch.set_num_threads(case["threads"])
    for _ in sys.stdin:
        begun = time.perf_counter(), time.process_time()
        layer.zero_grad()
        x.grad = None
        layer(x)[0].square().mean().backward()
        print(json.dumps([time.perf_counter() - begun[0], time.process_time() - begun[1]]), flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
