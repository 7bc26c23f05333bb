import pytest

from kochi import config
from kochi.errors import UserError
from kochi.training.schedules import Course
from kochi.training.schedules.cosine import cosine
from kochi.training.schedules.inverse_sqrt import inverse_sqrt
from kochi.training.schedules.plateau import plateau
from kochi.training.state import Evaluation


def _losses(*losses: float) -> list[Evaluation]:
    return [Evaluation(10 * i, 1, loss, None, 0.0) for i, loss in enumerate(losses, 1)]


def _run(**schedule: object) -> config.Run:
    tree = {"data": {"kind": "tsv", "train": "x"}, "model": {"kind": "rnn"}}
    return config.check_run(tree | {"training": {"schedule": schedule}}, "run.toml")


def _share(course: Course, **schedule: object) -> float:
    return _run(**schedule).training.schedule.build().share(course)


def test_inverse_sqrt_is_the_formula_of_the_paper_up_to_a_constant() -> None:
    warmup, model_size = 7, 512
    for step in (1, 3, 7, 8, 100):
        paper = model_size**-0.5 * min(step**-0.5, step * warmup**-1.5)
        assert inverse_sqrt(step, warmup) == pytest.approx(paper * (model_size * warmup) ** 0.5)


def test_cosine_meets_its_ends_and_its_middle() -> None:
    assert cosine(10, 10, 110, 0.2) == pytest.approx(1.0)
    assert cosine(60, 10, 110, 0.2) == pytest.approx(0.6)
    assert cosine(110, 10, 110, 0.2) == pytest.approx(0.2)
    assert cosine(500, 10, 110, 0.2) == pytest.approx(0.2)


def test_cosine_rises_to_the_peak_within_the_warm_up() -> None:
    assert [cosine(step, 4, 100) for step in (1, 2, 3, 4)] == [0.25, 0.5, 0.75, 1.0]


@pytest.mark.parametrize(
    ("losses", "share"),
    [
        ((), 1.0),
        ((3.0,), 1.0),
        ((3.0, 3.5), 1.0),
        ((3.0, 3.5, 3.2), 0.1),  # two in a row without a new best
        ((3.0, 3.5, 2.0, 2.5), 1.0),  # a new best in between
        ((3.0, 3.5, 3.2, 3.1), 0.1),  # the count starts again
        ((3.0, 3.5, 3.2, 3.1, 3.3), 0.01),
    ],
)
def test_plateau_waits_and_reduces(losses: tuple[float, ...], share: float) -> None:
    found = plateau(99, 1, _losses(*losses), metric="loss", factor=0.1, patience=2)
    assert found == pytest.approx(share)


def test_plateau_knows_that_a_higher_bleu_is_better() -> None:
    rising = [Evaluation(i, 1, 1.0, float(i), 0.0) for i in range(5)]
    falling = [Evaluation(i, 1, 1.0, -float(i), 0.0) for i in range(5)]
    options = {"factor": 0.5, "patience": 2}
    assert plateau(99, 1, rising, metric="bleu", **options) == 1.0
    assert plateau(99, 1, falling, metric="bleu", **options) == 0.25
    assert plateau(99, 1, rising, metric="wer", **options) == 0.25


@pytest.mark.parametrize(
    ("kind", "options", "expected"),
    [
        ("inverse_sqrt", {}, 0.5),
        ("cosine", {"final_fraction": 0.5}, 0.75),
        ("constant", {}, 1.0),
        ("plateau", {"patience": 1}, 0.5),
    ],
)
def test_the_run_file_chooses_the_schedule(
    kind: str, options: dict[str, float], expected: float
) -> None:
    course = Course(8, 14, _losses(1.0, 2.0))
    assert _share(course, kind=kind, warmup_steps=2, **options) == pytest.approx(expected)


def test_older_model_folders_name_the_options_of_all_schedules() -> None:
    older = {"warmup_steps": 7, "final_fraction": 0.0, "factor": 0.5, "patience": 2}
    for kind, kept in (("inverse_sqrt", 1), ("cosine", 2), ("plateau", 3), ("constant", 1)):
        assert len(_run(kind=kind, **older).training.schedule.options) == kept
    with pytest.raises(UserError, match="schedule 'cosine': got the option 'patience', expected"):
        _run(kind="cosine", patience=5)
    with pytest.raises(UserError, match=r"training\.schedule: got \[1\], expected one of"):
        _run(kind=[1])


@pytest.mark.parametrize("kind", ["inverse_sqrt", "cosine", "constant", "plateau"])
def test_warm_up_is_linear_and_no_warm_up_starts_at_the_peak(kind: str) -> None:
    warm = [_share(Course(step, 50), kind=kind, warmup_steps=5) for step in (1, 2, 5)]
    assert warm == pytest.approx([0.2, 0.4, 1.0])
    cold = _share(Course(1, 5000), kind=kind, warmup_steps=0)
    assert cold == pytest.approx(1.0, rel=1e-3)
