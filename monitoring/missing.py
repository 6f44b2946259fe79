"""Words that stand for a missing value in data files."""

MISSING = ("", "-", "?", "na", "n/a", "#n/a", "nan", "-nan", "null", "none")
"""In small letters."""

SPELLINGS = sorted({spelt for word in MISSING for spelt in (word, word.upper(), word.capitalize())} | {"NaN", "-NaN"})
"""As they are written, for readers that tell small letters from capitals."""
