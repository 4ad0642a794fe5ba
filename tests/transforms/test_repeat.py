"""Several epochs as one, end to end."""

import pytest

from pipelines import counting, numbers, table, total


@pytest.mark.parametrize("make", [table, counting], ids=["rows", "stream"])
def test_rows_come_several_times_over(make):
    assert numbers(make(4).repeat(3)) == [0, 1, 2, 3] * 3


def test_a_short_last_batch_comes_at_the_end_of_each_round():
    assert [len(batch) for batch in table(5).batch(2).repeat(2)] == [2, 2, 1, 2, 2, 1]
    assert [len(batch) for batch in table(5).repeat(2).batch(4)] == [4, 4, 2]


def test_functions_below_run_on_each_rounds_own_blocks():
    rows = table(5).map(total).repeat(2).to_message()
    assert rows["block"].tolist() == [10] * 10


def test_functions_above_run_on_blocks_of_all_rounds():
    rows = table(5).repeat(2).map(total).to_message()
    assert rows["block"].tolist() == [20] * 10


def test_any_item_can_be_asked_for():
    pipe = table(5).shuffle(seed=0).repeat(3)
    whole = pipe.to_message()["n"].tolist()
    places = [14, 0, 7, 7, 5]
    assert pipe[places]["n"].tolist() == [whole[place] for place in places]
    assert pipe[3:12]["n"].tolist() == whole[3:12]


@pytest.mark.parametrize("times", [0, -1, True, 2.0, None])
def test_times_is_an_int_of_at_least_one(times):
    with pytest.raises(ValueError, match="repeat: times must be an int of at least 1; got"):
        table().repeat(times)
