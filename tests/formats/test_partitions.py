"""Columns from the names of folders."""

import pyarrow as pa
import pytest

from fireworks.errors import ColumnNotFoundError, SchemaMismatchError
from fireworks.formats.partitions import partitions_of


def values(inside, types=None):
    return {
        name: (str(array.type), array.to_pylist())
        for name, array in partitions_of(inside, types, where="read_x").items()
    }


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1", "-2"], ("int64", [1, -2])),
        (["01", "10"], ("int64", [1, 10])),
        (["1", "x"], ("string", ["1", "x"])),
        (["1.5", "2"], ("string", ["1.5", "2"])),
        (["1", "__HIVE_DEFAULT_PARTITION__"], ("int64", [1, None])),
        (["__HIVE_DEFAULT_PARTITION__"] * 2, ("string", [None, None])),
        (["", "a=b%2Fc"], ("string", ["", "a=b/c"])),
        (["9" * 19, "1"], ("string", ["9" * 19, "1"])),
    ],
)
def test_they_are_integers_or_texts(texts, expected):
    assert values([f"k={text}/0.csv" for text in texts]) == {"k": expected}


def test_folders_that_say_nothing_make_none():
    assert values(["a.csv", "deep/b.csv", "=x/c.csv"]) == {}
    assert values(["year=2024.csv"]) == {}
    assert values(["deep/my%20key=1/er/b.csv"]) == {"my key": ("int64", [1])}


def test_types_may_be_given():
    inside = ["k=1/j=2024-01-31/a.csv", "k=2/j=2024-02-01/a.csv"]
    assert values(inside, {"k": "string", "j": pa.date32()})["k"] == ("string", ["1", "2"])
    assert values(inside, {"k": "int8"})["k"] == ("int8", [1, 2])


def test_what_does_not_fit_is_said():
    with pytest.raises(
        SchemaMismatchError,
        match=r"read_x: the folders of 'k=1/a' name the columns \['k'\] and those of 'j=1/a' \['j'\]",
    ):
        values(["k=1/a", "j=1/a"])
    with pytest.raises(
        SchemaMismatchError, match=r"read_x: the folders of 'a' name the columns \[\] and those of 'j=1/a' \['j'\]"
    ):
        values(["a", "j=1/a"])
    with pytest.raises(ColumnNotFoundError, match=r"read_x: partitions: no column 'K'; columns are \['k'\]"):
        values(["k=1/a"], {"K": "int8"})
    with pytest.raises(ValueError, match=r"read_x: the folders' column 'k' can't be int8: .*; give it another type\."):
        values(["k=300/a"], {"k": "int8"})
    with pytest.raises(ValueError, match=r"read_x: partitions: the type of column 'k' must be a name such as"):
        values(["k=300/a"], {"k": "number"})
    with pytest.raises(TypeError, match=r"read_x: partitions is a mapping from columns to types, .*; got \['k'\]"):
        values(["k=300/a"], ["k"])
