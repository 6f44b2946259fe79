"""Many pictures in one file: encoded, or decoded to pixels."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from unroll.models.image import decode_picture
from unroll.models.image_header import picture_orientation

_BATCH = 64
_orientation = tf.function(picture_orientation, reduce_retracing=True, autograph=False)
_decoded = tf.function(decode_picture, reduce_retracing=True, autograph=False)


class EncodedPictures:
    """Reads the bytes of pictures.

    Args:
        file: all of them, one after the other.
        spans: int64 `[pictures, 2]`; start and length of each.
    """

    def __init__(self, file: Path, spans: np.ndarray):
        self._file, self._spans = file, spans

    def __len__(self) -> int:
        return len(self._spans)

    def __getitem__(self, indexes: Sequence[int] | np.ndarray) -> np.ndarray:
        """Bytes of some pictures, as an object array."""
        encoded = np.empty(len(indexes), object)
        with self._file.open("rb") as stream:  # a mapping would stay as long as the data sets that read by it
            for row, index in enumerate(indexes):
                start, length = self._spans[index].tolist()
                stream.seek(start)
                encoded[row] = stream.read(length)
        return encoded

    def decode(self, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Decodes all, in parallel.

        Args:
            size: S, pixels of a side.

        Yields:
            Indexes `[n]`, rising, and pixels, uint8 `[n, S, S, 3]`; those of a picture that is corrupt are left out.
        """

        @tf.autograph.experimental.do_not_convert
        def read(indexes: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            encoded = tf.numpy_function(self.__getitem__, [indexes], tf.string)
            encoded.set_shape([None])
            return indexes, encoded, _orientation(encoded)

        dataset = tf.data.Dataset.range(len(self)).batch(_BATCH).map(read).unbatch()
        decoded = dataset.map(lambda index, one, turn: (index, _decoded(one, size, turn)), tf.data.AUTOTUNE)
        yield from decoded.ignore_errors().batch(_BATCH).prefetch(1).as_numpy_iterator()


class PixelWriter:
    """Writes an .npy file whose number of rows is known only at the end."""

    def __init__(self, file: Path, size: int):
        self._file = file.open("wb")
        self._size = size
        self._rows = 0

    def __enter__(self) -> "PixelWriter":
        self._write_header()
        return self

    def __exit__(self, *exception) -> None:
        self._file.seek(0)
        self._write_header()  # as long as the first one: NumPy leaves room for the rows to grow
        self._file.close()

    def write(self, pixels: np.ndarray) -> None:
        """Adds uint8 `[n, S, S, 3]`."""
        self._file.write(pixels.tobytes())
        self._rows += len(pixels)

    def _write_header(self) -> None:
        shape = (self._rows, self._size, self._size, 3)
        np.lib.format.write_array_header_1_0(self._file, {"descr": "|u1", "fortran_order": False, "shape": shape})
