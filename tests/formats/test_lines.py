"""Where rows begin, against a machine that looks at one byte after the other."""

import io

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import csv

from fireworks.formats.lines import (
    Block,
    Rule,
    State,
    blocks_of,
    line_ends,
    rows_in,
    texts_between,
    without_ends,
)

CSV = Rule(quote=ord('"'), separator=ord(","), empty="skip")
LINES = Rule()
JSON = Rule(empty="skip blank")


def rows_one_by_one(data, rule):
    """The rows, each with its line end, from a machine of three states, as Arrow's parser has them."""
    rows, row, state, at = [], b"", "begin", 0
    while at < len(data):
        letter = data[at : at + 1]
        row += letter
        at += 1
        if state == "quoted":
            if letter == b'"':
                state = "closed"
            continue
        if letter in b"\r\n":
            if letter == b"\r" and data[at : at + 1] == b"\n":
                row += b"\n"
                at += 1
            rows.append(row)
            row, state = b"", "begin"
        elif rule.quote and letter == b'"' and state in {"begin", "closed"}:
            state = "quoted"
        elif rule.quote and letter == b",":
            state = "begin"
        else:
            state = "inside"
    rows += [row] if row else []
    if rule.empty == "skip":
        return [row for row in rows if row.strip(b"\r\n")], state == "quoted"
    if rule.empty == "skip blank":
        return [row for row in rows if row.strip(b" \t\r\n")], state == "quoted"
    return rows, state == "quoted"


def cut(data, size):
    """Pieces of a file, as a reader gives them: none ends between a carriage return and a line feed."""
    chunks, at = [], 0
    while at < len(data):
        end = at + size
        while data[:end].endswith(b"\r") and end < len(data):
            end += 1
        chunks.append(data[at:end])
        at = end
    return chunks


texts = st.lists(
    st.sampled_from([b"a", b"b", b'"', b'"', b",", b"\n", b"\n", b"\r\n", b"\r", b" ", b'""', b'"\n"']), max_size=40
)


@settings(max_examples=400, deadline=None)
@given(texts, st.sampled_from([CSV, LINES, JSON]))
def test_rows_are_those_of_a_machine_that_looks_at_each_byte(parts, rule):
    data = b"".join(parts)
    expected, _ = rows_one_by_one(data, rule)
    starts, stops = rows_in(data, rule)
    assert [data[start:stop] for start, stop in zip(starts, stops, strict=True)] == expected


@settings(max_examples=400, deadline=None)
@given(texts, st.integers(1, 12), st.sampled_from([CSV, LINES, JSON]))
def test_blocks_cover_all_rows_however_the_file_is_cut(parts, size, rule):
    data = b"".join(parts)
    expected, is_open = rows_one_by_one(data, rule)
    state = State()
    blocks = list(blocks_of(cut(data, size), rule, state=state))
    assert state.inside == is_open
    assert sum(block.num_rows for block in blocks) == len(expected)
    assert [block.start for block in blocks] == [0, *(block.stop for block in blocks)][: len(blocks)]
    assert not data or blocks[-1].stop == len(data)
    found = []
    for block in blocks:
        part = data[block.start : block.stop]
        starts, stops = rows_in(part, rule)
        assert len(starts) == block.num_rows
        assert line_ends(part) == block.num_lines
        found += [part[start:stop] for start, stop in zip(starts, stops, strict=True)]
    assert found == expected


def test_many_marks_that_mean_themselves_are_left_alone():
    row = b'5" disk,"a\n""b"\n'
    data = row * 1000
    starts, stops = rows_in(data, CSV)
    assert len(starts) == 1000
    assert {data[start:stop] for start, stop in zip(starts, stops, strict=True)} == {row}
    assert csv.read_csv(io.BytesIO(data), csv.ReadOptions(column_names=["a", "b"])).num_rows == 1000


def test_a_line_longer_than_a_piece_is_one_block():
    chunks = [b"x" * 100] * 10 + [b"\n1\n"]
    assert list(blocks_of(chunks, LINES)) == [Block(0, 1003, 2, 2)]


def test_texts_between_places_leave_letters_out():
    data = np.frombuffer(b"a b|c d|", dtype=np.uint8)
    starts, stops = np.array([0, 4]), np.array([3, 7])
    assert texts_between(data, starts, stops, without=b" ").to_pylist() == ["ab", "cd"]
    assert texts_between(data, starts[:0], stops[:0]).to_pylist() == []
    with pytest.raises(pa.ArrowInvalid):
        texts_between(np.frombuffer(b"\xff", dtype=np.uint8), np.array([0]), np.array([1]))


def test_only_line_ends_are_cut_off():
    lines = [b"a\n", b"\r\n", b"b\r", b"\n", b"\n", b"c \r\n", b"d"]
    data = np.frombuffer(b"".join(lines), dtype=np.uint8)
    stops = np.cumsum([len(line) for line in lines])
    starts = stops - [len(line) for line in lines]
    expected = [line.decode().removesuffix("\n").removesuffix("\r") for line in lines]
    assert texts_between(data, starts, without_ends(data, starts, stops)).to_pylist() == expected
    assert without_ends(data, starts[:0], stops[:0]).tolist() == []
