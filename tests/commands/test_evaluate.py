import json

from kochi.config import check_run


def test_split_of_the_run_file(kochi, tiny):
    result = kochi("evaluate", tiny, "dev")
    assert result.code == 0, result.err
    assert result.lines[0] == "30 sources"
    assert result.lines[1].startswith("PER ")
    assert result.lines[2].startswith("WER ")
    assert result.lines[3].startswith("exact match ")
    assert all(line.endswith("|search:beam-2") for line in result.lines[1:])


def test_file_with_json_and_answers(kochi, tiny, tmp_path):
    file = tmp_path / "more.tsv"
    file.write_text("source\ttarget\nabc\tA B C\nfed\tX E D\nfed\tF E D\nbad\tB A F\n")
    out = tmp_path / "answers.txt"
    result = kochi("evaluate", tiny, file, "--metric", "exact", "--json", "--out", out)
    record = json.loads(result.out)
    assert (record["rows"], record["pairs"]) == (4, 3)  # "fed" has two right answers
    assert record["beam"] == 2
    exact = record["scores"]["exact"]
    assert round(exact["value"], 3) == 66.667
    assert exact["low"] <= exact["value"] <= exact["high"]
    assert exact["confidence"] == 95.0
    assert "exact" in exact["signature"]
    assert out.read_text() == "A B C\nF E D\nB A D\n"


def test_metrics_follow_the_target(tiny):
    from kochi.commands.evaluate import default_metrics
    from kochi.folder import load_folder

    run = load_folder(tiny).run
    assert default_metrics(run, "rows") == ["per", "wer", "exact"]
    assert default_metrics(run, "words") == ["per", "exact"]
    tree = run.model_dump(mode="json", exclude_none=True)
    tree["data"]["target"]["tokens"] = "bpe"
    tree["training"]["metric"] = "loss"
    assert default_metrics(check_run(tree, "test"), "words") == ["bleu", "chrf"]


def test_parallel_data_take_a_source_and_target_files(kochi, tiny, tmp_path):
    from pathlib import Path

    from kochi.modalities import modality_of
    from kochi.modalities.text.tables import ParallelData, ParallelFiles

    files = ParallelFiles(source=Path("a"), target=Path("b"))
    data = ParallelData(kind="parallel", train=files)
    test = (
        modality_of(data).with_test([tmp_path / "x.en", tmp_path / "x.de", tmp_path / "y.de"]).test
    )
    assert isinstance(test, ParallelFiles)
    assert test.source == tmp_path / "x.en"
    assert test.target == [tmp_path / "x.de", tmp_path / "y.de"]
