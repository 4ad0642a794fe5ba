"""A text that two messages share when their content is the same, however it lies in memory."""

import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.formats.content_hash import ContentHash
from fireworks.message import concat


def digest(*messages):
    content = ContentHash()
    for message in messages:
        content.add(message)
    return content.hexdigest()


def arrow(values, kind):
    return pd.arrays.ArrowExtensionArray(pa.array(values, kind))


SHORT = {
    "tensor": torch.arange(8.0).reshape(4, 2).bfloat16(),
    "complex": torch.arange(4).to(torch.complex128),
    "numbers": np.arange(4),
    "strided": np.arange(8)[::2],
    "dates": pd.date_range("2024-01-01", periods=4),
    "zone": pd.date_range("2024-01-01", periods=4, tz="Europe/Paris"),
    "nullable": pd.array([1, None, 3, 4], dtype="Int16"),
    "flags": pd.array([True, None, False, True], dtype="boolean"),
    "word": ["a", None, "", "long " * 20],
    "kind": pd.Categorical(["b", "a", None, "b"], categories=["b", "a"]),
    "lists": arrow([[1, 2], None, [], [None]], pa.list_(pa.int32())),
    "pairs": arrow([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}, {"a": 2, "b": None}], None),
    "maps": arrow([[("a", 1)], None, [], [("b", 2)]], pa.map_(pa.string(), pa.int8())),
    "fixed": arrow([[1, 2], None, [3, 4], [5, 6]], pa.list_(pa.int8(), 2)),
    "cents": arrow([1, None, 3, 4], pa.decimal128(9, 2)),
    "bits": arrow([True, None, False, True], pa.bool_()),
    "none": arrow([None] * 4, pa.null()),
    "dictionary": arrow(["x", "y", None, "x"], pa.dictionary(pa.int8(), pa.string())),
    "objects": pd.Series([[1], [2, 3], [], [4]], dtype=object),
}


@pytest.mark.parametrize("name", SHORT)
@pytest.mark.filterwarnings("ignore")
def test_it_is_the_same_for_the_same_rows_however_they_are_cut_and_where_they_lie(name):
    message = fw.Message({"x": SHORT[name]})
    whole = digest(message)
    doubled = concat([message, message])
    for cut in range(5):
        assert digest(message[:cut], message[cut:]) == whole
        assert digest(doubled[cut : cut + 4]) == digest(doubled.take([(cut + n) % 4 for n in range(4)]))
    assert digest(doubled[4:]) == whole
    seen = {digest(message.take(rows)) for rows in ([0, 1, 2], [1, 2, 3], [3, 2, 1, 0])} | {whole}
    assert len(seen) == (4 if name != "none" else 2)


def test_what_lies_below_a_null_does_not_count():
    one, other = (pd.arrays.IntegerArray(np.array([1, below]), np.array([False, True])) for below in (7, 8))
    assert digest(fw.Message({"x": one})) == digest(fw.Message({"x": other}))


def test_names_types_shapes_and_categories_count():
    columns = [
        {"x": np.arange(4)},
        {"y": np.arange(4)},
        {"x": np.arange(4, dtype=np.uint64)},
        {"x": torch.arange(4)},
        {"x": torch.arange(4).reshape(2, 2)},
        {"x": torch.arange(4).reshape(4, 1)},
        {"x": pd.Categorical(["a"], categories=["a", "b"])},
        {"x": pd.Categorical(["b"], categories=["b", "a"])},
        {"x": pd.Categorical(["a"], categories=["a", "b"], ordered=True)},
        {"x": ["ab", "c"]},
        {"x": ["a", "bc"]},
        {"x": np.arange(4), "y": np.arange(4)},
        {"y": np.arange(4), "x": np.arange(4)},
        {},
    ]
    assert len({digest(fw.Message(column)) for column in columns}) == len(columns)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.none() | st.text(max_size=5), min_size=1, max_size=8), st.integers(0, 8), st.integers(0, 7))
def test_one_changed_text_is_another_hash(texts, cut, place):
    message = fw.Message({"x": pd.array(texts, dtype="str")})
    assert digest(message[:cut], message[cut:]) == digest(message)
    changed = list(texts)
    changed[place % len(texts)] = (changed[place % len(texts)] or "") + "!"
    assert digest(fw.Message({"x": pd.array(changed, dtype="str")})) != digest(message)


def test_it_is_the_same_in_another_process():
    script = """
import fireworks as fw, torch
print(fw.source({"x": torch.arange(5), "word": list("abcde")}).fingerprint())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == fw.source({"x": torch.arange(5), "word": list("abcde")}).fingerprint()


def test_objects_without_content_are_refused():
    with pytest.raises(
        TypeError, match=r"fingerprint: column 'x' is object, whose content has no fingerprint; convert"
    ):
        fw.source({"x": pd.Series([object()], dtype=object)}).fingerprint()
