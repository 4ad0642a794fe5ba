"""One hook for each way of asking; what is not written lets the rows pass."""

import pytest

import fireworks as fw
from fireworks.errors import StageResultError
from pipelines import counting, double, numbers, table


class Told(fw.Hooked):
    def on_get(self, rows):
        return rows.assign(n=rows["n"] + 1000)

    def on_next(self, rows):
        return rows.assign(n=rows["n"] + 2000)

    def on_call(self, rows):
        return rows.assign(n=rows["n"] + 3000)


class OnlyNext(fw.Hooked):
    def on_next(self, rows):
        return rows.assign(n=-rows["n"])


class OnlyGet(fw.Hooked):
    def on_get(self, rows):
        return rows.assign(n=-rows["n"])


class Nothing(fw.Hooked):
    pass


class TestEachWayOfAsking:
    @pytest.mark.parametrize(
        "build", [Told, lambda data: Told(data.map(double)).map(double), lambda data: Told(data).batch(5)]
    )
    def test_has_its_hook(self, build):
        base = build(table(20)).at_epoch(0)
        assert {n // 1000 for n in numbers(base)} <= {2, 4}
        assert {n // 1000 for n in base[3]["n"].tolist()} <= {1, 2}
        assert {n // 1000 for n in build(table(20))(fw.Message({"n": [1]}))["n"].tolist()} <= {3, 6}

    def test_a_pass_is_a_pass_also_where_all_rows_are_read_at_once(self):
        assert Told(table(3)).to_message()["n"].tolist() == [2000, 2001, 2002]
        assert Told(table(3)).repeat(2).take(1).to_message()["n"].tolist() == [2000]

    def test_streams_are_passed_over_only(self):
        assert numbers(Told(counting(2))) == [2000, 2001]

    def test_what_is_not_written_lets_the_rows_pass(self):
        assert OnlyNext(table(3))[2]["n"].tolist() == [2]
        assert numbers(OnlyNext(table(3))) == [0, -1, -2]
        assert OnlyGet(table(3))[2]["n"].tolist() == [-2]
        assert numbers(OnlyGet(table(3))) == [0, 1, 2]
        assert OnlyNext(table(3))(fw.Message({"n": [5]}))["n"].tolist() == [5]

    def test_a_hook_is_held_to_what_a_function_is(self):
        class Forgets(fw.Hooked):
            def on_get(self, rows):
                rows.assign(n=rows["n"])

        with pytest.raises(
            StageResultError, match=r"Forgets\(\): the function must return a Message; it returned NoneType"
        ):
            Forgets(table())[0]


class TestWithoutHooksItKeepsThePromises(fw.testing.PipeContract):
    @pytest.fixture(params=["rows", "batches", "stream"])
    def make_pipe(self, request):
        inputs = {"rows": table, "batches": lambda: table().shuffle(seed=0).batch(4), "stream": counting}
        return lambda: Nothing(inputs[request.param]())
