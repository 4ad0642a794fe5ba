"""Components that are another object's attribute: looked up when used, kept in step, and never a circle."""

import pickle

import pytest
import torch

import fireworks as fw
from pipelines import counting, numbers, table, total


class Owner:
    """Something with pipes for attributes; it pickles."""

    def __init__(self, **pipes):
        self.__dict__.update(pipes)


def zipped(owner):
    return fw.Zip({"n": fw.link(owner, "n"), "x": table(9).select("x")})


@pytest.mark.parametrize(
    "make",
    [
        lambda: zipped(Owner(n=table(9).select("n"))),
        lambda: zipped(Owner(n=table(9).select("n").shuffle(seed=0))).map(total).shuffle(seed=1).batch(4),
        lambda: fw.Concat({"a": fw.link(Owner(n=counting(5)), "n"), "b": counting(4)}).batch(2),
        lambda: fw.Mix({"a": table(3).batch(2), "b": fw.link(Owner(n=table(9).batch(2)), "n")}, seed=0),
    ],
    ids=["rows", "batched behind", "stream", "batches"],
)
class TestLink(fw.testing.PipeContract):
    @pytest.fixture
    def make_pipe(self, make):
        return make


class TestInStep:
    def test_another_pipe_is_read_from_the_next_pass_on_by_everything_behind(self):
        owner = Owner(n=table(9).select("n"))
        junction = zipped(owner)
        behind = junction.shuffle(seed=0).batch(4)
        running = iter(junction)
        next(running)
        assert sorted(numbers(behind)) == list(range(9))
        owner.n = fw.source({"n": torch.arange(100, 109)})
        assert sorted(numbers(behind)) == list(range(100, 109))
        assert (junction[0]["n"].tolist(), len(behind)) == ([100], 3)
        assert [row["n"].item() for row in running] == list(range(1, 9))

    def test_what_the_components_are_is_checked_when_they_are_used(self):
        owner = Owner(n=table(5).select("n"))
        with pytest.raises(ValueError, match=r"Zip: components must have equal length; got \{'n': 5, 'x': 9\}"):
            zipped(owner).to_message()

    def test_it_knows_what_its_components_know(self):
        owner = Owner(n=table(9).select("n"))
        junction = zipped(owner)
        assert (junction.order_varies, junction.known_columns) == (False, ["n", "x"])
        owner.n = owner.n.shuffle(seed=0)
        assert junction.order_varies
        assert "Shuffle(seed=0)" in repr(junction)

    def test_it_pickles_with_its_owner(self):
        owner = Owner(n=table(9).select("n"))
        junction = zipped(owner)
        junction.to_message()
        owner, junction = pickle.loads(pickle.dumps((owner, junction)))
        owner.n = fw.source({"n": torch.arange(100, 109)})
        assert numbers(junction) == list(range(100, 109))


class TestWhatDoesNotFit:
    def test_an_attribute_that_is_not_there(self):
        with pytest.raises(
            TypeError, match=r"Zip: component 'n' is linked to Owner\.n, which is not there\. Did you mean"
        ):
            zipped(Owner(nn=table())).to_message()

    def test_an_attribute_that_is_no_pipe(self):
        with pytest.raises(
            TypeError,
            match=r"Zip: component 'n' is linked to Owner\.n, which must hold a pipe; it holds 7 of type int\. W",
        ):
            zipped(Owner(n=7)).to_message()

    def test_an_attribute_is_a_name(self):
        with pytest.raises(TypeError, match=r"link: the attribute is a name; got 7 of type int\."):
            fw.link(Owner(), 7)

    def test_a_junction_among_its_own_inputs_shows_the_way_round(self):
        owner = Owner(n=table(9))
        junction = fw.Concat({"loop": fw.link(owner, "n"), "rows": table(9)})
        owner.n = junction.take(3).skip(1)
        with pytest.raises(
            ValueError,
            match=r"Concat: a pipe can't be its own input; here Concat → Take\(3\) → .*1.* → Concat\. To bring something ba",
        ):
            junction.to_message()

    def test_a_circle_through_two_junctions(self):
        owner = Owner(n=table(9))
        inner = fw.Concat({"loop": fw.link(owner, "n"), "rows": table(9)})
        owner.n = fw.Mix({"inner": inner, "rows": table(3)}, seed=0)
        with pytest.raises(ValueError, match=r"here Concat → Mix → Concat\."):
            list(inner)
