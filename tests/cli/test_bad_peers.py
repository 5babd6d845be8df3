"""Garbage, half frames, silence and refusals from API servers and gRPC servers, and wrong configuration."""
import os

from support import METHOD, Case, Peer, free_port, run, write_kubeconfig


def silent(connection):
    while connection.recv(65536):
        pass


def garbage(connection):
    connection.recv(65536)
    connection.sendall(os.urandom(4096))


def answer(text):
    """The same to every request of a connection."""
    def behave(connection):
        while connection.recv(65536):
            connection.sendall(text.encode())
    return behave


def status(code, reason, message):
    body = ('{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"reason":"%s",'
            '"message":"%s"}' % (code, reason, message))
    return answer(f"HTTP/1.1 {code} {reason}\r\nContent-Type: application/json\r\n"
                  f"Content-Length: {len(body)}\r\n\r\n{body}")


def half(body):
    return answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                  f"Content-Length: {len(body) * 2}\r\n\r\n{body}")


class ApiServer(Case):
    def get(self, behave, *words, timeout="2s", user=None):
        with Peer(behave) as peer:
            kubeconfig = write_kubeconfig(self.folder, f"http://127.0.0.1:{peer.port}", user)
            result = run("get", "echo", "--kubeconfig", kubeconfig, "--timeout", timeout)
            self.fails(result, 5, *words)
            return result

    def test_silence(self):
        self.get(silent)

    def test_garbage(self):
        self.get(garbage, "PROTO")

    def test_half_a_list(self):
        self.get(half('{"kind":"EndpointSliceList","metadata":{"resourceVersion":"1"},"items":[{'))

    def test_not_json(self):
        self.get(answer("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                        "Content-Length: 9\r\n\r\nnot json!"), "PROTO")

    def test_refusals(self):
        self.get(status(401, "Unauthorized", "Unauthorized"), "UNAUTHORIZED",
                 user={"token": "very-secret-4711"})
        self.get(status(403, "Forbidden", "user x may not"), "FORBIDDEN")
        self.get(status(503, "ServiceUnavailable", "later"), "SERVER")

    def test_secrets_are_not_shown(self):
        result = self.get(status(401, "Unauthorized", "no very-secret-4711"), "UNAUTHORIZED",
                          user={"token": "very-secret-4711"})
        self.assertNotIn("4711", result.stdout)

    def test_refused_port(self):
        port = free_port()
        kubeconfig = write_kubeconfig(self.folder, f"http://127.0.0.1:{port}")
        self.fails(run("get", "echo", "--kubeconfig", kubeconfig, "--timeout", "1s"), 5, "REFUSED",
                   f"127.0.0.1:{port}")

    def test_tls_to_a_cleartext_server(self):
        with Peer(garbage) as peer:
            kubeconfig = write_kubeconfig(self.folder, f"https://127.0.0.1:{peer.port}")
            self.fails(run("get", "echo", "--kubeconfig", kubeconfig, "--timeout", "2s"), 5, "TLS")


class Configuration(Case):
    def config(self, text):
        path = os.path.join(self.folder, "config")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def get(self, path, *words, arguments=()):
        self.fails(run("get", "echo", "--kubeconfig", path, *arguments), 5, *words)

    def test_there_is_none(self):
        self.fails(run("get", "echo"), 5, "CONFIG", "kubeconfig")

    def test_no_such_file(self):
        self.get("/nonexistent/config", "/nonexistent/config")

    def test_not_yaml(self):
        self.get(self.config("{{{{"), "CONFIG", "config")

    def test_empty(self):
        self.get(self.config(""), "CONFIG")

    def test_unknown_context_lists_those_there_are(self):
        path = write_kubeconfig(self.folder, "http://127.0.0.1:1")
        self.get(path, "CONFIG", '"two"', "one", arguments=["--context", "two"])

    def test_bad_server(self):
        self.get(write_kubeconfig(self.folder, "ftp://x"), "CONFIG", "https://")

    def test_bad_authority(self):
        path = write_kubeconfig(self.folder, "https://127.0.0.1:1",
                                cluster={"certificate-authority-data": "bm90IGEgY2VydA=="})
        self.get(path, "CONFIG", "authorities", "PEM")


class GrpcServer(Case):
    def call(self, behave, *words):
        with Peer(behave) as peer:
            self.fails(run("call", f"127.0.0.1:{peer.port}", METHOD, "--timeout", "2s"), 1, *words)

    def test_silence(self):
        self.call(silent, "DEADLINE")

    def test_garbage(self):
        self.call(garbage, "PROTO")

    def test_http_1(self):
        self.call(answer("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"), "PROTO")

    def test_closes_at_once(self):
        self.call(lambda connection: connection.close(), "UNAVAILABLE")

    def test_settings_then_silence(self):
        self.call(lambda c: (c.sendall(bytes(3) + b"\x04" + bytes(5)), silent(c)), "DEADLINE")

    def test_half_a_frame(self):
        self.call(lambda c: (c.sendall(bytes(3) + b"\x04" + bytes(5) + b"\x00\x10\x00"), silent(c)),
                  "DEADLINE")
