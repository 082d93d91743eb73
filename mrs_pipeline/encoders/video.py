"""Video decoded within bounds: containers by content, length and size by header, only the wanted frames.

PyAV decodes. What an encoder makes of the frames belongs to the encoder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mrs_pipeline.encoders.base import ContentError

if TYPE_CHECKING:
    from PIL.Image import Image

CONTAINERS = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,ogg,flv,asf,gif"
"""Formats that hold their own frames. Playlists (hls, concat, dash) would open other files and addresses."""
MAX_STEPS = 2000
"""Frames decoded at most to reach one wanted frame: between key frames there are rarely more than 300."""
SEEK_BEYOND = 10.0
"""Seconds ahead from which jumping to the key frame before is cheaper than decoding on."""
MAX_PACKETS = 2_000_000
"""Packets looked at to find a length that the header does not state."""
_CLOSE = 1e-3
"""Seconds by which a frame may come early; time stamps are rounded to a millisecond in some containers."""


@dataclass(frozen=True)
class FrameSampler:
    """Which frames of a clip are seen.

    Attributes:
        frames: how many, evenly spaced: each from the middle of its share of the clip.
        max_seconds: longer clips are refused by their header.
        max_pixels: larger frames are refused by their header.
    """

    frames: int
    max_seconds: float
    max_pixels: int

    def read(self, path: Path) -> list["Image"]:
        """[frames] RGB images; the last ones repeat where a clip has fewer.

        Raises:
            ContentError: not a video, too long, too large, or no frame could be decoded.
        """
        import av

        try:
            # Opened as a file object: nothing in it can make the library open something else.
            with (
                path.open("rb") as file,
                av.open(file, options={"format_whitelist": CONTAINERS}) as container,
            ):
                return self._read(container)
        except ContentError:
            raise
        except (OSError, ValueError, av.error.FFmpegError) as error:
            # Not the whole message: it holds the path on this machine.
            reason = getattr(error, "strerror", None) or error
            raise ContentError(f"not a video that can be decoded: {reason}") from None

    def _read(self, container: Any) -> list["Image"]:
        if not container.streams.video:
            raise ContentError("file holds no video stream")
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        # The header may lie about the size; the decoder then refuses the frame before it has memory for it.
        stream.codec_context.options = {"max_pixels": str(self.max_pixels)}
        if stream.width * stream.height > self.max_pixels:
            raise ContentError(
                f"video has {stream.width} x {stream.height} pixels, more than max_pixels = {self.max_pixels}"
            )
        seconds = _duration(container, stream)
        if seconds > self.max_seconds:
            raise ContentError(f"video lasts {seconds:,.0f} s, more than max_seconds = {self.max_seconds:g}")
        times = (np.arange(self.frames) + 0.5) / self.frames * seconds
        images = list(_frames_at(container, stream, times.tolist()))
        if not images:
            raise ContentError("no frame of the video can be decoded")
        return images + [images[-1]] * (self.frames - len(images))


def _duration(container: Any, stream: Any) -> float:
    """Seconds, from the header or, where that is silent, from the last packet; nothing is decoded."""
    if stream.duration is not None:
        return float(stream.duration * stream.time_base)
    if container.duration is not None:
        return float(container.duration / 1_000_000)
    last = 0.0
    for number, packet in enumerate(container.demux(stream)):
        if packet.pts is not None:
            last = max(last, float(packet.pts * stream.time_base))
        if number > MAX_PACKETS:
            raise ContentError("video states no length and has too many packets to count")
    container.seek(0)
    return max(last - float((stream.start_time or 0) * stream.time_base), 0.0)


def _frames_at(container: Any, stream: Any, times: list[float]) -> Iterator["Image"]:
    """The first frame at or after each time, in order; fewer where the clip ends early."""
    start = float((stream.start_time or 0) * stream.time_base)
    frames, position = _decoded(container, stream), 0.0
    for time in times:
        if time - position > SEEK_BEYOND:
            container.seek(int((start + time) / stream.time_base), stream=stream)
            frames = _decoded(container, stream)
        for steps, frame in enumerate(frames):
            position = time if frame.time is None else frame.time - start
            if position >= time - _CLOSE:
                yield frame.to_image()
                break
            if steps >= MAX_STEPS:
                raise ContentError("video has too many frames between two key frames")
        else:
            return


def _decoded(container: Any, stream: Any) -> Iterator[Any]:
    """Frames from the current position on; packets that are damaged are left out."""
    from av.error import InvalidDataError

    for packet in container.demux(stream):
        try:
            yield from packet.decode()
        except InvalidDataError:
            continue
