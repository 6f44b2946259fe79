"""Words that stand for a missing value in data files."""

MISSING = (
    "", "-", "?", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "n.a.", "<na>", "(null)", "\\n",
    "--", "---", "–", "—", "−", ".", "..", "...", "1.#qnan", "1.#ind", "-1.#ind",
)  # fmt: skip
"""In small letters."""

SPELLINGS = sorted({spelt for word in MISSING for spelt in (word, word.upper(), word.capitalize())} | {"NaN", "-NaN"})
"""As they are written, for readers that tell small letters from capitals."""
