import json
import re

import numpy as np
import pytest

from kochi.errors import UserError
from kochi.view.page import TextSide, TimeSide, direction, write_page

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


def page(tmp_path, read=READ, written=WRITTEN, heads=HEADS, title="le chat"):
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
        (HEADS[..., :3], "heads: 3 places read, expected 4, the tokens"),
        (np.full_like(HEADS, np.nan), "heads: a weight is NaN or infinite"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, heads, message):
    with pytest.raises(ValueError, match=message):
        page(tmp_path, heads=heads)


def test_a_place_that_cannot_be_written(tmp_path):
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
def opened(browser, tmp_path):
    def open_page(**sides):
        return Page(browser, page(tmp_path, **sides))

    yield open_page
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_words_are_merged_and_shown_with_their_shares(opened):
    """The last layer, the mean of its heads: "le" 0.7 on "the", 0.3 on the pieces of "cat"."""
    shown = opened()
    assert shown.words("written") == ["le", "chat"]
    assert shown.words("read") == ["the", "cat", "⟨end⟩"]
    assert shown.shares() == ["70 %", "30 %", ""]
    assert shown.said() == "le looked at the 70 %, cat 30 %"


def test_the_mouse_chooses(opened):
    from selenium.webdriver.common.action_chains import ActionChains

    shown = opened()
    ActionChains(shown.browser).move_to_element(shown.find("#written button")[1]).perform()
    assert shown.said() == "chat looked at cat 75 %, the 15 %, ⟨end⟩ 10 %"
    ActionChains(shown.browser).move_to_element(shown.find("#read button")[0]).perform()
    assert shown.said() == "the was looked at by le 70 %, chat 15 %"


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
    assert shown.said() == "le looked at the 50 %, ⟨end⟩ 50 %"
    shown.select("head", "1")
    assert shown.said() == "le looked at ⟨end⟩ 100 %"
    shown.select("head", "0")
    shown.select("unit", "tokens")
    assert shown.words("written") == ["▁le", "▁ch", "at"]
    assert shown.words("read") == ["▁the", "▁c", "at", "<eos>"]
    assert shown.said() == "▁le looked at ▁the 100 %"


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


@pytest.mark.parametrize("word", ["日本語", "👩‍🚀", "é", "नमस्ते"])
def test_letters_of_any_script_arrive_whole(opened, word):
    side = TextSide((word,), (word,), (0,))
    shown = opened(read=side, written=side, heads=np.ones((1, 1, 1, 1)), title=word)
    assert shown.words("written") == [word]
    assert shown.said() == f"{word} looked at {word} 100 %"


def test_what_was_heard_is_shown_over_time(opened):
    frames = np.random.default_rng(1).random((50, 8))
    heard = TimeSide(frames, 0.5, 0.1, 0.05)
    written = TextSide(("▁yes",), ("yes",), (0,), (0.2,))
    heads = np.array([[[[0.0, 0.25, 0.75, 0.0, 0.0]]]])
    shown = opened(read=heard, written=written, heads=heads)
    assert shown.said() == "yes looked at 0.25 s 75 %, 0.15 s 25 %"
    bars = shown.find("#curve rect")
    assert [float(bar.get_attribute("height")) for bar in bars] == [0.0, 0.25, 0.75, 0.0, 0.0]
    assert not shown.find("#table")


@pytest.mark.parametrize(
    ("text", "way"), [("שלום a", "rtl"), ("مرحبا", "rtl"), ("a שלום", "ltr"), ("", "ltr")]
)
def test_direction(text, way):
    assert direction(text) == way
