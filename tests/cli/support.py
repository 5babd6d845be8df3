"""What the tests of the binary share: running it, simulators, peers that misbehave."""
import contextlib
import json
import os
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from waiting import free_port, wait_for

FAIRLEAD = os.environ["FAIRLEAD"]
METHOD = "grpc.examples.echo.Echo/UnaryEcho"


def run(*arguments, timeout=60, env=None, stdin=None):
    """Runs fairlead to its end; never with the caller's own configuration."""
    environment = {**os.environ, "HOME": "/nonexistent", **(env or {})}
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST"):
        if not env or name not in env:
            environment.pop(name, None)
    return subprocess.run([FAIRLEAD, *arguments], capture_output=True, text=True, timeout=timeout,
                          env=environment, input=stdin)


def write_kubeconfig(folder, server, user=None, cluster=None, name="kubeconfig"):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as file:
        json.dump({
            "apiVersion": "v1", "kind": "Config", "current-context": "one",
            "clusters": [{"name": "one", "cluster": {"server": server, **(cluster or {})}}],
            "users": [{"name": "one", "user": user or {}}],
            "contexts": [{"name": "one", "context": {"cluster": "one", "user": "one"}}]}, file)
    return path


class Case(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def fails(self, answer, code, *words):
        """The documented exit code, and one line that says what."""
        self.assertEqual(answer.returncode, code, answer.stderr)
        lines = answer.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, answer.stderr)
        for word in words:
            self.assertIn(word, lines[0])

    @contextlib.contextmanager
    def child(self, *arguments, stop=signal.SIGTERM):
        """fairlead in the background; ends with exit code 0 when told to."""
        process = subprocess.Popen([FAIRLEAD, *arguments], stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, text=True)
        try:
            yield process
        finally:
            process.send_signal(stop)
            try:
                out, err = process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
                self.fail(f"{arguments[0]} did not end in 30 s: {out}{err}")
            process.rest, process.errors = out, err
            self.assertEqual(process.returncode, 0, err)

    @contextlib.contextmanager
    def simulator(self, *arguments, ready=True):
        """A simulator; gives its kubeconfig. With `ready`, once every pod of service echo is."""
        kubeconfig = os.path.join(self.folder, "sim.kubeconfig")
        with self.child("sim", "--listen", f"127.0.0.1:{free_port()}", "--kubeconfig-out",
                        kubeconfig, *arguments) as process:
            self.assertIn("API server at", process.stdout.readline())
            if ready:
                wait_for("three pods are ready", lambda: self.ready_count(kubeconfig) == 3)
            yield kubeconfig

    def get(self, kubeconfig, service, *arguments, code=0):
        answer = run("get", service, "-o", "json", "--kubeconfig", kubeconfig, *arguments)
        self.assertEqual(answer.returncode, code, answer.stderr)
        return json.loads(answer.stdout)

    def ready_count(self, kubeconfig, service="echo"):
        answer = run("get", service, "-o", "json", "--kubeconfig", kubeconfig)
        if answer.returncode not in (0, 4):
            raise AssertionError(answer.stderr)
        return sum(e["ready"] for e in json.loads(answer.stdout)["endpoints"])


class Peer:
    """A TCP server that treats each connection as `behave(connection)` says, on a thread each."""

    def __init__(self, behave):
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.behave, self.connections = behave, []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.connections.append(connection)
                threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError):
            self.behave(connection)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        for connection in self.connections:
            connection.close()
