"""A profile survives the disk, holds no text, and says what is wrong with a bad one."""

import io
import json
import zipfile

import numpy as np
import pytest

from unroll.errors import UserError
from unroll.monitoring import NumericFeature, ReferenceProfile, compare
from unroll.monitoring.profile import JSON_NAME, NPZ_NAME


@pytest.fixture
def version_dir(tmp_path, profile, write_version):
    write_version(tmp_path / "m" / "1", profile)
    return tmp_path / "m" / "1"


def test_saved_and_loaded_it_gives_the_same_answer(version_dir, profile, source):
    loaded = ReferenceProfile.load(version_dir)
    assert loaded.features == profile.features
    assert (loaded.inputs, loaded.outputs) == (["text"], ["score", "label"])
    keys = [str(i) for i in range(100)]
    strange = source(3, shift=30)
    texts, outputs = strange.texts(100), strange.outputs(100)
    before = compare(profile, profile.measure({"text": texts}, outputs), keys)
    assert compare(loaded, loaded.measure({"text": texts}, outputs), keys) == before


def test_it_holds_no_text_and_no_pickle(profile, source):
    files = profile.files()
    assert set(files) == {JSON_NAME, NPZ_NAME}
    arrays = np.load(io.BytesIO(files[NPZ_NAME]), allow_pickle=False)
    assert {array.dtype.kind for array in arrays.values()} == {"u"}
    text = source(1).texts(1)[0]
    assert " ".join(text.split()[:3]).encode() not in files[JSON_NAME]
    assert sum(map(len, files.values())) < 1_000_000


def test_a_large_reference_is_sampled(monkeypatch):
    monkeypatch.setattr("unroll.monitoring.profile.MAX_RECORDS", 500)
    scores = np.arange(5000, dtype=np.float32)
    profile = ReferenceProfile.build([NumericFeature("score")], {}, {"score": scores}, model="m")
    assert profile.records == 500
    assert profile.summaries["score"]["mean"] == pytest.approx(2500, rel=0.1)


def test_clusters_survive_as_numbers(tmp_path, write_version):
    scores = np.arange(6, dtype=np.float32)
    outputs = {"score": scores, "clusters": scores}
    features = [NumericFeature("score"), NumericFeature("clusters")]
    names = ["patient b", "", "patient a", "patient b", "", "patient b"]
    profile = ReferenceProfile.build(features, {}, outputs, model="m", clusters=names)
    write_version(tmp_path / "m" / "1", profile)
    assert all(b"patient" not in content for content in profile.files().values())
    loaded = ReferenceProfile.load(tmp_path / "m" / "1")
    held = [names[int(row)] for row in np.argsort(loaded.codes["score"]).argsort()]
    same = loaded.clusters[:, None] == loaded.clusters
    expected = [[i == j or bool(a and a == b) for j, b in enumerate(held)] for i, a in enumerate(held)]
    assert same.tolist() == expected
    assert loaded.clusters.max() + 1 == 4


def test_without_clusters_of_two_there_are_none():
    scores = np.arange(3, dtype=np.float32)
    for clusters in ([], ["", "", ""], ["a", "b", ""]):
        built = ReferenceProfile.build([NumericFeature("s")], {}, {"s": scores}, model="m", clusters=clusters)
        assert built.clusters is None
    with pytest.raises(ValueError, match=r"Received.*'clusters': 2"):
        ReferenceProfile.build([NumericFeature("s")], {}, {"s": scores}, model="m", clusters=["a", "a"])


@pytest.mark.parametrize("sizes", [(3, 2), (0, 0)])
def test_uneven_or_no_rows_are_refused(sizes):
    outputs = {"score": np.zeros(sizes[0]), "other": np.zeros(sizes[1])}
    with pytest.raises(ValueError, match="Received"):
        ReferenceProfile.build([NumericFeature("score")], {}, outputs, model="m")


def test_a_constant_feature_is_no_trouble():
    scores = np.full(200, 0.5, np.float32)
    profile = ReferenceProfile.build([NumericFeature("score")], {}, {"score": scores}, model="m")
    keys = [str(i) for i in range(50)]
    assert compare(profile, {"score": scores[:50]}, keys).p_value == 1
    assert compare(profile, {"score": np.r_[scores[:49], 0.6].astype(np.float32)}, keys).p_value == 1
    assert compare(profile, {"score": np.r_[scores[:40], scores[:10] + 0.1]}, keys).drift


def test_missing(version_dir):
    (version_dir / "assets.extra" / JSON_NAME).unlink()
    with pytest.raises(UserError, match="unroll train"):
        ReferenceProfile.load(version_dir)


def test_another_format(version_dir):
    path = version_dir / "assets.extra" / JSON_NAME
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(UserError, match="format 99"):
        ReferenceProfile.load(version_dir)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (JSON_NAME, b""),
        (JSON_NAME, b"[]"),
        (JSON_NAME, b"\xff\xfe"),
        (JSON_NAME, b'{"format": 1}'),
        (JSON_NAME, b'{"format": 1, "model": "m", "features": [{"kind": "smell"}], "variables": {}}'),
        (NPZ_NAME, b""),
        (NPZ_NAME, b"PK\x03\x04 torn"),
    ],
)
def test_damaged(version_dir, name, content):
    (version_dir / "assets.extra" / name).write_bytes(content)
    with pytest.raises(UserError, match="damaged"):
        ReferenceProfile.load(version_dir)


def test_a_profile_with_a_pickle_is_refused(version_dir):
    path = version_dir / "assets.extra" / NPZ_NAME
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    np.savez(path, **{name.removesuffix(".npy"): np.array([{}], object) for name in names})
    with pytest.raises(UserError, match="damaged"):
        ReferenceProfile.load(version_dir)
