import contextvars
import threading

from fireworks._internal.current import current_trial


class Log:
    def log_metric(self, name, value, step=None):
        pass


def test_without_a_trial_there_is_none():
    assert current_trial.get() is None


def test_a_trial_is_current_in_its_own_context_only():
    log = Log()
    seen = []

    def inside():
        current_trial.set(log)
        thread = threading.Thread(target=lambda: seen.append(current_trial.get()))
        thread.start()
        thread.join()
        return current_trial.get()

    assert contextvars.copy_context().run(inside) is log
    assert current_trial.get() is None
    assert seen == [None]
