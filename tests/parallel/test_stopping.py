"""What works in the background is known, so that it can be stopped."""

import gc
import threading

from fireworks.parallel import stopping
from pipelines import double, table


def test_what_runs_is_known_until_it_is_gone():
    iterator = iter(table(40).batch(2).map(double, workers=2).prefetch(2))
    next(iterator)
    names = {type(worker).__name__ for worker in stopping._running}
    assert {"Crew", "_Lane"} <= names
    del iterator
    gc.collect()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fireworks")]


def test_at_exit_all_is_stopped(monkeypatch):
    monkeypatch.setattr(stopping, "_exiting", False)
    iterators = [iter(table(40).batch(2).map(double, workers=2).prefetch(n)) for n in (0, 1)]
    for iterator in iterators:
        next(iterator)
    stopping._stop_all()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fireworks")]
    assert stopping._exiting


def test_a_thread_does_not_wait_for_itself():
    stopping.join_threads([threading.current_thread(), threading.Thread(target=print)])
