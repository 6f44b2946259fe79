"""Pictures and the answers of a captioner: values as NumPy has them, an honest alarm, no TensorFlow."""

import io
import json
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from unroll.monitoring import (
    GeneratedTextFeature,
    ImageFeature,
    NumericFeature,
    ReferenceProfile,
    VectorFeature,
    compare,
)
from unroll.monitoring.drift import LEVEL
from unroll.monitoring.features.images import colourfulness
from unroll.monitoring.report import drift_report
from unroll.monitoring.requests import Window

NOUNS = ["house", "tree", "river", "road", "field", "ship", "cloud", "bridge"]
NAMES = ["megapixels", "aspect", "bytes_per_pixel", "brightness", "contrast", "warmth", "colourfulness"]


def encode(pixels: np.ndarray, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def measure(*pictures: bytes, **options) -> dict[str, np.ndarray]:
    values = ImageFeature("image", **options).measure({"image": np.array(pictures, object)}, {}, {})
    assert list(values) == [f"image/{name}" for name in NAMES]
    return {name.partition("/")[2]: value for name, value in values.items()}


class Camera:
    """Draws pictures of a coloured sky over a ground, and answers as a captioner would.

    Args:
        seed: of the generator.
        light: factor on the pictures' brightness.
        nouns: what its captions speak of.
        shift: of the embedding's first coordinate.
    """

    def __init__(self, seed: int, light: float = 1.0, nouns=NOUNS, shift: float = 0.0) -> None:
        self.rng = np.random.default_rng(seed)
        self.light, self.nouns, self.shift = light, nouns, shift

    def picture(self) -> bytes:
        height, width = self.rng.integers(40, 90, 2)
        pixels = np.empty((height, width, 3))
        horizon = int(self.rng.integers(10, 30))
        pixels[:horizon], pixels[horizon:] = self.rng.uniform(40, 230, (2, 3))
        pixels += self.rng.normal(0, self.rng.uniform(2, 12), pixels.shape)
        return encode((self.light * pixels).clip(0, 255).astype(np.uint8), "JPEG", quality=80)

    def tensors(self, n: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        rng = self.rng
        captions = [f"a {rng.choice(self.nouns)} by the {rng.choice(self.nouns)}".encode() for _ in range(n)]
        embedding = rng.normal(size=(n, 8)).astype(np.float32)
        embedding[:, 0] += self.shift
        return (
            {"image": np.array([self.picture() for _ in range(n)], object)},
            {
                "caption": np.array(captions, object),
                "log_probability": rng.normal(-4, 1, n).astype(np.float32),
                "embedding": embedding,
            },
        )


def build(camera: Camera, n: int) -> ReferenceProfile:
    inputs, outputs = camera.tensors(n)
    features = [
        ImageFeature("image"),
        GeneratedTextFeature.fit("caption", outputs["caption"].tolist()),
        NumericFeature("log_probability"),
        VectorFeature("embedding"),
    ]
    return ReferenceProfile.build(features, inputs, outputs, model="camera")


@pytest.fixture(scope="module")
def profile() -> ReferenceProfile:
    return build(Camera(1), 600)


def test_values_of_a_picture():
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    png = encode(pixels)
    values = measure(png)
    rgb = pixels.astype(float)
    luma = (0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]) / 255
    rg, yb = rgb[..., 0] - rgb[..., 1], (rgb[..., 0] + rgb[..., 1]) / 2 - rgb[..., 2]
    colours = np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
    warmth = (rgb[..., 0] - rgb[..., 2]).mean() / 255
    expected = [60 * 40 / 1e6, 1.5, len(png) / 2400, luma.mean(), luma.std(), warmth, colours]
    assert [values[name][0] for name in NAMES] == pytest.approx(expected, rel=1e-5)
    assert {value.dtype for value in values.values()} == {np.dtype(np.float32)}


def test_colourfulness_of_plain_colours():
    plain = {"grey": (90, 90, 90), "red": (255, 0, 0), "blue": (0, 0, 255)}
    found = {name: colourfulness(np.full((4, 4, 3), colour, np.uint8)) for name, colour in plain.items()}
    # rg = 255, yb = 127.5 for red; 0 and -255 for blue
    assert found == pytest.approx({"grey": 0, "red": 0.3 * np.hypot(255, 127.5), "blue": 0.3 * 255})
    halves = np.zeros((2, 2, 3), np.uint8)
    halves[0], halves[1] = (255, 0, 0), (0, 255, 0)  # rg is 255 and -255, yb 127.5 in both
    assert colourfulness(halves) == pytest.approx(255 + 0.3 * 127.5)


def test_the_kinds_of_picture_agree():
    grey = np.full((100, 100), 128, np.uint8)
    clear = np.zeros((100, 100, 4), np.uint8)
    clear[:50] = 0, 0, 0, 255  # the upper half is black, the lower one shows what is behind it
    cmyk = io.BytesIO()
    Image.fromarray(grey).convert("CMYK").save(cmyk, "JPEG")
    frames = [Image.fromarray(grey), Image.fromarray(255 - grey)]
    moving = io.BytesIO()
    frames[0].save(moving, "GIF", save_all=True, append_images=frames[1:])
    values = measure(
        encode(grey), encode(grey, "JPEG"), encode(grey, "BMP"), encode(grey.astype(np.uint16) * 257), cmyk.getvalue(),
        moving.getvalue(), encode(clear),
    )  # fmt: skip
    assert values["brightness"] == pytest.approx([128 / 255] * 6 + [0.5], abs=0.01)
    assert values["contrast"] == pytest.approx([0] * 6 + [0.5], abs=0.02)
    assert values["colourfulness"] == pytest.approx(0, abs=0.5)
    assert values["megapixels"] == pytest.approx(0.01)


def test_large_pictures_are_measured_small():
    """The mean of a picture is that of its reduced copy."""
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (8, 12, 3), np.uint8)
    pixels = coarse.repeat(200, axis=0).repeat(200, axis=1)
    values = measure(encode(pixels, "JPEG", quality=95), encode(pixels))
    luma = coarse @ [0.299, 0.587, 0.114] / 255
    assert values["brightness"] == pytest.approx(luma.mean(), abs=0.01)
    assert values["contrast"] == pytest.approx(luma.std(), rel=0.1)
    assert values["megapixels"] == pytest.approx(3.84)


def test_bad_pictures_are_missing_values():
    noise = np.random.default_rng(0).integers(0, 256, (90, 70, 3), np.uint8)
    png, jpeg = encode(noise), encode(noise, "JPEG")
    bad = [b"", b"\x89PNG\r\n\x1a\n", b"no picture", png[: len(png) // 2], jpeg[: len(jpeg) // 2], png[:40], jpeg[:9]]
    values = measure(png, *bad)
    assert np.isfinite(values["brightness"]).tolist() == [True] + [False] * 7
    assert np.isfinite(values["aspect"])[:1].all()
    assert not np.isfinite(values["aspect"][1:4]).any()


def test_a_picture_of_too_many_pixels_is_not_decoded():
    bomb = io.BytesIO()
    Image.new("1", (7000, 7000)).save(bomb, "PNG")  # 49 million pixels in some kilobytes
    values = measure(bomb.getvalue())
    assert values["megapixels"] == 49
    assert np.isnan(values["brightness"])
    small = measure(encode(np.zeros((30, 40), np.uint8)), encode(np.zeros((30, 41), np.uint8)), most_pixels=1200)
    assert np.isfinite(small["brightness"]).tolist() == [True, False]


def test_the_aspect_is_that_of_the_upright_picture():
    turned = Image.Exif()
    values = []
    for number in (1, 3, 6, 8):
        turned[0x0112] = number
        values.append(measure(encode(np.zeros((30, 60), np.uint8), "JPEG", exif=turned))["aspect"][0])
    assert values == [2, 2, 0.5, 0.5]


def test_words_of_a_caption():
    feature = GeneratedTextFeature.fit("caption", ["A woman's hat: dark-red", "a hat", b"a caf\xc3\xa9"])
    assert feature.words[:2] == ("a", "hat")
    assert set(feature.words) == {"a", "hat", "woman's", ":", "dark", "-", "red", "café"}
    values = feature.measure({}, {"caption": np.array([b"A hat, a hat", b"", b"caf\xc3\xa9"], object)}, {})
    assert values["caption/length"].tolist() == [5, 0, 1]
    held = values["caption/tokens"]
    assert [feature.words[i] for i in sorted(held.ids[: held.sizes[0]])] == ["a", "hat"]
    assert held.sizes.tolist() == [2, 0, 1]


def test_a_vector_is_a_variable_a_coordinate():
    values = VectorFeature("embedding").measure({}, {"embedding": np.arange(6.0).reshape(2, 3)}, {})
    assert {name: value.tolist() for name, value in values.items()} == {
        "embedding/1": [0, 3],
        "embedding/2": [1, 4],
        "embedding/3": [2, 5],
    }
    with pytest.raises(ValueError, match="Received: embedding of shape"):
        VectorFeature("embedding").measure({}, {"embedding": np.zeros((2, 65))}, {})


def test_the_profile_reads_what_it_wrote(profile, tmp_path):
    (tmp_path / "assets.extra").mkdir()
    for name, content in profile.files().items():
        (tmp_path / "assets.extra" / name).write_bytes(content)
    loaded = ReferenceProfile.load(tmp_path)
    assert loaded.features == profile.features
    assert (loaded.inputs, loaded.outputs) == (["image"], ["caption", "log_probability", "embedding"])
    assert list(loaded.variables) == [
        *(f"image/{name}" for name in NAMES),
        "caption/length",
        "caption/tokens",
        "log_probability",
        *(f"embedding/{i}" for i in range(1, 9)),
    ]
    window = profile.measure(*Camera(7).tensors(40))
    keys = [str(i) for i in range(40)]
    assert compare(loaded, loaded.measure(*Camera(7).tensors(40)), keys) == compare(profile, window, keys)


def test_clean_windows_hardly_alarm(profile):
    values = profile.measure(*Camera(2).tensors(3000))
    alarms = sum(
        compare(profile, {name: value.take(rows) for name, value in values.items()}, [str(row) for row in rows]).drift
        for rows in np.arange(3000).reshape(100, 30)
    )
    # 100 windows at the stated rate of 1 in 100.
    assert alarms <= stats.binom(100, LEVEL).ppf(0.999), f"{alarms} of 100 clean windows"


@pytest.mark.parametrize(
    ("options", "variable"),
    [
        ({"light": 0.5}, "image/brightness"),
        ({"nouns": ["dog", *NOUNS[:2]]}, "caption/tokens"),
        ({"shift": 2}, "embedding/1"),
    ],
    ids=["darker", "other captions", "embedding"],
)
def test_drift_is_seen(profile, options, variable):
    result = compare(profile, profile.measure(*Camera(3, **options).tensors(60)), [str(i) for i in range(60)])
    assert result.drift
    assert variable in [feature.name for feature in result.features if feature.drift]


@pytest.fixture(scope="module")
def home(tmp_path_factory, profile, log_writer, predict_log):
    """Version 1 answered clean requests, version 2 pictures taken at night."""
    home = tmp_path_factory.mktemp("home")
    for version, camera in {1: Camera(4), 2: Camera(5, light=0.4)}.items():
        extra = home / "store" / "camera" / str(version) / "assets.extra"
        extra.mkdir(parents=True)
        for name, content in profile.files().items():
            (extra / name).write_bytes(content)
        writer = log_writer(home / "requests" / "camera", f"2026112{version}T010203.000000Z-1")
        inputs, outputs = camera.tensors(80)
        for i in range(0, 80, 2):  # two pictures a request
            log = predict_log(*({name: array[i : i + 2] for name, array in side.items()} for side in (inputs, outputs)))
            writer.add(log, time.time_ns() + i, version, f"{version}-{i}")
        writer.close()
    return home


def test_the_report_on_logged_pictures(home):
    places = {"store": home / "store", "requests": home / "requests", "window": Window(1000)}
    clean = drift_report("camera", **places, version=1)
    assert (clean.verdict, clean.comparison.records) == ("no drift", 80)
    night = drift_report("camera", **places)
    assert (night.version, night.verdict) == (2, "drift")
    drifted = {feature.name for feature in night.comparison.features if feature.drift}
    assert "image/brightness" in drifted
    assert not any(name.startswith(("caption", "embedding")) for name in drifted)


def test_the_command_runs_without_tensorflow(home):
    program = (
        "import sys, unroll.monitoring.cli\n"
        "if 'PIL' in sys.modules: sys.exit('Pillow is imported before there is a picture')\n"
        "try:\n"
        "    unroll.monitoring.cli.app(['report', 'camera', '--home', sys.argv[1], '--json'])\n"
        "except SystemExit as end:\n"
        "    heavy = {'tensorflow', 'keras', 'mlflow', 'matplotlib', 'scipy', 'pandas'} & set(sys.modules)\n"
        "    sys.exit(f'imported: {heavy}' if heavy else end.code)\n"
    )
    done = subprocess.run([sys.executable, "-c", program, str(home)], capture_output=True, text=True)
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["verdict"] == "drift"
