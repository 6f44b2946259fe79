"""Text to token ids, by TensorFlow operations alone, so that training and serving share them."""

import tensorflow as tf

PADDING, UNKNOWN, RESERVED = 0, 1, 2  # ids; the vocabulary's tokens follow

# RE2 and Python's `re` read these patterns alike, so that monitoring tokenises without TensorFlow.
# The characters above ASCII stand for themselves: dashes and quotes, symbols, CJK, emoji.
_ALONE = "!-&(-/:-@\\[-`{-~\u00a1-\u00bf\u2010-\u2bff\u3000-\u30ff\u3400-\u9fff\U0001f000-\U0001faff"
_NUL = ("\\x00", " ")
REPLACE = (
    _NUL,
    ("</?[a-z][^<>]{0,100}>", " "),  # HTML tags
    ("\u2019", "'"),
    (f"([{_ALONE}])", " \\1 "),
    ("(^|[^0-9a-z])'", "\\1 ' "),  # an apostrophe stays inside don't and o'neill only
    ("'([^0-9a-z]|$)", " ' \\1"),
)
SPLIT = "[ \\t\\n\\v\\f\\r]+"
_BYTES_PER_TOKEN = 64  # of text that is looked at, for every token that is kept


def tokenize(texts: tf.Tensor, max_tokens: int) -> tf.RaggedTensor:
    """Splits lower-cased text into words and lone punctuation marks, symbols, CJK characters and emoji.

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
    texts = tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8", errors="replace")
    texts = tf.strings.regex_replace(texts, *_NUL)  # at which lower() would truncate the text
    texts = tf.strings.lower(texts, encoding="utf-8")
    for pattern, replacement in REPLACE:
        texts = tf.strings.regex_replace(texts, pattern, replacement)
    texts = tf.strings.strip(texts)
    texts = tf.where(tf.equal(texts, ""), "\ufffd", texts)
    return tf.strings.split(texts)[:, :max_tokens]


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

    def ragged(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Token ids, int32 `[batch, (tokens)]`: 1 for an unknown token, from 2 on the vocabulary's."""
        tokens = tokenize(texts, self.max_tokens)
        return tokens.with_flat_values(tf.cast(self.table.lookup(tokens.flat_values), tf.int32) + RESERVED)

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Token ids, int32 `[batch, tokens]`, padded on the right with 0."""
        return self.ragged(texts).to_tensor(PADDING)
