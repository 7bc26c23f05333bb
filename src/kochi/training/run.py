"""Train a model from a run file to a model folder."""

import contextlib
import errno
from collections.abc import Collection
from pathlib import Path
from typing import Any

import lightning.pytorch as pl
import torch
import torch.distributed

from kochi import config, folder
from kochi.data.batches import TokenBatches
from kochi.errors import Interrupted, UserError
from kochi.inputs import Input
from kochi.modalities import modality_of
from kochi.modalities.readers import check_augmentation
from kochi.models.build import build_model
from kochi.models.outline import check_memory, outline
from kochi.schema import packages_of
from kochi.training import monitor
from kochi.training.checkpoints import AtomicCheckpointIO, newest, read_state, take_up
from kochi.training.evaluation import Evaluator
from kochi.training.finish import finish, nothing_right, summary
from kochi.training.interrupts import Interrupts
from kochi.training.layout import Layout
from kochi.training.lengths import check_lengths, warmup_warning
from kochi.training.logs import Logs
from kochi.training.loop import Loop
from kochi.training.machine import describe_machine, differing
from kochi.training.meeting import LocalStrategy
from kochi.training.module import TrainingModule
from kochi.training.prepare import (
    Prepared,
    alone_in,
    check_fingerprint,
    check_unchanged,
    data_sha256,
    fingerprint,
    is_finished,
    open_run,
    prepare_data,
)
from kochi.training.processes import LocalProcesses, Workers
from kochi.training.progress import Progress
from kochi.training.seeds import derive, seed_generators
from kochi.training.settings import settings
from kochi.training.start_from import start_from
from kochi.training.state import RunState
from kochi.training.stream import StepStream

INIT = 0  # which use of the seed; see `seeds.derive`


def train(
    run: config.Run,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    log_every: int = 10,
) -> Path:
    """Train and return the model folder.

    ``run.output`` becomes the model folder; ``run.output/training`` holds the last two checkpoints,
    the weights of evaluated steps, the prepared data and the curves (CSV, TensorBoard). An output
    folder that holds anything else than what kochi wrote is refused.

    Args:
        run: What to train on what, and how.
        resume: Go on with the run in ``run.output``, from the last checkpoint that is whole. On the
            CPU the model is, bit for bit, that of a run that was never interrupted, as long as
            the machine, the number of threads and the versions stay the same (see
            `kochi.training.machine`); one line warns where they do not. Where nothing was begun,
            the run begins; where the run is finished, nothing is done.
        overwrite: Give up a run or model in ``run.output``; an old model stays until the new one is
            whole.
        progress: Where to show how it goes; ``Progress(silent=True)`` for nowhere.
        log_every: Optimizer steps between two rows of the training curve.

    Raises:
        UserError: The run file, the data or the folder do not allow it, the loss is not finite, or
            the disk cannot be written (the last checkpoint is still there).
        Interrupted: Ctrl-C, SIGTERM or SIGHUP; the state was saved.
    """
    if resume and overwrite:
        raise UserError("resume and overwrite exclude each other; give one of them")
    check_model(run)
    check_accelerator(run.training)
    progress = progress or Progress()
    with Interrupts() as interrupts, settings(run.training):
        try:
            with alone_in(run.output):
                if resume:
                    check_unchanged(run, progress.message)
                if resume and is_finished(run):
                    progress.message(f"{run.output}: this run is finished; nothing is left to do")
                    return run.output
                open_run(run, resume, overwrite)
                _train(run, interrupts, progress, log_every)
        except OSError as error:
            raise _cannot_write(run, error) from error
        finally:
            progress.stop()
    return run.output


def _train(run: config.Run, interrupts: Interrupts, progress: Progress, log_every: int) -> None:
    layout = Layout(run.output)
    state = take_up(layout, run.training, progress.message)
    check_fingerprint(run, state)
    if not layout.data.exists():
        files = modality_of(run.data).in_files
        what = "reading the training data" if files else "cutting the training data into tokens"
        progress.message(f"{what} ...")
    prepared = prepare_data(run, progress.message, state)
    _say_what_is_left_out(prepared, run, progress)
    with Workers(layout, run.training.devices, folder.dump_run(run)) as workers:
        evaluator = build_evaluator(run, prepared)
        if evaluator is not None and evaluator.remark is not None:
            progress.message(f"note: of the dev data {evaluator.remark}")
        if newest(layout) is None:
            _check_before_the_first_step(run, prepared, evaluator, progress)
        workers.wait_until_ready()
        state = fit(run, prepared, evaluator, interrupts, progress, log_every, store=workers.store)
    progress.stop()
    metrics = finish(run, state, prepared, evaluator)
    progress.message(summary(metrics))
    if (remark := nothing_right(metrics)) is not None:
        progress.message(remark)


def fit(
    run: config.Run,
    prepared: Prepared,
    evaluator: Evaluator | None,
    interrupts: Interrupts,
    progress: Progress,
    log_every: int,
    rank: int = 0,
    store: Path = Path(),
) -> RunState:
    """Do the optimizer steps that are left, as one of the processes, and return the last state."""
    layout = Layout(run.output)
    checkpoint = newest(layout)
    state = RunState() if checkpoint is None else read_state(checkpoint)
    stream = make_stream(run, prepared, state, rank)
    if monitor.is_done(state, run.training, stream.total_steps):
        return state
    if state.step == 0:
        warning = warmup_warning(run.training, stream.total_steps, stream.epoch_steps)
        if warning is not None:
            progress.message(warning)
    model = make_model(run, prepared)
    if run.training.start_from is not None and checkpoint is None:
        _start(model, run.training.start_from, prepared, packages_of(run), progress)
    machine = describe_machine(run.training)
    module = TrainingModule(model, run, stream.total_steps, interrupts)
    module.state = RunState(
        run_sha256=fingerprint(run), data_sha256=data_sha256(run), machines=[machine]
    )
    logs = Logs(layout.training, state, run.training.metric) if rank == 0 else None
    loop = Loop(run, stream, evaluator, interrupts, logs, progress, log_every, machine)
    trainer = make_trainer(run, loop, rank, store)
    if checkpoint is not None:
        progress.message(f"going on after step {state.step} of {stream.total_steps}")
        if (warning := differing(state.machines, machine)) is not None:
            progress.message(warning)
    interrupts.deferred = True
    try:
        trainer.fit(
            module,
            stream,
            ckpt_path=None if checkpoint is None else str(checkpoint),
            weights_only=True,
        )
    finally:
        interrupts.deferred = False
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
        if logs is not None:
            with contextlib.suppress(OSError):
                logs.close()
    if interrupts.requested:
        raise Interrupted(f"stopped after the last step; finish {run.output} with --resume")
    return module.state


def build_evaluator(run: config.Run, prepared: Prepared) -> Evaluator | None:
    """Return what evaluates on the dev set, or None without one."""
    if run.data.dev is None:
        return None
    return Evaluator(run, prepared.source, prepared.target)


def make_stream(run: config.Run, prepared: Prepared, state: RunState, rank: int = 0) -> StepStream:
    """Return the optimizer steps of a run that are left after a state."""
    training = run.training
    batches = TokenBatches(
        prepared.corpus,
        training.batch_tokens,
        run.seed,
        rank=rank,
        world=training.devices,
        reader=prepared.source.for_training(training),
    )
    return StepStream(
        batches,
        training.accumulate,
        training.epochs,
        training.max_steps,
        position=state.position,
        step=state.step,
    )


def check_model(run: config.Run) -> None:
    """Refuse a model table that cannot be built, before any data is read; no memory is taken."""
    check_augmentation(run.data, run.training)
    _outline(run, modality_of(run.data).like(), 8)


def check_accelerator(training: config.Training) -> None:
    """Refuse GPUs that are not there, before any data is read."""
    gpus = torch.cuda.device_count()
    if training.accelerator == "gpu" and not (gpus or torch.backends.mps.is_available()):
        raise UserError(
            "training.accelerator = 'gpu': torch finds no GPU here; set it to 'auto' or 'cpu'"
        )
    if training.accelerator != "cpu" and 0 < gpus < training.devices:
        raise UserError(
            f"training.devices = {training.devices}: torch finds {gpus} here; set it to at most "
            "that, or training.accelerator to 'cpu'"
        )


def make_model(run: config.Run, prepared: Prepared) -> Any:
    """Return the model of a run as it is before the first step."""
    source, vocabulary = prepared.source.inputs, prepared.target.size
    _outline(run, source, vocabulary)
    seed_generators(derive(run.seed, INIT), torch.device("cpu"))
    return build_model(run.model, source, vocabulary, ctc=run.training.ctc_weight > 0)


def _outline(run: config.Run, source: Input, target_vocabulary: int) -> None:
    """Refuse a model that cannot be built, or for whose training there is not enough memory."""
    ctc = run.training.ctc_weight > 0
    found = outline(run.model, source, target_vocabulary, ctc=ctc, where="model")
    check_memory(found, "model", trained=True)


def _start(
    model: Any, before: Path, prepared: Prepared, trust: Collection[str], progress: Progress
) -> None:
    new = start_from(model, before, prepared, trust)
    count = len(folder.weights_of(model))
    rest = f"; new: {', '.join(new)}" if new else ""
    progress.message(f"starting from {before}: {count - len(new)} of {count} weights{rest}")


def make_trainer(
    run: config.Run, loop: pl.Callback, rank: int = 0, store: Path = Path()
) -> pl.Trainer:
    """Return what does the optimizer steps, with ``loop`` between them."""
    training = run.training
    several = training.devices > 1
    plugins: list[Any] = [AtomicCheckpointIO()]
    if several:
        plugins.append(LocalProcesses(rank))
    return pl.Trainer(
        accelerator=training.accelerator,
        devices=training.devices,
        strategy=LocalStrategy(store, training.devices) if several else "auto",
        precision="bf16-mixed" if training.precision == "bf16" else "32-true",
        plugins=plugins,
        callbacks=[loop],
        max_epochs=1,  # the stream is one long epoch; see `StepStream`
        limit_val_batches=0,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=str(Layout(run.output).training),
    )


def _say_what_is_left_out(prepared: Prepared, run: config.Run, progress: Progress) -> None:
    corpus = prepared.corpus
    if corpus.skipped:
        progress.message(
            f"{corpus.skipped} of {len(corpus) + corpus.skipped} training pairs are left out: "
            f"longer than {modality_of(run.data).bounds}"
        )


def _check_before_the_first_step(
    run: config.Run, prepared: Prepared, evaluator: Evaluator | None, progress: Progress
) -> None:
    try:
        check_lengths(run, prepared, evaluator, progress.message)
    except UserError:
        Layout(run.output).run.unlink(missing_ok=True)  # nothing was begun: mend it and start again
        raise
    if run.training.metric == "wer" and evaluator is not None and evaluator.judge.wer == "rows":
        progress.message(
            "wer is the share of rows with any error, as each is one word; data.row = 'text' "
            "counts the target's tokens instead"
        )


def _cannot_write(run: config.Run, error: OSError) -> UserError:
    layout = Layout(run.output)
    if not layout.training.is_dir() and error.errno == errno.ENOENT:
        return UserError(
            f"{run.output}: the folder of this run is gone (moved, renamed or removed while it was "
            "in use); give it its name back and go on with --resume, or start again"
        )
    saved = "no step was saved yet"
    with contextlib.suppress(UserError, OSError):
        if (path := newest(layout)) is not None:
            saved = f"the last checkpoint (step {read_state(path).step}) is whole"
    remedy = "make room"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "allow writing there, or choose another output"
    elif error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        remedy = "mend that"
    return UserError(
        f"{error.filename or run.output}: cannot be written ({error.strerror or error}); {saved}; "
        f"{remedy} and go on with --resume"
    )
