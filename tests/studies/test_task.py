"""The tasks of studies."""

from kochi.studies.language import Knobs, Part
from kochi.studies.task import made_up

PARTS = {"train": Part(6), "dev": Part(3), "test": Part(3)}
SMALL = Knobs(nouns=4, adjectives=2, verbs=3)


def test_data_are_written_anew_where_other_ones_are_wanted(tmp_path):
    def train(**options):
        return (made_up(tmp_path, 8, **options).task(1).run.data.folder / "train.tsv").read_text()

    first = train(knobs=SMALL, parts=PARTS)
    assert train(knobs=SMALL, parts=PARTS) == first
    more = train(knobs=SMALL, parts=PARTS | {"train": Part(8)})
    assert len(more.splitlines()) == 9 > len(first.splitlines())
    assert train(knobs=SMALL, parts=PARTS) == first


def test_data_that_are_there_are_not_written_again(tmp_path):
    made_up(tmp_path, 8, SMALL, PARTS).task(1)
    marked = tmp_path / "1" / "train.tsv"
    marked.write_text("source\ttarget\nmine\tmine\n")
    made_up(tmp_path, 8, SMALL, PARTS).task(1)
    assert "mine" in marked.read_text()
