import io
import json
import re
import time

import matplotlib.image
import numpy as np
import pytest
import soundfile

from kochi.errors import UserError
from kochi.view.page import PictureSide, Side, TextSide, TimeSide, direction, write_page
from tests.seeing import SIDE, picture_of, save

READ = TextSide(("▁the", "▁c", "at", "<eos>"), ("the", "cat"), (0, 1, 1, None))
WRITTEN = TextSide(("▁le", "▁ch", "at"), ("le", "chat"), (0, 1, 1))
# Layers, heads, tokens written, tokens read: the second layer looks elsewhere than the first.
HEADS = np.array(
    [
        [
            [[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
            [[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 1.0, 0.0], [0.0, 0.0, 0.0, 1.0]],
        ],
        [
            [[0.6, 0.2, 0.2, 0.0], [0.1, 0.2, 0.6, 0.1], [0.3, 0.1, 0.5, 0.1]],
            [[0.8, 0.0, 0.2, 0.0], [0.1, 0.4, 0.4, 0.1], [0.1, 0.3, 0.5, 0.1]],
        ],
    ]
)


def page(tmp_path, read: Side = READ, written=WRITTEN, heads=HEADS, title="le chat"):
    write_page(tmp_path / "a.html", read, written, heads, title)
    return tmp_path / "a.html"


def test_the_page_needs_nothing_else(tmp_path):
    text = page(tmp_path).read_text("utf-8")
    assert "default-src 'none'" in text
    outside = re.findall(r"(?:src|href)\s*=\s*[\"']?(?!data:)[^\"'> ]+", text)
    assert not outside
    addresses = set(re.findall(r"https?://[^\"' )]+", text))
    assert addresses == {"http://www.w3.org/2000/svg"}  # a name, which nobody fetches


def test_text_cannot_become_markup(tmp_path):
    word = "</script><b>&"
    side = TextSide((word,), (word,), (0,))
    text = page(tmp_path, side, side, np.ones((1, 1, 1, 1)), word).read_text("utf-8")
    assert "<b>" not in text
    data = re.search(r'id="data">(.*?)</script>', text)
    assert data is not None
    assert json.loads(data[1])["written"]["words"] == [word]


@pytest.mark.parametrize(
    ("heads", "message"),
    [
        (HEADS[:, :, :2], r"heads: shape \(2, 2, 2, 4\), expected layers, heads, 3 tokens written"),
        (HEADS[..., :3], "heads: 3 positions read, expected 4, the tokens"),
        (np.full_like(HEADS, np.nan), "heads: a weight is NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, heads, message):
    with pytest.raises(ValueError, match=message):
        page(tmp_path, heads=heads)


def test_a_position_that_cannot_be_written(tmp_path):
    with pytest.raises(UserError, match=r"none/a.html: cannot be written"):
        page(tmp_path / "none")


# --------------------------------------------------------------------------------- in the browser


class Page:
    """An open page, asked in the words of its reader."""

    def __init__(self, browser, path):
        self.browser = browser
        browser.get(path.as_uri())

    def find(self, query):
        return self.browser.find_elements("css selector", query)

    def words(self, row):
        return [button.text.split("\n")[0] for button in self.find(f"#{row} button")]

    def shares(self, row="read"):
        return [button.text for button in self.find(f"#{row} .share")]

    def said(self):
        return self.find("#said")[0].text

    def select(self, name, value):
        self.browser.execute_script(
            "const box = document.getElementById(arguments[0]); box.value = arguments[1];"
            "box.dispatchEvent(new Event('change'));",
            name,
            value,
        )

    def press(self, *keys):
        from selenium.webdriver.common.action_chains import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def focused(self):
        return self.browser.switch_to.active_element.text.split("\n")[0]


@pytest.fixture
def opened_of(browser):
    """Open a page that is there; in the end nothing may have gone wrong in it."""
    yield lambda path: Page(browser, path)
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


@pytest.fixture
def opened(opened_of, tmp_path):
    return lambda **sides: opened_of(page(tmp_path, **sides))


def test_words_are_merged_and_shown_with_their_shares(opened):
    """The last layer, the mean of its heads: "le" 0.7 on "the", 0.3 on the pieces of "cat"."""
    shown = opened()
    assert shown.words("written") == ["le", "chat"]
    assert shown.words("read") == ["the", "cat", "⟨end⟩"]
    assert shown.shares() == ["70 %", "30 %", ""]
    assert shown.said() == "le attended to the 70 %, cat 30 %"


def test_the_mouse_chooses(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    shown = opened()
    ActionChains(shown.browser).move_to_element(shown.find("#written button")[1]).perform()
    assert shown.said() == "chat attended to cat 75 %, the 15 %, ⟨end⟩ 10 %"
    ActionChains(shown.browser).move_to_element(shown.find("#read button")[0]).perform()
    assert shown.said() == "the was attended to by le 70 %, chat 15 %"


def test_the_keyboard_chooses(opened):
    from selenium.webdriver.common.keys import Keys

    shown = opened()
    shown.browser.execute_script("document.querySelector('#written button').focus()")
    shown.press(Keys.ARROW_RIGHT)
    assert (shown.focused(), shown.said().split()[0]) == ("chat", "chat")
    shown.press(Keys.ARROW_RIGHT)
    assert shown.focused() == "chat"  # the last one
    shown.press(Keys.HOME)
    assert shown.focused() == "le"
    chosen = shown.find('#written [aria-selected="true"]')
    assert [button.text.split("\n")[0] for button in chosen] == ["le"]


def test_layers_heads_and_tokens_can_be_chosen(opened):
    shown = opened()
    shown.select("layer", "0")
    assert shown.said() == "le attended to the 50 %, ⟨end⟩ 50 %"
    shown.select("head", "1")
    assert shown.said() == "le attended to ⟨end⟩ 100 %"
    shown.select("head", "0")
    shown.select("unit", "tokens")
    assert shown.words("written") == ["▁le", "▁ch", "at"]
    assert shown.words("read") == ["▁the", "▁c", "at", "<eos>"]
    assert shown.said() == "▁le attended to ▁the 100 %"


def test_steps(opened):
    shown = opened()
    shown.find("#after")[0].click()
    assert shown.find("#step")[0].text == "step 2 of 2"
    shown.find("#before")[0].click()
    assert shown.find("#step")[0].text == "step 1 of 2"


def test_right_to_left_text_runs_and_is_walked_from_right_to_left(opened):
    from selenium.webdriver.common.keys import Keys

    words = ("שלום", "עולם")
    side = TextSide(words, words, (0, 1))
    shown = opened(read=side, written=side, heads=np.eye(2)[None, None])
    first, second = shown.find("#written button")
    assert first.location["x"] > second.location["x"]
    shown.browser.execute_script("document.querySelector('#written button').focus()")
    shown.press(Keys.ARROW_LEFT)
    assert shown.focused() == words[1]


def test_a_page_of_one_word_opens_on_its_tokens(opened):
    """Between words it would be one column of 100 %."""
    spelled = TextSide(("c", "a", "t", "<eos>"), ("cat",), (0, 0, 0, None))
    spoken = TextSide(("K", "AE", "T"), ("K", "AE", "T"), (0, 1, 2))
    shown = opened(read=spelled, written=spoken, heads=np.eye(3, 4)[None, None])
    assert shown.words("read") == ["c", "a", "t", "<eos>"]
    assert shown.find("#unit")[0].get_attribute("value") == "tokens"
    assert shown.said() == "K attended to c 100 %"
    shown.select("unit", "words")
    assert shown.words("read") == ["cat", "⟨end⟩"]


def test_a_name_that_occurs_twice_is_told_with_its_position(opened):
    spelled = TextSide(("o", "t", "o"), ("oto",), (0, 0, 0))
    spoken = TextSide(("OW",), ("OW",), (0,))
    heads = np.array([[[[0.5, 0.2, 0.3]]]])
    shown = opened(read=spelled, written=spoken, heads=heads)
    assert shown.said() == "OW attended to o (1) 50 %, o (3) 30 %, t 20 %"


def test_a_table_that_is_too_large_is_said_to_be_left_out(tmp_path):
    side = TextSide(("a",) * 71, ("a",) * 71, tuple(range(71)))
    text = page(tmp_path, side, side, np.eye(71)[None, None]).read_text("utf-8")
    assert "Left out: 71 x 71 tokens are 5,041 numbers, more than 5,000." in text
    assert '<table id="table">' not in text


def test_a_word_starts_where_its_letters_do():
    """A word mark by itself belongs to the word, but a space is not heard."""
    side = TextSide(("▁", "q", "a"), ("qa",), (0, 0, 0), (0.1, 0.6, 0.7))
    assert side.to_json()["wordStarts"] == [0.6]


@pytest.mark.parametrize("word", ["日本語", "👩‍🚀", "é", "नमस्ते"])
def test_letters_of_any_script_arrive_whole(opened, word):
    side = TextSide((word,), (word,), (0,))
    shown = opened(read=side, written=side, heads=np.ones((1, 1, 1, 1)), title=word)
    assert shown.words("written") == [word]
    assert shown.said() == f"{word} attended to {word} 100 %"


def test_what_was_heard_is_shown_over_time(opened):
    frames = np.random.default_rng(1).random((50, 8))
    heard = TimeSide(frames, 0.5, 0.1, 0.05)
    written = TextSide(("▁yes",), ("yes",), (0,), (0.2,))
    heads = np.array([[[[0.0, 0.25, 0.75, 0.0, 0.0]]]])
    shown = opened(read=heard, written=written, heads=heads)
    assert shown.said() == "yes attended to 0.25 s 75 %, 0.15 s 25 %"
    bars = shown.find("#curve rect")
    heights = [float(bar.get_attribute("height")) for bar in bars]
    assert heights == pytest.approx([0.0, 1 / 3, 1.0, 0.0, 0.0])
    assert not shown.find("#table")
    assert shown.find("#top")[0].text == "75 %"


def test_all_words_that_were_heard_or_seen_share_one_scale(opened):
    """Spread-out attention looks spread out beside a sharp one."""
    heard = TimeSide(np.zeros((50, 8)), 0.4, 0.1, 0.05)
    written = TextSide(("sharp", "even"), ("sharp", "even"), (0, 1))
    heads = np.array([[[[0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.25, 0.25]]]])
    shown = opened(read=heard, written=written, heads=heads)
    shown.find("#after")[0].click()
    bars = [float(bar.get_attribute("height")) for bar in shown.find("#curve rect")]
    assert bars == pytest.approx([0.25] * 4)
    seen = PictureSide(png(16, 16), 16, 16, 8.0, 8.0)
    shown = opened(read=seen, written=written, heads=heads)
    assert shown.find("#top")[0].text == "100 %"
    shown.find("#after")[0].click()
    assert veils(shown) == pytest.approx([0.75 * 0.75] * 4, abs=0.001)


# ---------------------------------------------------------------------------------- what was heard


def wav(seconds):
    buffer = io.BytesIO()
    samples = np.round(8000 * np.sin(np.arange(round(8000 * seconds)) / 3)).astype(np.int16)
    soundfile.write(buffer, samples, 8000, format="WAV", subtype="PCM_16")
    return buffer.getvalue()


@pytest.fixture
def sounding(opened):
    """Two words over a second of sound, the second one in two tokens."""
    heard = TimeSide(np.random.default_rng(1).random((100, 8)), 1.0, 0.2, 0.1, wav(1.0))
    written = TextSide(("▁yes", "▁in", "deed"), ("yes", "indeed"), (0, 1, 1), (0.1, 0.5, 0.7))
    return opened(read=heard, written=written, heads=np.full((1, 1, 3, 5), 0.2))


def wait_for(check, seconds=5.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := check():
            return found
        time.sleep(0.02)
    raise AssertionError("nothing came of it")


def audio(shown, name):
    return shown.browser.execute_script(f"return document.getElementById('sound').{name}")


def test_the_sound_is_one_that_the_browser_can_play(sounding):
    assert sounding.find("#sound")[0].get_attribute("src").startswith("data:audio/wav;base64,")
    wait_for(lambda: audio(sounding, "readyState") >= 1)
    assert audio(sounding, "error") is None
    assert audio(sounding, "duration") == pytest.approx(1.0, abs=0.01)


def test_a_click_on_a_word_plays_it_from_where_it_is_heard(sounding):
    wait_for(lambda: audio(sounding, "readyState") >= 2)
    sounding.browser.execute_script(
        "const sound = document.getElementById('sound'); sound.sought = [];"
        "sound.addEventListener('seeking', () => sound.sought.push(sound.currentTime));"
        "sound.addEventListener('play', () => { sound.began = true; });"
    )
    sounding.find("#written button")[1].click()
    wait_for(lambda: audio(sounding, "began"))
    assert audio(sounding, "sought[0]") == pytest.approx(0.5, abs=0.1)
    now = "return parseFloat(document.getElementById('now').style.left)"
    assert sounding.browser.execute_script(now) >= 49.0  # percent of the spectrogram
    sounding.select("unit", "tokens")
    sounding.find("#written button")[2].click()
    wait_for(lambda: len(audio(sounding, "sought")) == 2)
    assert audio(sounding, "sought[1]") == pytest.approx(0.7, abs=0.1)


# ----------------------------------------------------------------------------------- what was seen


def png(height, width):
    buffer = io.BytesIO()
    matplotlib.image.imsave(buffer, np.random.default_rng(1).random((height, width)), cmap="gray")
    return buffer.getvalue()


# Two rows of three cells; the last column reaches beyond the picture.
CELLS = np.array([[[[0.5, 0.25, 0.0, 0.0, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]]]])


@pytest.fixture
def seeing(opened):
    written = TextSide(("red", "cat"), ("red", "cat"), (0, 1))
    read = PictureSide(png(16, 20), width=20, height=16, cell_width=8.0, cell_height=8.0)
    return opened(read=read, written=written, heads=CELLS)


def veils(shown):
    return [float(one.get_attribute("fill-opacity")) for one in shown.find("#veils rect")]


def frame(shown):
    names = ("x", "y", "width", "height")
    return [tuple(float(one.get_attribute(n)) for n in names) for one in shown.find("#frames rect")]


def test_what_was_not_looked_at_is_dark(seeing):
    assert seeing.said() == "red attended to row 1 column 1 50 %, row 1 column 2 25 %, " + (
        "row 2 column 2 25 %"
    )
    # The whole of the attention in one cell, as "cat" has it, would be bright.
    assert veils(seeing) == pytest.approx([0.375, 0.5625, 0.75, 0.75, 0.5625, 0.75], abs=0.001)
    assert set(frame(seeing)) == {(0, 0, 8, 8)}
    seeing.find("#after")[0].click()
    assert veils(seeing) == [0.75] * 5 + [0.0]
    assert set(frame(seeing)) == {(16, 8, 4, 8)}  # cut at the edge of the picture


def test_a_picture_is_not_said_to_have_bars(seeing):
    hints = [hint.text for hint in seeing.find(".hint")]
    assert len(hints) == 2
    assert "bright" in hints[0]
    assert "bars" not in " ".join(hints)


def test_the_picture_is_whole_and_the_cells_lie_over_it(seeing):
    picture, cells = seeing.find(".seen img")[0], seeing.find("#cells")[0]
    assert picture.get_attribute("naturalWidth") == "20"
    assert picture.rect == pytest.approx(cells.rect, abs=1.0)
    assert picture.rect["width"] / picture.rect["height"] == pytest.approx(20 / 16, rel=0.01)


def test_a_cell_says_who_looked_at_it(seeing):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    ActionChains(seeing.browser).move_to_element(seeing.find("#veils rect")[1]).perform()
    assert seeing.said() == "row 1 column 2 was attended to by red 25 %"
    seeing.browser.execute_script("document.getElementById('cells').focus()")
    seeing.press(Keys.ARROW_DOWN)
    assert seeing.said() == "row 2 column 2 was attended to by red 25 %"
    seeing.press(Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)  # the second one would leave the picture
    assert seeing.said() == "row 2 column 3 was attended to by cat 100 %"
    assert set(frame(seeing)) == {(16, 8, 4, 8)}


def test_the_page_of_a_model_that_sees(opened_of, kochi, seer, tmp_path):
    """What ``kochi show`` writes: three blocks, each attended to when its colour is named."""
    save(picture_of(("red", "blue", "green")), tmp_path / "blocks.png")
    result = kochi("show", seer, tmp_path / "blocks.png", "--out", tmp_path / "blocks.html")
    assert result.code == 0, result.err
    shown = opened_of(tmp_path / "blocks.html")
    assert shown.words("written") == ["red", "blue", "green"]
    assert shown.find(".seen img")[0].get_attribute("naturalWidth") == str(3 * SIDE)
    lowest = []
    for position in range(3):
        if position:
            shown.find("#after")[0].click()
        assert set(frame(shown)) == {(SIDE * position, 0, SIDE, SIDE)}
        assert veils(shown)[position] == min(veils(shown)) < 0.15
        lowest.append(veils(shown)[position])
    assert min(lowest) == 0.0  # one scale: the brightest cell of all words


def test_a_picture_that_does_not_fit_is_refused(tmp_path):
    written = TextSide(("red", "cat"), ("red", "cat"), (0, 1))
    with pytest.raises(ValueError, match="6 positions read, expected 2 x 2 cells of an image"):
        page(tmp_path, PictureSide(png(16, 16), 16, 16, 8.0, 8.0), written, CELLS)
    with pytest.raises(ValueError, match="expected the bytes of a PNG, JPEG, GIF or WebP file"):
        page(tmp_path, PictureSide(b"BM...", 20, 16, 8.0, 8.0), written, CELLS)


# ------------------------------------------------------------------------------------- for everyone


def luminance(colour):
    """Relative luminance of an "rgb(r, g, b)" as WCAG 2 defines it."""
    parts = [int(part) / 255 for part in re.findall(r"\d+", colour)[:3]]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def test_numbers_in_the_table_can_be_read_on_every_shade(opened):
    """Contrast of at least 4.5, as WCAG 2 asks of small text; and a larger share is darker."""
    shares = np.linspace(0.0, 1.0, 21)[None, None, None]
    words = tuple(f"w{number}" for number in range(21))
    side = TextSide(words, words, tuple(range(21)))
    written = TextSide(("all",), ("all",), (0,))
    shown = opened(read=side, written=written, heads=shares)
    cells = shown.find("#table td")
    grounds = [luminance(cell.value_of_css_property("background-color")) for cell in cells[:21]]
    inks = [luminance(cell.value_of_css_property("color")) for cell in cells[:21]]
    pairs = [sorted(pair) for pair in zip(grounds, inks, strict=True)]
    contrasts = [(light + 0.05) / (dark + 0.05) for dark, light in pairs]
    assert min(contrasts) >= 4.5
    assert grounds == sorted(grounds, reverse=True)


def test_tab_reaches_everything_and_leads_on(opened):
    """Controls, then one stop in each row of words: nobody walks through all words."""
    from selenium.webdriver.common.keys import Keys

    shown = opened()
    stops = []
    for _ in range(7):
        shown.press(Keys.TAB)
        active = shown.browser.switch_to.active_element
        stops.append(
            active.get_attribute("id") or active.find_element("xpath", "..").get_attribute("id")
        )
    assert stops == ["layer", "head", "unit", "before", "after", "written", "read"]


@pytest.mark.parametrize(
    ("text", "way"), [("שלום a", "rtl"), ("مرحبا", "rtl"), ("a שלום", "ltr"), ("", "ltr")]
)
def test_direction(text, way):
    assert direction(text) == way
