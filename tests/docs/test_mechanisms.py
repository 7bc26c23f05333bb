"""The pages of the mechanisms: their code runs, their sources and numbers are ours."""

import importlib
import inspect
import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from kochi.attention import RELATIVES, SCOPES, SCORES, SELECTIONS

HERE = Path(__file__).parent.parent.parent / "docs" / "mechanisms"
NAMES = (*SCORES, *RELATIVES, *SCOPES, *SELECTIONS)
PAGES = sorted(page.name for page in HERE.glob("*.md"))
COMPONENTS = {
    name: slot.component(name) for slot in (SCORES, RELATIVES, SCOPES, SELECTIONS) for name in slot
}
LARGEST = 40_000  # bytes of a picture


def read(page: str) -> str:
    return (HERE / page).read_text("utf-8")


@pytest.fixture
def draw(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(HERE)
    return importlib.import_module("draw")


@pytest.fixture
def costs(draw: ModuleType) -> ModuleType:
    return importlib.import_module("costs")


@pytest.mark.usefixtures("shapes_unchecked")
@pytest.mark.parametrize("page", PAGES)
def test_code_runs(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"^```python\n(.*?)^```", read(page), re.M | re.S)
    assert blocks
    names: dict[str, object] = {}
    for block in blocks:
        exec(compile(block, page, "exec"), names)


@pytest.mark.parametrize("name", NAMES)
def test_every_mechanism_has_a_page_with_its_sources(name: str) -> None:
    page = read(f"{name}.md")
    module = inspect.getmodule(COMPONENTS[name])
    assert module is not None
    for address in re.findall(r"https://\S+/\d{4}\.\d+", inspect.getsource(module)):
        assert address in page, f"{name}.md does not name {address}"
    assert f"[{name}]({name}.md)" in read("README.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    text = read(page)
    linked = re.findall(r"\]\((?!http)([^)#]+)[^)]*\)", text) + re.findall(r'src="([^"]+)"', text)
    for target in linked:
        assert (HERE / target).exists(), target


def test_pictures_are_small_and_shown() -> None:
    shown = {name for page in PAGES for name in re.findall(r"pictures/(\w+\.png)", read(page))}
    drawn = {picture.name for picture in (HERE / "pictures").iterdir()}
    assert drawn == shown
    for picture in (HERE / "pictures").iterdir():
        assert picture.stat().st_size < LARGEST, picture.name


def test_pages_have_the_measured_numbers(costs: ModuleType) -> None:
    found = json.loads(costs.FOUND.read_text("utf-8"))
    assert set(found) == set(costs.PARTS) >= set(NAMES)
    for name, cost in found.items():
        assert costs.HEADING + costs.row(cost) in read(f"{name}.md"), name
        assert {key: cost[key] for key in ("parameters", "kernel")} == costs.facts(
            costs.PARTS[name]
        )


@pytest.mark.usefixtures("shapes_unchecked")
def test_costs_are_measured_and_written(
    costs: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"ROUNDS": 1, "BATCH": 2, "LENGTH": 5, "SIZE": 8, "WORDS": 2}.items():
        monkeypatch.setattr(costs, name, value)
    monkeypatch.setattr(costs, "HERE", tmp_path)
    monkeypatch.setattr(costs, "FOUND", tmp_path / "costs.json")
    parts = {name: costs.PARTS[name] for name in ("additive", "coverage", "hard", "t5", "causal")}
    monkeypatch.setattr(costs, "PARTS", parts)
    (tmp_path / "coverage.md").write_text(f"{costs.HEADING}| 1 | 2.00 | 3.00 | old |\nrest\n")
    assert costs.main([]) == 0
    found = json.loads((tmp_path / "costs.json").read_text())
    assert list(found) == list(parts)
    assert found["coverage"]["parameters"] == 1 and found["t5"]["parameters"] == 32 * 4
    assert min(cost[what] for cost in found.values() for what in ("step", "alone")) > 0.0
    expected = costs.HEADING + costs.row(found["coverage"]) + "rest\n"
    assert (tmp_path / "coverage.md").read_text() == expected


def test_words_that_are_drawn_are_kept_out(draw: ModuleType, tmp_path: Path) -> None:
    draw.write_data(tmp_path)
    words = [
        line.split("\t")[0]
        for split in ("train", "dev")
        for line in (tmp_path / f"{split}.tsv").read_text().splitlines()[1:]
    ]
    assert len(words) == len(set(words)) > 50_000
    assert not {"kitchen", "kitchens", "taxi", "phone", "phones"} & set(words)
    assert "photo" in words


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "changes"),
    [("sparsemax", []), ("causal", ["model.size=8"]), ("alibi", ["model.size=8"])],
)
def test_draws(
    draw: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    changes: list[str],
) -> None:
    draw.write_data(tmp_path / "data")
    for split in ("train", "dev"):
        lines = (tmp_path / "data" / f"{split}.tsv").read_text().splitlines()[:200]
        (tmp_path / "data" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    monkeypatch.setattr(draw, "FOLDER", tmp_path / "data")
    monkeypatch.setattr(draw, "PICTURES", tmp_path / "pictures")
    mechanism = draw.MECHANISMS[name]
    small = (*mechanism.changes, *changes, "training.max_steps=2", "search.max_length_extra=2")
    monkeypatch.setattr(
        draw,
        "MECHANISMS",
        {name: draw.Mechanism((*small, f"data.folder={tmp_path / 'data'}"), mechanism.shown)},
    )
    picture = tmp_path / "pictures" / f"{name}.png"
    assert draw.main([]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    picture.write_bytes(b"drawn already")
    assert draw.main([]) == 0
    assert picture.read_bytes() == b"drawn already"
