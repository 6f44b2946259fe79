"""TensorFlow Serving's batching parameters as text, and the flags that add to them."""

import os
from pathlib import Path

import pytest

from unroll.errors import UserError
from unroll.serving.batching.parameters import BatchingParameters

EVERY_FIELD = """
# All that the message has.
max_batch_size { value: 128 }
batch_timeout_micros { value: 2000 }
max_enqueued_batches { value: 7 }
num_batch_threads { value: 3 }
thread_pool_name { value: "pool" }
allowed_batch_sizes: 8
allowed_batch_sizes: [16, 32]
pad_variable_length_inputs: true
enable_large_batch_splitting { value: true }
max_execution_batch_size { value: 32 }
"""


def test_every_field_is_read():
    read = BatchingParameters.from_text(EVERY_FIELD, "f")
    assert (read.max_batch_size, read.batch_timeout_micros, read.max_enqueued_batches) == (128, 2000, 7)
    assert (read.num_batch_threads, read.thread_pool_name) == (3, "pool")
    assert (read.allowed_batch_sizes, read.pad_variable_length_inputs) == ((8, 16, 32), True)
    assert (read.enable_large_batch_splitting, read.max_execution_batch_size) == (True, 32)
    assert read.rows_of_a_run == 32


def test_what_a_file_leaves_out_is_as_in_tensorflow_serving_and_no_file_is_as_here():
    file = BatchingParameters.from_text("", "f")
    assert (file.max_batch_size, file.batch_timeout_micros, file.max_enqueued_batches) == (1000, 0, 10)
    assert file.num_batch_threads == os.cpu_count()
    assert (file.allowed_batch_sizes, file.pad_variable_length_inputs, file.rows_of_a_run) == ((), False, 1000)
    assert file.max_queued_requests >= 10 * 1000, "its own limit turns none away that the file's admits"
    none = BatchingParameters()
    assert (none.max_enqueued_batches, none.num_batch_threads, none.rows_of_a_run) == (None, None, 256)
    assert none.enable_large_batch_splitting, "and so a request may have any number of rows"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "max_batch_size { value: 4 }\nmax_batchsize { value: 4 }",
            r"f:2: .*max_batchsize.*fields are: max_batch",
        ),
        ("max_batch_size: 4", r"f:1: .*Expected \"\{\""),
        ("low_priority_max_batch_size { value: 4 }", r"f:1: .*low_priority_max_batch_size"),
        ("\n# max_batch_size\nmax_batch_size { value: 0 }", r"f:3: max_batch_size: expected 1 or more, received 0\. "),
        ("max_enqueued_batches { value: 0 }", r"f:1: max_enqueued_batches: expected 1 or more, received 0\. "),
        ("num_batch_threads { value: -1 }", r"f:1: num_batch_threads: expected 1 or more, received -1\. "),
        ("batch_timeout_micros { value: -1 }", r"f:1: batch_timeout_micros: expected 0 or more, received -1\. "),
        (
            "allowed_batch_sizes: [4, 2, 1000]",
            r"f:1: allowed_batch_sizes: .*ascending.*received \[4, 2, 1000\]",
        ),
        ("allowed_batch_sizes: [0, 1000]", r"f:1: allowed_batch_sizes: expected positive"),
        (
            "max_batch_size { value: 8 }\n\nallowed_batch_sizes: [2, 4]",
            r"f:3: allowed_batch_sizes: the last must equal max_batch_size, which is 8; received 4\. ",
        ),
        (
            "enable_large_batch_splitting { value: true }\nmax_execution_batch_size { value: 2000 }",
            r"f:2: max_execution_batch_size: expected at most max_batch_size, which is 1000, received 2000\. ",
        ),
        (
            "allowed_batch_sizes: 2 enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 }",
            r"f:1: .*max_batch_size, which is 1000, or max_execution_batch_size, which is 4; received 2\. ",
        ),
    ],
)
def test_a_mistake_is_told_with_file_line_and_remedy(text: str, said: str):
    with pytest.raises(UserError, match=said) as refused:
        BatchingParameters.from_text(text, "f")
    assert "\n" not in str(refused.value)


def test_the_last_size_may_be_the_maximum_or_that_of_a_run():
    split = (
        "max_batch_size { value: 8 } enable_large_batch_splitting { value: true } max_execution_batch_size { value: 4 }"
    )
    for last in (4, 8):
        assert BatchingParameters.from_text(f"{split} allowed_batch_sizes: {last}", "f").allowed_batch_sizes == (last,)
    assert BatchingParameters.from_text("max_execution_batch_size { value: 4 }", "f").rows_of_a_run == 1000


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path):
    with pytest.raises(UserError, match=r"--batching_parameters_file .*none.txt: cannot be read"):
        BatchingParameters.from_file(tmp_path / "none.txt")


def test_a_version_brings_its_own_but_shares_the_threads(tmp_path: Path):
    server = BatchingParameters.from_text(EVERY_FIELD, "f").with_lengths("ids=0", "32,64", True)
    without = server.for_version(tmp_path)
    assert (without.rows_of_a_run, without.num_batch_threads, without.thread_pool_name) == (256, 3, "pool")
    (tmp_path / "batching_params.pbtxt").write_text(
        "max_batch_size { value: 5 } num_batch_threads { value: 9 } pad_variable_length_inputs: true"
    )
    own = server.for_version(tmp_path)
    assert (own.max_batch_size, own.max_enqueued_batches, own.num_batch_threads) == (5, 10, 3)
    assert (own.padding_values, own.length_buckets, own.pad_to_bucket) == ({"ids": "0"}, (32, 64), True)
    (tmp_path / "batching_params.pbtxt").write_text("max_batch_size { value: 0 }")
    with pytest.raises(UserError, match=r"batching_params.pbtxt:1: max_batch_size: "):
        server.for_version(tmp_path)


def test_flags_for_lengths():
    padding = BatchingParameters(pad_variable_length_inputs=True)
    read = padding.with_lengths("ids=0,text=,q=a=b", "32,64", True)
    assert read.padding_values == {"ids": "0", "text": "", "q": "a=b"}
    assert (read.length_buckets, read.pad_to_bucket) == ((32, 64), True)
    assert padding.with_lengths() == padding
    assert BatchingParameters().with_lengths() == BatchingParameters()


@pytest.mark.parametrize(
    ("values", "buckets", "to_bucket", "said"),
    [
        ("ids", "", False, "--padding_values: .*received 'ids'"),
        ("=0", "", False, "--padding_values: .*received '=0'"),
        ("ids=0,ids=1", "", False, "--padding_values: .*received 'ids=1'"),
        ("", "64,32", False, "--length_buckets: .*received '64,32'"),
        ("", "0,32", False, "--length_buckets: .*received '0,32'"),
        ("", "many", False, "--length_buckets: .*received 'many'"),
        ("", "", True, "--pad_to_bucket: there are no buckets"),
    ],
)
def test_flags_for_lengths_that_cannot_be_read(values: str, buckets: str, to_bucket: bool, said: str):
    with pytest.raises(UserError, match=said):
        BatchingParameters(pad_variable_length_inputs=True).with_lengths(values, buckets, to_bucket)


@pytest.mark.parametrize(("values", "buckets"), [("ids=0", ""), ("", "32")])
def test_flags_for_lengths_need_padding(values: str, buckets: str):
    with pytest.raises(UserError, match=r"nothing is padded. Write `pad_variable_length_inputs: true`"):
        BatchingParameters().with_lengths(values, buckets)
