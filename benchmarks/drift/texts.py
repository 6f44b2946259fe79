"""How often does the drift report cry wolf, and what does it miss?

The reference is the held-out split of a table of texts with answers of a small classifier trained on the
training split; windows are drawn from the held-out split, from the test split and from other texts.

    python benchmarks/drift/texts.py reviews.parquet --other german=sentences.de.gz --other plays=plays.txt.gz

The table has the columns text, label, source and split (train, val, test). A text file holds one text a line,
or, where it has blank lines, a paragraph.
"""

import argparse
import gzip
import json
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.progress import track
from rich.table import Table
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from unroll.models.text.tokenizer import REPLACE, SPLIT
from unroll.monitoring import CategoricalFeature, NumericFeature, ReferenceProfile, TextFeature, compare
from unroll.monitoring.features import tokens
from unroll.monitoring.variables import take

TOKENIZER = {
    "lowercase": True,
    "replace": [list(pair) for pair in REPLACE],
    "split": SPLIT,
    "vocabulary": "assets/vocabulary.txt",
}


def read_texts(path: Path) -> list[str]:
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    text = content.decode("utf-8")
    parts = text.split("\n\n") if "\n\n" in text else text.split("\n")
    return [part.strip() for part in parts if part.strip()]


def tweets(reviews: Sequence[str], n: int, rng: np.random.Generator) -> list[str]:
    """Tweets about films: a clause of a review between names, hashtags, links and emoji."""
    openings = ["omg", "lol", "RT", "ok so", "ngl", "just saw this", "smh", "🔥🔥", "whyyy", "tbh"]
    tags = ["#nowwatching", "#MovieNight", "#fail", "#bestfilmever", "#oscars", "#tbt", "#weekend"]
    emoji = ["😂😂😂", "😍", "🙄", "👏👏", "💀", "😭", "🍿🎬", "❤️"]

    def tweet() -> str:
        words = reviews[int(rng.integers(len(reviews)))].split()
        start = int(rng.integers(max(1, len(words) - 12)))
        parts = [
            f"@user_{rng.integers(10_000)}" if rng.random() < 0.6 else "",
            str(rng.choice(openings)) if rng.random() < 0.5 else "",
            " ".join(words[start : start + int(rng.integers(3, 13))]),
            str(rng.choice(emoji)) if rng.random() < 0.6 else "",
            str(rng.choice(tags)) if rng.random() < 0.7 else "",
            f"https://t.co/{rng.integers(16**8):08x}" if rng.random() < 0.4 else "",
        ]
        return " ".join(part for part in parts if part)

    return [tweet() for _ in range(n)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("reviews", type=Path)
    parser.add_argument("--other", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 200, 1000])
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--drifted-windows", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    table = pd.read_parquet(arguments.reviews)
    split = dict(iter(table.groupby("split")))
    classifier = make_pipeline(TfidfVectorizer(min_df=3), LogisticRegression(C=10, max_iter=300))
    classifier.fit(split["train"].text, split["train"].label)

    def answers(texts: Sequence[str]) -> dict[str, np.ndarray]:
        score = classifier.predict_proba(texts)[:, 1]
        return {"score": score, "label": np.where(score > 0.5, "positive", "negative")}

    counts: Counter[str] = Counter()
    for words in tokens.split(split["train"].text, TOKENIZER):
        counts.update(words)
    vocabulary = [token for token, _ in counts.most_common(30_000)]
    val = split["val"].text.to_numpy()
    profile = ReferenceProfile.build(
        [TextFeature("text", TOKENIZER), NumericFeature("score"), CategoricalFeature("label")],
        {"text": val},
        answers(val),
        model="reviews",
        vocabulary=vocabulary,
    )
    size = sum(len(content) for content in profile.files().values())
    print(f"reference: {profile.records} records, {size / 1e6:.1f} MB", file=sys.stderr)

    test = split["test"]

    def mixture(share: float) -> list[str]:
        strange = tweets(list(test.text), len(test), rng)
        return [s if rng.random() < share else t for s, t in zip(strange, test.text, strict=True)]

    streams: dict[str, Sequence[str]] = {
        "val (no drift)": val,
        "test (no drift)": test.text.to_numpy(),
        **{f"only {name}": part.text.to_numpy() for name, part in test.groupby("source")},
        **{f"only label {name}": part.text.to_numpy() for name, part in test.groupby("label")},
        "one in ten a tweet": mixture(0.1),
        "tweets": tweets(list(test.text), 4000, rng),
    }
    for item in arguments.other:
        name, _, path = item.partition("=")
        streams[name] = read_texts(Path(path))[:30_000]

    rows = []
    for name, texts in streams.items():
        texts = np.asarray(texts, object)
        values = profile.measure({"text": texts}, answers(list(texts)))
        windows = arguments.windows if "no drift" in name else arguments.drifted_windows
        for n in arguments.sizes:
            alarms, found, seconds = 0, Counter(), 0.0
            for _ in track(range(windows), f"{name}, {n}", console=Console(stderr=True), transient=True):
                drawn = rng.permutation(len(texts))[:n]
                start = time.perf_counter()
                result = compare(profile, {k: take(v, drawn) for k, v in values.items()}, [str(i) for i in drawn])
                seconds += time.perf_counter() - start
                alarms += result.drift
                found.update(feature.name for feature in result.features if feature.drift)
            rows.append(
                {
                    "system": "unroll",
                    "stream": name,
                    "requests": min(n, len(texts)),
                    "windows": windows,
                    "alarms": alarms,
                    "rate": alarms / windows,
                    "features": dict(found),
                    "seconds": round(seconds / windows, 3),
                }
            )
    if arguments.json:
        print(json.dumps(rows))
        return
    out = Table("windows of", "requests", "windows", "alarms", "rate", "features that alarmed", "s a window")
    for row in rows:
        shares = ", ".join(f"{k} {v / row['windows']:.0%}" for k, v in row["features"].items())
        out.add_row(
            row["stream"], str(row["requests"]), str(row["windows"]), str(row["alarms"]),
            f"{row['rate']:.1%}", shares, f"{row['seconds']:.2f}",
        )  # fmt: skip
    Console(width=150).print(out)


if __name__ == "__main__":
    main()
