"""Several processes on one machine: this one has rank 0 and starts the others.

The others run ``python -m kochi.training.worker``, so that training works in the same way from the
command, a script or a notebook. They ignore Ctrl-C (rank 0 tells them when to stop) and end when
rank 0 is gone.
"""

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType

from lightning_fabric.plugins.environments.lightning import LightningEnvironment

from kochi.errors import UserError
from kochi.training.layout import Layout
from kochi.training.meeting import ready_file

GRACE_SECONDS = 20.0


class LocalProcesses(LightningEnvironment):
    """The environment of a process for Lightning, without environment variables.

    Args:
        rank: Number of this process, from 0.
    """

    def __init__(self, rank: int) -> None:
        super().__init__()
        self._rank = rank

    @property
    def creates_processes_externally(self) -> bool:
        """Keep Lightning from starting processes."""
        return True

    def local_rank(self) -> int:
        """Return the number of this process."""
        return self._rank

    def node_rank(self) -> int:
        """Return 0, as there is a single machine."""
        return 0


class Workers:
    """The processes of ranks 1 and up, during a ``with`` block.

    Args:
        layout: The run they take part in, with prepared data.
        world: Number of processes, including this one.
        run_file: The run file, with absolute paths; each process reads it from standard input.

    Attributes:
        store: File through which they meet, in a folder that only this user can read.
    """

    def __init__(self, layout: Layout, world: int, run_file: bytes = b"") -> None:
        self.store = Path()
        self._layout = layout
        self._world = world
        self._run_file = run_file
        self._started: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "Workers":
        if self._world > 1:
            self.store = Path(tempfile.mkdtemp(prefix="kochi-")) / "store"
        for rank in range(1, self._world):
            self._started.append(self._start(rank))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                failed = self._failed() if isinstance(error, RuntimeError) else None
                self._end()
                if failed is not None:
                    raise UserError(failed) from error
            self._wait()
        finally:
            if self._world > 1:
                shutil.rmtree(self.store.parent, ignore_errors=True)

    def wait_until_ready(self) -> None:
        """Wait until every process is about to join the process group.

        Raises:
            UserError: A process has ended early.
        """
        ranks = range(1, self._world)
        while not all(ready_file(self.store, rank).exists() for rank in ranks):
            for rank, process in enumerate(self._started, 1):
                if process.poll() is not None:
                    raise UserError(self._report(rank))
            time.sleep(0.05)

    def _start(self, rank: int) -> "subprocess.Popen[bytes]":
        package = str(Path(__file__).parents[2])
        paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
        with self._log(rank).open("wb") as log:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "kochi.training.worker", str(self._layout.output)),
                    *map(str, (rank, self.store, os.getpid())),
                ],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
            )
        assert process.stdin is not None
        with contextlib.suppress(BrokenPipeError), process.stdin as pipe:  # it may have ended
            pipe.write(self._run_file)
        return process

    def _log(self, rank: int) -> Path:
        return self._layout.training / f"process-{rank}.log"

    def _failed(self) -> str | None:
        """Describe a process that failed by itself; a broken connection may show before its end."""
        deadline = time.monotonic() + 2.0
        while self._started and time.monotonic() < deadline:
            for rank, process in enumerate(self._started, 1):
                if process.poll():
                    return self._report(rank)
            time.sleep(0.05)
        return None

    def _report(self, rank: int) -> str:
        code = self._started[rank - 1].returncode
        lines = self._log(rank).read_text("utf-8", "replace").strip().splitlines()
        reason = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if lines and code > 0:
            reason = lines[-1]
        return (
            f"process {rank} of {self._world} ended early: {reason} (more in {self._log(rank)}); "
            "continue with --resume"
        )

    def _end(self) -> None:
        for process in self._started:
            process.kill()

    def _wait(self) -> None:
        for process in self._started:
            try:
                process.wait(GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def follow(parent: int) -> None:
    """End this process, a worker, when rank 0 is gone."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
