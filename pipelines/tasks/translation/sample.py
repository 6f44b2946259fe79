"""Names in English and German to try it on."""

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from unroll.pipelines.samples import Sample, package_folder
from unroll.workspace import write_atomically

_OTHERS = "_formats", "_relative", "_systems", "_patterns", "_symbols"  # tables of CLDR that hold no names


def sample(directory: Path) -> Sample:
    """Names of languages, countries, scripts, currencies and units in English and German, from Unicode's CLDR (Unicode
    License) as the package Babel (BSD) has it.

    They are names, not sentences: what a model learns of them translates names.

    Args:
        directory: where the table is written, columns source, target and kind. One that is there is used again.

    Raises:
        UserError: the package is not installed.
    """
    path = directory / "names_en_de.tsv"
    if not path.exists():
        package_folder("babel")
        text = io.StringIO()
        writer = csv.writer(text, delimiter="\t", lineterminator="\n")
        writer.writerow(["source", "target", "kind"])
        writer.writerows(_names())
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, text.getvalue().encode())
    return Sample(
        task="translation",
        words="names of countries, scripts, currencies, units and the like, from Unicode's CLDR",
        path=path,
        settings={"data": {"group": "kind"}},
    )


def _names() -> list[tuple[str, str, str]]:
    from babel import Locale

    english, german = (Locale(name)._data for name in ("en", "de"))
    rows = []
    for kind, table in english.items():
        if kind.endswith(_OTHERS) or not (isinstance(table, Mapping) and _all_texts(table)):
            continue
        others = german[kind]
        rows += [(name, others[key], kind) for key, name in table.items() if others.get(key)]
    for key, name in english["unit_display_names"].items():
        other = german["unit_display_names"].get(key, {})
        if "long" in name and "long" in other:
            rows.append((name["long"], other["long"], "units"))
    return rows


def _all_texts(table: Mapping[str, Any]) -> bool:
    return len(table) > 0 and all(isinstance(one, str) for one in table.values())
