"""What a pipe lacks it looks up along its inputs; errors on the way come through as they are."""

import pickle

import pytest

import fireworks as fw
from fireworks.errors import NotFoundUpstreamError
from pipelines import counting, table


class Vocabulary(fw.RowStage):
    """A stage with something that stages behind it may want."""

    size = 7

    def __init__(self, input, words=()):
        super().__init__(input)
        self.words = list(words)

    def transform(self, rows):
        return rows

    def index(self, word, default=-1):
        return self.words.index(word) if word in self.words else default

    @property
    def broken(self):
        return self.words.no_such_attribute

    def breaks(self):
        raise AttributeError("a real mistake inside breaks")

    def raises(self):
        raise KeyError("inside raises")


class Counted(fw.RowStage):
    """A stage with recursive methods."""

    def __init__(self, input, name, log):
        super().__init__(input)
        self.name, self.log = name, log

    def transform(self, rows):
        return rows

    @fw.recursive
    def visit(self, *args, **kwargs):
        """Note that this stage was visited."""
        self.log.append((self.name, args, kwargs))
        return self.name

    @fw.recursive(accumulate=True)
    def path(self, so_far=(), between="", *, end=""):
        return (*so_far, between + self.name + end)

    @fw.recursive()
    def fail(self):
        raise NotImplementedError


class Failing(Counted):
    @fw.recursive
    def visit(self):
        raise AttributeError("a real mistake inside visit")


def behind(stage):
    """A chain of stages that lack everything."""
    return stage.shuffle(seed=0).filter("n", ">=", 0).batch(4).repeat(2)


class TestLookingUp:
    def test_a_method_of_a_stage_upstream_is_a_method_of_the_pipe(self):
        pipe = behind(Vocabulary(table(), words=["a", "b"]))
        assert pipe.index("b") == 1
        assert pipe.index("z", default=0) == 0

    def test_attributes_are_found_on_the_instance_and_on_the_class(self):
        pipe = behind(Vocabulary(table(), words=["a"]))
        assert pipe.words == ["a"]
        assert pipe.size == 7

    def test_the_nearest_stage_answers(self):
        pipe = behind(Vocabulary(Vocabulary(table(), words=["far"]), words=["near"]))
        assert pipe.words == ["near"]

    def test_a_falsy_attribute_is_found_too(self):
        pipe = behind(Vocabulary(Vocabulary(table(), words=["far"])))
        assert pipe.words == []

    def test_a_method_of_a_source_is_found(self):
        class Named(fw.Source):
            schema = fw.Message({"n": [0]}).schema

            def count(self):
                return 3

            def fetch(self, rows):
                return fw.Message({"n": list(rows)})

            def origin(self):
                return "here"

        assert behind(Named()).origin() == "here"

    def test_hasattr_answers_without_an_error(self):
        pipe = behind(Vocabulary(table()))
        assert hasattr(pipe, "words")
        assert not hasattr(pipe, "nothing_of_the_kind")
        assert getattr(pipe, "nothing_of_the_kind", 5) == 5

    def test_a_pickled_pipe_looks_up_as_before(self):
        assert pickle.loads(pickle.dumps(behind(Vocabulary(table(), words=["a"])))).words == ["a"]


class TestWhatIsNotFound:
    def test_the_error_lists_the_chain_and_the_nearest_name(self):
        with pytest.raises(
            NotFoundUpstreamError,
            match=r"^Batch: no 'breakz' here or upstream; asked Batch <- Vocabulary <- MemorySource\. Did you mean 'break",
        ):
            Vocabulary(table()).batch(2).breakz  # noqa: B018

    def test_private_names_are_never_looked_up(self):
        pipe = Vocabulary(table())
        pipe._secret = 1
        with pytest.raises(AttributeError, match="'Batch' object has no attribute '_secret'") as caught:
            pipe.batch(2)._secret  # noqa: B018
        assert not isinstance(caught.value, NotFoundUpstreamError)
        assert not hasattr(pipe.batch(2), "__len_hint__")

    @pytest.mark.parametrize("name", ["describe_frame", "columns", "assign", "groupby", "iloc", "append"])
    def test_the_data_of_a_source_is_never_entered(self, name):
        # A method of a frame would run on rows that the pipeline has not filtered yet.
        with pytest.raises(NotFoundUpstreamError, match=f"^Filter: no '{name}'") as caught:
            getattr(table().filter("n", ">", 3), name)
        if name != "describe_frame":
            assert f"write pipe.to_message().{name}" in str(caught.value)

    def test_a_junction_ends_the_chain(self):
        junction = fw.Zip({"a": Vocabulary(table(), words=["a"]).select("n"), "b": table().select("x")})
        with pytest.raises(NotFoundUpstreamError, match=r"^Take: no 'words' here or upstream; asked Take <- Zip\."):
            junction.take(2).words  # noqa: B018
        assert junction.components["a"].words == ["a"]
        assert junction.take(2).components.keys() == {"a", "b"}


class TestErrorsOnTheWay:
    def test_an_attribute_error_inside_a_property_comes_through(self):
        for pipe in (Vocabulary(table()), behind(Vocabulary(table()))):
            with pytest.raises(AttributeError, match="'list' object has no attribute 'no_such_attribute'") as caught:
                pipe.broken  # noqa: B018
            assert not isinstance(caught.value, NotFoundUpstreamError)

    def test_an_attribute_error_inside_a_method_comes_through(self):
        with pytest.raises(AttributeError, match="a real mistake inside breaks") as caught:
            behind(Vocabulary(table())).breaks()
        assert not isinstance(caught.value, NotFoundUpstreamError)

    def test_any_other_error_comes_through(self):
        with pytest.raises(KeyError, match="inside raises"):
            behind(Vocabulary(table())).raises()

    def test_an_attribute_error_inside_a_recursive_call_comes_through(self):
        log = []
        pipe = Counted(Failing(table(), "first", log).batch(2), "last", log)
        with pytest.raises(AttributeError, match="a real mistake inside visit"):
            pipe.visit()
        assert log == []


class TestRecursive:
    def chain(self):
        log = []
        first = Counted(table(), "first", log)
        return Counted(Counted(behind(first), "middle", log).take(2), "last", log), log

    def test_it_runs_from_the_source_down_and_through_pipes_that_lack_it(self):
        pipe, log = self.chain()
        assert pipe.visit() == "last"
        assert [name for name, _, _ in log] == ["first", "middle", "last"]

    def test_every_stage_gets_the_callers_arguments(self):
        pipe, log = self.chain()
        pipe.visit(1, key=2)
        assert log == [(name, (1,), {"key": 2}) for name in ("first", "middle", "last")]

    def test_accumulate_passes_what_the_stage_before_returned(self):
        pipe, _ = self.chain()
        assert pipe.path() == ("first", "middle", "last")
        assert pipe.path(("start",), end="!") == ("start", "first!", "middle!", "last!")
        assert pipe.path((), "-", end="!") == ("-first!", "-middle!", "-last!")

    def test_a_pipe_behind_the_last_that_has_it_calls_that_one(self):
        pipe, log = self.chain()
        assert pipe.take(1).visit() == "last"
        assert len(log) == 3

    def test_a_plain_method_upstream_is_called_and_ends_the_recursion(self):
        class Plain(fw.RowStage):
            def transform(self, rows):
                return rows

            def path(self, so_far=()):
                return (*so_far, "plain")

        pipe = Counted(Plain(Counted(table(), "unasked", [])), "last", [])
        assert pipe.path() == ("plain", "last")

    def test_it_keeps_name_and_docstring(self):
        assert Counted.visit.__name__ == "visit"
        assert Counted.visit.__doc__ == "Note that this stage was visited."

    def test_an_error_upstream_stops_the_call(self):
        with pytest.raises(NotImplementedError):
            self.chain()[0].fail()


class TestSpecialNames:
    def test_next_is_for_iterators(self):
        with pytest.raises(TypeError, match="not an iterator"):
            next(table())

    def test_a_pipe_is_true_even_without_rows_and_without_a_length(self):
        assert table(0)
        assert counting()

    def test_a_source_has_no_upstream(self):
        with pytest.raises(TypeError, match=r"MemorySource has no input; pass it a pipe, such as fw\.source"):
            table().upstream  # noqa: B018
