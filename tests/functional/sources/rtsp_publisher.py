"""Records to an RTSP server until it is killed: 25 pictures a second whose brightness rises and starts again.

A process of its own, because PyAV holds Python's lock while it connects for writing.
"""

import sys
import time
from fractions import Fraction

import av
import numpy as np


def publish(url: str) -> None:
    with av.open(url, "w", format="rtsp", options={"rtsp_transport": "tcp"}) as container:
        stream = container.add_stream("mpeg4", rate=25, options={"g": "5"})
        stream.width, stream.height, stream.pix_fmt = 320, 240, "yuv420p"
        for number in range(25 * 120):
            pixels = np.full((240, 320, 3), 20 + number * 6 % 200, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="bgr24")
            frame.pts, frame.time_base = number, Fraction(1, 25)
            for packet in stream.encode(frame):
                container.mux(packet)
            time.sleep(0.04)


if __name__ == "__main__":
    publish(sys.argv[1])
