"""Batches side by side."""

import threading

import pytest
import torch

from kochi.inference.parallel import in_parallel, num_workers, share_size

CPU = torch.device("cpu")


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_stand_in_the_order_of_the_batches(two_threads):
    assert in_parallel(lambda batch: batch * 10, list(range(7)), CPU) == [
        0,
        10,
        20,
        30,
        40,
        50,
        60,
    ]
    assert in_parallel(lambda batch: batch, [], CPU) == []


def test_two_batches_are_computed_at_once_with_one_core_each(two_threads):
    meeting = threading.Barrier(2, timeout=60)

    def work(batch):
        meeting.wait()  # breaks unless both are there
        return torch.get_num_threads()

    assert in_parallel(work, ["one", "other"], CPU) == [1, 1]
    assert torch.get_num_threads() == 2


def test_one_batch_has_all_cores(two_threads):
    assert in_parallel(lambda batch: torch.get_num_threads(), ["alone"], CPU) == [2]


def test_other_devices_take_one_batch_after_the_other(two_threads):
    meta = torch.device("meta")
    threads = in_parallel(lambda batch: threading.current_thread(), [1, 2], meta)
    assert threads == [threading.current_thread()] * 2
    assert num_workers(meta) == 1


def test_an_error_comes_out_and_the_cores_come_back(two_threads):
    with pytest.raises(ZeroDivisionError):
        in_parallel(lambda batch: 1 / batch, [1, 0, 2], CPU)
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize(
    ("num_items", "batch_size", "expected"),
    [(256, 64, 64), (64, 64, 32), (20, 64, 16), (3, 64, 16), (256, 1, 1), (0, 64, 16)],
)
def test_no_core_stays_idle(two_threads, num_items, batch_size, expected):
    assert share_size(num_items, batch_size, num_workers(CPU)) == expected


def test_one_worker_takes_whole_batches():
    assert share_size(100, 64, workers=1) == 64
