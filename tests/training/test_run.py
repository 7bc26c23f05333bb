import csv
import errno
import io
import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kochi import config, folder
from kochi.errors import Interrupted, UserError
from kochi.training.finish import average, nothing_right
from kochi.training.layout import Layout
from kochi.training.prepare import alone_in
from kochi.training.progress import Progress
from kochi.training.run import train

pytestmark = pytest.mark.usefixtures("shapes_unchecked")  # they double the time

MakeRun = Callable[..., config.Run]


class Impatient(Progress):
    """Press Ctrl-C once, at the n-th step or the n-th evaluation."""

    def __init__(self, step: int = 0, evaluation: int = 0) -> None:
        super().__init__(silent=True)
        self.steps_left, self.evaluations_left = step, evaluation

    def is_due(self) -> bool:
        self.steps_left -= 1
        if self.steps_left == 0:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    def evaluating(self) -> None:
        self.evaluations_left -= 1
        if self.evaluations_left == 0:
            os.kill(os.getpid(), signal.SIGTERM)


def _train(run: config.Run, **options: bool) -> bytes:
    return (train(run, progress=Progress(silent=True), **options) / folder.WEIGHTS).read_bytes()


def _metrics(run: config.Run) -> dict:
    return folder.load_folder(run.output).metrics


def _evaluations(run: config.Run) -> list[dict[str, str]]:
    with (run.output / "training" / "evaluations.csv").open() as file:
        return list(csv.DictReader(file))


# --------------------------------------------------------------------------------- the usual course


def test_a_run_learns_and_leaves_a_whole_model_folder(make_run: MakeRun) -> None:
    run = make_run(epochs=4, metric="wer")
    _train(run)
    found = folder.load_folder(run.output)
    assert found.run == run
    losses = [float(row["loss"]) for row in _evaluations(run)]
    assert len(losses) == 4
    assert losses[3] < losses[0] - 0.1
    best = min(_evaluations(run), key=lambda row: float(row["metric"]))
    assert found.metrics["dev"]["value"] == pytest.approx(float(best["metric"]))
    assert found.metrics["averaged_steps"] == [int(best["step"])]
    assert found.metrics["seed"] == 1
    weights = folder.weights_of(found.model())
    assert found.metrics["parameters"] == sum(tensor.numel() for tensor in weights.values())
    card = (run.output / "README.md").read_text()
    assert f"{found.metrics['parameters']:,}" in card
    assert "kochi.load" in card


def test_the_seed_governs_all(make_run: MakeRun) -> None:
    first = _train(make_run("a"))
    torch.rand(3)  # what happens outside does not matter
    assert _train(make_run("b")) == first
    assert _train(make_run("c", seed=2)) != first


def test_nothing_outside_the_output_is_changed(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    before = dict(os.environ), torch.get_float32_matmul_precision(), torch.get_rng_state()
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    _train(make_run(max_steps=2, matmul_precision="medium"))
    assert os.listdir(tmp_path / "elsewhere") == []
    assert (dict(os.environ), torch.get_float32_matmul_precision()) == before[:2]
    assert torch.equal(torch.get_rng_state(), before[2])
    assert handlers == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert capsys.readouterr() == ("", "")


def test_bf16_trains_another_model_that_learns_too(make_run: MakeRun) -> None:
    assert _train(make_run("a", precision="bf16")) != _train(make_run("b"))
    losses = [_metrics(make_run(name))["dev"]["loss_nats_per_token"] for name in "ab"]
    assert losses[0] == pytest.approx(losses[1], rel=0.02)


def test_the_last_weights_are_averaged(make_run: MakeRun) -> None:
    run = make_run(epochs=3, average_last=2)
    _train(run)
    steps = [int(row["step"]) for row in _evaluations(run)]
    layout = Layout(run.output)  # the checkpoint before the last counts on the first two
    assert {f.name.split(".")[0] for f in layout.weights.iterdir()} == {
        f"step-{step:08}" for step in steps
    }
    first, last = (folder.read_weights(layout.weights_at(step)) for step in steps[1:])
    found = folder.load_folder(run.output)
    for name, tensor in found.weights.items():
        assert torch.allclose(tensor, (first[name] + last[name]) / 2)
        assert not torch.equal(tensor, last[name])
    losses = [float(row["loss"]) for row in _evaluations(run)[1:]]
    assert found.metrics["dev"]["loss_nats_per_token"] not in losses


def test_an_average_sums_in_double_precision() -> None:
    big, small = 2.0**24, 1.0  # in single precision their sum would be 2 ** 24
    weights = [{"w": torch.tensor([value])} for value in (big, small, small, -big)]
    assert average(weights)["w"].tolist() == [0.5]


def test_training_stops_when_the_metric_does_not_improve(make_run: MakeRun) -> None:
    run, stream = make_run(epochs=9, patience=2, learning_rate=1e-30), io.StringIO()
    train(run, progress=Progress(stream))
    assert "stopping here: on dev loss has not improved for 2 evaluations" in stream.getvalue()
    assert len(_evaluations(run)) == 3
    assert _metrics(run)["epochs"] == 3


@pytest.mark.parametrize(
    ("metric", "value", "warns"),
    [("exact", 0.0, True), ("exact", 1.0, False), ("wer", 0.0, False), ("loss", None, False)],
)
def test_a_metric_that_stayed_at_nothing_warns(
    metric: str, value: float | None, warns: bool
) -> None:
    metrics = {"dev": {"metric": metric}, "best": {"value": value}}
    remark = nothing_right(metrics)
    assert (remark is not None and f"on dev {metric} was 0" in remark) is warns


def test_evaluations_and_checkpoints_count_steps(make_run: MakeRun) -> None:
    run = make_run(evaluate_every=3, max_steps=8)
    _train(run)
    assert [int(row["step"]) for row in _evaluations(run)] == [3, 6, 8]


def test_without_a_dev_set_the_last_weights_are_the_model(make_run: MakeRun) -> None:
    run = make_run(data={"dev": None}, metric="bleu", patience=1)
    _train(run)
    found = _metrics(run)
    assert found["dev"] == {"metric": "bleu", "value": None, "loss_nats_per_token": None}
    assert found["averaged_steps"] == [found["steps"]]
    assert "no dev set was given" in (run.output / "README.md").read_text()


def test_pairs_that_are_left_out_are_counted(make_run: MakeRun) -> None:
    stream = io.StringIO()
    train(make_run(data={"max_length": 4}, max_steps=1), progress=Progress(stream))
    assert "of 120 training pairs are left out: longer than data.max_length = 4" in (
        stream.getvalue()
    )


# ------------------------------------------------------------------------------ stop, start, refuse


@pytest.mark.parametrize("when", [{"step": 1}, {"step": 5}, {"evaluation": 1}, {"evaluation": 2}])
def test_ctrl_c_saves_and_the_resumed_run_ends_in_the_same_model(
    make_run: MakeRun, when: dict[str, int]
) -> None:
    options = {"metric": "wer", "average_last": 2, "checkpoint_every": 0}
    whole = _train(make_run("whole", **options))
    run = make_run("broken", **options)
    with pytest.raises(Interrupted, match=r"stopped after step \d+ of \d+.*--resume"):
        train(run, progress=Impatient(**when))
    assert not folder.is_whole(run.output)
    assert _train(run, resume=True) == whole
    assert [row["step"] for row in _evaluations(run)] == [
        row["step"] for row in _evaluations(make_run("whole"))
    ]


def test_a_full_disk_leaves_the_last_checkpoint_and_one_line(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = _train(make_run("whole", checkpoint_every=2))
    run = make_run("broken", checkpoint_every=2)
    write, count = folder.write_through, 0

    def full(path: Path, content: bytes) -> None:
        nonlocal count
        count += path.name.startswith("last.ckpt")
        if count == 3:
            path.write_bytes(content[:100])
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(folder, "write_through", full)
        with pytest.raises(UserError, match=r"last\.ckpt.*No space left.*step 4\) is whole.*--res"):
            _train(run)
    assert _train(run, resume=True) == whole


def test_a_loss_that_is_not_finite_ends_the_run(make_run: MakeRun) -> None:
    run = make_run(learning_rate=3e38, gradient_clip=0.0)
    with pytest.raises(UserError, match=r"step \d+: the (loss|gradient) is not finite"):
        _train(run)
    assert not folder.is_whole(run.output)


@pytest.mark.parametrize(
    ("key", "changes"),
    [
        ("model.hidden_size was 8 .* is 16 now", {"model": {"hidden_size": 16}}),
        ("model.kind was 'plain' .* is 'rnn' now", {"model": {"kind": "rnn"}}),
        ("seed was 1 .* is 2 now", {"seed": 2}),
        ("data.max_length was 256 .* is 9 now", {"data": {"max_length": 9}}),
        ("training.batch_tokens was 128 .* is 64 now", {"batch_tokens": 64}),
        ("training.patience|training.gradient_clip was 1.0", {"gradient_clip": 2.0}),
    ],
)
def test_a_resume_with_another_run_file_names_the_key(
    make_run: MakeRun, key: str, changes: dict
) -> None:
    with pytest.raises(Interrupted):
        train(make_run(), progress=Impatient(step=2))
    with pytest.raises(UserError, match=key):
        _train(make_run(**changes), resume=True)


def test_a_resume_with_other_data_names_the_file(make_run: MakeRun, letters, tmp_path) -> None:
    own = tmp_path / "own"
    shutil.copytree(letters, own)
    run = make_run(data={"folder": str(own)})
    with pytest.raises(Interrupted):
        train(run, progress=Impatient(step=2))
    for split in ("dev", "train"):
        with (own / f"{split}.tsv").open("a") as file:
            file.write("a b\tb a\n")
        with pytest.raises(UserError, match=rf"{split}\.tsv: data\.{split} has changed"):
            _train(run, resume=True)


@pytest.mark.parametrize(
    "selection", ["hard", {"kind": "hard", "expected_share": 0.5}, "gumbel", "monotonic"], ids=str
)
def test_what_is_drawn_is_drawn_again_after_a_resume(make_run: MakeRun, selection: object) -> None:
    model = {"kind": "rnn", "attention": {"score": "general", "selection": selection}}
    options = {"checkpoint_every": 0, "coverage_weight": 0.1}
    whole = _train(make_run("whole", model=model, **options))
    run = make_run("broken", model=model, **options)
    with pytest.raises(Interrupted, match="--resume"):
        train(run, progress=Impatient(step=5))
    assert _train(run, resume=True) == whole


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_place_is_summed_out_from_run_file_to_answer(make_run: MakeRun, precision: str) -> None:
    import kochi

    attention = {"score": "general", "selection": "marginal"}
    model = {"kind": "rnn", "order": "luong", "input_feeding": False, "attention": attention}
    options = {"metric": "wer", "checkpoint_every": 0, "coverage_weight": 0.1, "epochs": 3}
    whole = make_run("whole", model=model, precision=precision, **options)
    weights = _train(whole)
    run = make_run("broken", model=model, precision=precision, **options)
    with pytest.raises(Interrupted, match="--resume"):
        train(run, progress=Impatient(step=5))
    assert _train(run, resume=True) == weights
    losses = [float(row["loss"]) for row in _evaluations(whole)]
    assert losses[2] < losses[0] - 0.1
    model = kochi.load(whole.output)
    alone = model.predict(["a b c"], beam=3, n_best=3, need_alignment=True)[0]
    assert alone.alignment is not None
    sums = alone.alignment.sum(-1)
    torch.testing.assert_close(sums, torch.ones_like(sums))
    assert len(alone.n_best) == 3
    together = model.predict(["f", "a b c", "e d c b a"], beam=3)[1]
    assert together.tokens == alone.tokens
    assert together.score == pytest.approx(alone.score)


def test_a_finished_run_is_left_alone_and_can_be_made_longer(make_run: MakeRun) -> None:
    run, longer = make_run(epochs=1), make_run(epochs=2)
    _train(run)
    before = (run.output / "metrics.json").stat().st_mtime_ns
    stream = io.StringIO()
    assert train(run, resume=True, progress=Progress(stream)) == run.output
    assert "this run is finished" in stream.getvalue()
    assert (run.output / "metrics.json").stat().st_mtime_ns == before
    assert _train(longer, resume=True) == _train(make_run("whole", epochs=2))


def test_a_new_run_overwrites_nothing_unasked(make_run: MakeRun) -> None:
    run = make_run()
    with pytest.raises(Interrupted):
        train(run, progress=Impatient(step=2))
    with pytest.raises(UserError, match=r"holds an unfinished run.*--resume.*--overwrite"):
        _train(run)
    first = _train(run, overwrite=True)
    with pytest.raises(UserError, match=r"holds a finished model.*--overwrite"):
        _train(run)
    other = make_run(seed=5)
    assert _train(other, overwrite=True) != first
    with pytest.raises(UserError, match="resume and overwrite exclude each other"):
        _train(run, resume=True, overwrite=True)


def test_an_old_model_stays_until_the_new_one_is_whole(make_run: MakeRun) -> None:
    run = make_run()
    old = _train(run)
    with pytest.raises(Interrupted):
        train(make_run(seed=2), overwrite=True, progress=Impatient(step=2))
    assert folder.load_folder(run.output).run.seed == 1
    assert (run.output / folder.WEIGHTS).read_bytes() == old
    assert _train(make_run(seed=2), resume=True) == _train(make_run("whole", seed=2))


def test_a_resume_of_nothing_is_a_start(make_run: MakeRun) -> None:
    assert _train(make_run("a"), resume=True) == _train(make_run("b"))


def test_an_output_that_is_a_file_is_refused(make_run: MakeRun) -> None:
    run = make_run()
    run.output.write_text("mine")
    with pytest.raises(UserError, match=r"out: is a file; output must name a folder"):
        _train(run)


def test_a_run_that_never_got_its_data_is_not_in_the_way(make_run: MakeRun) -> None:
    with pytest.raises(UserError, match=r"nothing\.tsv"):
        _train(make_run(data={"train": "nothing.tsv"}))
    _train(make_run(max_steps=1))


def test_two_trainings_do_not_share_a_folder(make_run: MakeRun) -> None:
    run = make_run(max_steps=1)
    with alone_in(run.output), pytest.raises(UserError, match="another training run is using"):
        _train(run)
    _train(run)


def test_a_finished_run_is_not_taken_for_another_one(make_run: MakeRun) -> None:
    _train(make_run(max_steps=1))
    with pytest.raises(UserError, match=r"seed was 1 .* is 2 now"):
        _train(make_run(max_steps=1, seed=2), resume=True)


@pytest.mark.parametrize("average_last", [1, 2])
def test_the_end_is_told_in_one_line(make_run: MakeRun, average_last: int) -> None:
    stream = io.StringIO()
    run = make_run(max_steps=6, evaluate_every=3, average_last=average_last, metric="wer")
    train(run, progress=Progress(stream))
    found = _metrics(run)
    steps = ", ".join(map(str, found["averaged_steps"]))
    what = f"weights of step {steps}"
    if average_last == 2:
        what = "average of the weights of steps 3, 6"
    dev = found["dev"]
    score = f"dev loss {dev['loss_nats_per_token']:.3f}, greedy wer {dev['value']:.2f}"
    assert stream.getvalue().splitlines()[-1] == f"{what}: {score}"


def test_a_model_that_cannot_be_built_is_one_line(make_run: MakeRun) -> None:
    attention = {"score": "scaled_dot", "num_heads": 3}
    run = make_run(model={"kind": "rnn", "attention": attention})
    with pytest.raises(UserError, match=r"model: .*num_heads"):
        _train(run)


def test_gpus_that_are_not_there_are_one_line(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(
        UserError, match="torch finds no GPU on this machine; set it to 'auto' or 'cpu'"
    ):
        _train(make_run(accelerator="gpu"))
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"training\.devices = 3: torch finds 2 GPUs on this"):
        _train(make_run(accelerator="auto", devices=3))


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_kind_of_gpu_that_is_not_there(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UserError, match=f"accelerator = '{name}': torch finds no such device on"):
        _train(make_run(accelerator=name))


def test_what_training_wrote_is_plain_data(make_run: MakeRun) -> None:
    run = make_run(max_steps=3)
    _train(run)
    checkpoint = torch.load(run.output / "training" / "last.ckpt", weights_only=True)
    assert checkpoint["kochi"]["step"] == 3
    assert json.loads((run.output / "metrics.json").read_text())["steps"] == 3
