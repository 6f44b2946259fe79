"""Text to token ids, by TensorFlow operations alone, so that training and serving share them."""

from collections.abc import Sequence

import tensorflow as tf

from unroll.models.text.normal_form import normal_form
from unroll.models.text.unspaced import CLUSTER

PADDING, UNKNOWN, RESERVED = 0, 1, 2  # ids; the vocabulary's tokens follow

# RE2 and Python's `re` read these patterns alike, so that monitoring tokenises without TensorFlow.
# The characters above ASCII stand for themselves: dashes and quotes, symbols, punctuation of other scripts, CJK, emoji.
_ALONE_IN_ASCII = "!-&(-/:-@\\[-`{-~"
_ALONE = (
    f"{_ALONE_IN_ASCII}\u00a1-\u00bf\u0589\u060c\u061b\u061f\u06d4\u0964\u0965\u0f01-\u0f17\u1361-\u1368\u2010-\u2bff"
    "\u3000-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u9fff\ua000-\ua4cf\uf900-\ufaff"
    "\U0001b000-\U0001b16f\U0001f000-\U0001faff\U00020000-\U0003ffff"
)
_NUL = ("\\x00", " ")
_TAG = ("</?[a-z][^<>]{0,100}>", " ")  # of HTML
# an apostrophe stays inside don't and o'neill only
_APOSTROPHES = (("(^|[^0-9a-z])'", "\\1 ' "), ("'([^0-9a-z]|$)", " ' \\1"))
REPLACE = (
    _NUL,
    _TAG,
    ("[\u0f0b\u0f0c]", " "),  # which Tibetan has between syllables
    (CLUSTER, " \\1 "),
    (f"([{_ALONE}])", " \\1 "),
    *_APOSTROPHES,
)
_PLAIN = "[\\x01-%'-\\x7f]*"  # ASCII without & and NUL, which what follows splits as REPLACE does, more quickly
_PLAIN_REPLACE = (_TAG, (f"([{_ALONE_IN_ASCII}])", " \\1 "), *_APOSTROPHES)
SPLIT = "[ \\t\\n\\v\\f\\r]+"
_BYTES_PER_TOKEN = 64  # of text that is looked at, for every token that is kept


def tokenize(texts: tf.Tensor, max_tokens: int) -> tf.RaggedTensor:
    """Splits lower-cased text into words and lone punctuation marks, symbols, CJK characters and emoji.

    Texts that are the same to a reader give the same tokens: see `normal_form`. Scripts without blanks between words
    are split as `unroll.models.text.unspaced` says.

    Args:
        texts: string `[batch]`; bytes that are not UTF-8 become U+FFFD.
        max_tokens: tokens kept of each text, from its start.

    Returns:
        ragged string `[batch, (tokens)]`. A blank text has the single token U+FFFD, so that no row is
        empty.

    Example:
        >>> tokenize(tf.constant(["Don't miss it!<br />"]), 256).to_list()
        [[b"don't", b'miss', b'it', b'!']]
    """
    # a megabyte of text costs no more than what can be kept of it
    texts = tf.strings.substr(texts, 0, max_tokens * _BYTES_PER_TOKEN)
    plain = tf.reduce_all(tf.strings.regex_full_match(texts, _PLAIN))
    texts = tf.cond(plain, lambda: _replaced(tf.strings.lower(texts), _PLAIN_REPLACE), lambda: _apart(texts))
    texts = tf.strings.strip(texts)
    texts = tf.where(tf.equal(texts, ""), "\ufffd", texts)
    return tf.strings.split(texts)[:, :max_tokens]


@tf.function(input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)
def _apart(texts: tf.Tensor) -> tf.Tensor:
    """Any texts in normal form, lower-cased, blanks between the tokens."""
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.regex_replace(texts, *_NUL)  # at which lower() would truncate the text
    return _replaced(tf.strings.lower(normal_form(texts), encoding="utf-8"), REPLACE)


def joined(tokens: tf.RaggedTensor) -> tf.Tensor:
    """Each text's tokens with a blank between them, string `[batch]`.

    Example:
        >>> joined(tokenize(tf.constant(["Don't miss it!<br />"]), 256)).numpy()
        array([b"don't miss it !"], dtype=object)
    """
    return tf.strings.reduce_join(tokens, axis=-1, separator=" ")


def _replaced(texts: tf.Tensor, rules: Sequence[tuple[str, str]]) -> tf.Tensor:
    for pattern, replacement in rules:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    return texts


class Tokenizer(tf.Module):
    """Text to padded token ids.

    Args:
        vocabulary: initializer of a lookup table from token to its rank, such as
            `tf.lookup.TextFileInitializer` over a file with a token a line.
        max_tokens: tokens kept of each text, from its start.

    Example:
        >>> ranks = tf.lookup.KeyValueTensorInitializer(["good", "bad"], tf.range(2, dtype=tf.int64))
        >>> Tokenizer(ranks, max_tokens=256)(tf.constant(["Good!", "so bad"])).numpy()
        array([[2, 1],
               [1, 3]], dtype=int32)
    """

    def __init__(self, vocabulary: tf.lookup.TextFileInitializer, max_tokens: int):
        super().__init__(name="tokenizer")
        self.table = tf.lookup.StaticHashTable(vocabulary, default_value=UNKNOWN - RESERVED)
        self.max_tokens = max_tokens

    def ids(self, tokens: tf.RaggedTensor) -> tf.RaggedTensor:
        """Ids of tokens, string `[batch, (tokens)]`, as int32: 1 for an unknown one, from 2 on the vocabulary's."""
        return tokens.with_flat_values(tf.cast(self.table.lookup(tokens.flat_values), tf.int32) + RESERVED)

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Token ids, int32 `[batch, tokens]`, padded on the right with 0."""
        return self.ids(tokenize(texts, self.max_tokens)).to_tensor(PADDING)
