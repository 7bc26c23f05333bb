"""The content security policy of generated pages."""

import base64
import hashlib


def content_policy(style: str, script: str | None = None) -> str:
    """Return the tag that allows only a page's own style and script, and inline images and audio.

    Both are identified by their SHA-256 (https://www.w3.org/TR/CSP3/#match-element-to-source-list),
    so that text from a user never becomes a script. Style attributes are not allowed.

    Args:
        style: The content of the style element.
        script: The content of the script element, if there is one.
    """
    rules = {
        "default-src": "'none'",
        "style-src": _hash(style),
        "script-src": "'none'" if script is None else _hash(script),
        "img-src": "data:",
        "media-src": "data:",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    content = "; ".join(f"{name} {value}" for name, value in rules.items())
    return f'<meta http-equiv="Content-Security-Policy" content="{content}">'


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
