"""Characters a second that PyTorch writes: an LSTM of as many units in the plain loop, one character after another.

    python torch_writer.py UNITS EMBEDDING CHARACTERS ROWS LENGTH SECONDS

To be run in an environment that has torch. Prints one number.
"""

import sys
import time

import torch


def main(units: int, embedding: int, characters: int, rows: int, length: int, seconds: float) -> None:
    embed = torch.nn.Embedding(characters, embedding)
    cell = torch.nn.LSTM(embedding, units, batch_first=True)
    head = torch.nn.Linear(units, characters)
    written, begin = 0, time.perf_counter()
    with torch.inference_mode():
        while time.perf_counter() - begin < seconds:
            ids, state = torch.zeros(rows, 1, dtype=torch.long), None
            for _ in range(length):
                hidden, state = cell(embed(ids), state)
                ids = torch.multinomial(torch.softmax(head(hidden[:, -1]), dim=-1), 1)
            written += rows * length
        print(written / (time.perf_counter() - begin))


if __name__ == "__main__":
    main(*(int(one) for one in sys.argv[1:6]), float(sys.argv[6]))
