"""fairlead conns: what a running program tells of its channels, and how it differs."""
import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading

from support import FAIRLEAD, METHOD, Case, free_port, run, wait_for


class Program(Case):
    @contextlib.contextmanager
    def program(self, target, *arguments):
        """`fairlead call`, calling until it is interrupted; gives the address of its endpoint."""
        port = str(free_port())
        process = subprocess.Popen(
            [FAIRLEAD, "call", target, METHOD, "--repeat", "1000000000", "--metrics", port,
             *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        try:
            self.assertIn(f"127.0.0.1:{port}", process.stderr.readline())
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)

    def conns(self, *arguments, code=0):
        answer = run("conns", *arguments)
        self.assertEqual(answer.returncode, code, answer.stderr)
        return answer

    def subchannels(self, address):
        [channel] = json.loads(self.conns(address, "-o", "json").stdout)["channels"]
        return channel["subchannels"]

    def test_each_endpoint_with_its_state(self):
        with self.simulator() as kubeconfig:
            with self.program("kubernetes:///echo", "--kubeconfig", kubeconfig) as address:
                wait_for("three endpoints are READY", lambda: [
                    s["state"] for s in self.subchannels(address)] == ["READY"] * 3)
                text = self.conns(f"127.0.0.1:{address}").stdout
                self.assertIn("kubernetes:///echo  READY", text)
                self.assertEqual(text.count("READY  ready"), 3, text)
                same = self.conns(address, "--diff", "--kubeconfig", kubeconfig)
                self.assertIn("the same as in the API server's slices", same.stdout)
                metrics = run("call", f"127.0.0.1:{address}", METHOD)  # it is no gRPC server
                self.assertEqual(metrics.returncode, 1)

    def test_why_an_endpoint_is_not_connected(self):
        port = free_port()
        with self.child("echo", "--listen", f"127.0.0.1:{port}") as server:
            server.stdout.readline()
            dead = f"127.0.0.1:{free_port()}"
            with self.program(f"static:127.0.0.1:{port},{dead}") as address:
                wait_for("it was tried", lambda: "TRANSIENT_FAILURE" in self.conns(address).stdout)
                [line] = [line for line in self.conns(address).stdout.splitlines()
                          if line.startswith(dead)]
                self.assertIn("REFUSED", line)
                self.assertIn("again in", line)

    def test_nobody_answers(self):
        port = free_port()
        self.fails(run("conns", str(port)), 5, "REFUSED", f"127.0.0.1:{port}")
        self.fails(run("conns", f"[::1]:{port}"), 5, f"http://[::1]:{port}/conns: ")
        self.fails(run("conns", "nonsense"), 2, "nonsense")
        self.fails(run("conns", "99999"), 2, "99999")


def told(peer, **changes):
    return {"peer": peer, "state": "READY", "ready": True, "serving": True, "terminating": False,
            "wanted": True, "ejected": False, "connections": [], **changes}


class Stale(Case):
    """A program that missed what happened, played by a server that tells an old state."""

    @contextlib.contextmanager
    def telling(self, document, status=200):
        body = document if isinstance(document, bytes) else json.dumps(document).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(status)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            server.server_close()

    def test_what_a_program_missed_is_named(self):
        with self.simulator() as kubeconfig:
            peers = [f"{e['address']}:{e['port']}"
                     for e in self.get(kubeconfig, "echo")["endpoints"]]
            channel = {"target": "kubernetes:///echo", "state": "READY",
                       "set": {"service": "default/echo", "state": "some"},
                       "subchannels": [told(peers[0]), told(peers[1], terminating=True),
                                       told("10.9.9.9:50051")]}
            with self.telling({"channels": [channel]}) as address:
                arguments = ["conns", address, "--diff", "--kubeconfig", kubeconfig]
                text = run(*arguments)
                self.assertEqual(text.returncode, 1, text.stderr)
                self.assertIn(f"+ {peers[2]}", text.stdout)
                self.assertIn("- 10.9.9.9:50051  gone from the slices", text.stdout)
                self.assertIn(f"~ {peers[1]}  ready in the slices, terminating, serving in",
                              text.stdout)
                self.assertNotIn(f"~ {peers[0]}", text.stdout)
                [shown] = json.loads(run(*arguments, "-o", "json").stdout)["channels"]
                self.assertEqual(sorted((d["what"], d["peer"]) for d in shown["diff"]),
                                 [("differs", peers[1]), ("gone", "10.9.9.9:50051"),
                                  ("missing", peers[2])])

    def test_the_api_server_does_not_answer(self):
        channel = {"target": "kubernetes:///default/echo", "state": "READY", "set": {},
                   "subchannels": []}
        with self.telling({"channels": [channel]}) as address:
            path = os.path.join(self.folder, "bad")
            with open(path, "w", encoding="utf-8") as file:
                file.write("clusters: 1")
            self.fails(run("conns", address, "--diff", "--kubeconfig", path), 5, "CONFIG", path)

    def test_nothing_in_it_steers_the_terminal(self):
        channel = {"target": "\033[31mred", "state": "READY", "cause": "a\nb", "detail": "\u202e",
                   "subchannels": [told("\033]0;title\007", pod="p\rq")]}
        with self.telling({"channels": [channel]}) as address:
            text = run("conns", address).stdout
            self.assertEqual(len(text.splitlines()), 4, text)
            self.assertTrue(text.replace("\n", "").isprintable(), text)
            self.assertIn("\\x1b[31mred", text)

    def test_answers_that_are_none(self):
        for document in (b"", b"nonsense", b"[]", b'{"channels":1}'):
            with self.telling(document) as address:
                self.fails(run("conns", address), 5, "PROTO", "/conns")
        with self.telling(b"no", status=404) as address:
            self.fails(run("conns", address), 5, "HTTP", "404")
        for channel in ("null", "1", "{}", '{"target":1,"subchannels":[{}]}',
                        '{"subchannels":{"a":1},"set":[],"leaving":[null]}'):
            with self.telling(f'{{"channels":[{channel}]}}'.encode()) as address:
                for arguments in ((), ("--diff",)):
                    self.assertEqual(run("conns", address, *arguments).returncode, 0, channel)
