"""Hostile media: pictures, sounds and clips. Each costs its one item, whose reason is recorded; none stops a run."""

import gzip
import io
import os
import struct
import wave
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import numpy as np
from PIL import Image
from pydantic import TypeAdapter

from mrs_pipeline.encoders.loading import LoadTask, load_one
from mrs_pipeline.encoders.registry import FeatureOptions, open_encoder
from mrs_pipeline_tests.hostile.case import CANARY, Case, hostile_pickle
from mrs_pipeline_tests.hostile.tables import put

KIND = "media"
_ENTRIES: Final[dict[str, dict[str, Any]]] = {
    "image": {"encoder": "color_gradient", "size": 32},
    "audio": {"encoder": "log_mel"},
    "video": {"encoder": "frames", "image": {"modality": "image", "encoder": "color_gradient", "size": 32}},
}


def load(root: Path, reference: str, modality: str) -> str | None:
    """The reason that the run records for one item."""
    entry = {"modality": modality, **_ENTRIES[modality], "max_file_mb": 2}
    options = TypeAdapter(FeatureOptions).validate_python(entry)
    found = load_one(open_encoder(options, root).loader(), LoadTask(0, reference))
    return f"{reference[:40]!r}: {found.reason}" if found.reason else None


def file(name: str, content: bytes, modality: str = "image") -> Callable[[Path], str | None]:
    def meets(root: Path) -> str | None:
        put(root, name, content)
        return load(root, name, modality)

    return meets


def made(make: Callable[[Path], object], name: str, modality: str = "image") -> Callable[[Path], str | None]:
    def meets(root: Path) -> str | None:
        make(root)
        return load(root, name, modality)

    return meets


def picture(kind: str, side: int = 64) -> bytes:
    stream = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype=np.uint8)
    Image.fromarray(noise).save(stream, kind)
    return stream.getvalue()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *chunks: bytes) -> bytes:
    """A PNG that promises this many pixels."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    body = chunk(b"IDAT", zlib.compress(bytes(1000)))
    return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + body + chunk(b"IEND", b"")


def sound(seconds: float = 0.5, rate: int = 16_000, value: int = 1000) -> bytes:
    stream = io.BytesIO()
    with wave.open(stream, "wb") as written:
        written.setnchannels(1)
        written.setsampwidth(2)
        written.setframerate(rate)
        written.writeframes(struct.pack("<h", value) * int(seconds * rate))
    return stream.getvalue()


def clip(frames: int = 12) -> bytes:
    import av

    stream = io.BytesIO()
    with av.open(stream, "w", format="mp4") as container:
        written = container.add_stream("mpeg4", rate=10)
        written.width, written.height, written.pix_fmt = 64, 48, "yuv420p"
        for at in range(frames):
            pixels = np.full((48, 64, 3), 20 * at, dtype=np.uint8)
            container.mux(written.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(written.encode())
    return stream.getvalue()


def _patched(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


def _loop(root: Path) -> None:
    (root / "a.png").symlink_to(root / "b.png")
    (root / "b.png").symlink_to(root / "a.png")


def _secret(root: Path) -> str:
    put(root.parent, f"{root.name}-secret.png", picture("PNG"))
    return f"../{root.name}-secret.png"


def _linked(root: Path) -> None:
    (root / "x.png").symlink_to(root.parent / _secret(root).removeprefix("../"))


NOISE = np.random.default_rng(1).integers(0, 255, 5000, dtype=np.uint8).tobytes()
SVG = f'<svg xmlns="http://www.w3.org/2000/svg"><script>touch {CANARY}</script></svg>'.encode()
EPS = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(touch {CANARY}) (%pipe%) run\n".encode()
PLAYLIST = f"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\nconcat:{CANARY}\n".encode()
CONCAT = b"ffconcat version 1.0\nfile '/etc/passwd'\n"
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)

CASES = tuple(
    Case(KIND, name, meets, says)
    for name, meets, says in (
        ("image: nothing in it", file("a.png", b""), "file is empty"),
        ("image: text", file("a.png", b"I am no picture"), "not an image"),
        ("image: noise", file("a.jpg", NOISE), "not an image"),
        ("image: a pickle", file("a.jpg", hostile_pickle()), "not an image"),
        ("image: a web page", file("a.jpg", b"<html>404 Not Found</html>"), "not an image"),
        ("image: SVG with a script", file("a.svg", SVG), "not an image"),
        ("image: PostScript that opens a pipe", file("a.eps", EPS), "not an image"),
        ("image: PDF", file("a.pdf", b"%PDF-1.4\n1 0 obj<<>>endobj"), "not an image"),
        ("image: PNG that is cut", file("a.png", picture("PNG")[:2000]), "damaged image"),
        ("image: JPEG that is cut in its header", file("a.jpg", picture("JPEG")[:30]), "image"),
        ("image: WebP that is cut", file("a.webp", picture("WEBP")[:40]), "image"),
        ("image: GIF that is cut", file("a.gif", picture("GIF")[:20]), "image"),
        ("image: PNG of 2.5 billion pixels", file("a.png", png(50_000, 50_000)), "more than max_pixels"),
        (
            "image: PNG with the largest sides there are",
            file("a.png", png(2**31 - 1, 2**31 - 1)),
            "max_pixels",
        ),
        ("image: PNG without pixels", file("a.png", png(0, 0)), "image"),
        ("image: PNG with less data than pixels", file("a.png", png(4000, 4000)), "damaged image"),
        (
            "image: PNG with 100 MB of packed text",
            file("a.png", png(8000, 8000, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(100_000_000))))),
            "image",
        ),
        (
            "image: BMP of negative width",
            file("a.bmp", _patched(picture("BMP"), 18, struct.pack("<i", -64))),
            "image",
        ),
        ("image: TIFF whose directory is elsewhere", file("a.tif", b"II*\0\xff\xff\xff\x7f"), "image"),
        ("image: TIFF whose directory is itself", file("a.tif", b"II*\0\x08\0\0\0\0\0\x08\0\0\0"), "image"),
        ("image: HEIC without pictures", file("a.heic", HEIC), "image"),
        ("image: larger than the bound", file("a.png", bytes(2_000_001)), "more than max_file_mb = 2"),
        ("image: packed", file("a.png.gz", gzip.compress(picture("PNG"))), "not an image"),
        ("image: a folder", made(lambda root: (root / "a.png").mkdir(), "a.png"), "not a regular file"),
        ("image: a pipe", made(lambda root: os.mkfifo(root / "a.png"), "a.png"), "not a regular file"),
        ("image: a link to itself", made(_loop, "a.png"), "path cannot be used"),
        ("image: a link out of the folder", made(_linked, "x.png"), "leaves the media folder"),
        ("image: a path with ..", lambda root: load(root, _secret(root), "image"), "leaves the media folder"),
        ("image: a path from the root", made(lambda root: None, "/etc/passwd"), "leaves the media folder"),
        ("image: a device", made(lambda root: None, "/dev/zero"), "leaves the media folder"),
        ("image: a path with a zero byte", made(lambda root: None, "a\0.png"), "path cannot be used"),
        ("image: a path of 100,000 letters", made(lambda root: None, "a" * 100_000), "path cannot be used"),
        ("image: an address", made(lambda root: None, "http://example.org/a.png"), "file not found"),
        ("image: not there", made(lambda root: None, "nowhere.png"), "file not found"),
        ("audio: nothing in it", file("a.wav", b"", "audio"), "file is empty"),
        ("audio: text", file("a.wav", b"la la la", "audio"), "not audio"),
        ("audio: noise called MP3", file("a.mp3", NOISE, "audio"), "audio"),
        ("audio: a picture", file("a.wav", picture("PNG"), "audio"), "not audio"),
        ("audio: WAV that is cut in its header", file("a.wav", sound()[:30], "audio"), "audio"),
        (
            "audio: WAV of no samples",
            file("a.wav", sound(0), "audio"),
            "a.wav",
        ),
        (
            "audio: WAV of a rate of 0",
            file("a.wav", _patched(sound(), 24, struct.pack("<I", 0)), "audio"),
            "a.wav",
        ),
        (
            "audio: WAV of 4 billion samples a second",
            file("a.wav", _patched(sound(), 24, b"\xff\xff\xff\xff"), "audio"),
            "a.wav",
        ),
        (
            "audio: WAV of 65,535 channels",
            file("a.wav", _patched(sound(), 22, b"\xff\xff"), "audio"),
            "a.wav",
        ),
        ("audio: a device", made(lambda root: None, "/dev/urandom", "audio"), "leaves the media folder"),
        ("video: nothing in it", file("a.mp4", b"", "video"), "file is empty"),
        ("video: text", file("a.mp4", b"once upon a time", "video"), "not a video"),
        ("video: noise", file("a.mp4", NOISE, "video"), "not a video"),
        ("video: a play list of files", file("a.mp4", PLAYLIST, "video"), "not a video"),
        ("video: a list of other files", file("a.mp4", CONCAT, "video"), "not a video"),
        ("video: cut before its index", file("a.mp4", clip()[:400], "video"), "a.mp4"),
        ("video: sound only", file("a.mp4", sound(), "video"), "a.mp4"),
    )
)
