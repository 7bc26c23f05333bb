"""No text of a user becomes markup or script, in the pages and pictures that are written."""

import html
import re
import shutil
import subprocess
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch

from kochi.view.page import PictureSide, Side, TextSide, TimeSide, write_page
from kochi.view.picture import save_alignment
from tests.conftest import run_command
from tests.seeing import SIDE, picture_of, save

EVIL = [
    "</script><script>document.title='owned'</script>",
    "<!--<script>",
    "<img src=x onerror=document.title='owned'>",
    "\"'`;document.title='owned'//",
    "</style></title><svg onload=document.title='owned'>",
    "javascript:document.title='owned'",
    "\u2028\u2029\x00\x1b[31m\u202e]]>&lt;&#60;",
    "${document.title='owned'}\\u003cscript\\u003e",
]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
in_chromium = pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")


def sides(tmp_path: Path) -> dict[str, Side]:
    """Return one of each kind of thing that a model reads, as far as there is text in it."""
    save(picture_of(("red", "blue")), tmp_path / "a.png")
    frames = np.random.default_rng(1).random((20, 4))
    return {
        "text": TextSide(tuple(EVIL), tuple(EVIL), tuple(range(len(EVIL)))),
        "sound": TimeSide(frames, 2.0, 0.25, 0.125, b"RIFF"),
        "picture": PictureSide(
            (tmp_path / "a.png").read_bytes(), 3 * SIDE, SIDE, SIDE / 2, SIDE / 2
        ),
    }


def page(folder: Path, kind: str) -> Path:
    """Write a page of hostile texts; return it."""
    read = sides(folder)[kind]
    places = 12 if kind == "picture" else len(EVIL)
    heads = np.full((2, 2, len(EVIL), places), 1 / places)
    starts = tuple(float(place) / 8 for place in range(len(EVIL)))
    written = TextSide(tuple(EVIL), tuple(EVIL), tuple(range(len(EVIL))), starts)
    path = folder / f"{kind}.html"
    write_page(path, read, written, heads, " ".join(EVIL))
    return path


def browse(path: Path) -> tuple[str, str]:
    """Open a page in Chromium; return its document afterwards, and what its console said."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [
            *(CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr"),
            *("--v=0", f"--user-data-dir={path.parent / 'profile'}"),
            *("--virtual-time-budget=2000", "--dump-dom", path.as_uri()),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return done.stdout, "\n".join(console)


@pytest.mark.parametrize("kind", ["text", "sound", "picture"])
def test_a_page_allows_its_own_style_and_script_only(tmp_path: Path, kind: str) -> None:
    text = page(tmp_path, kind).read_text("utf-8")
    policy = re.findall('<meta http-equiv="Content-Security-Policy" content="([^"]*)">', text)
    assert len(policy) == 1
    assert "default-src 'none'" in policy[0]
    assert "unsafe" not in policy[0]
    assert len(re.findall("sha256-", policy[0])) == 2
    assert "<script>document" not in text
    assert not re.search(r"<[^>]*\sstyle=", text)
    assert not re.search(r"<[^>]*\son[a-z]+=", text)


@in_chromium
@pytest.mark.parametrize("kind", ["text", "sound", "picture"])
def test_a_page_works_in_a_browser(tmp_path: Path, kind: str) -> None:
    document, console = browse(page(tmp_path, kind))
    assert console == ""
    found = re.search("<title>(.*?)</title>", document, re.S)
    assert found is not None and html.unescape(found[1]).startswith("</script><script>")
    words = re.findall('<button[^>]*class="word', document)
    assert len(words) == len(EVIL) * (2 if kind == "text" else 1) + (kind == "text")
    assert "step 1 of 8" in document


@in_chromium
@pytest.mark.parametrize(
    "more",
    ["<script>document.title='owned'</script>", "<img src=x onerror=document.title='owned'>"],
)
def test_a_browser_refuses_what_is_added(tmp_path: Path, more: str) -> None:
    """What would happen if a text did become markup."""
    path = page(tmp_path, "text")
    path.write_text(path.read_text("utf-8").replace("</html>", f"{more}</html>"), encoding="utf-8")
    document, console = browse(path)
    assert "<title>owned" not in document
    assert "Content Security Policy" in console


def test_the_page_of_an_answer(tiny: Path, tmp_path: Path) -> None:
    model = tmp_path / "<script>alert(1)</script>\u2028'\""
    shutil.copytree(tiny, model)
    for source in EVIL:
        out = tmp_path / "a.html"
        result = run_command("show", model, source, "--out", out)
        assert result.code == 0, result.err
        text = out.read_text("utf-8")
        assert text.count("<script") == 2
        assert text.count("</script>") == 2
        assert "<img" not in text
        assert "<svg" not in text


def test_pictures_hold_texts_as_texts(tmp_path: Path) -> None:
    out = tmp_path / "a.svg"
    count = len(EVIL)
    save_alignment(torch.eye(count), EVIL, EVIL, out, title=" ".join(EVIL))
    root = ElementTree.fromstring(out.read_bytes())  # it is XML
    names = {element.tag.rpartition("}")[2] for element in root.iter()}
    assert not names & {"script", "img", "foreignObject", "a"}
    keys = {key for element in root.iter() for key in element.attrib}
    assert not {key for key in keys if key.lower().startswith("on")}
    addresses = [
        value
        for element in root.iter()
        for key, value in element.attrib.items()
        if key.rpartition("}")[2] == "href"
    ]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert any("script" in (element.text or "") for element in root.iter())
