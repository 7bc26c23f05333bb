"""Unicode normal forms: one text may be written with different characters."""

import unicodedata
from typing import Literal

Normalization = Literal["none", "nfc", "nfd", "nfkc", "nfkd"]
_FORMS: dict[str, Literal["NFC", "NFD", "NFKC", "NFKD"]] = {
    "nfc": "NFC",
    "nfd": "NFD",
    "nfkc": "NFKC",
    "nfkd": "NFKD",
}


def normalize(text: str, normalization: Normalization) -> str:
    r"""Convert a text to a Unicode normal form; "none" leaves it unchanged.

    >>> len("e\u0301"), len(normalize("e\u0301", "nfc"))
    (2, 1)
    """
    return text if normalization == "none" else unicodedata.normalize(_FORMS[normalization], text)
