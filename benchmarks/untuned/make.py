"""Makes one set of the packages of this environment: `python -m benchmarks.untuned.make TASK SET FILE NPM DEBIAN`."""

import sys
from pathlib import Path

import pandas as pd

from benchmarks.untuned import picture_sets, series_sets, text_sets


def main() -> None:
    task, name, target, npm, debian = sys.argv[1:]
    file = Path(target)
    try:
        table = _table(task, name, Path(npm), Path(debian))
    except (ImportError, FileNotFoundError) as error:
        sys.exit(f"{name}: {error}")
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}")
    if file.suffix == ".parquet":
        table.to_parquet(part)
    else:
        table.to_csv(part, index=False)
    part.rename(file)


def _table(task: str, name: str, npm: Path, debian: Path) -> pd.DataFrame:
    if task == "forecasting":
        one = series_sets.SETS[name]
        table = one.make()
        columns = ["time", "series", *one.targets, *one.past, *one.future]
        return table[[column for column in columns if column in table]]
    return text_sets.table(name, npm, debian) if task == "sentiment" else picture_sets.table(name, npm)


if __name__ == "__main__":
    main()
