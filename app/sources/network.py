"""Cameras and videos on the network: RTSP, MJPEG and video over HTTP."""

from urllib.parse import urlsplit

from av.container import InputContainer

from app.sources.base import SourceError, SourceOptions, mask
from app.sources.container import MEDIA_FORMATS, open_container
from app.sources.live import Backoff, LiveSource

__all__ = ["SCHEMES", "NetworkSource"]

_HTTP = "http,https,tcp,tls"
_RTSP = "rtsp,rtsps,rtp,udp,tcp,tls"

#: Scheme -> the protocols that FFmpeg may use for it.
SCHEMES = {"http": _HTTP, "https": _HTTP, "rtsp": _RTSP, "rtsps": _RTSP}


class NetworkSource(LiveSource):
    """A camera or video at an ``rtsp``, ``rtsps``, ``http`` or ``https`` address.

    A video that has an end (a file on a web server) is given at its own pace and ends with it.

    Raises:
        SourceError: the address is of another kind.
    """

    #: Seconds within which a connection must be made, and each picture must come.
    timeout = (10.0, 10.0)

    def __init__(self, url: str, options: SourceOptions, backoff: Backoff | None = None) -> None:
        super().__init__(mask(url), options, backoff)
        self._url = url
        self._scheme = url.partition("://")[0].lower()
        if self._scheme not in SCHEMES or not _host(url):
            raise SourceError(
                f"{self.name} is no address of a camera: expected {', '.join(SCHEMES)}://host/..."
            )

    def _open(self) -> InputContainer:
        rtsp = self._scheme.startswith("rtsp")
        return open_container(
            self._url,
            protocols=SCHEMES[self._scheme],
            formats="rtsp" if rtsp else MEDIA_FORMATS,
            # Interleaved in one TCP connection: no pictures torn by lost packets, no ports to open.
            options={"rtsp_transport": "tcp"} if rtsp else {},
            timeout=self.timeout,
        )

    def _finite(self, container: InputContainer) -> bool:
        return not self._scheme.startswith("rtsp") and container.duration is not None


def _host(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
