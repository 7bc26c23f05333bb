"""The state of a run: everything in a checkpoint besides weights and optimizer."""

import dataclasses
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Evaluation:
    """One evaluation on the dev set.

    Attributes:
        step: Optimizer steps done.
        epoch: Epochs done, counted from 1 for the one that is running.
        loss: Negative log-likelihood, nats per target token; None without a dev set.
        metric: The dev metric in percent; None where only the loss is measured.
        seconds: Duration of the evaluation.
        sha256: SHA-256 of the file with the evaluated weights.
    """

    step: int
    epoch: int
    loss: float | None
    metric: float | None
    seconds: float
    sha256: str = ""


@dataclass
class RunState:
    """The state of a run.

    Attributes:
        step: Optimizer steps done.
        epoch: The running epoch, from 0.
        position: Position of the stream of batches after this step, as plain data.
        tokens: Target tokens trained on.
        seconds: Seconds of training so far, over all resumes.
        evaluation_pending: Whether the step is due for evaluation but not yet evaluated.
        evaluations: All evaluations so far, oldest first.
        window: Steps, loss, negative log-likelihood and tokens since the last row of the training
            curve; see `kochi.training.meter.Meter`.
        run_sha256: SHA-256 of all keys of the run file that a resumed run may not change.
        data_sha256: SHA-256 of the manifest of the prepared data.
        machines: The machines of the run, the latest last; see `kochi.training.machine`.
    """

    step: int = 0
    epoch: int = 0
    position: dict[str, Any] | None = None
    tokens: int = 0
    seconds: float = 0.0
    evaluation_pending: bool = False
    evaluations: list[Evaluation] = field(default_factory=list)
    window: list[int | float] | None = None
    run_sha256: str = ""
    data_sha256: str = ""
    machines: list[dict[str, Any]] = field(default_factory=list)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data, for a checkpoint that loads without running code."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "RunState":
        """Undo `to_dict`."""
        evaluations = [Evaluation(**value) for value in values["evaluations"]]
        return cls(**{**values, "evaluations": evaluations})
