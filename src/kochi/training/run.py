"""Train a model from a run file to a model folder."""

import contextlib
import errno
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
import torch.distributed
from lightning_fabric import Fabric

from kochi import config, folder
from kochi.data.batches import TokenBatches
from kochi.errors import Interrupted, UserError
from kochi.inputs import Input
from kochi.modalities import modality_of
from kochi.modalities.readers import check_augmentation
from kochi.models.build import build_model
from kochi.models.outline import check_memory, outline
from kochi.publishing import publish
from kochi.schema import packages_of
from kochi.training import monitor
from kochi.training.checkpoints import newest, read_checkpoint, read_state, take_up
from kochi.training.cluster import Cluster, ClusterStrategy, check_devices, this_cluster
from kochi.training.evaluation import Evaluator
from kochi.training.finish import finish, nothing_right, summary
from kochi.training.interrupts import Interrupts
from kochi.training.layout import Layout
from kochi.training.lengths import check_lengths, warmup_warning
from kochi.training.logs import Logs
from kochi.training.loop import Loop
from kochi.training.machine import describe_machine, differing
from kochi.training.meeting import LocalStrategy
from kochi.training.prepare import (
    Prepared,
    alone_in,
    check_fingerprint,
    check_unchanged,
    data_sha256,
    fingerprint,
    is_finished,
    load_data,
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
from kochi.training.trainer import Trainer

INIT = 0  # which use of the seed; see `seeds.derive`


def train(
    run: config.Run,
    resume: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    log_every: int = 10,
) -> Path:
    """Train a model and return the model folder.

    ``run.output`` becomes the model folder; ``run.output/training`` contains the last two
    checkpoints, the weights of evaluated steps, the prepared data and the curves (CSV,
    TensorBoard). An output folder with files that kochi did not write is refused.

    Args:
        run: The run file.
        resume: Continue the run in ``run.output`` from the last intact checkpoint. On the CPU, the
            model is bit for bit that of an uninterrupted run if the machine, the number of threads
            and the versions are the same (see `kochi.training.machine`); otherwise a warning is
            printed. If there is no run, start one; if the run is finished, do nothing.
        overwrite: Discard a run or model in ``run.output``; an old model stays until the new one is
            complete.
        progress: Display of the progress; ``Progress(silent=True)`` for none.
        log_every: Optimizer steps between two rows of the training curve.

    Raises:
        UserError: The run file, the data or the folder are invalid, the loss is not finite, or the
            disk cannot be written (the last checkpoint is kept).
        Interrupted: Ctrl-C, SIGTERM or SIGHUP; the state was saved.
    """
    if resume and overwrite:
        raise UserError("resume and overwrite exclude each other; give one of them")
    check_model(run)
    cluster = this_cluster()
    check_devices(cluster, run.training)
    check_accelerator(run.training, cluster)
    progress = progress or Progress()
    with Interrupts() as interrupts, settings(run.training):
        try:
            if cluster is not None and cluster.rank:
                if not (resume and is_finished(run)):
                    _take_part(run, interrupts, cluster)
                return run.output
            with alone_in(run.output):
                if resume:
                    check_unchanged(run, progress.message)
                if resume and is_finished(run):
                    progress.message(f"{run.output}: this run is finished; nothing is left to do")
                    return run.output
                open_run(run, resume, overwrite)
                _train(run, interrupts, progress, log_every, cluster)
        except OSError as error:
            raise _cannot_write(run, error) from error
        finally:
            progress.stop()
    return run.output


def _take_part(run: config.Run, interrupts: Interrupts, cluster: Cluster) -> None:
    """Run the steps of a process other than the first one."""
    fabric = make_fabric(run.training, cluster=cluster)  # waits until the data are ready
    data = Layout(run.output).data
    if not data.is_dir():
        raise UserError(
            f"{data}: not found by process {cluster.rank}; all processes must see the "
            "output folder of the first one: put it on a shared disk"
        )
    prepared = load_data(run)
    silent = Progress(silent=True)
    fit(run, prepared, build_evaluator(run, prepared), interrupts, silent, 10, fabric)


def _train(
    run: config.Run,
    interrupts: Interrupts,
    progress: Progress,
    log_every: int,
    cluster: Cluster | None,
) -> None:
    layout = Layout(run.output)
    state = take_up(layout, run.training, progress.message)
    check_fingerprint(run, state)
    if not layout.data.exists():
        files = modality_of(run.data).in_files
        what = "reading the training data" if files else "cutting the training data into tokens"
        progress.message(f"{what} ...")
    prepared = prepare_data(run, progress.message, state)
    _say_what_is_left_out(prepared, run, progress)
    own = run.training.devices if cluster is None else 1
    with Workers(layout, own, folder.dump_run(run)) as workers:
        evaluator = build_evaluator(run, prepared)
        if evaluator is not None and evaluator.remark is not None:
            progress.message(f"note: of the dev data {evaluator.remark}")
        if newest(layout) is None:
            _check_before_the_first_step(run, prepared, evaluator, progress)
        workers.wait_until_ready()
        fabric = make_fabric(run.training, store=workers.store, cluster=cluster)
        state = fit(run, prepared, evaluator, interrupts, progress, log_every, fabric)
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
    fabric: Fabric,
) -> RunState:
    """Run the remaining optimizer steps, as one of the processes, and return the last state.

    Raises:
        Interrupted: The run was interrupted; its state is saved.
        UserError: The loss is not finite, or a process of the cluster is gone.
    """
    try:
        state = _fit(run, prepared, evaluator, interrupts, progress, log_every, fabric)
    except RuntimeError as error:
        if not isinstance(fabric.strategy, ClusterStrategy):
            raise
        raise UserError(
            f"process {fabric.global_rank} of {fabric.world_size}: another process of this "
            f"training is gone ({str(error).splitlines()[0]}); continue with --resume"
        ) from error
    finally:
        interrupts.deferred = False
        if torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()
    if interrupts.requested:
        raise Interrupted(f"stopped after the last step; finish {run.output} with --resume")
    return state


def _fit(
    run: config.Run,
    prepared: Prepared,
    evaluator: Evaluator | None,
    interrupts: Interrupts,
    progress: Progress,
    log_every: int,
    fabric: Fabric,
) -> RunState:
    layout = Layout(run.output)
    checkpoint = newest(layout)
    state = RunState() if checkpoint is None else read_state(checkpoint)
    stream = make_stream(run, prepared, state, fabric.global_rank, fabric.world_size)
    if monitor.is_done(state, run.training, stream.total_steps):
        return state
    if state.step == 0:
        warning = warmup_warning(run.training, stream.total_steps, stream.epoch_steps)
        if warning is not None:
            progress.message(warning)
    model = make_model(run, prepared)
    if run.training.start_from is not None and checkpoint is None:
        _start(model, run.training.start_from, prepared, packages_of(run), progress)
    machine = describe_machine(run.training, fabric.world_size)
    first = fabric.is_global_zero
    if run.training.strategy == "fsdp" and fabric.world_size == 1:
        progress.message("training.strategy = 'fsdp' has no effect: there is one process")
    logs = _open_logs(run, layout, state) if first else None
    loop = Loop(run, stream, evaluator, interrupts, logs, progress, log_every, machine)
    if checkpoint is not None:
        progress.message(f"going on after step {state.step} of {stream.total_steps}")
        if (warning := differing(state.machines, machine)) is not None:
            progress.message(warning)
    interrupts.deferred = True
    try:
        saved = None if checkpoint is None else read_checkpoint(checkpoint)
        trainer = Trainer(fabric, model, run, stream.total_steps, interrupts, saved)
        if saved is None:
            trainer.state.run_sha256, trainer.state.data_sha256 = fingerprint(run), data_sha256(run)
            trainer.state.machines = [machine]
        loop.run(trainer)
    finally:
        if logs is not None:
            with contextlib.suppress(OSError):
                logs.close()
    return trainer.state


def _open_logs(run: config.Run, layout: Layout, state: RunState) -> Logs:
    """Open the files and services for curves; services receive no path of this machine."""
    settings = publish(run, run.output).model_dump(mode="json", exclude_none=True)
    own = layout.training / "loggers"
    with contextlib.ExitStack() as opened:
        loggers = [choice.build() for choice in run.training.loggers]
        for logger in loggers:
            own.mkdir(exist_ok=True)
            logger.open(own, settings)
            opened.callback(logger.close)
        logs = Logs(layout.training, state, run.training.metric, loggers)
        opened.pop_all()
    return logs


def build_evaluator(run: config.Run, prepared: Prepared) -> Evaluator | None:
    """Return the evaluator of the dev set, or None without one."""
    if run.data.dev is None:
        return None
    return Evaluator(run, prepared.source, prepared.target)


def make_stream(
    run: config.Run, prepared: Prepared, state: RunState, rank: int = 0, world: int = 1
) -> StepStream:
    """Return the remaining optimizer steps of a run after a state."""
    training = run.training
    batches = TokenBatches(
        prepared.corpus,
        training.batch_tokens,
        run.seed,
        rank=rank,
        world=world,
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
    """Refuse a model that cannot be built, before any data is read and without using memory."""
    check_augmentation(run.data, run.training)
    _outline(run, modality_of(run.data).like(), 8)


def check_accelerator(training: config.Training, cluster: Cluster | None = None) -> None:
    """Refuse GPUs that do not exist, before any data is read."""
    wanted = training.devices if cluster is None else cluster.local_world
    gpus = torch.cuda.device_count()
    if training.accelerator == "gpu" and not (gpus or torch.backends.mps.is_available()):
        raise UserError(
            "training.accelerator = 'gpu': torch finds no GPU on this machine; set it to 'auto' "
            "or 'cpu'"
        )
    for name, there in (("cuda", gpus > 0), ("mps", torch.backends.mps.is_available())):
        if training.accelerator == name and not there:
            raise UserError(
                f"training.accelerator = {name!r}: torch finds no such device on this machine; set "
                "it to 'auto' or 'cpu'"
            )
    if training.accelerator not in ("cpu", "mps") and 0 < gpus < wanted:
        what = f"training.devices = {wanted}" if cluster is None else f"{wanted} processes"
        raise UserError(
            f"{what}: torch finds {gpus} GPUs on this machine; use at most that many, or set "
            "training.accelerator to 'cpu'"
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


def make_fabric(
    training: config.Training, rank: int = 0, store: Path = Path(), cluster: Cluster | None = None
) -> Fabric:
    """Return the Fabric of a run (device, precision, processes) once all processes have joined.

    Args:
        training: The training table.
        rank: Rank of this process, if `Workers` started several.
        store: File that these use to find each other.
        cluster: The cluster, if another launcher started several processes.
    """
    options: dict[str, Any] = {"devices": training.devices}
    sharded = training.strategy == "fsdp"
    if cluster is not None:
        options = {"devices": cluster.local_world, "num_nodes": cluster.nodes}
        options |= {"strategy": ClusterStrategy(sharded), "plugins": [cluster.environment]}
    elif training.devices > 1:
        strategy = LocalStrategy(store, training.devices, sharded)
        options |= {"strategy": strategy, "plugins": [LocalProcesses(rank)]}
    precision = "bf16-mixed" if training.precision == "bf16" else "32-true"
    fabric = Fabric(accelerator=training.accelerator, precision=precision, **options)
    fabric.launch()
    return fabric


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


def _is_missing(error: OSError) -> bool:
    return isinstance(error, FileNotFoundError | IsADirectoryError)


def _cannot_write(run: config.Run, error: OSError) -> UserError:
    layout = Layout(run.output)
    if error.filename and run.output not in Path(error.filename).parents and _is_missing(error):
        return UserError(f"{error.filename}: cannot be read ({error.strerror})")
    if not layout.training.is_dir() and error.errno == errno.ENOENT:
        return UserError(
            f"{run.output}: the folder of this run is gone (moved, renamed or removed while it was "
            "in use); give it its name back and continue with --resume, or start again"
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
        f"{remedy} and continue with --resume"
    )
