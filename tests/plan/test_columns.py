"""Which columns a flow needs."""

import pytest

import fireworks as fw
from fireworks.plan.columns import names_behind, needed
from pipelines import counting, double, table


@pytest.mark.parametrize(
    ("make", "names", "wants"),
    [
        (lambda data: data, ["x", "n", "w", "word"], None),
        (lambda data: data.select("n", "x"), ["n", "x"], {"n", "x"}),
        (lambda data: data.drop("x").select("n", "w"), ["n", "w"], {"n", "w"}),
        (lambda data: data.select("n", "x").map(double), None, {"n", "x"}),
        (lambda data: data.map(double).select("n"), None, None),
        (lambda data: data.shuffle(seed=0).select("w"), ["w"], {"w"}),
        (lambda data: data.batch(4).filter("n > 3").select("w"), ["w"], {"n", "w"}),
        (lambda data: data.batch(4).repeat(2).at_epoch(0).select("w"), ["w"], {"w"}),
        (lambda data: data.drop("x", "n", "w"), ["word"], {"word"}),
    ],
)
def test_what_is_known_and_what_is_needed(make, names, wants):
    flow = make(table()).flow
    assert names_behind(flow) == names
    assert needed(flow, None) == (None if wants is None else frozenset(wants))


def test_less_is_needed_where_less_is_wanted():
    flow = table().drop("x").flow
    assert needed(flow, frozenset(["n"])) == {"n"}
    assert needed(flow, frozenset(["x"])) == {"n", "w", "word"}
    assert needed(table().map(double).flow, frozenset(["n"])) is None


def test_nothing_is_known_of_a_stream_of_rows():
    assert needed(counting().select("n").flow, None) is None
    assert names_behind(fw.Zip({"a": table()}).flow) is None
