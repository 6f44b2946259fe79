"""Simple methods for texts and pictures, with scikit-learn: they may learn from all that is not test."""

import io
from collections.abc import Callable

import numpy as np
import pandas as pd
from PIL import Image
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss
from sklearn.neighbors import NearestNeighbors
from sklearn.pipeline import make_union

_PENALTIES = (1.0, 3.0, 10.0, 30.0, 100.0)
_NEIGHBOURS = (1, 5, 15)
_SIDE = 32  # pixels that pictures are compared by
_SMOOTHING = 0.5  # of a text's neighbours: no class is impossible
Answers = dict[str, np.ndarray]


def _parts(records: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    return tuple(records[records.split == part] for part in ("train", "validation", "test"))  # type: ignore[return-value]


def _tfidf(characters: bool) -> TfidfVectorizer:
    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    if not characters:
        return words
    return make_union(words, TfidfVectorizer(analyzer="char_wb", ngram_range=(2, 4), sublinear_tf=True, min_df=2))


def logistic_regression(records: pd.DataFrame) -> Answers:
    """On TF-IDF of words and pairs of words, with or without that of 2 to 4 characters.

    Which, and the penalty, are chosen by log loss on validation; then it is fitted to both parts.
    """
    train, validation, test = _parts(records)
    best, chosen = np.inf, (False, _PENALTIES[0])
    for characters in (False, True):
        vectorizer = _tfidf(characters)
        known, asked = vectorizer.fit_transform(train.text), vectorizer.transform(validation.text)
        for c in _PENALTIES:
            model = LogisticRegression(C=c, max_iter=300).fit(known, train.label)
            seen = validation.label.isin(model.classes_).to_numpy()
            loss = log_loss(validation.label[seen], model.predict_proba(asked[seen]), labels=model.classes_)
            if loss < best:
                best, chosen = loss, (characters, c)
    vectorizer = _tfidf(chosen[0])
    both = pd.concat([train, validation])
    model = LogisticRegression(C=chosen[1], max_iter=1000).fit(vectorizer.fit_transform(both.text), both.label)
    return {
        "probabilities": model.predict_proba(vectorizer.transform(test.text)),
        "classes": model.classes_.astype(str),
    }


def nearest_text(records: pd.DataFrame) -> Answers:
    """The labels of the nearest texts by TF-IDF's cosine; how many is chosen by log loss on validation."""
    train, validation, test = _parts(records)
    losses = {}
    for count in _NEIGHBOURS:
        classes, probabilities = _votes(train, validation, count)
        seen = validation.label.isin(classes).to_numpy()
        losses[count] = log_loss(validation.label[seen], probabilities[seen], labels=classes)
    classes, probabilities = _votes(pd.concat([train, validation]), test, min(losses, key=losses.__getitem__))
    return {"probabilities": probabilities, "classes": classes.astype(str)}


def _votes(known: pd.DataFrame, asked: pd.DataFrame, count: int) -> tuple[np.ndarray, np.ndarray]:
    vectorizer = _tfidf(False)
    index = NearestNeighbors(n_neighbors=count, metric="cosine").fit(vectorizer.fit_transform(known.text))
    found = index.kneighbors(vectorizer.transform(asked.text), return_distance=False)
    classes, codes = np.unique(known.label, return_inverse=True)
    votes = np.eye(len(classes))[codes[found]].sum(axis=1)
    prior = np.bincount(codes) / len(codes)
    return classes, (votes + _SMOOTHING * prior) / (count + _SMOOTHING)


def nearest_picture(records: pd.DataFrame) -> Answers:
    """The caption of the picture whose pixels are nearest."""
    train, validation, test = _parts(records)
    known = pd.concat([train, validation])
    index = NearestNeighbors(n_neighbors=1).fit(_pixels(known.image))
    found = index.kneighbors(_pixels(test.image), return_distance=False)[:, 0]
    return {"captions": known.caption.to_numpy(str)[found]}


def _pixels(images: "pd.Series[bytes]") -> np.ndarray:
    found = []
    for image in images:
        with Image.open(io.BytesIO(image)) as picture:
            found.append(np.asarray(picture.convert("RGB").resize((_SIDE, _SIDE)), np.float32).ravel())
    return np.stack(found)


METHODS: dict[str, Callable[[pd.DataFrame], Answers]] = {
    "TF-IDF, logistic regression": logistic_regression,
    "nearest text": nearest_text,
    "nearest picture": nearest_picture,
}
