"""fairlead echo: what it bears of its clients, seen by one that speaks HTTP/2 in bytes."""
import socket
import struct
import time

from support import Case, free_port, run

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS, PING, GOAWAY = 4, 6, 7
MAX_CONCURRENT_STREAMS = 3
NO_ERROR, ENHANCE_YOUR_CALM = 0, 11
DEADLINE_S = 20


def frame(kind, flags=0, payload=b""):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + bytes(4) + payload


class Client:
    """A connection without a call."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE_S)
        self.stream = self.socket.makefile("rb")
        self.socket.sendall(PREFACE + frame(SETTINGS))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stream.close()
        self.socket.close()

    def next(self, kind):
        """The payload of the next frame of that kind."""
        while True:
            head = self.stream.read(9)
            if len(head) < 9:
                raise AssertionError("the server closed")
            payload = self.stream.read(int.from_bytes(head[:3], "big"))
            if head[3] == kind:
                return payload

    def goaway(self):
        _, code = struct.unpack(">II", (payload := self.next(GOAWAY))[:8])
        return code, payload[8:]


class Echo(Case):
    def echo(self, *arguments):
        self.port = free_port()
        return self.child("echo", "--listen", f"127.0.0.1:{self.port}", *arguments)

    def connect(self, server):
        self.assertIn("listening on", server.stdout.readline())
        return Client(self.port)

    def test_C8_an_old_connection_gets_goaway(self):
        with self.echo("--max-age", "200ms") as server, self.connect(server) as client:
            self.assertEqual(client.goaway(), (NO_ERROR, b""))

    def test_a_connection_without_calls_gets_goaway(self):
        with self.echo("--max-idle", "200ms") as server, self.connect(server) as client:
            self.assertEqual(client.goaway(), (NO_ERROR, b""))

    def test_C10_pings_that_are_too_fast(self):
        for arguments in ((), ("--min-ping", "1m")):
            with self.echo(*arguments) as server, self.connect(server) as client:
                for _ in range(4):
                    client.socket.sendall(frame(PING, payload=bytes(8)))
                self.assertEqual(client.goaway(), (ENHANCE_YOUR_CALM, b"too_many_pings"))

    def test_C10_pings_that_are_permitted(self):
        with self.echo("--min-ping", "1ms") as server, self.connect(server) as client:
            for number in range(10):
                client.socket.sendall(frame(PING, payload=bytes([number]) + bytes(7)))
                self.assertEqual(client.next(PING)[0], number)
                time.sleep(0.002)

    def test_streams_at_a_time(self):
        with self.echo("--max-streams", "1") as server, self.connect(server) as client:
            settings = dict(struct.iter_unpack(">HI", client.next(SETTINGS)))
            self.assertEqual(settings[MAX_CONCURRENT_STREAMS], 1)

    def test_a_limit_that_is_none(self):
        self.fails(run("echo", "--max-age", "soon"), 2, "--max-age")
        self.fails(run("echo", "--max-streams", "few"), 2, "--max-streams")
