"""What happens between two optimizer steps: log, show, evaluate, save, stop."""

import time
from typing import Any

import lightning.pytorch as pl

from kochi import config
from kochi.errors import Interrupted
from kochi.folder import pack_weights, weights_of
from kochi.training import monitor
from kochi.training.checkpoints import prune_weights, write_weights
from kochi.training.evaluation import Abandoned, Evaluator, Measured
from kochi.training.examples import Example
from kochi.training.interrupts import Interrupts
from kochi.training.layout import Layout
from kochi.training.logs import Logs
from kochi.training.meter import Meter
from kochi.training.module import TrainingModule
from kochi.training.progress import Progress, Window, estimate_time_left
from kochi.training.state import Evaluation, RunState
from kochi.training.stream import Group, StepStream, is_due


class Loop(pl.Callback):
    """Evaluate, save and report at the right steps.

    A checkpoint holds the run after a step and, where one was due, its evaluation. Weights of
    evaluated steps and rows of the curves are on the disk before the checkpoint that counts on
    them; weights are deleted when neither of the last two checkpoints does.

    Args:
        run: The run file.
        stream: The optimizer steps.
        evaluator: Evaluates on the dev set; None without one.
        interrupts: Say whether somebody wants the run to stop.
        logs: Where curves are written; None in processes that are not the first.
        progress: Shows how the run is going.
        log_every: Steps between two rows of the training log.
        machine: What the steps are computed on.
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

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signals, and do an evaluation that an interrupted run left open."""
        module = _ours(pl_module)
        state = module.state
        self._interrupts.install()
        self._clock = time.monotonic()
        self._start = (state.step, state.seconds)
        if state.machines[-1:] != [self._machine]:
            state.machines.append(self._machine)
        if state.window is not None:
            self._meter.restore("log", state.window)
        self._progress.start(state.step, self._stream.total_steps, self._run.training.epochs)
        if state.evaluation_pending:
            self._evaluate(trainer, module)
        self._stop_where_due(trainer, module)

    def on_train_batch_end(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        outputs: Any,
        batch: Any,
        batch_idx: int,
    ) -> None:
        """Do what is due after a step."""
        module, group = _ours(pl_module), _group(batch)
        state = module.state
        self._tick(state)
        self._meter.add(state.step, module.outcome, group.num_tokens)
        if state.step % self._log_every == 0 or group.ends_run:
            self._log(module)
        if self._progress.is_due():
            self._show(module)
        if state.evaluation_pending:
            self._evaluate(trainer, module)
        elif is_due(self._run.training.checkpoint_every, state.step, group.ends_epoch):
            self._save(trainer, module)
        self._stop_where_due(trainer, module)

    def _tick(self, state: RunState) -> None:
        now = time.monotonic()
        state.seconds += now - self._clock
        self._clock = now

    def _stop_where_due(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        state = module.state
        alone = trainer.world_size == 1
        if module.stop_requested or (alone and self._interrupts.requested):
            self._save(trainer, module)
            raise Interrupted(
                f"stopped after step {state.step} of {self._stream.total_steps}; all is saved in "
                f"{self._layout.output}; go on with --resume"
            )
        if monitor.is_done(state, self._run.training, self._stream.total_steps):
            trainer.should_stop = True
            if state.step < self._stream.total_steps:
                training = self._run.training
                self._progress.message(
                    f"stopping here: on dev {training.metric} has not improved for "
                    f"{training.patience} evaluations (training.patience)"
                )

    # ---------------------------------------------------------------------------------- what to do

    def _save(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        module.state.window = self._meter.sums("log")
        if self._logs is not None:
            self._logs.sync()
        trainer.save_checkpoint(self._layout.checkpoint)

    def _evaluate(self, trainer: pl.Trainer, module: TrainingModule) -> None:
        state = module.state
        self._meter.check()
        self._progress.evaluating()
        try:
            measured = self._measure(trainer, module)
        except Abandoned:
            return  # the evaluation stays pending in the checkpoint that is written now
        sha256 = ""
        if trainer.is_global_zero:
            content = pack_weights(weights_of(module.model))
            sha256 = write_weights(self._layout, state.step, content)
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
        if trainer.is_global_zero:
            self._report(evaluation, state.evaluations, measured.examples if measured else ())
        self._save(trainer, module)
        if trainer.is_global_zero:
            prune_weights(self._layout, state.evaluations, self._run.training)
            self._report_skipped(module)
        self._meter.pause(evaluation.seconds)

    def _measure(self, trainer: pl.Trainer, module: TrainingModule) -> Measured | None:
        if self._evaluator is None:
            return None
        return self._evaluator(
            module.model,
            module.device,
            rank=trainer.global_rank,
            world=trainer.world_size,
            abandon=lambda: trainer.world_size == 1 and self._interrupts.requested,
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

    def _report_skipped(self, module: TrainingModule) -> None:
        skipped, self._skipped = self._skipped, module.num_without_path
        if module.num_without_path > skipped:
            self._progress.message(
                f"CTC: {module.num_without_path} times so far a source had fewer places than its "
                "target needs; there the decoder's loss alone was trained"
            )

    def _log(self, module: TrainingModule) -> None:
        window = self._meter.take("log")
        if self._logs is None or window.steps == 0:
            return
        self._logs.train(
            {
                "step": module.state.step,
                "epoch": module.state.epoch + 1,
                "loss": window.loss / window.tokens,
                "nll": window.nll / window.tokens,
                "learning_rate": module.learning_rate,
                "gradient_norm": self._meter.gradient_norm,
                "tokens": module.state.tokens,
                "seconds": module.state.seconds,
            }
        )

    def _show(self, module: TrainingModule) -> None:
        window: Window = self._meter.take("progress")
        state = module.state
        self._progress.report(state.step, state.epoch, window, self._seconds_left(module))

    def _seconds_left(self, module: TrainingModule) -> float:
        state, training = module.state, self._run.training
        step, seconds = self._start
        evaluated = sum(e.seconds for e in state.evaluations if e.step > step)
        steps_left = self._stream.total_steps - state.step
        every = training.evaluate_every or self._stream.epoch_steps
        last = state.evaluations[-1].seconds if state.evaluations else 0.0
        step_seconds = (state.seconds - seconds - evaluated) / max(state.step - step, 1)
        return estimate_time_left(step_seconds, steps_left, last, -(-steps_left // every))


def _ours(module: pl.LightningModule) -> TrainingModule:
    assert isinstance(module, TrainingModule)
    return module


def _group(batch: Any) -> Group:
    assert isinstance(batch, Group)
    return batch
