"""The suite's own spans: what stands on the wire in each protocol, and that a port which takes nothing is told."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING

import pytest

from fixtures.core import patience
from fixtures.spans import messages, send
from fixtures.spans.messages import Probe
from fixtures.spans.thrift import Binary, Compact, Field, Kind, varint

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PROBE = Probe(trace_id="00112233445566778899aabbccddeeff", span_id="8000000000000001", name="p", at=1.5, seconds=0.25)
TCP, UDP = (14268, 14250, 9411), (5775, 6831, 6832)

# As another implementation of Thrift, generated from Jaeger's own definitions, writes this span.
COMPACT = (
    "82810009656d69744261746368"  # a one-way call of emitBatch
    "1c"  # its argument, a struct
    "1c1811636f6e666f726d616e63652d737569746500"  # the process
    "191c"  # one span
    "1681c490b286d1aae6ee01"  # the lower half of the trace id, negative as a number
    "16ee99abc5e88c9111"  # the upper half
    "16fdffffffffffffffff01"  # the span's id
    "1600"  # no parent
    "180170"  # its name
    "2502"  # sampled
    "16c08db701"  # 1.5 s in microseconds
    "16a0c21e"  # 0.25 s
    "000000"
)
ZIPKIN = (
    "8281000f656d69745a69706b696e4261746368"  # a one-way call of emitZipkinBatch
    "191c1681c490b286d1aae6ee0128017016fdffffffffffffffff01"  # one span: trace id, name, id
    "292c"  # two annotations, each with its host
    "16c08db701180273721c15828080f00f14001811636f6e666f726d616e63652d73756974650000"
    "16e0cfd501180273731c15828080f00f14001811636f6e666f726d616e63652d73756974650000"
    "290c"  # no others
    "26c08db70116a0c21e16ee99abc5e88c9111"  # time, duration, the upper half of the trace id
    "0000"
)


@pytest.mark.parametrize(
    ("message", "written"), [(messages.jaeger_compact, COMPACT), (messages.zipkin_compact, ZIPKIN)]
)
def test_a_compact_message_is_what_others_write(message: Callable[[Probe], bytes], written: str) -> None:
    """
    Ids, name and times stand on the wire as Thrift's compact protocol has them.
    """
    assert message(PROBE).hex() == written


def test_the_binary_message_carries_the_body_of_the_collector() -> None:
    """
    The datagram is a one-way call around the very batch that is posted.
    """
    datagram, body = messages.jaeger_binary(PROBE), messages.jaeger_body(PROBE)

    assert datagram[:21] == b"\x80\x01\x00\x04" + b"\x00\x00\x00\x09emitBatch" + b"\x00\x00\x00\x00"
    assert datagram[21:] == b"\x0c\x00\x01" + body + b"\x00"
    assert bytes.fromhex("8899aabbccddeeff") in body
    assert (1_500_000).to_bytes(8) in body


def test_the_json_and_the_protobuf_message_carry_the_ids_as_they_are() -> None:
    """
    Zipkin's ids are text, Jaeger's are bytes.
    """
    (span,) = json.loads(messages.zipkin_json(PROBE))
    request = messages.jaeger_protobuf(PROBE)

    assert (span["traceId"], span["id"], span["timestamp"]) == (PROBE.trace_id, PROBE.span_id, 1_500_000)
    assert b"\x0a\x10" + bytes.fromhex(PROBE.trace_id) + b"\x12\x08" + bytes.fromhex(PROBE.span_id) in request
    assert request.endswith(b"\x0a\x11conformance-suite")


@pytest.mark.parametrize(
    ("number", "written"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (2**64 - 1, "f" * 18 + "01")],
)
def test_a_varint_has_seven_bits_a_byte(number: int, written: str) -> None:
    """
    The lowest bits come first, and the last byte has no mark.
    """
    assert varint(number).hex() == written


@pytest.mark.parametrize(
    ("fields", "compact", "binary"),
    [
        ((Field(id=1, kind=Kind.BOOL, value=True),), "1100", "0200010100"),
        ((Field(id=1, kind=Kind.BOOL, value=False),), "1200", "0200010000"),
        ((Field(id=2, kind=Kind.I16, value=-3),), "240500", "060002fffd00"),
        ((Field(id=20, kind=Kind.I32, value=5),), "05280a00", "0800140000000500"),
        ((Field(id=1, kind=Kind.LIST, of=Kind.I32, value=(1, 2)),), "1925020400", "0f00010800000002000000010000000200"),
        (
            (Field(id=1, kind=Kind.LIST, of=Kind.I32, value=(0,) * 15),),
            "19f50f" + "00" * 16,
            "0f0001080000000f" + "00" * 61,
        ),
    ],
)
def test_a_struct_is_written_in_both_protocols(fields: tuple[Field, ...], compact: str, binary: str) -> None:
    """
    Steps of ids, flags in their own head, long lists and negative numbers are written as Thrift has them.
    """
    assert (Compact().struct(fields).hex(), Binary().struct(fields).hex()) == (compact, binary)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A machine that is slow to answer has not refused, nor taken anything in.
    """
    monkeypatch.setattr(patience, "PROBE", 30.0)


@pytest.mark.parametrize("port", TCP)
def test_a_closed_tcp_port_is_told(port: int) -> None:
    """
    The span is refused, with the address and the reason.
    """
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
        (sent,) = send.through({port: address})

    assert address in sent.refused
    assert "refused" in sent.refused.lower()


@pytest.mark.parametrize("port", UDP)
def test_a_closed_udp_port_is_told(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """
    The machine's own refusal is heard.
    """
    monkeypatch.setattr(send, "ECHO", 5.0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"
    (sent,) = send.through({port: address})

    assert sent.refused == f"nothing listens on UDP {address}: Connection refused"


@pytest.mark.parametrize(
    ("port", "message"),
    [(5775, messages.zipkin_compact), (6831, messages.jaeger_compact), (6832, messages.jaeger_binary)],
)
def test_an_open_udp_port_gets_the_span_in_its_protocol(port: int, message: Callable[[Probe], bytes]) -> None:
    """
    What arrives is the message of that very span.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(2)
        (sent,) = send.through({port: f"127.0.0.1:{agent.getsockname()[1]}"})
        arrived = agent.recv(65535)

    assert sent.refused == ""
    assert arrived == message(Probe(trace_id=sent.trace_id, span_id=sent.span_id, name=f"port-{port}", at=sent.at))


@contextmanager
def collector(status: int) -> Iterator[tuple[str, list[tuple[str, str, bytes]]]]:
    """
    A collector that answers every POST with `status`, and what it got: path, kind of content, body.
    """
    got: list[tuple[str, str, bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, self.headers["content-type"], body))
            self.send_response(status)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"said")

        def log_message(self, *_: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}", got
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_collector_gets_the_span_in_its_protocol() -> None:
    """
    Thrift goes to Jaeger's path, JSON to Zipkin's.
    """
    with collector(202) as (address, got):
        sent = send.through({14268: address, 9411: address})

    assert [each.refused for each in sent] == ["", ""]
    assert [(path, kind) for path, kind, _ in got] == [
        ("/api/traces?format=jaeger.thrift", "application/x-thrift"),
        ("/api/v2/spans", "application/json"),
    ]
    assert json.loads(got[1][2])[0]["traceId"] == sent[1].trace_id
    assert bytes.fromhex(sent[0].span_id) in got[0][2]


@pytest.mark.parametrize("port", [14268, 9411])
def test_a_collector_that_refuses_is_told(port: int) -> None:
    """
    Any answer but a success is a refusal, with what was said.
    """
    with collector(503) as (address, _):
        (sent,) = send.through({port: address})

    assert sent.refused.endswith("503 said")


def test_what_speaks_no_grpc_is_told() -> None:
    """
    A port that answers in another language has not taken the span.
    """
    with collector(200) as (address, _):
        (sent,) = send.through({14250: address})

    assert sent.refused.startswith(f"gRPC {address}/jaeger.api_v2.CollectorService/PostSpans: ")


def test_no_span_is_sent_to_a_port_of_unknown_language() -> None:
    """
    Only the ports whose protocol is known are spoken to.
    """
    with pytest.raises(KeyError, match="4318"):
        send.through({4318: "127.0.0.1:1"})
