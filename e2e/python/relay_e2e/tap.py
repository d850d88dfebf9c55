"""A wire tap: passes TCP bytes on unchanged and keeps a copy.

In: the address of a server. Out: an address to use instead, and every HTTP/1.1
exchange that went through, to the byte, with how it ended. A tap never alters,
delays or mends anything: an RST goes on as an RST, a FIN as a FIN.
"""

from __future__ import annotations

import hashlib
import selectors
import socket
import struct
import threading
from dataclasses import dataclass, field

import h11

#: Closing a socket with this set sends an RST instead of a FIN.
RESET = struct.pack("ii", 1, 0)


@dataclass
class Message:
    """One side of an exchange as it was on the wire, without transfer coding."""

    start: tuple
    headers: list[tuple[str, str]]
    body: bytes = b""
    #: Whether the message came to its end as HTTP defines it.
    complete: bool = False

    def header(self, name: str) -> list[str]:
        """All values of a header, in order."""
        return [value for key, value in self.headers if key.lower() == name]

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()


@dataclass
class Exchange:
    """A request, and what came back for it: nothing, a part, or all of an answer."""

    request: Message
    response: Message | None = None
    #: Whether the client closed the connection before the server did.
    left: bool = False

    @property
    def method(self) -> str:
        return self.request.start[0]

    @property
    def target(self) -> str:
        return self.request.start[1]

    @property
    def status(self) -> int | None:
        return self.response.start[0] if self.response else None


@dataclass
class Wire:
    """The bytes of one connection."""

    number: int
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    #: Whether the client ended first.
    left: bool = False
    sockets: list[socket.socket] = field(default_factory=list)


class Tap:
    """Listens on a free port of 127.0.0.1 and passes every connection on."""

    def __init__(self, upstream: tuple[str, int]):
        self._upstream = upstream
        self._wires: list[Wire] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.address = self._listener.getsockname()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://{self.address[0]}:{self.address[1]}"

    def exchanges(self) -> list[Exchange]:
        """Everything that went through so far, by connection and then by time."""
        with self._lock:
            wires = [(bytes(wire.sent), bytes(wire.received), wire.left) for wire in self._wires]
        return [exchange for wire in wires for exchange in parse(*wire)]

    def close(self) -> None:
        """Stops listening and drops what is still open."""
        shut(self._listener)
        with self._lock:
            sockets = [each for wire in self._wires for each in wire.sockets]
        for each in sockets:
            shut(each)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            server = socket.create_connection(self._upstream)
        except OSError:
            reset(client)
            return
        for each in (client, server):
            each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            wire = Wire(len(self._wires), sockets=[client, server])
            self._wires.append(wire)
        try:
            self._pump(client, server, wire)
        finally:
            client.close()
            server.close()

    def _pump(self, client: socket.socket, server: socket.socket, wire: Wire) -> None:
        """Passes bytes on both ways until both sides have ended.

        One thread for both: a socket that another thread is reading cannot send an RST.
        """
        ways = {client: (server, wire.sent), server: (client, wire.received)}
        with selectors.DefaultSelector() as ready:
            for each in ways:
                ready.register(each, selectors.EVENT_READ)
            while ready.get_map():
                for key, _ in ready.select():
                    source = key.fileobj
                    sink, copy = ways[source]
                    try:
                        data = source.recv(65536)
                    except OSError:
                        wire.left |= source is client and server in ready.get_map()
                        reset(sink)
                        return
                    if not data:
                        wire.left |= source is client and server in ready.get_map()
                    with self._lock:
                        copy += data
                    try:
                        sink.sendall(data) if data else sink.shutdown(socket.SHUT_WR)
                    except OSError:
                        # Who cannot be written to has gone, seen before its end was read.
                        wire.left |= sink is client and server in ready.get_map()
                        reset(source)
                        return
                    if not data:
                        ready.unregister(source)


def reset(connection: socket.socket) -> None:
    """Closes with an RST, and without a FIN before it."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    except OSError:
        pass
    connection.close()


def shut(connection: socket.socket) -> None:
    """Closes, waking whoever is blocked on the socket."""
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()


def parse(sent: bytes, received: bytes, left: bool = False) -> list[Exchange]:
    """Reads the exchanges of one connection from its two directions."""
    requests = read_all(h11.Connection(h11.SERVER), sent, [])
    exchanges = [Exchange(request) for request in requests]
    responses = read_all(h11.Connection(h11.CLIENT), received, requests)
    for exchange, response in zip(exchanges, responses):
        exchange.response = response
    if exchanges:
        # Only the last one can be what the client left.
        exchanges[-1].left = left
    return exchanges


def read_all(reader: h11.Connection, data: bytes, asked: list[Message]) -> list[Message]:
    """Reads messages until the bytes end; the last one may be incomplete.

    h11 is a state machine for both directions, so the other side's part is
    played to it: a client reads an answer only after it has asked.
    """
    messages: list[Message] = []
    client = reader.our_role is h11.CLIENT
    waiting = list(asked)
    reader.receive_data(data)
    ended = False
    while True:
        if client and reader.our_state is h11.IDLE:
            if not waiting:
                return messages
            play_request(reader, waiting.pop(0))
        try:
            event = reader.next_event()
        except h11.RemoteProtocolError:
            return messages
        if event is h11.NEED_DATA:
            if ended:
                return messages
            ended = True
            try:
                # Marks the end of the bytes: an answer without a length ends here.
                reader.receive_data(b"")
            except h11.RemoteProtocolError:
                return messages
        elif isinstance(event, h11.Request):
            start = (event.method.decode(), event.target.decode())
            messages.append(Message(start, texts(event.headers)))
        elif isinstance(event, h11.Response):
            messages.append(Message((event.status_code,), texts(event.headers)))
        elif isinstance(event, h11.Data):
            messages[-1].body += bytes(event.data)
        elif isinstance(event, h11.EndOfMessage):
            messages[-1].complete = True
            if not client:
                play_response(reader)
            if reader.our_state is not h11.DONE or reader.their_state is not h11.DONE:
                return messages
            reader.start_next_cycle()
        elif isinstance(event, (h11.ConnectionClosed, type(h11.PAUSED))) or event is h11.PAUSED:
            return messages


def play_request(reader: h11.Connection, request: Message) -> None:
    reader.send(h11.Request(method=request.start[0], target="/", headers=[("Host", "tap")]))
    reader.send(h11.EndOfMessage())


def play_response(reader: h11.Connection) -> None:
    reader.send(h11.Response(status_code=200, headers=[("Content-Length", "0")]))
    reader.send(h11.EndOfMessage())


def texts(headers: h11.Headers) -> list[tuple[str, str]]:
    """Names as written on the wire, values as they are."""
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers.raw_items()]
