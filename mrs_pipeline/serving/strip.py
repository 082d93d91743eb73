"""An explanation as a strip of pictures: what is shown, and what of the history speaks for it. PNG or HTML.

Where the model attends to regions of pictures, what is shown stands there once more, with its attention (`heat`).
"""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mrs_pipeline.errors import InputError
from mrs_pipeline.reporting.thumbnails import item_thumbnail
from mrs_pipeline.serving.bundle import Bundle
from mrs_pipeline.serving.explaining import Explanation, sentence
from mrs_pipeline.serving.heat import IMAGE, as_uri, encoder_of_map, opened, with_heat

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


def _attended(bundle: Bundle, each: Explanation) -> str | None:
    """What is shown with the model's attention laid over it, as a `data:` URI."""
    encoder, shown = encoder_of_map(bundle), _picture(bundle, each.item_id)
    if encoder is None or shown is None or IMAGE not in each.maps:
        return None
    picture = opened(shown)
    box = encoder.seen_part(*picture.size)
    return None if box is None else as_uri(with_heat(picture, each.maps[IMAGE], box))


def _html(bundle: Bundle, found: Sequence[Explanation]) -> str:
    style = (
        "body{font:15px system-ui,sans-serif;margin:24px;color:#1d2430}section{margin-bottom:28px}"
        ".s{display:flex;gap:16px;align-items:flex-start}figure{margin:0;width:144px;font-size:12px}"
        "img,.n{width:144px;height:144px;border-radius:10px;display:block;background:#e2e6ec}"
        ".w{border-right:1px solid #ccc;padding-right:16px}"
    )
    parts = []
    for each in found:
        heat = _attended(bundle, each)
        figures = [_figure(bundle, each.item_id, each.title, f"{each.score:.3f}", "" if heat else "w")]
        if heat:
            figures.append(f'<figure class=w><img alt="" src="{heat}">where the model looks</figure>')
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
    heats = [_attended(bundle, each) for each in found]
    own = 2 if any(heats) else 1
    page = Image.new("RGB", ((_SIDE + _GAP) * (_SHOWN + own) + 2 * _GAP, row * len(found) + _GAP), "white")
    draw = ImageDraw.Draw(page)
    for line, each in enumerate(found):
        top = _GAP + line * row
        cells = [(_picture(bundle, each.item_id), each.title or each.item_id, f"{each.score:.3f}")]
        cells += [(heats[line], "where the model looks", "")] if own == 2 else []
        cells += [
            (_picture(bundle, other.item_id), other.title or other.item_id, f"{other.share:+.3f}")
            for other in each.reasons[:_SHOWN]
        ]
        for place, (shown, title, number) in enumerate(cells):
            left = _GAP + place * (_SIDE + _GAP) + (_GAP if place >= own else 0)
            if shown:
                page.paste(opened(shown), (left, top))
            else:
                draw.rectangle((left, top, left + _SIDE, top + _SIDE), fill="#e2e6ec")
            draw.text((left, top + _SIDE + 4), number, fill="#2257c5")
            draw.text((left, top + _SIDE + 18), title[:24], fill="#1d2430")
        rule = _GAP + own * (_SIDE + _GAP)
        draw.line([(rule, top), (rule, top + _SIDE)], fill="#c8ced8")
    return page
