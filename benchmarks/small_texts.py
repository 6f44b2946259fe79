"""Small sets of labelled texts: the default of `unroll train sentiment` beside TF-IDF with logistic regression.

    python benchmarks/small_texts.py                      # five draws of 2,000 Rotten Tomatoes sentences
    python benchmarks/small_texts.py --records 500 --draws 3
    python benchmarks/small_texts.py --set train.epochs=2 --set model.min_count=2

TF-IDF is taken as scikit-learn has it, and with sublinear counts and C=10, which does better here. All learn from the
same train split of a draw; ours chooses its epoch and temperatures on the validation split. Scored are sentences that
are not in the draw, as many as `--scored` says. What is asked: not below the others in accuracy, not above them in log
loss.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression

from unroll.pipelines.data.splits import hash_split
from unroll.pipelines.scoring.metrics import classification_metrics
from unroll.pipelines.tasks.sentiment.sample import sample

ROOT = Path(__file__).resolve().parent.parent
_METRICS = ("accuracy", "log_loss")
_LINEAR = {"tf-idf": {"sublinear": False, "c": 1.0}, "tf-idf, C=10": {"sublinear": True, "c": 10.0}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--scored", type=int, default=10_000)
    parser.add_argument("--set", action="append", default=[], help="of unroll train; repeatable")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        texts = pd.read_csv(sample(Path(folder)).path)
        texts = texts[texts.source == "rotten_tomatoes"].drop_duplicates("text").reset_index(drop=True)
        rows: list[dict[str, Any]] = []
        for draw in range(arguments.draws):
            shuffled = texts.sample(frac=1, random_state=draw)
            drawn = shuffled.head(arguments.records)
            others = shuffled.iloc[arguments.records :].head(arguments.scored)
            case = {"records": arguments.records, "draw": draw}
            for system, settings in _LINEAR.items():
                rows.append({"system": system, **case, **_linear(drawn, others, **settings)})
            rows.append({"system": "unroll", **case, **_ours(drawn, others, Path(folder), draw, arguments.set)})
            print(json.dumps(rows[-3:]), file=sys.stderr)
    if arguments.json:
        print(json.dumps(rows))
        return
    table = Table("system", *(f"{metric}, mean and deviation over draws" for metric in _METRICS))
    for system in (*_LINEAR, "unroll"):
        values = np.array([[row[metric] for metric in _METRICS] for row in rows if row["system"] == system])
        cells = zip(values.mean(axis=0), values.std(axis=0), strict=True)
        table.add_row(system, *(f"{mean:.4f} ± {deviation:.4f}" for mean, deviation in cells))
    Console().print(table)


def _linear(drawn: pd.DataFrame, others: pd.DataFrame, sublinear: bool, c: float) -> dict[str, float]:
    train = drawn[[hash_split(text) == "train" for text in drawn.text]]
    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=sublinear)
    model = LogisticRegression(C=c, max_iter=1000).fit(vectorizer.fit_transform(train.text), train.label)
    scores = classification_metrics(others.label.to_numpy(), model.predict_proba(vectorizer.transform(others.text)))
    return {metric: scores[metric] for metric in _METRICS}


def _ours(drawn: pd.DataFrame, others: pd.DataFrame, folder: Path, draw: int, settings: list[str]) -> dict[str, float]:
    drawn.to_csv(folder / "drawn.csv", index=False)
    others.to_csv(folder / "others.csv", index=False)
    home, name = ["--home", str(folder / "home"), "--json"], f"draw_{draw}"
    chosen = [f"--set={setting}" for setting in settings]
    trained = _unroll(
        "train",
        "sentiment",
        "--data",
        str(folder / "drawn.csv"),
        "--name",
        name,
        f"--set=train.seed={draw}",
        *chosen,
        *home,
    )
    scored = _unroll(
        "evaluate", name, "--data", str(folder / "others.csv"), "--version", str(trained["version"]), *home
    )
    return {metric: scored["metrics"][f"data/{metric}"] for metric in _METRICS}


def _unroll(*command: str) -> dict[str, Any]:
    done = subprocess.run([sys.executable, "-m", "unroll", *command], cwd=ROOT, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


if __name__ == "__main__":
    main()
