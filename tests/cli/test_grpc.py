"""fairlead call: any method, by descriptor set or reflection, streams both ways."""
import json
import os
import select
import signal
import socket
import ssl
import subprocess

from support import FAIRLEAD, METHOD, Case, Peer, free_port, run

SERVICE = METHOD.split("/", maxsplit=1)[0]

# The echo service answers the bytes that it gets, so these come back as they were sent.
RICH = """
syntax = "proto3";
package grpc.examples.echo;
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
import "colour.proto";
message Rich {
  int32 small = 1;
  uint64 large = 2;
  repeated Rich children = 3;
  map<string, Colour> colours = 4;
  bytes raw = 5;
  google.protobuf.Timestamp at = 6;
  double share = 7;
  google.protobuf.Any any = 8;
  oneof either { string text = 9; bool flag = 10; }
}
service Echo { rpc UnaryEcho(Rich) returns (Rich); rpc Other(Rich) returns (Rich); }
"""
COLOUR = 'syntax = "proto3"; package grpc.examples.echo; enum Colour { RED = 0; GREEN = 1; }'


def make_certificate(folder, name):
    """Signed by itself; gives the paths of certificate and key."""
    cert, key = (os.path.join(folder, f"{name}.{part}.pem") for part in ("cert", "key"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                    "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", f"/CN={name}",
                    "-addext", f"subjectAltName=DNS:{name}.test,IP:127.0.0.1", "-keyout", key,
                    "-out", cert], check=True, capture_output=True)
    return cert, key


class Grpc(Case):
    def setUp(self):
        super().setUp()
        port = free_port()
        server = self.enterContext(self.child("echo", "--listen", f"127.0.0.1:{port}"))
        server.stdout.readline()
        self.target = f"127.0.0.1:{port}"

    def call(self, method, *arguments, code=0, **options):
        answer = run("call", self.target, method, *arguments, **options)
        self.assertEqual(answer.returncode, code, answer.stderr)
        return answer

    def lines(self, *arguments):
        return [json.loads(line) for line in self.call(*arguments).stdout.splitlines()]


class Streams(Grpc):
    def test_of_the_server(self):
        lines = self.lines(f"{SERVICE}/ServerStreamingEcho", "-d", '{"message":"a"}')
        self.assertEqual(lines, [{"message": "a"}] * 10)

    def test_of_the_client(self):
        answer = self.call(f"{SERVICE}/ClientStreamingEcho", "-d", '{"message":"a"}{"message":"b"}')
        self.assertEqual(json.loads(answer.stdout), {"message": "b"})

    def test_of_both(self):
        path = os.path.join(self.folder, "data")
        wanted = [{"message": str(i) * 1000} for i in range(3000)]  # more than a queue takes
        with open(path, "w", encoding="utf-8") as file:
            file.write("\n".join(json.dumps(message) for message in wanted))
        lines = self.lines(f"{SERVICE}/BidirectionalStreamingEcho", "-d", f"@{path}")
        self.assertEqual(lines, wanted)

    def test_a_status_of_the_server_has_no_cause_of_ours(self):
        answer = self.call("grpc.health.v1.Health/Check", "-d", '{"service":"nope"}', code=1)
        self.assertEqual(answer.stderr,
                         f"fairlead: NOT_FOUND: unknown service from {self.target}\n")

    def test_a_full_disk_is_told(self):
        with open("/dev/full", "w", encoding="utf-8") as full:
            answer = subprocess.run([FAIRLEAD, "call", self.target, f"{SERVICE}/ServerStreamingEcho"],
                                    stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
                                    check=False)
        self.fails(answer, 5, "standard output cannot be written")

    def test_without_a_message(self):
        self.assertEqual(self.lines(f"{SERVICE}/BidirectionalStreamingEcho", "-d", ""), [])

    def test_many(self):
        answer = self.call(f"{SERVICE}/BidirectionalStreamingEcho", "-d", "{} {} {}", "--repeat",
                           "100", "--concurrency", "10", "-o", "json")
        summary = json.loads(answer.stdout)
        self.assertEqual((summary["calls"], summary["byStatus"]), (100, {"OK": 100}))
        self.assertEqual(summary["pace"]["messages"], 300)
        self.assertIn("p99_us", summary["latency"])

    def test_one_that_does_not_end_is_cut_by_the_user(self):
        process = subprocess.Popen([FAIRLEAD, "call", self.target, "grpc.health.v1.Health/Watch"],
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.assertEqual(json.loads(process.stdout.readline()), {"status": "SERVING"})
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        self.assertEqual((process.returncode, errors), (0, ""))

    def test_one_that_does_not_end_has_a_deadline_if_told(self):
        answer = self.call("grpc.health.v1.Health/Watch", "--timeout", "300ms", code=1)
        self.assertIn("DEADLINE_EXCEEDED", answer.stderr)


class Reflection(Grpc):
    def test_a_method_that_only_the_server_knows(self):
        method = "grpc.reflection.v1.ServerReflection/ServerReflectionInfo"
        for arguments in ((), ("--reflect",)):
            [answer] = self.lines(method, "-d", '{"listServices": "*"}', *arguments)
            names = [s["name"] for s in answer["listServicesResponse"]["service"]]
            self.assertIn(SERVICE, names)

    def test_known_methods_too(self):
        answer = self.call(METHOD, "--reflect", "-d", '{"message":"ahoy"}')
        self.assertEqual(json.loads(answer.stdout), {"message": "ahoy"})

    def test_what_is_not_there(self):
        self.fails(self.call("a.B/C", code=2), 2, '"a.B"', SERVICE)
        self.fails(self.call(f"{SERVICE}/Nope", "--reflect", code=2), 2, '"Nope"', "UnaryEcho")

    def test_nobody_to_ask(self):
        target = f"127.0.0.1:{free_port()}"
        self.fails(run("call", target, "a.B/C"), 5, "REFUSED", "reflection", target)

    def test_bad_data_is_found_after_the_schema_is_known(self):
        self.fails(self.call(METHOD, "--reflect", "-d", '{"massage":1}', code=2), 2, "massage")


class Tls(Case):
    def setUp(self):
        super().setUp()
        self.cert, key = make_certificate(self.folder, "echo")
        port = free_port()
        server = self.enterContext(self.child("echo", "--listen", f"127.0.0.1:{port}", "--cert",
                                              self.cert, "--key", key))
        server.stdout.readline()
        self.target = f"127.0.0.1:{port}"

    def call(self, *arguments):
        return run("call", self.target, METHOD, "-d", '{"message":"ahoy"}', *arguments)

    def test_calls_and_reflection(self):
        for arguments in ((), ("--reflect",), ("--server-name", "echo.test")):
            answer = self.call("--cacert", self.cert, *arguments)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertEqual(json.loads(answer.stdout), {"message": "ahoy"})

    def test_a_certificate_that_is_not_trusted(self):
        for arguments in (("--tls",), ("--cacert", self.cert, "--server-name", "other.test")):
            self.fails(self.call(*arguments), 1, "CERT")

    def test_not_verifying_is_warned_of(self):
        answer = self.call("--insecure-skip-verify")
        self.assertEqual(answer.returncode, 0, answer.stderr)
        self.assertIn("anybody on the way", answer.stderr)

    def test_what_does_not_go(self):
        self.assertEqual(self.call("--plaintext").returncode, 1)
        self.fails(self.call("--plaintext", "--tls"), 2, "not both")
        self.fails(self.call("--cacert", "/nonexistent"), 5, "CONFIG", "/nonexistent")
        self.fails(run("echo", "--cert", self.cert), 2, "go together")


class MutualTls(Grpc):
    """A server that asks for a certificate of the caller: TLS ends in front of the echo."""

    def setUp(self):
        super().setUp()
        self.callers = []
        self.server_cert, server_key = make_certificate(self.folder, "echo")
        self.cert, self.key = make_certificate(self.folder, "caller")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(self.server_cert, server_key)
        self.context.load_verify_locations(self.cert)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.set_alpn_protocols(["h2"])
        self.echo = self.target.rsplit(":", maxsplit=1)
        peer = self.enterContext(Peer(self.serve))
        self.target = f"127.0.0.1:{peer.port}"

    def serve(self, connection):
        with self.context.wrap_socket(connection, server_side=True) as caller, \
                socket.create_connection(self.echo) as server:
            self.callers.append(dict(part for (part,) in caller.getpeercert()["subject"]))
            other = {caller: server, server: caller}
            while True:
                ready = [caller] if caller.pending() else select.select(other, [], [])[0]
                for side in ready:
                    data = side.recv(65536)
                    if not data:
                        return
                    other[side].sendall(data)

    def test_the_certificate_is_shown(self):
        answer = self.call(METHOD, "--cacert", self.server_cert, "--cert", self.cert, "--key",
                           self.key, "-d", '{"message":"ahoy"}')
        self.assertEqual(json.loads(answer.stdout), {"message": "ahoy"})
        self.assertEqual(self.callers, [{"commonName": "caller"}])

    def test_who_shows_none_or_another_is_turned_away(self):
        other, key = make_certificate(self.folder, "other")
        for arguments in ((), ("--cert", other, "--key", key)):
            self.fails(run("call", self.target, METHOD, "--cacert", self.server_cert, *arguments),
                       1, "TLS", "this side's certificate")
        self.assertEqual(self.callers, [])

    def test_what_does_not_go(self):
        cacert = ("--cacert", self.server_cert)
        _, other_key = make_certificate(self.folder, "other")
        for arguments in (("--cert", self.cert), ("--key", self.key)):
            self.fails(run("call", self.target, METHOD, *cacert, *arguments), 2, "go together")
        for key in ("/nonexistent", other_key):
            self.fails(run("call", self.target, METHOD, *cacert, "--cert", self.cert, "--key",
                           key), 5, "CONFIG")
        self.assertEqual(self.callers, [])


class DescriptorSet(Grpc):
    def make_set(self, *options):
        for name, text in (("rich.proto", RICH), ("colour.proto", COLOUR)):
            with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        path = os.path.join(self.folder, "set.pb")
        subprocess.run(["protoc", "-I", self.folder, f"--descriptor_set_out={path}", *options,
                        "rich.proto"], check=True)
        return path

    def test_every_kind_of_field_comes_back(self):
        path = self.make_set("--include_imports")
        message = {"small": -7, "large": "18446744073709551615",
                   "children": [{"small": 1}, {"text": "zwölf"}], "colours": {"a": "GREEN"},
                   "raw": "AAH/", "at": "2026-01-02T03:04:05.006Z", "share": 0.1,
                   "any": {"@type": f"type.googleapis.com/{SERVICE.rsplit('.', 1)[0]}.Rich",
                           "flag": True},
                   "flag": False}
        answer = self.call(METHOD, "--proto-set", path, "-d", "-", stdin=json.dumps(message))
        self.assertEqual(json.loads(answer.stdout), message)

    def test_what_does_not_fit_is_named(self):
        path = self.make_set("--include_imports")
        for data, *words in (('{"small":"x"}', "small", '"x"'),
                             ('{"children":[{},{"small":1.5}]}', "children[1].small"),
                             ('{"children":[{},{"nope":1}]}', "children[1]", "nope"),
                             ('{"colours":{"a":"BLUE"}}', "colours", "BLUE"),
                             ('{"at":"noon"}', "at", "noon"),
                             ('{"raw":"!"}', "raw"),
                             ('{"text":"a","flag":true}', "either"),
                             ('{"any":{"@type":"x/y"}}', "any", "x/y"),
                             ('[]', "Root"),
                             ('{"small":1,"small":2}', "line 1", "duplicate")):
            self.fails(self.call(METHOD, "--proto-set", path, "-d", data, code=2), 2, "-d", *words)

    def test_only_the_file_counts(self):
        path = self.make_set("--include_imports")
        self.fails(self.call("grpc.health.v1.Health/Check", "--proto-set", path, code=2), 2,
                   "grpc.health.v1.Health", SERVICE)
        self.fails(self.call(f"{SERVICE}/Nope", "--proto-set", path, code=2), 2, "UnaryEcho, Other")
        self.fails(self.call(f"{SERVICE}/Other", "--proto-set", path, code=1), 1, "UNIMPLEMENTED")

    def test_a_set_without_its_imports(self):
        self.fails(self.call(METHOD, "--proto-set", self.make_set(), code=2), 2, "colour.proto",
                   "include_imports")
