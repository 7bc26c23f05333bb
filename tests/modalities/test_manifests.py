"""Where the files of a manifest are that the run file does not name."""

import pytest

from kochi import config
from kochi.modalities.manifests import for_manifest
from kochi.modalities.pairs import read_pairs

TABLES = {
    "picture": {"image_folder": "files", "boxes_column": "boxes"},
    "sound": {"audio_folder": "files"},
}
COLUMNS = {"picture": "image", "sound": "audio"}


def sources_of(data, manifest):
    data = for_manifest(data, manifest).model_copy(update={"test": manifest})
    (pair,) = read_pairs(data, "test")
    return pair.source.path if data.kind == "picture" else pair.source.paths[0]


@pytest.mark.parametrize("kind", TABLES)
def test_the_nearest_file_is_taken(kind, tmp_path):
    table = {"kind": kind, "train": "train.tsv", "folder": str(tmp_path / "training")}
    tree = {"data": table | TABLES[kind], "model": {"kind": "rnn"}}
    data = config.check_run(tree, "test").data
    elsewhere = tmp_path / "elsewhere"
    manifest = elsewhere / "mine.tsv"
    places = [tmp_path / "training" / "files", elsewhere, elsewhere / "files"]
    for place in places:
        place.mkdir(parents=True, exist_ok=True)
    manifest.write_text(f"{COLUMNS[kind]}\ttext\na.x\tred\n")
    assert sources_of(data, manifest) == elsewhere / "files" / "a.x"  # missed beside the manifest
    for place in places:  # from the last that is looked into to the first
        (place / "a.x").write_bytes(b"")
        assert sources_of(data, manifest) == place / "a.x"
