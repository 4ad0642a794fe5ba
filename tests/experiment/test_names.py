from __future__ import annotations

import pytest

from fireworks.experiment.names import check_name


@pytest.mark.parametrize("name", ["a", "mnist-12", "A_b.c", "1", "-x", "_"])
def test_letters_digits_and_three_signs_make_a_name(name):
    assert check_name(name, where="here") == name


@pytest.mark.parametrize("name", ["", ".", ".hidden", "..", "a/b", "a b", "a\n", "größe", 1, None])
def test_anything_else_is_refused_in_one_sentence(name):
    with pytest.raises(
        ValueError, match=r"^here: name must be made of ASCII letters, .* and not start with '\.'; got .*\.$"
    ):
        check_name(name, where="here")
