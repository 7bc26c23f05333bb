"""What pictures become, and what is wrong with those that cannot be read."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from kochi.errors import UserError
from kochi.modalities.image.files import (
    MAX_PIXELS,
    Colour,
    Picture,
    from_array,
    picture_size,
    read_picture,
)
from kochi.modalities.image.fitting import fitted, place

RED = (200, 10, 20)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "a.png"


def image(mode="RGB", colour=RED, size=(6, 5)):
    return Image.new(mode, size, colour)


def read(path, colour: Colour = "rgb"):
    return read_picture(Picture(path), colour)


def test_pixels_are_rows_of_columns_of_colours(path):
    picture = image()
    picture.putpixel((5, 0), (1, 2, 3))
    picture.save(path)
    pixels = read(path)
    assert pixels.shape == (5, 6, 3) and pixels.dtype == np.uint8
    assert pixels[0, 5].tolist() == [1, 2, 3]
    assert pixels[4, 0].tolist() == list(RED)


def test_grey_has_one_channel(path):
    image("L", 77).save(path)
    assert read(path, "grey").shape == (5, 6, 1)
    assert (read(path, "grey") == 77).all()
    assert (read(path) == 77).all() and read(path).shape == (5, 6, 3)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(tmp_path, orientation):
    upright = np.zeros((8, 16, 3), np.uint8)
    upright[:, :8] = 255  # the left half is white
    upright[:4, 8:] = 128  # the upper right quarter is grey
    stored = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: np.rot90(upright),
        7: upright[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read(tmp_path / "a.png"), upright)
    assert picture_size(Picture(tmp_path / "a.png")) == (8, 16)


def test_transparency_lies_over_white(path):
    picture = image("RGBA", (*RED, 255))
    picture.putpixel((0, 0), (0, 0, 0, 0))
    picture.putpixel((1, 0), (0, 0, 0, 51))  # a fifth of black
    picture.save(path)
    pixels = read(path)
    assert pixels[0, :3].tolist() == [[255] * 3, [204] * 3, list(RED)]


@pytest.mark.parametrize("mode", ["L", "P"])
def test_one_transparent_colour_lies_over_white(path, mode):
    picture = Image.new(mode, (6, 5), 1)
    if mode == "P":
        picture.putpalette([9, 9, 9, *RED])
    picture.putpixel((0, 0), 0)
    picture.save(path, transparency=0)
    pixels = read(path)
    assert pixels[0, 0].tolist() == [255] * 3
    assert pixels[0, 1].tolist() == (list(RED) if mode == "P" else [1] * 3)


def test_sixteen_bits_become_eight(path):
    numbers = np.array([[0, 256, 257, 65535]] * 4, np.uint16)
    Image.fromarray(numbers).save(path)
    assert read(path, "grey")[0, :, 0].tolist() == [0, 0, 1, 255]


def smooth(height, width):
    down, across = np.mgrid[0:height, 0:width]
    waves = (np.sin(down / 30), np.cos(across / 25), np.sin((down + across) / 40))
    return (127 + 100 * np.stack(waves, -1)).astype(np.uint8)


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize(("height", "mean", "most"), [(480, 1.0, 8), (481, 3.0, 12)])
@pytest.mark.parametrize(("room", "scale"), [((64, 64), 4), ((110, 150), 2), ((400, 400), 1)])
def test_a_jpeg_may_come_smaller(tmp_path, orientation, height, mean, most, room, scale):
    path, tags = tmp_path / "a.jpg", Image.Exif()
    tags[0x0112] = orientation
    Image.fromarray(smooth(height, 640)).save(path, quality=95, exif=tags)
    whole = read_picture(Picture(path))
    reduced = read_picture(Picture(path), room=room)
    assert reduced.shape[:2] == tuple(-(-side // scale) for side in whole.shape[:2])
    placement = place(whole.shape[0], whole.shape[1], room[0], room[1], "scale")
    small = [fitted(pixels, placement) for pixels in (whole, reduced)]
    difference = np.abs(small[0].astype(int) - small[1])
    assert difference.mean() < mean and difference.max() <= most


def test_what_is_no_jpeg_or_small_comes_whole(path, tmp_path):
    Image.fromarray(smooth(400, 400)).save(path)
    assert read_picture(Picture(path), room=(16, 16)).shape == (400, 400, 3)
    Image.fromarray(smooth(20, 20)).save(tmp_path / "a.jpg")
    assert read_picture(Picture(tmp_path / "a.jpg"), room=(16, 16)).shape == (20, 20, 3)


def test_a_jpeg_that_is_cut_off_is_refused_reduced_as_well(tmp_path):
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(400, 400)).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(UserError, match="cut off or damaged"):
        read_picture(Picture(path), room=(16, 16))


def test_cmyk_becomes_rgb(tmp_path):
    image("CMYK", (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=100)
    pixels = read(tmp_path / "a.jpg")
    assert pixels.shape == (5, 6, 3)
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() < 5


def test_arrays_are_taken(path):
    pixels = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)
    assert np.array_equal(from_array(pixels, "rgb"), pixels)
    assert from_array(pixels, "grey").shape == (4, 5, 1)
    assert from_array(pixels[..., 0], "rgb").shape == (4, 5, 3)
    for wrong in (pixels.astype(float), pixels[..., :2], pixels.ravel()):
        with pytest.raises(UserError, match="expected 8-bit pixels"):
            from_array(wrong, "rgb")
    with pytest.raises(UserError, match="found 5 x 3 pixels"):
        from_array(pixels[:3], "rgb")


# ----------------------------------------------------------------------------------- what is wrong


def bomb(width, height):
    """Return the head of a PNG that promises so many pixels."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    parts = [
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
        for name, data in chunks
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def animation():
    buffer = io.BytesIO()
    frames = [image("P", number) for number in range(3)]
    for number, frame in enumerate(frames):
        frame.putpalette([number] * 768)
        frame.putpixel((number, 0), 9)
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    return buffer.getvalue()


def noise():
    buffer = io.BytesIO()
    numbers = np.random.default_rng(1).integers(0, 256, (40, 40, 3), np.uint8)
    Image.fromarray(numbers).save(buffer, "PNG")
    return buffer.getvalue()


def tiny():
    buffer = io.BytesIO()
    image(size=(1, 1)).save(buffer, "PNG")
    return buffer.getvalue()


def floats():
    buffer = io.BytesIO()
    Image.fromarray(np.full((5, 5), 0.5, np.float32)).save(buffer, "TIFF")
    return buffer.getvalue()


WRONG = {
    "not a picture": (b"this is no picture at all", "is not a picture that can be read"),
    "empty": (b"", "is empty (0 bytes)"),
    "cut off": (noise()[:2000], "it is cut off or damaged"),
    "cut off in the head": (noise()[:20], "cannot be read as a picture (Truncated File Read)"),
    "one pixel": (tiny(), "found 1 x 1 pixels (width x height); expected at least 4"),
    "huge": (bomb(20_000, 20_000), "expected at most 50 million; make it smaller"),
    "large": (bomb(10_000, 10_000), "expected at most 50 million; make it smaller"),
    "a little too large": (bomb(8000, 7000), "found 8000 x 7000 pixels; expected at most 50"),
    "animated": (animation(), "is animated or has several pages"),
    "no colours": (floats(), "pixels are numbers from 0.5 to 0.5"),
}


@pytest.mark.parametrize(("content", "message"), WRONG.values(), ids=list(WRONG))
def test_what_is_wrong_is_one_line(path, content, message):
    path.write_bytes(content)
    with pytest.raises(UserError) as caught:
        read_picture(Picture(path, "rows.tsv:7"))
    text = str(caught.value)
    assert text.startswith(f"rows.tsv:7: {path}: ") and message in text
    assert "\n" not in text


def test_a_bomb_is_refused_before_it_is_unpacked(path):
    width = MAX_PIXELS // 5000 + 1
    path.write_bytes(bomb(width, 5000))  # its pixels are not even there
    with pytest.raises(UserError, match=f"found {width} x 5000 pixels"):
        read(path)


def test_what_is_not_there(path, tmp_path):
    with pytest.raises(UserError, match="no such file; expected a picture"):
        read(path)
    with pytest.raises(UserError, match="is a folder; expected a picture"):
        read(tmp_path)
