"""Any pipeline gives what the design says, however it is read: against an interpreter that is slow and plain.

The interpreter below knows rows as dicts, orders as lists and blocks as slices. It shares no code with the package, and
applies the rules one by one: an order acts on positions, functions run behind every order on blocks of R positions (or
on the batch), a batch, a repetition, a junction or a filter of what varies begins anew.
"""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fireworks as fw
from fireworks.core.chunk import as_positions
from fireworks.core.flow import block_rows
from fireworks.message import Field, Schema

MIB = 2**20


class Rows(fw.Source):
    """Row numbers in column n; the schema says that each row is of a given width, so that blocks are short."""

    def __init__(self, num_rows, row_bytes=MIB):
        super().__init__()
        self.total, self.row_bytes = num_rows, row_bytes

    @property
    def schema(self):
        return Schema((Field("n", torch.uint8, (self.row_bytes,)),))

    def count(self):
        return self.total

    def fetch(self, rows):
        return fw.Message({"n": as_positions(rows).copy()})


# --- functions over rows, each in two forms: over a message, and over a list of dicts ---------------------------------


class BlockSum:
    """Adds the sum and the length of the block it was called with; remembers every call."""

    def __init__(self, number, calls):
        self.number, self.calls = number, calls

    def __call__(self, rows):
        self.calls.append((self.number, tuple(rows["n"].tolist())))
        total = 1000 * len(rows) + int(rows["n"].sum())
        return rows.assign(**{f"sum{self.number}": np.full(len(rows), total)})

    def on_dicts(self, rows, epoch, block):
        self.calls.append((self.number, tuple(row["n"] for row in rows)))
        total = 1000 * len(rows) + sum(row["n"] for row in rows)
        return [row | {f"sum{self.number}": total} for row in rows]


class Noise:
    """Adds random integers that depend on seed, stage, epoch and block."""

    def __init__(self, seed, stage):
        self.seed, self.stage = seed, stage
        self.column = f"noise{stage}"

    def __call__(self, rows, generator):
        return rows.assign(**{self.column: torch.randint(10**9, (len(rows),), generator=generator).numpy()})

    def on_dicts(self, rows, epoch, block):
        state = sequence(self.seed, f"map:{self.stage}", epoch, block).generate_state(1, np.uint64)
        generator = torch.Generator().manual_seed(int(state[0]))
        drawn = torch.randint(10**9, (len(rows),), generator=generator).tolist()
        return [row | {self.column: value} for row, value in zip(rows, drawn, strict=True)]


class Keep:
    """Keeps two rows of three, by number."""

    def __init__(self, rest):
        self.rest = rest

    def __call__(self, rows):
        return np.asarray(rows["n"]) % 3 != self.rest

    def on_dicts(self, rows, epoch, block):
        return [row for row in rows if row["n"] % 3 != self.rest]


def sequence(seed, stage, *numbers):
    name = stage.encode()
    words = [int.from_bytes(name[i : i + 4], "little") for i in range(0, len(name), 4)]
    return np.random.SeedSequence([seed, len(name), *words, *numbers])


def order_of(seed, stage, epoch, count):
    words = np.random.Philox(sequence(seed, stage, epoch)).random_raw(count).tolist()
    return sorted(range(count), key=lambda p: (words[p], p))


# --- the interpreter --------------------------------------------------------------------------------------------------


class Plan:
    """What a pipeline means. ``base(epoch)`` gives items, ``order(epoch, count)`` positions, ``stages`` compute."""

    def __init__(self, base, block, *, batched=False, order=None, stages=(), varies=False, values_vary=False, drawn=()):
        self.base, self.block, self.batched, self.stages = base, block, batched, tuple(stages)
        self.order = order or (lambda epoch, count: list(range(count)))
        self.varies, self.values_vary, self.drawn = varies, values_vary, tuple(drawn)

    def but(self, **changes):
        return Plan(**(vars(self) | changes))

    def reordered(self, change, **changes):
        """Let ``change(epoch, count)`` pick positions of this plan's items."""
        below = self.order

        def order(epoch, count):
            positions = below(epoch, count)
            return [positions[p] for p in change(epoch, len(positions))]

        return self.but(order=order, **changes)

    def begun_anew(self, base, **changes):
        return self.but(base=base, order=None, stages=(), **changes)

    def items(self, epoch):
        found = self.base(epoch)
        found = [found[p] for p in self.order(epoch, len(found))]
        if self.batched:
            return [self.computed(batch, epoch, number) for number, batch in enumerate(found)]
        starts = range(0, len(found), self.block)
        blocks = [self.computed(found[start : start + self.block], epoch, n) for n, start in enumerate(starts)]
        return [row for block in blocks for row in block]

    def computed(self, rows, epoch, block):
        for stage in self.stages:
            rows = stage(rows, epoch, block)
        return rows

    # the verbs

    def map(self, function):
        return self.but(stages=(*self.stages, function.on_dicts))

    def noise(self, function):
        return self.but(stages=(*self.stages, function.on_dicts), values_vary=True, drawn=(*self.drawn, "map"))

    def select(self, *names):
        return self.but(stages=(*self.stages, lambda rows, e, b: [{name: row[name] for name in names} for row in rows]))

    def filter(self, keep):
        if self.batched:
            return self.but(stages=(*self.stages, keep.on_dicts), varies=self.varies or self.values_vary)
        if self.varies or self.values_vary:
            return self.begun_anew(lambda epoch: keep.on_dicts(self.items(epoch), epoch, 0), varies=True)
        kept = [p for p, row in enumerate(self.items(0)) if keep.on_dicts([row], 0, 0)]
        return self.reordered(lambda epoch, count: kept)

    def shuffle(self, seed):
        stage = f"shuffle:{self.drawn.count('shuffle')}"
        return self.reordered(
            lambda epoch, count: order_of(seed, stage, epoch, count), varies=True, drawn=(*self.drawn, "shuffle")
        )

    def half(self, seed):
        stage = f"split:{self.drawn.count('split')}"
        return self.reordered(
            lambda epoch, count: sorted(order_of(seed, stage, 0, count)[: count - count // 2]),
            drawn=(*self.drawn, "split"),
        )

    def take(self, count):
        return self.reordered(lambda epoch, have: range(min(count, have)))

    def repeat(self, times):
        return self.begun_anew(lambda e: [item for k in range(e * times, (e + 1) * times) for item in self.items(k)])

    def batch(self, size, *, drop_last):
        def base(epoch):
            rows = self.items(epoch)
            batches = [rows[start : start + size] for start in range(0, len(rows), size)]
            return [batch for batch in batches if len(batch) == size or not drop_last]

        return self.begun_anew(base, batched=True)

    def zip(self, other):
        """Put two plans over the same kind of items side by side; functions see their own side's columns."""

        def base(epoch):
            sides = []
            for plan in (self, other):
                items = plan.base(epoch)
                sides.append([items[p] for p in plan.order(epoch, len(items))])
            pairs = list(zip(*sides, strict=True))
            return [list(zip(*pair, strict=True)) for pair in pairs] if self.batched else pairs

        def merged(rows, epoch, block):
            left = self.computed([row[0] for row in rows], epoch, block)
            right = other.computed([row[1] for row in rows], epoch, block)
            return [one | two for one, two in zip(left, right, strict=True)]

        either = {name: getattr(self, name) or getattr(other, name) for name in ("varies", "values_vary")}
        return Plan(base, self.block // 2, batched=self.batched, stages=[merged], **either)


# --- random pipelines -------------------------------------------------------------------------------------------------


class Built:
    """A pipe and its plan, built side by side; `asked` and `due` record how functions were called in each."""

    def __init__(self, num_rows):
        self.pipe, self.asked, self.due = Rows(num_rows), [], []
        self.plan = Plan(lambda epoch: [{"n": n} for n in range(num_rows)], block=4)
        self.maps = 0

    def step(self, kind, number):
        """Put one more stage on the pipe and on the plan, where it can stand."""
        getattr(self, f"add_{kind}")(number)

    def both(self, change):
        self.pipe, self.plan = change(self.pipe), change(self.plan)

    def add_map(self, number):
        self.pipe = self.pipe.map(BlockSum(self.maps, self.asked))
        self.plan = self.plan.map(BlockSum(self.maps, self.due))
        self.maps += 1

    def add_noise(self, number):
        noise = Noise(number, self.plan.drawn.count("map"))
        self.pipe, self.plan = self.pipe.map(noise, seed=number), self.plan.noise(noise)

    def add_filter(self, number):
        self.both(lambda pipe: pipe.filter(Keep(number % 3)))

    def add_half(self, number):
        if not self.plan.varies and len(self.pipe) > 1:
            self.pipe, self.plan = self.pipe.split(0.5, 0.5, seed=number)[0], self.plan.half(number)

    def add_batch(self, number):
        if not self.plan.batched:
            self.both(lambda pipe: pipe.batch(number % 5 + 1, drop_last=number % 2 == 1))

    def add_shuffle(self, number):
        if self.pipe.is_indexable:
            self.both(lambda pipe: pipe.shuffle(seed=number))

    def add_take(self, number):
        self.both(lambda pipe: pipe.take(number * 2))

    def add_repeat(self, number):
        self.both(lambda pipe: pipe.repeat(number % 2 + 1))

    def add_select(self, number):
        self.both(lambda pipe: pipe.select("n"))


KINDS = ["map", "noise", "filter", "half", "batch", "shuffle", "take", "repeat", "select"]
STEPS = st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 9)), max_size=7)


def plain(items, *, batched):
    """Turn messages into what the interpreter gives: dicts, or lists of dicts."""
    found = []
    for item in items:
        columns = item.to_dict()
        rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
        found.append(rows if batched else rows[0])
    return found


def assert_same(built, epoch, draw):
    """Read the pipe in every way there is and compare with the plan."""
    pipe, batched = built.pipe, built.plan.batched
    expected = built.plan.items(epoch)
    assert pipe.is_batched == batched
    assert plain(pipe.at_epoch(epoch), batched=batched) == expected

    count = len(expected)
    stop = draw(st.integers(0, count), label="resume at")
    running = iter(pipe.at_epoch(epoch))
    for _ in range(stop):
        next(running)
    resumed = iter(pipe.at_epoch(epoch))
    resumed.load_state_dict(running.state_dict())
    assert plain(resumed, batched=batched) == expected[stop:]

    if epoch == 0 and count:
        rows = [row for item in expected for row in item] if batched else expected
        assert plain(pipe.to_message(), batched=False) == rows
    if pipe.is_indexable:
        assert len(pipe) == count
        assert plain(list(pipe.get(slice(stop, None), epoch)), batched=batched) == expected[stop:]
        places = draw(st.lists(st.integers(0, count - 1), max_size=8), label="places") if count else []
        assert plain(list(pipe.get(places, epoch)), batched=batched) == [expected[place] for place in places]

    # Every call of a function was with exactly the rows of one of its blocks, or with none where there are none.
    # (Asked for no rows at all, a pipe looks at a block of epoch 0 for their columns.)
    built.plan.items(0)
    assert {call for call in built.asked if call[1]} <= set(built.due)


# The steps shrink by themselves; what may take long is the plain interpreter on many repetitions.
@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(num_rows=st.integers(0, 25), steps=STEPS, epoch=st.integers(0, 2), data=st.data())
def test_any_chain_gives_what_the_design_says(num_rows, steps, epoch, data):
    built = Built(num_rows)
    for kind, number in steps:
        built.step(kind, number)
    assert_same(built, epoch, data.draw)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    num_rows=st.integers(1, 25),
    left=st.lists(st.tuples(st.sampled_from(["map", "noise", "shuffle"]), st.integers(0, 9)), max_size=3),
    right=st.lists(st.tuples(st.sampled_from(["map", "noise", "shuffle"]), st.integers(0, 9)), max_size=3),
    batch=st.integers(0, 4),
    behind=STEPS,
    epoch=st.integers(0, 1),
    data=st.data(),
)
def test_any_two_chains_zipped_give_what_the_design_says(num_rows, left, right, batch, behind, epoch, data):
    built = Built(num_rows)
    for kind, number in left:
        built.step(kind, number)
    other = Built(num_rows)
    for kind, number in right:
        other.step(kind, number)
    if batch:
        built.step("batch", 2 * batch)
        other.step("batch", 2 * batch)

    def renamed(rows):
        return fw.Message({f"other {name}": rows.raw(name) for name in rows.columns})

    other.pipe = other.pipe.map(renamed)
    other.plan = other.plan.but(
        stages=(*other.plan.stages, lambda rows, e, b: [{f"other {k}": v for k, v in row.items()} for row in rows])
    )
    built.pipe = fw.Zip({"left": built.pipe, "right": other.pipe})
    built.plan = built.plan.zip(other.plan)
    built.maps += 10  # names of columns that no component has
    for kind, number in behind:
        built.step(kind, number)
    assert_same(built, epoch, data.draw)


class TestTheGrid:
    @pytest.mark.parametrize(
        ("row_bytes", "rows"),
        [(0, 1024), (1, 1024), (4096, 1024), (4097, 512), (MIB, 4), (MIB + 1, 2), (4 * MIB, 1), (10**9, 1)],
    )
    def test_a_block_is_a_power_of_two_of_at_most_1024_rows_and_4_mib(self, row_bytes, rows):
        assert block_rows(row_bytes) == rows

    @pytest.mark.parametrize(("row_bytes", "rows"), [(8, 1024), (30_000, 128), (MIB, 4)])
    def test_a_function_sees_blocks_of_the_schemas_size(self, row_bytes, rows):
        calls = []
        pipe = Rows(3000, row_bytes).map(BlockSum(0, calls))
        pipe.to_message()
        assert [numbers for _, numbers in calls] == [
            tuple(range(start, min(start + rows, 3000))) for start in range(0, 3000, rows)
        ]

    def test_behind_batch_the_block_is_the_batch(self):
        calls = []
        list(Rows(10).batch(6).map(BlockSum(0, calls)))
        assert [numbers for _, numbers in calls] == [tuple(range(6)), tuple(range(6, 10))]

    def test_one_row_costs_its_block_and_no_other(self):
        calls = []
        row = Rows(30).map(BlockSum(0, calls))[17]
        assert calls == [(0, (16, 17, 18, 19))]
        assert row.to_dict() == {"n": [17], "sum0": [4070]}

    def test_scattered_rows_cost_each_of_their_blocks_once(self):
        calls = []
        Rows(30).map(BlockSum(0, calls))[[17, 2, 16, 17, 3]]
        assert calls == [(0, (0, 1, 2, 3)), (0, (16, 17, 18, 19))]

    def test_looking_for_columns_calls_no_function_with_a_part_of_a_block(self):
        calls = []
        assert Rows(30).map(BlockSum(0, calls))[5:5].columns == ["n", "sum0"]
        assert set(calls) <= {(0, (0, 1, 2, 3)), (0, (4, 5, 6, 7))}

    def test_a_filter_is_never_passed_by_for_the_sake_of_columns(self):
        def inverse(rows):
            assert (rows["n"] > 5).all()
            return rows.assign(inverse=1 / (rows["n"] - 5))

        nothing = Rows(4).filter("n", ">", 5).map(inverse)
        assert nothing.to_message().columns == ["n", "inverse"]
        assert len(nothing.to_message()) == 0


class TestOrderOfWords:
    def test_map_then_shuffle_is_shuffle_then_map(self):
        rows = Rows(50)
        one, other = BlockSum(0, []), BlockSum(0, [])
        assert rows.map(one).shuffle(seed=1).to_message() == rows.shuffle(seed=1).map(other).to_message()
        assert one.calls == other.calls

    def test_map_then_take_is_take_then_map(self):
        rows = Rows(50)
        assert rows.map(BlockSum(0, [])).take(7).to_message() == rows.take(7).map(BlockSum(0, [])).to_message()


class TestBits:
    """A matrix product of 7 rows differs in its last bits from one of 1,024; rows must not, however they are read."""

    ROWS = 3_000
    WEIGHTS = torch.randn(256, 64, generator=torch.Generator().manual_seed(0))

    def product(self, rows):
        return rows.assign(y=rows["x"] @ self.WEIGHTS).select("y")

    @pytest.mark.parametrize("order", ["straight", "shuffled"])
    def test_a_matrix_product_gives_the_same_bits_by_every_way_of_reading(self, order):
        x = torch.randn(self.ROWS, 256, generator=torch.Generator().manual_seed(1))
        data = fw.source({"x": x}).map(self.product)
        pipe = data if order == "straight" else data.shuffle(seed=0)
        whole = pipe.to_message()["y"]
        assert torch.equal(torch.cat([row["y"] for row in pipe.at_epoch(0)]), whole)
        for size in (7, 256, 1023, 2_000):
            assert torch.equal(torch.cat([batch["y"] for batch in pipe.batch(size).at_epoch(0)]), whole)
        for start, stop in [(0, 1), (5, 12), (1000, 1100), (1023, 1025), (2999, 3000)]:
            assert torch.equal(pipe[start:stop]["y"], whole[start:stop])
        scattered = torch.randperm(self.ROWS, generator=torch.Generator().manual_seed(2))[:300]
        assert torch.equal(pipe[scattered]["y"], whole[scattered])
        running = iter(pipe.at_epoch(0))
        for place in range(self.ROWS):
            if place in (1, 1000, 1023, 1024, 2047, 2999):
                resumed = iter(pipe.at_epoch(0))
                resumed.load_state_dict(running.state_dict())
                assert torch.equal(next(resumed)["y"][0], whole[place])
            next(running)
