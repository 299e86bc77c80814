import threading

import pytest

from cardio.errors import NoCardError, ReaderTimeoutError
from cardio.readers.worker import Worker


def test_one_thread_does_all_until_it_is_let_go() -> None:
    with Worker() as worker:
        first, second = (worker.run_within(5, threading.current_thread) for _ in range(2))
        assert first is second is not threading.current_thread()
    first.join(5)
    assert not first.is_alive()


def test_what_is_raised_reaches_who_waits_and_the_thread_lives_on() -> None:
    def fail() -> None:
        raise NoCardError()

    with Worker() as worker:
        thread = worker.run_within(5, threading.current_thread)
        with pytest.raises(NoCardError):
            worker.run_within(5, fail)
        assert worker.run_within(5, threading.current_thread) is thread


def test_a_thread_that_hangs_is_given_up_and_ends_when_it_comes_back() -> None:
    begun, release = threading.Event(), threading.Event()
    hanging: list[threading.Thread] = []

    def hang() -> None:
        hanging.append(threading.current_thread())
        begun.set()
        release.wait(30)

    with Worker() as worker:
        with pytest.raises(ReaderTimeoutError):
            worker.run_within(0.05, hang)
        assert begun.wait(5)  # its thread may have begun later than it was given up
        assert worker.run_within(5, threading.current_thread) is not hanging[0]
        assert hanging[0].is_alive()
        release.set()
        hanging[0].join(5)
        assert not hanging[0].is_alive()
