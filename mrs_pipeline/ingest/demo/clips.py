"""The clip of a record of the demonstration catalogue: two seconds of its taste's motif, drifting by.

Drawing and writing, since a clip exists as a file only. The codec is lossless and takes RGB as it is: whoever decodes a
clip, on whatever machine, sees the pixels that were drawn.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from mrs_pipeline.ingest.demo.pictures import PICTURE_SIZE, scene
from mrs_pipeline.ingest.demo.tastes import TASTES

FRAMES_A_SECOND: Final = 6
SECONDS: Final = 2
_CODEC: Final = "qtrle"

Frame = npt.NDArray[np.uint8]


def frames(rng: np.random.Generator, style: int) -> Iterator[Frame]:
    """[112, 112, 3] RGB, twelve of them: the motif without grain, shifted sideways at the pace of the taste's music."""
    canvas = np.asarray(scene(rng, style, style))
    step = TASTES[style].tempo * rng.uniform(0.8, 1.2) * (1 if rng.random() < 0.5 else -1)
    for at in range(FRAMES_A_SECOND * SECONDS):
        moved = np.roll(canvas, round(at * step), axis=1)
        blocks = moved.reshape(PICTURE_SIZE, 2, PICTURE_SIZE, 2, 3)
        yield ((blocks.sum(axis=(1, 3), dtype=np.uint16) + 2) // 4).astype(np.uint8)


def write_clip(path: Path, rng: np.random.Generator, style: int) -> None:
    """Write the clip as a `.mov` that holds no date and no version."""
    import av

    with av.open(str(path), "w", format="mov", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream(_CODEC, rate=FRAMES_A_SECOND)
        stream.width, stream.height, stream.pix_fmt = PICTURE_SIZE, PICTURE_SIZE, "rgb24"
        stream.codec_context.options = {"flags": "+bitexact", "threads": "1"}
        for frame in frames(rng, style):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode())
