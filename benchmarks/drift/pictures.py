"""How often does the drift report cry wolf over pictures, and what does it miss?

The data are emoji as two vendors draw them. Of the pictures that were held out from training one half, drawn at
random, is the reference; windows are drawn from the other half, clean and damaged, and from OpenMoji's drawings of the
same emoji. All are composited on white and encoded alike, so that only the drawing tells them apart. Without
--saved_model the pictures themselves are watched, with it also the captioner's answers.

    python benchmarks/drift/pictures.py --data emoji.parquet
    python benchmarks/drift/pictures.py --data emoji.parquet --saved_model store/captioning/1

With --by_split the reference is the validation split, windows are of the test split. Whole families of emoji (a figure
with all its tones, by both vendors) were put in one part or the other, so these are not alike: a picture is then no
observation of its own, and the alarm rings more often than stated. --cluster names the column of the family.

    python benchmarks/drift/pictures.py --data emoji.parquet --by_split --cluster base

The table has the columns png, vendor, split (val..., test...) and hexcode, an emoji's code points joined by "-".
"""

import argparse
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance
from rich.console import Console
from rich.progress import track
from rich.table import Table

from unroll.monitoring import (
    GeneratedTextFeature,
    ImageFeature,
    NumericFeature,
    ReferenceProfile,
    VectorFeature,
    compare,
)
from unroll.monitoring.features import Feature
from unroll.monitoring.variables import take
from unroll.pipelines.tasks.captioning import sample as openmoji

BATCH = 32
Tensors = dict[str, np.ndarray]


def on_white(png: bytes, change: Callable[[Image.Image], Image.Image] = lambda image: image) -> bytes:
    image = Image.open(io.BytesIO(png)).convert("RGBA")
    file = io.BytesIO()
    change(Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")).save(file, "PNG")
    return file.getvalue()


def drawn(hexcodes: Sequence[str]) -> list[bytes]:
    """OpenMoji's drawings of those emoji that its font has."""
    names = ["".join(chr(int(point, 16)) for point in code.split("-")) for code in hexcodes]
    return [on_white(png) for png in map(openmoji.draw, names) if png]


DAMAGES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "a fifth darker": lambda image: ImageEnhance.Brightness(image).enhance(0.8),
    "colours at half": lambda image: ImageEnhance.Color(image).enhance(0.5),
    "in grey": lambda image: image.convert("L"),
    "enlarged from 32 pixels": lambda image: image.resize((32, 32)).resize(image.size),
    "red and blue swapped": lambda image: Image.merge("RGB", image.split()[::-1]),
}


class Captioner:
    """The answers of an exported captioner; of none, no answers."""

    def __init__(self, directory: Path | None) -> None:
        self.model = None
        if directory:
            from unroll.pipelines.training.exported import Exported

            self.model = Exported(directory)

    def __call__(self, pictures: np.ndarray) -> Tensors:
        if not self.model:
            return {}
        answers = [
            self.model.predict({"image": pictures[start : start + BATCH]}) for start in range(0, len(pictures), BATCH)
        ]
        return {
            name: np.concatenate([answer[name] for answer in answers])
            for name in ("caption", "log_probability", "embedding")
        }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--saved_model", type=Path)
    parser.add_argument("--by_split", action="store_true")
    parser.add_argument("--cluster", help="column of what belongs together")
    parser.add_argument("--sizes", type=int, nargs="+", default=[30, 50, 200])
    parser.add_argument("--windows", type=int, default=500)
    parser.add_argument("--drifted-windows", type=int, default=100)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()

    rng = np.random.default_rng(0)
    captioner = Captioner(arguments.saved_model)
    cluster = [arguments.cluster] if arguments.cluster else []
    table = pd.read_parquet(arguments.data, columns=["png", "vendor", "split", "hexcode", *cluster])
    held = table[table.split != "train"]
    first = held.split.str.startswith("val") if arguments.by_split else rng.permutation(len(held)) < len(held) // 2
    reference, test = held[first], held[~first]
    others = drawn(test.hexcode.unique().tolist())
    clean = [on_white(png) for png in test.png]
    streams = {
        "reference (no drift)": [on_white(png) for png in reference.png],
        "held out (no drift)": clean,
        **{f"only {name}": [on_white(png) for png in part.png] for name, part in test.groupby("vendor")},
        "OpenMoji": others,
        "one in ten OpenMoji": [others[i % len(others)] if i % 10 == 0 else png for i, png in enumerate(clean)],
        **{name: [on_white(png, damage) for png in test.png] for name, damage in DAMAGES.items()},
    }

    def tensors(pictures: list[bytes]) -> tuple[Tensors, Tensors]:
        array = np.array(pictures, object)
        return {"image": array}, captioner(array)

    inputs, outputs = tensors(streams["reference (no drift)"])
    features: list[Feature] = [ImageFeature("image")]
    if outputs:
        caption = GeneratedTextFeature.fit("caption", outputs["caption"].tolist())
        features += [caption, NumericFeature("log_probability"), VectorFeature("embedding")]
    clusters = reference[arguments.cluster].tolist() if arguments.cluster else ()
    profile = ReferenceProfile.build(features, inputs, outputs, model="captioner", clusters=clusters)
    print(f"reference: {profile.records} pictures, {len(profile.variables)} features", file=sys.stderr)

    rows = []
    for name, pictures in streams.items():
        sent, answered = tensors(pictures)
        start = time.perf_counter()
        values = profile.measure(sent, answered)
        measured = (time.perf_counter() - start) / len(pictures)
        windows = arguments.windows if "no drift" in name else arguments.drifted_windows
        for n in arguments.sizes:
            results = []
            for _ in track(range(windows), f"{name}, {n}", console=Console(stderr=True), transient=True):
                picked = rng.permutation(len(pictures))[:n]
                window = {variable: take(value, picked) for variable, value in values.items()}
                results.append(compare(profile, window, [str(row) for row in picked]))
            found = Counter(feature.name for result in results for feature in result.features if feature.drift)
            rows.append(
                {
                    "system": "unroll",
                    "stream": name,
                    "answers": bool(outputs),
                    "by_split": arguments.by_split,
                    "cluster": arguments.cluster,
                    "requests": min(n, len(pictures)),
                    "windows": windows,
                    "rate": sum(result.drift for result in results) / windows,
                    "features": {feature: count / windows for feature, count in found.most_common(5)},
                    "ms_a_picture": round(1000 * measured, 3),
                }
            )
    if arguments.json:
        print(json.dumps(rows))
        return
    out = Table("windows of", "requests", "windows", "alarms", "most telling", "ms a picture")
    for row in rows:
        telling = ", ".join(f"{feature} {share:.0%}" for feature, share in row["features"].items())
        cells = (row["stream"], str(row["requests"]), str(row["windows"]))
        out.add_row(*cells, f"{row['rate']:.1%}", telling, f"{row['ms_a_picture']:.2f}")
    Console(width=150).print(out)


if __name__ == "__main__":
    main()
