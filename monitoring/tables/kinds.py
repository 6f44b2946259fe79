"""Kinds of data files, by their names."""

from pathlib import Path

SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}


def file_format(file: Path) -> str | None:
    """What the suffix says: csv, tsv, jsonl, parquet or xlsx; None for any other.

    Example:
        >>> file_format(Path("load.csv.gz"))
        'csv'
    """
    return SUFFIXES.get(suffix(file))


def suffix(file: Path) -> str:
    """A file's suffix in small letters; that before `.gz`."""
    return (Path(file.stem) if file.suffix == ".gz" else file).suffix.lower()
