"""The actions between two optimizer steps: log, report, evaluate, save, stop."""

import contextlib
import time
from typing import Any

from kochi import config
from kochi.ahead import iterate_ahead
from kochi.errors import Interrupted
from kochi.folder import pack_weights
from kochi.training import monitor
from kochi.training.checkpoints import prune_weights, write_weights
from kochi.training.evaluation import Abandoned, Evaluator, Measured
from kochi.training.examples import Example
from kochi.training.interrupts import Interrupts
from kochi.training.layout import Layout
from kochi.training.logs import Logs
from kochi.training.meter import Meter
from kochi.training.progress import Progress, Window, estimate_time_left
from kochi.training.state import Evaluation, RunState
from kochi.training.stream import Group, StepStream, is_due
from kochi.training.trainer import Trainer

AHEAD = 4  # maximum number of groups of batches prepared ahead


class Loop:
    """Run the optimizer steps of a run; evaluate, save and report when due.

    A checkpoint holds the state after a step and, if one was due, its evaluation. Weights of
    evaluated steps and rows of the curves are written to disk before the checkpoint that refers to
    them; weights are deleted when neither of the last two checkpoints refers to them.

    Args:
        run: The run file.
        stream: The optimizer steps.
        evaluator: Evaluates on the dev set; None without one.
        interrupts: Indicates whether the run should stop.
        logs: The logs; None in all processes but the first.
        progress: Shows the progress of the run.
        log_every: Steps between two rows of the training log.
        machine: The hardware for the steps.
    """

    def __init__(
        self,
        run: config.Run,
        stream: StepStream,
        evaluator: Evaluator | None,
        interrupts: Interrupts,
        logs: Logs | None,
        progress: Progress,
        log_every: int,
        machine: dict[str, Any],
    ) -> None:
        self._run = run
        self._layout = Layout(run.output)
        self._stream = stream
        self._evaluator = evaluator
        self._interrupts = interrupts
        self._logs = logs
        self._progress = progress
        self._log_every = log_every
        self._machine = machine
        self._meter = Meter("log", "progress")
        self._clock = time.monotonic()
        self._start = (0, 0.0)
        self._skipped = 0

    # ------------------------------------------------------------------------------- when to do it

    def run(self, trainer: Trainer) -> None:
        """Run the remaining steps.

        Raises:
            Interrupted: The run was asked to stop; everything is saved.
            Diverged: The loss is not finite.
        """
        if self._begin(trainer):
            return
        # Collating tokens takes hardly any time; for audio and images it takes as long as a step.
        groups = (
            iter(self._stream)
            if self._stream.batches.of_tokens
            else iterate_ahead(self._stream, AHEAD)
        )
        with contextlib.closing(groups):
            for group in groups:
                trainer.step(group)
                if self._after(trainer, group):
                    return

    def _begin(self, trainer: Trainer) -> bool:
        """Run an evaluation left pending by an interruption; return whether the run is done."""
        state = trainer.state
        self._clock = time.monotonic()
        self._start = (state.step, state.seconds)
        if state.machines[-1:] != [self._machine]:
            state.machines.append(self._machine)
        if state.window is not None:
            self._meter.restore("log", state.window)
        self._progress.start(state.step, self._stream.total_steps, self._run.training.epochs)
        if state.evaluation_pending:
            self._evaluate(trainer)
        return self._is_done(trainer)

    def _after(self, trainer: Trainer, group: Group) -> bool:
        """Do what is due after a step; return whether the run is done."""
        state = trainer.state
        self._tick(state)
        self._meter.add(state.step, trainer.outcome, group.num_tokens)
        if state.step % self._log_every == 0 or group.ends_run:
            self._log(trainer)
        if self._progress.is_due():
            self._show(trainer)
        if state.evaluation_pending:
            self._evaluate(trainer)
        elif is_due(self._run.training.checkpoint_every, state.step, group.ends_epoch):
            self._save(trainer)
        return self._is_done(trainer)

    def _tick(self, state: RunState) -> None:
        now = time.monotonic()
        state.seconds += now - self._clock
        self._clock = now

    def _is_done(self, trainer: Trainer) -> bool:
        state = trainer.state
        alone = trainer.fabric.world_size == 1
        if trainer.stop_requested or (alone and self._interrupts.requested):
            self._save(trainer)
            raise Interrupted(
                f"stopped after step {state.step} of {self._stream.total_steps}; all is saved in "
                f"{self._layout.output}; continue with --resume"
            )
        training = self._run.training
        done = monitor.is_done(state, training, self._stream.total_steps)
        if done and state.step < self._stream.total_steps:
            self._progress.message(
                f"stopping here: on dev {training.metric} has not improved for "
                f"{training.patience} evaluations (training.patience)"
            )
        return done

    # ---------------------------------------------------------------------------------- what to do

    def _save(self, trainer: Trainer) -> None:
        trainer.state.window = self._meter.sums("log")
        if self._logs is not None:
            self._logs.sync()
        trainer.save(self._layout.checkpoint)

    def _evaluate(self, trainer: Trainer) -> None:
        state = trainer.state
        self._meter.check()
        self._progress.evaluating()
        sha256 = ""
        with trainer.gathered():
            try:
                measured = self._measure(trainer)
            except Abandoned:
                return  # the evaluation stays pending in the checkpoint that is written now
        weights = trainer.weights()
        if trainer.fabric.is_global_zero:
            sha256 = write_weights(self._layout, state.step, pack_weights(weights))
        evaluation = Evaluation(
            step=state.step,
            epoch=state.epoch + 1,
            loss=measured.loss if measured else None,
            metric=measured.metric if measured else None,
            seconds=measured.seconds if measured else 0.0,
            sha256=sha256,
        )
        self._tick(state)
        state.evaluations.append(evaluation)
        state.evaluation_pending = False
        if trainer.fabric.is_global_zero:
            self._report(evaluation, state.evaluations, measured.examples if measured else ())
        self._save(trainer)
        if trainer.fabric.is_global_zero:
            prune_weights(self._layout, state.evaluations, self._run.training)
            self._report_skipped(trainer)
        self._meter.pause(evaluation.seconds)

    def _measure(self, trainer: Trainer) -> Measured | None:
        if self._evaluator is None:
            return None
        return self._evaluator(
            trainer.model,
            trainer.fabric.device,
            rank=trainer.fabric.global_rank,
            world=trainer.fabric.world_size,
            abandon=lambda: trainer.fabric.world_size == 1 and self._interrupts.requested,
        )

    def _report(
        self,
        evaluation: Evaluation,
        evaluations: list[Evaluation],
        examples: tuple[Example, ...],
    ) -> None:
        metric = self._run.training.metric
        is_best = monitor.best(evaluations, metric)[0] is evaluation
        self._progress.evaluated(evaluation, metric, is_best, examples)
        if self._logs is not None:
            self._logs.evaluation(vars(evaluation))
            self._logs.examples(evaluation.step, examples)

    def _report_skipped(self, trainer: Trainer) -> None:
        before, self._skipped = self._skipped, trainer.objective.num_without_path
        if self._skipped > before:
            self._progress.message(
                f"CTC: {self._skipped} times so far a source had fewer positions than its target "
                "needs; there the decoder's loss alone was trained"
            )

    def _log(self, trainer: Trainer) -> None:
        window = self._meter.take("log")
        if self._logs is None or window.steps == 0:
            return
        self._logs.train(
            {
                "step": trainer.state.step,
                "epoch": trainer.state.epoch + 1,
                "loss": window.loss / window.tokens,
                "nll": window.nll / window.tokens,
                "learning_rate": trainer.learning_rate,
                "gradient_norm": self._meter.gradient_norm,
                "tokens": trainer.state.tokens,
                "seconds": trainer.state.seconds,
            }
        )

    def _show(self, trainer: Trainer) -> None:
        window: Window = self._meter.take("progress")
        state = trainer.state
        self._progress.report(state.step, state.epoch, window, self._seconds_left(trainer))

    def _seconds_left(self, trainer: Trainer) -> float:
        state, training = trainer.state, self._run.training
        step, seconds = self._start
        evaluated = sum(e.seconds for e in state.evaluations if e.step > step)
        steps_left = self._stream.total_steps - state.step
        every = training.evaluate_every or self._stream.epoch_steps
        last = state.evaluations[-1].seconds if state.evaluations else 0.0
        step_seconds = (state.seconds - seconds - evaluated) / max(state.step - step, 1)
        return estimate_time_left(step_seconds, steps_left, last, -(-steps_left // every))
