"""Pictures to pixels: against Pillow, and what is refused, eagerly and in a v1 Session."""

import io

import grpc
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tests.picture_fixtures import (
    bad_pictures,
    chunk,
    corrupt_pictures,
    encoded,
    exif,
    noise,
    plain,
    png_of_size,
    segment,
    with_exif,
)
from unroll import picture_header, serving
from unroll.models.image import decode_picture, read_pictures
from unroll.models.image_header import picture_orientation, picture_problem
from unroll.serving.engine.session_engine import SessionEngine
from unroll.serving.protocol.status import StatusError

MAX_PIXELS, SIZE = 10_000, 40
BAD, CORRUPT = bad_pictures(), corrupt_pictures()
_problem = tf.function(picture_problem, reduce_retracing=True, autograph=False)


def problem(content: bytes, max_pixels: int = MAX_PIXELS) -> str:
    return _problem(tf.constant(content), max_pixels).numpy().decode()


def decoded(content: bytes, size: int = SIZE) -> np.ndarray:
    return decode_picture(tf.constant(content), size).numpy()


def on_white(picture: Image.Image) -> np.ndarray:
    rgba = picture.convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"))


@pytest.mark.parametrize("reason", BAD)
def test_a_bad_picture_is_refused_with_the_reason(reason):
    assert problem(BAD[reason]) == reason


def test_many_are_looked_at_together():
    reasons = picture_problem(tf.constant([list(BAD.values()), [encoded(noise())] * len(BAD)]), MAX_PIXELS).numpy()
    assert [reason.decode() for reason in reasons[0]] == list(BAD)
    assert set(reasons[1]) == {b""}


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "LA", "RGBA"])
def test_every_kind_of_png_gives_pillows_pixels(mode):
    picture = noise(40, 40, channels=4).convert("RGB" if mode in "1LP" else "RGBA").convert(mode)
    content = encoded(picture)
    assert problem(content) == ""
    tolerance = 1 if "A" in mode else 0  # of how alpha is rounded
    np.testing.assert_allclose(decoded(content).astype(int), on_white(picture), atol=tolerance)


def test_a_transparent_colour_of_a_palette_is_white():
    picture = Image.new("P", (40, 40), 0)
    picture.putpalette([200, 30, 30, 0, 0, 255])
    picture.paste(1, (0, 0, 20, 40))
    square = decoded(encoded(picture, transparency=1))
    assert (square[:, :20] == 255).all()
    assert (square[:, 20:] == [200, 30, 30]).all()


@pytest.mark.parametrize("depth", [1, 2, 4])
@pytest.mark.parametrize("transparent", [False, True])
def test_greys_of_few_bits(depth, transparent):
    white = 2**depth - 1
    grey = [0, 1, white, white]
    packed = sum(value << 16 - depth * (place + 1) for place, value in enumerate(grey)).to_bytes(2, "big")
    line = packed[: (4 * depth + 7) // 8]
    before = [chunk(b"tRNS", (1).to_bytes(2, "big"))] if transparent else []
    content = png_of_size(4, 1, *before, depth=depth, lines=b"\0" + line)
    expected = [255 if transparent and value == 1 else value * 255 // white for value in grey]
    assert decoded(content, 4)[1, :, 0].tolist() == expected


@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"subsampling": 2, "quality": 60}])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_jpeg_gives_pillows_pixels(mode, options):
    smooth = noise(5, 5).resize((40, 40), Image.Resampling.BICUBIC).convert(mode)
    content = encoded(smooth, "JPEG", **options)
    assert problem(content) == ""
    expected = np.asarray(Image.open(io.BytesIO(content)).convert("RGB")).astype(int)
    assert np.abs(decoded(content) - expected).max() <= 3


def test_the_aspect_is_kept_on_white():
    square = decoded(encoded(plain("red", 80, 40)), 32)
    assert (square[8:24] == [255, 0, 0]).all()
    assert (square[:8] == 255).all()
    assert (square[24:] == 255).all()


def test_shrinking_averages():
    board = Image.fromarray((np.indices((64, 64)).sum(0) % 2 * 255).astype(np.uint8))
    inner = decoded(encoded(board), 8)[1:-1, 1:-1].astype(int)
    assert np.abs(inner - 127).max() <= 2


def test_a_line_stays_visible():
    square = decoded(encoded(plain("black", 500, 1)), 16)
    assert (square == 0).all(axis=(1, 2)).sum() == 1


def test_a_header_may_hold_other_things_first():
    text = chunk(b"tEXt", b"Comment\0acTL IDAT")
    assert problem(png_of_size(8, 1, text)) == ""
    jpeg = encoded(noise(), "JPEG")
    comment = b"\xff\xff\xff\xfe" + (60_000).to_bytes(2, "big") + b"\xff\xc0" * 29_999
    assert problem(jpeg[:2] + comment * 3 + jpeg[2:]) == ""


def test_a_header_without_end_costs_no_more_than_a_thousand_steps():
    assert problem(png_of_size(8, 1, chunk(b"tEXt") * 5000)) == "has a damaged header"


def test_no_header_makes_it_fail():
    random = np.random.default_rng(0)
    starts = [b"\xff\xd8\xff", encoded(noise())[:33], encoded(noise())[:16], encoded(noise(), "JPEG")[:180], b""]
    files = [starts[row % len(starts)] + random.bytes(random.integers(0, 80)) for row in range(500)]
    assert picture_problem(tf.constant(files), MAX_PIXELS).shape == [500]


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_picture_cut_anywhere_is_refused_or_fails_to_decode(kind):
    content = encoded(noise(12, 12), kind)
    for end in range(0, len(content) - 1, 23):
        if not problem(content[:end]):
            with pytest.raises(tf.errors.InvalidArgumentError):
                decoded(content[:end])


def test_tf_data_gives_the_same_bits():
    files = [encoded(noise(50, 31, seed), kind) for seed in range(3) for kind in ("PNG", "JPEG")]
    dataset = tf.data.Dataset.from_tensor_slices(files).map(lambda one: decode_picture(one, 16))
    np.testing.assert_array_equal(list(dataset.as_numpy_iterator()), [decoded(one, 16) for one in files])


@pytest.fixture(scope="module")
def engine(tmp_path_factory):
    module = tf.Module()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "image")])
    def serve(image):
        return {"pixels": read_pictures(image, SIZE, MAX_PIXELS)}

    module.serve = serve
    directory = serving.export_saved_model(
        module,
        {"serving_default": serve},
        tmp_path_factory.mktemp("export") / "1",
        name="pixels",
        warmup_requests=[("serving_default", {"image": np.array([encoded(noise())], object)})],
    )
    engine = SessionEngine(directory)
    yield engine
    engine.close()


def ask(engine: SessionEngine, *files: bytes) -> np.ndarray:
    return engine.run("serving_default", [np.array([*files, b""], object)[:-1]])[0]


def test_a_session_gives_the_same_bits(engine):
    files = [encoded(noise(50, 31, seed), kind) for seed in range(3) for kind in ("PNG", "JPEG")]
    np.testing.assert_array_equal(ask(engine, *files), [decoded(one) for one in files])
    assert ask(engine).shape == (0, SIZE, SIZE, 3)


def test_a_session_refuses_all_bad_pictures_by_row_and_reason(engine):
    good = encoded(noise())
    for reason, content in BAD.items():
        with pytest.raises(StatusError) as caught:
            ask(engine, good, content)
        assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
        assert str(caught.value) == f"image 1 {reason}"
    with pytest.raises(StatusError, match="image 0 is empty; image 2 is an animated PNG"):
        ask(engine, b"", good, BAD["is an animated PNG"])


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("little", [True, False])
def test_a_session_turns_pictures_as_exif_says(engine, kind, little):
    smooth = noise(5, 4).resize((50, 31), Image.Resampling.BICUBIC)
    files = [with_exif(encoded(smooth, kind), exif(number, little)) for number in range(10)]
    upright = [ImageOps.exif_transpose(Image.open(io.BytesIO(content))) for content in files]
    expected = np.stack([decoded(encoded(picture)) for picture in upright]).astype(int)
    answered = ask(engine, *files)
    assert np.abs(answered - expected).max() <= (3 if kind == "JPEG" else 1)  # of how JPEGs are decoded
    np.testing.assert_array_equal(answered, [decoded(content) for content in files], "as training has it")
    assert len({content.tobytes() for content in answered}) == 8, "0 and 9 mean nothing"


def odd_exif() -> dict[str, tuple[bytes, int]]:
    """JPEGs, and PNGs, by what is odd about their EXIF; and the orientation that it says."""
    jpeg, png, tiff = encoded(noise(), "JPEG"), encoded(noise()), exif(6)
    other = segment(b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta/>") + segment(b"a comment, Exif\0\0", 0xFE)
    far = tiff[:4] + (10_000).to_bytes(4, "little") + tiff[8:]
    return {
        "none": (jpeg, 1),
        "before all else": (jpeg[:2] + segment(b"Exif\0\0" + tiff) + jpeg[2:], 6),
        "behind other segments": (jpeg[:2] + other + segment(b"Exif\0\0" + tiff) + jpeg[2:], 6),
        "twice": (jpeg[:2] + segment(b"Exif\0\0" + exif(3)) + segment(b"Exif\0\0" + tiff) + jpeg[2:], 3),
        "a long number": (with_exif(jpeg, exif(8, little=False, kind=4)), 8),
        "text instead of a number": (with_exif(jpeg, exif(8, kind=2)), 1),
        "many tags": (with_exif(jpeg, exif(5, before=40)), 5),
        "cut off": (with_exif(jpeg, tiff[:30]), 1),
        "empty": (with_exif(jpeg, b""), 1),
        "a directory outside": (with_exif(jpeg, far), 1),
        "a byte order that is none": (with_exif(jpeg, b"MI" + tiff[2:]), 1),
        "another TIFF": (with_exif(jpeg, tiff[:2] + b"\x2b" + tiff[3:]), 1),
        "behind a PNG's pixels": (png[:-12] + chunk(b"eXIf", tiff) + png[-12:], 1),
        "a PNG's, behind text": (png[:33] + chunk(b"tEXt", b"Comment\0eXIf") + chunk(b"eXIf", tiff) + png[33:], 6),
        "not a picture": (b"II*\0" + tiff, 1),
        "nothing": (b"", 1),
    }


def test_all_readers_of_headers_agree():
    odd = odd_exif()
    found = dict(
        zip(odd, picture_orientation(tf.constant([content for content, _ in odd.values()])).numpy(), strict=True)
    )
    assert found == {name: number for name, (_, number) in odd.items()}
    assert found == {name: picture_header.orientation(content) for name, (content, _) in odd.items()}


def test_a_cut_header_stops_no_reader():
    content = odd_exif()["behind other segments"][0]
    cut = [content[:end] for end in range(400)]
    found = picture_orientation(tf.constant(cut)).numpy().tolist()
    assert found == [picture_header.orientation(one) for one in cut]
    assert set(found) == {1, 6}


@pytest.mark.parametrize("kind", CORRUPT)
def test_a_session_refuses_corrupt_pictures(engine, kind):
    assert problem(CORRUPT[kind]) == ""
    with pytest.raises(StatusError, match=r"Invalid (PNG|JPEG) data") as caught:
        ask(engine, encoded(noise()), CORRUPT[kind])
    assert caught.value.code == grpc.StatusCode.INVALID_ARGUMENT
    assert "\n" not in str(caught.value)
