import os
import signal
import threading
from collections.abc import Iterator

import pytest

from kochi.errors import Interrupted
from kochi.training.interrupts import SIGNALS, Interrupts

pytestmark = pytest.mark.usefixtures("shapes_unchecked")  # they double the time


@pytest.fixture(autouse=True)
def not_under_nohup() -> Iterator[None]:
    """Let SIGHUP end a process, as it does where nobody asked for anything else."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_remembered_the_second_stops(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with Interrupts() as interrupts:
        interrupts.deferred = True
        os.kill(os.getpid(), number)
        assert interrupts.requested
        with pytest.raises(Interrupted, match="--resume"):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)  # a third one changes nothing on the way out
    assert signal.getsignal(number) is before


def test_where_nothing_is_deferred_the_first_signal_stops() -> None:
    with Interrupts(), pytest.raises(Interrupted, match="--resume"):
        os.kill(os.getpid(), signal.SIGINT)


def test_a_handler_that_was_put_in_between_is_replaced() -> None:
    with Interrupts() as interrupts:
        interrupts.deferred = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        interrupts.install()
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.requested


def test_a_worker_takes_no_notice() -> None:
    with Interrupts(ignore=True) as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        assert not interrupts.requested


def test_other_threads_catch_nothing() -> None:
    before, found = signal.getsignal(signal.SIGINT), []

    def work() -> None:
        with Interrupts() as interrupts:
            interrupts.install()
            found.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [before]
