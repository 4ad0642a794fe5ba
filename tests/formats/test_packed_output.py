"""Files that are compressed while they are written."""

import io

import pytest

from fireworks.formats.compression import unpacked
from fireworks.formats.packed_output import METHODS, check_method, packed_output


@pytest.mark.parametrize("method", [None, *METHODS])
def test_what_is_written_in_parts_comes_back(method):
    file = io.BytesIO()
    with packed_output(file, method) as packed:
        for part in (b"one ", b"two ", b"three"):
            packed.write(part)
            packed.flush()
    assert not file.closed
    file.seek(0)
    assert unpacked(file, f"x{METHODS.get(method, '')}").read() == b"one two three"


def test_the_name_says_how_unless_the_user_does():
    assert check_method(None, "a.csv.zst", is_folder=False, where="here") == "zstd"
    assert check_method(None, "a.csv.zst", is_folder=True, where="here") is None
    assert check_method("bz2", "a.csv", is_folder=False, where="here") == "bz2"
    assert check_method(None, "a.csv", is_folder=False, where="here") is None
    with pytest.raises(
        ValueError, match="here: compression is one of 'gzip', 'bz2', 'zstd', or None for what the name"
    ):
        check_method("lz4", "a.csv", is_folder=False, where="here")
