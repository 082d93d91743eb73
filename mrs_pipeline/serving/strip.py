"""An explanation as a strip of pictures: what is shown, and what of the history speaks for it. PNG or HTML."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.reporting.thumbnails import item_thumbnail
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.explaining import Explanation, sentence

if TYPE_CHECKING:
    from PIL.Image import Image

_SIDE: Final = 144
_GAP: Final = 16
_TEXT: Final = 36
_SHOWN: Final = 5


def write_strip(bundle: Bundle, found: Sequence[Explanation], path: Path) -> None:
    """Write explanations one below the other.

    Raises:
        InputError: the name ends neither in .png nor in .html.
    """
    kind = path.suffix.lower()
    if kind == ".html":
        path.write_text(_html(bundle, found), encoding="utf-8")
    elif kind == ".png":
        _png(bundle, found).save(path)
    else:
        raise InputError(f"{path} ends neither in .png nor in .html; name it so")


def _picture(bundle: Bundle, item_id: str) -> str | None:
    shelf = bundle.shelf
    return item_thumbnail(shelf.root, shelf.picture(shelf.number(item_id)), _SIDE)


def _html(bundle: Bundle, found: Sequence[Explanation]) -> str:
    style = (
        "body{font:15px system-ui,sans-serif;margin:24px;color:#1d2430}section{margin-bottom:28px}"
        ".s{display:flex;gap:16px;align-items:flex-start}figure{margin:0;width:144px;font-size:12px}"
        "img,.n{width:144px;height:144px;border-radius:10px;display:block;background:#e2e6ec}"
        ".w{border-right:1px solid #ccc;padding-right:16px}"
    )
    parts = []
    for each in found:
        figures = [_figure(bundle, each.item_id, each.title, f"{each.score:.3f}", "w")]
        figures += [
            _figure(bundle, other.item_id, other.title, f"{other.share:+.3f}", "")
            for other in each.reasons[:_SHOWN]
        ]
        parts.append(
            f"<section><p>{escape(sentence(each))}</p><div class=s>{''.join(figures)}</div></section>"
        )
    return f"<!doctype html><meta charset=utf-8><title>Why</title><style>{style}</style>{''.join(parts)}\n"


def _figure(bundle: Bundle, item_id: str, title: str | None, number: str, kind: str) -> str:
    shown = _picture(bundle, item_id)
    image = f'<img alt="" src="{shown}">' if shown else "<span class=n></span>"
    return f"<figure class={kind or 'o'}>{image}<b>{number}</b> {escape(title or item_id)}</figure>"


def _png(bundle: Bundle, found: Sequence[Explanation]) -> "Image":
    from PIL import Image, ImageDraw

    row = _SIDE + _TEXT + _GAP
    page = Image.new("RGB", ((_SIDE + _GAP) * (_SHOWN + 1) + 2 * _GAP, row * len(found) + _GAP), "white")
    draw = ImageDraw.Draw(page)
    for line, each in enumerate(found):
        top = _GAP + line * row
        cells = [(each.item_id, each.title, f"{each.score:.3f}")]
        cells += [(other.item_id, other.title, f"{other.share:+.3f}") for other in each.reasons[:_SHOWN]]
        for place, (item_id, title, number) in enumerate(cells):
            left = _GAP + place * (_SIDE + _GAP) + (_GAP if place else 0)
            shown = _picture(bundle, item_id)
            if shown:
                page.paste(Image.open(io.BytesIO(base64.b64decode(shown.partition(",")[2]))), (left, top))
            else:
                draw.rectangle((left, top, left + _SIDE, top + _SIDE), fill="#e2e6ec")
            draw.text((left, top + _SIDE + 4), number, fill="#2257c5")
            draw.text((left, top + _SIDE + 18), (title or item_id)[:24], fill="#1d2430")
        draw.line([(2 * _GAP + _SIDE, top), (2 * _GAP + _SIDE, top + _SIDE)], fill="#c8ced8")
    return page
