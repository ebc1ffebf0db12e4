"""A camera that sends its RTSP stream in datagrams and in no other way: it is asked for TCP, and says no."""

import logging
import re
import threading
from collections.abc import Iterator
from contextlib import closing
from socketserver import StreamRequestHandler, ThreadingTCPServer

import pytest

from app.sources import SourceOptions
from app.sources.live import Backoff
from app.sources.network import NetworkSource

_SDP = b"v=0\r\ns=camera\r\nt=0 0\r\nm=video 0 RTP/AVP 26\r\na=control:streamid=0\r\n"
_ANSWERS = {
    b"DESCRIBE": b"200 OK\r\nContent-Type: application/sdp\r\nContent-Length: %d" % len(_SDP),
    b"SETUP": b"461 Unsupported Transport",
}


class DatagramsOnly(ThreadingTCPServer):
    """Answers as such a camera does, and notes which transports it is asked for."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Player)
        self.asked: list[str] = []

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.server_address[1]}/camera"


class _Player(StreamRequestHandler):
    server: DatagramsOnly

    def handle(self) -> None:
        while request := b"".join(iter(self.rfile.readline, b"\r\n") if self.rfile.peek(1) else ()):
            method = request.split()[0]
            number = re.search(rb"CSeq: \d+", request)
            assert number
            if method == b"SETUP":
                self.server.asked.append(re.findall(r"Transport: ([^;\r]+)", request.decode())[0])
            answer = _ANSWERS.get(method, b"200 OK")
            body = _SDP if method == b"DESCRIBE" else b""
            self.wfile.write(b"RTSP/1.0 %b\r\n%b\r\n\r\n%b" % (answer, number[0], body))


@pytest.fixture
def camera() -> Iterator[DatagramsOnly]:
    with DatagramsOnly() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# FFmpeg's own spelling of a wish for datagrams changes nothing.
@pytest.mark.parametrize("ending", ["", "?udp"])
def test_tcp_alone_is_asked_for_and_a_refusal_is_told_and_tried_again(
    camera: DatagramsOnly, ending: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.WARNING)
    with closing(
        NetworkSource(f"rtsp://user:geheim@{camera.address}{ending}", SourceOptions(), Backoff(0.01, 0.02))
    ) as source:
        wait = source._closing.wait

        def close_at_third(seconds: float | None = None) -> bool:
            if len(caplog.records) == 3:
                source.close()
            return wait(seconds)

        monkeypatch.setattr(source._closing, "wait", close_at_third)
        assert list(source.pictures()) == []
    assert camera.asked == ["RTP/AVP/TCP"] * 3
    assert len(caplog.records) == 3
    for text in caplog.messages:
        assert re.fullmatch(
            rf"rtsp://\*\*\*@{camera.address}(\?\*\*\*)?: protocol not supported; next attempt in .* s", text
        ), text
