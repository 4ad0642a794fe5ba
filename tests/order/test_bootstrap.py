"""A bootstrap draws as many items as there are, with replacement, another sample each epoch."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

import fireworks as fw
from fireworks.errors import NoRandomAccessError
from fireworks.order.keys import keys
from pipelines import counting, table


class TestContract(fw.testing.PipeContract):
    @pytest.fixture(
        params=[lambda: table(13).bootstrap(seed=0), lambda: table(23).batch(3).bootstrap(seed=0)],
        ids=["rows", "batches"],
    )
    def make_pipe(self, request):
        return request.param


@given(count=st.integers(1, 40), seed=st.integers(0, 2**64 - 1), epoch=st.integers(0, 5))
def test_each_draw_is_a_word(count, seed, epoch):
    words = keys(seed, "bootstrap:0", epoch, 0, count).tolist()
    expected = [math.floor((word >> 11) / 2**53 * count) for word in words]
    assert table(count).bootstrap(seed=seed).at_epoch(epoch).to_message()["n"].tolist() == expected


def test_every_outcome_is_as_likely():
    pipe = table(3).bootstrap(seed=0)
    counts = Counter(tuple(pipe.at_epoch(epoch).to_message()["n"].tolist()) for epoch in range(2700))
    assert len(counts) == 27
    assert sum((times - 100) ** 2 / 100 for times in counts.values()) < 54.1  # 0.999 of 26 degrees of freedom


def test_it_has_a_kind_and_a_name_of_its_own():
    assert table().bootstrap(seed=0).to_message() != table().sample(frac=1, replace=True, seed=0).to_message()
    assert table().bootstrap(seed=0, name="b").describe() == "Bootstrap(seed=0, name='b')"


def test_refusals():
    with pytest.raises(ValueError, match="bootstrap: a seed is needed"):
        table().bootstrap()
    with pytest.raises(NoRandomAccessError, match="bootstrap needs random access"):
        counting().bootstrap(seed=0)
