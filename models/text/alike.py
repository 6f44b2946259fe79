"""What is the same text to a reader: entities, folded characters, and the Unicode form, by which a text is normalised.

No TensorFlow here: `unroll.models.text.normal_form` does it in the graph, and monitoring in Python.
"""

IGNORED = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\U000e0000-\U000e0fff"
)
"""Characters that are not drawn, as of a class in RE2 and Python's `re`: Unicode's Default_Ignorable_Code_Point."""

FOLD = (
    (f"[{IGNORED}]", ""),
    ("[\u00b4\u02bc\u2018\u2019\u201a\u201b]", "'"),
    ("[\u201c-\u201f]", '"'),
    ("[\u2010-\u2015\u2212]", "-"),
    ("[\u0085\u1680\u2028\u2029]", " "),
)
"""Pattern and replacement, in order, before the Unicode form: what compatibility does not make equal."""

NORMAL = {"unescape": True, "fold": [list(rule) for rule in FOLD], "form": "NFKC"}
"""All of it, as `unroll.monitoring.features.normal_form` takes it."""
