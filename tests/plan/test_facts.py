"""What is known of each stage without running it."""

import fireworks as fw
from fireworks.plan.facts import columns_of, facts_of, is_counted, schema_of
from pipelines import add_noise, counting, double, is_odd, table


def test_inputs_come_before_what_reads_from_them():
    data = table()
    both = fw.Zip({"a": data.select("x"), "b": data.select("n")}).batch(4)
    facts = facts_of(both)
    assert [(fact.number, fact.depth, fact.component, fact.same_as) for fact in facts] == [
        (1, 1, "a", None),
        (2, 1, "", None),
        (3, 1, "b", 1),
        (4, 1, "", None),
        (5, 0, "", None),
        (6, 0, "", None),
    ]


def test_rows_are_counted_where_no_pass_is_needed():
    data = table()
    for pipe, counted in (
        (data.map(double).shuffle(seed=0).batch(4), True),
        (data.filter(is_odd), False),
        (fw.Zip({"a": data.select("x"), "b": data.select("n")}), True),
        (fw.Zip({"a": data.select("x").filter(is_odd), "b": data.select("n").filter(is_odd)}).take(2), False),
        (counting(), False),
    ):
        assert is_counted(pipe) is counted
    assert facts_of(data.filter("n > 3"))[-1].num_rows is None
    assert facts_of(data.filter("n > 3"), count=True)[-1].num_rows == 19
    assert facts_of(counting(), count=True)[-1].num_items is None
    assert facts_of(data.batch(4).filter("n > 3"), count=True)[-1].num_items == 6


def test_types_are_known_until_a_function_comes():
    data = table().drop("x").filter("n > 3").shuffle(seed=0)
    assert [str(field) for _, field in columns_of(data)] == ["n: int64 tensor", "w: float64", "word: str"]
    assert facts_of(data)[-1].row_bytes == 48
    assert columns_of(data.map(double)) is None
    assert columns_of(data.map(double).select("n")) == (("n", None),)
    assert columns_of(counting()) is None
    assert schema_of(columns_of(data)).names == ["n", "w", "word"]
    assert schema_of(columns_of(data.map(double).select("n"))) is None


def test_what_begins_to_vary_is_said_once():
    facts = facts_of(table().map(add_noise, seed=0).shuffle(seed=0).batch(4))
    assert [fact.varies for fact in facts] == ["", "values new each epoch", "rows or their order new each epoch", ""]


def test_where_stages_run():
    runs = {type(fact.pipe).__name__: fact.runs for fact in facts_of(table().map(double).tensors("n").take(3).batch(2))}
    assert runs == {
        "MemorySource": "read when asked for, 16,384 rows at a time",
        "Map": "on blocks of 1,024 rows, in the caller's thread",
        "Tensors": "on whatever is read at once, in the caller's thread",
        "Take": "moves row numbers",
        "Batch": "",
    }
    stream = facts_of(counting().filter("n > 3").batch(2).map(double))
    assert [fact.runs for fact in stream] == [
        "read on, from the first row",
        "on blocks of the stream",
        "",
        "on each batch, in the caller's thread",
    ]
    assert "in 2 worker threads" in facts_of(table().map(double, workers=2))[-1].runs
