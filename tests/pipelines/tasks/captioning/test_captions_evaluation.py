"""What is kept of a scored captioner's pictures."""

import numpy as np

from tests.picture_fixtures import encoded, plain
from unroll.pipelines.tasks.captioning import evaluation
from unroll.pipelines.tasks.captioning.evaluation import CaptionScores


def test_kept_pictures_keep_their_clusters(monkeypatch):
    monkeypatch.setattr(evaluation, "_MAX_KEPT", 4)
    scores = CaptionScores(lowercase=True)
    for start in (0, 5):
        captions = np.empty(5, object)
        captions[:] = [[f"picture {row}"] for row in range(start, start + 5)]
        batch = {
            "image": np.array([encoded(plain("red", 20 + row)) for row in range(start, start + 5)], object),
            "captions": captions,
            "group": np.array([""] * 5, object),
            "cluster": np.array([f"figure {row}" if row else "" for row in range(start, start + 5)], object),
        }
        answers = {
            "caption": np.array([f"picture {row}".encode() for row in range(start, start + 5)], object),
            "log_probability": np.zeros(5, np.float32),
            "embedding": np.zeros([5, 2], np.float32),
        }
        scores.add(batch, answers)
    found = scores.evaluation(None)
    assert found.outputs["caption"].tolist() == [b"picture 0", b"picture 4", b"picture 8"]
    assert found.clusters == ["", "figure 4", "figure 8"]
