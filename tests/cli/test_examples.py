"""The programs in examples/, run against a simulator as their comments say."""
import contextlib
import http.server
import os
import subprocess
import threading

import support

TARGET = "kubernetes:///default/echo:grpc"


class Shop(http.server.BaseHTTPRequestHandler):
    """A JSON service that speaks HTTP/1.1 only."""
    protocol_version = "HTTP/1.1"

    def answer(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        text = b'{"method":"%s","path":"%s","got":%s}' % (
            self.command.encode(), self.path.encode(), body or b"null")
        self.send_response(200 if self.path.startswith("/carts") else 404)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = answer

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def shop():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Shop)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Examples(support.Case):
    def example(self, name, *arguments, kubeconfig=None):
        environment = {**os.environ, "HOME": "/nonexistent"}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        if kubeconfig:
            environment["KUBECONFIG"] = kubeconfig
        return subprocess.run([os.path.join(os.environ["EXAMPLES"], name), *arguments],
                              capture_output=True, text=True, timeout=30, env=environment)

    def lines(self, *arguments, kubeconfig):
        answer = self.example(*arguments, kubeconfig=kubeconfig)
        self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
        return answer.stdout.splitlines()

    def test_against_the_simulator(self):
        with self.simulator() as kubeconfig:
            lines = self.lines("echo_client", TARGET, "30", kubeconfig=kubeconfig)
            self.assertEqual(len(lines), 30)
            self.assertTrue(all(line.endswith('said "hello"') for line in lines), lines)
            self.assertEqual(len({line.split()[0] for line in lines}), 3, lines)

            lines = self.lines("poll_loop", TARGET, kubeconfig=kubeconfig)
            self.assertIn("default/echo: some", lines)
            self.assertEqual(sum(line.startswith("  ") for line in lines), 3, lines)

            lines = self.lines("watch_service", TARGET, "1", kubeconfig=kubeconfig)
            self.assertEqual(sum(line.startswith("+ ") for line in lines), 3, lines)

            line, = self.lines("greeter_client", TARGET, "Ahab", kubeconfig=kubeconfig)
            self.assertRegex(line, r'^127\.1\.0\.\d:50051 said "Hello Ahab"$')

            lines = self.lines("fanout", TARGET, kubeconfig=kubeconfig)
            self.assertEqual(lines[-1], "3 of 3 have heard it")
            self.assertEqual(len({line.split()[1] for line in lines[:-1]}), 3, lines)

            lines = self.lines("idle", TARGET, kubeconfig=kubeconfig)
            self.assertEqual([line.split()[0] for line in lines if line.split()[0] in ("OK", "IDLE")],
                             ["OK", "IDLE", "OK"], lines)

            lines = self.lines("uv_loop", TARGET, "6", kubeconfig=kubeconfig)
            self.assertEqual(len(lines), 6)
            self.assertTrue(all(line.endswith("is serving") for line in lines), lines)

    def test_http_client(self):
        with shop() as address:
            for arguments, status, text in (
                    (["/carts/7"], 200, '{"method":"GET","path":"/carts/7","got":null}'),
                    (["/carts", "POST", "[1]"], 200, '{"method":"POST","path":"/carts","got":[1]}'),
                    (["/none"], 404, '{"method":"GET","path":"/none","got":null}')):
                answer = self.example("http_client", address, *arguments)
                self.assertEqual(answer.stdout, f"{address} answered {status}\n{text}\n",
                                 answer.stderr)
                self.assertEqual(answer.returncode, 0)
        self.assertEqual(self.example("http_client", "127.0.0.1:80").returncode, 2)
        answer = self.example("http_client", "echo", "/")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("echo", answer.stderr)

    def test_nobody_there(self):
        port = support.free_port()
        answer = self.example("echo_client", f"127.0.0.1:{port}", "1")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("DEADLINE_EXCEEDED", answer.stdout)

    def test_bad_target(self):
        for name in ("echo_client", "fanout", "greeter_client", "idle", "poll_loop", "uv_loop",
                     "watch_service"):
            self.assertEqual(self.example(name).returncode, 2)
            answer = self.example(name, "echo")
            self.assertEqual(answer.returncode, 1)
            self.assertIn("echo", answer.stderr)
