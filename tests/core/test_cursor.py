"""An error in the middle of a pass loses no rows: the pass stands where it stood, and its state says so."""

import pytest
import torch

import fireworks as fw
from pipelines import add_noise, counting, table


class Flaky:
    """A function over rows that fails at one of its calls, and at no other."""

    def __init__(self, fails_at):
        self.fails_at, self.calls = fails_at, 0

    def __call__(self, rows):
        self.calls += 1
        if self.calls == self.fails_at:
            raise ConnectionError("try again")
        return rows


class FlakyRows:
    """A stream whose reader fails once."""

    def __init__(self):
        self.failed = False

    def __call__(self):
        for n in range(3000):
            if n == 1500 and not self.failed:
                self.failed = True
                raise ConnectionError("try again")
            yield {"n": n}


def long_stream():
    return fw.source(lambda: ({"n": n, "x": torch.tensor([n])} for n in range(3000)))


PIPES = {
    "rows": lambda flaky: table(3000).map(flaky),
    "shuffled rows": lambda flaky: table(3000).map(flaky).shuffle(seed=0),
    "batches": lambda flaky: table(50).batch(7).map(flaky).map(add_noise, seed=1),
    "batches of mapped rows": lambda flaky: table(3000).map(flaky).batch(700),
    "stream": lambda flaky: long_stream().map(flaky).map(add_noise, seed=1),
    "batched stream": lambda flaky: counting(50).batch(7).map(flaky).map(add_noise, seed=1),
    "batches of a mapped stream": lambda flaky: long_stream().map(flaky).map(add_noise, seed=1).batch(700),
    "filtered stream": lambda flaky: (
        long_stream().map(flaky).map(add_noise, seed=1).filter("noise", ">", 0.5).repeat(2).batch(300)
    ),
    "zipped streams": lambda flaky: fw.Zip(
        {
            "a": table(3000).map(flaky).map(add_noise, seed=1).filter("n", ">=", 0).select("noise"),
            "b": long_stream().select("n"),
        }
    ).batch(600),
    "zipped batched streams": lambda flaky: fw.Zip(
        {"a": counting(50).select("x").batch(7).repeat(1), "b": counting(50).select("n").batch(7).map(flaky).repeat(1)}
    ),
    "reader": lambda flaky: fw.source(FlakyRows()),
    "batched reader": lambda flaky: fw.source(FlakyRows()).batch(400),
}


@pytest.mark.parametrize("name", PIPES)
class TestAnErrorInTheMiddle:
    def whole(self, name):
        if name.endswith("reader"):
            rows = fw.source({"n": list(range(3000))})
            return list(rows if name == "reader" else rows.batch(400))
        return list(PIPES[name](Flaky(0)))

    def until_error(self, iterator):
        read = []
        try:
            for item in iterator:
                read.append(item)
        except ConnectionError:
            return read
        raise AssertionError("nothing failed")

    def test_whoever_goes_on_reading_misses_nothing(self, name):
        iterator = iter(PIPES[name](Flaky(3)))
        assert self.until_error(iterator) + list(iterator) == self.whole(name)

    def test_whoever_saves_the_state_and_resumes_misses_nothing(self, name):
        pipe = PIPES[name](Flaky(3))
        iterator = iter(pipe)
        read = self.until_error(iterator)
        resumed = iter(pipe)
        resumed.load_state_dict(iterator.state_dict())
        assert read + list(resumed) == self.whole(name)


class TestInterrupts:
    """Ctrl-C in a notebook, then next: no row is lost, none comes twice."""

    @pytest.mark.parametrize(
        "build",
        [
            lambda function: table(3000).map(function).batch(500),
            lambda function: counting(3000).map(function).batch(500),
            lambda function: counting(3000).batch(500).map(function),
            lambda function: counting(3000).filter(lambda rows: function(rows)["n"] >= 0).batch(500),
        ],
        ids=["indexed", "stream", "batched stream", "filtered stream"],
    )
    def test_going_on_after_an_interrupt(self, build):
        interrupts = [2, 4]
        calls = []

        def function(rows):
            calls.append(len(rows))
            if len(calls) in interrupts:
                raise KeyboardInterrupt
            return rows

        iterator = iter(build(function))
        seen = []
        while True:
            try:
                seen += next(iterator)["n"].tolist()
            except KeyboardInterrupt:
                continue
            except StopIteration:
                break
        assert seen == list(range(3000))

    def test_going_on_after_an_interrupt_in_a_source(self):
        interrupts = [KeyboardInterrupt]

        def begin():
            for n in range(100):
                if n == 50 and interrupts:
                    raise interrupts.pop()
                yield fw.Message({"n": [n]})

        iterator = iter(fw.source(begin))
        seen = []
        while True:
            try:
                seen += [row["n"].item() for row in [next(iterator)]]
            except KeyboardInterrupt:
                assert seen == list(range(50))
            except StopIteration:
                break
        assert seen == list(range(100))
