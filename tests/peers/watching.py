"""`fairlead watch -o json` as a script would use it: applies the lines to an empty set."""
import json
import subprocess
import threading

from process import Process
from waiting import wait_for


class Watch:
    """`within`: a command that runs another, such as nsenter."""

    def __init__(self, folder, name, fairlead, kubeconfig, service, within=()):
        self.process = Process(folder, name, [
            *within, fairlead, "watch", "-vv", "--kubeconfig", kubeconfig, "-o", "json", service],
            stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.held, self.state, self.version, self.stale_ms = {}, None, 0, 0  # as the last line says
        self.history = []  # the addresses after each line
        self.trouble = None
        self.read_up_to = 0
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            for line in self.process.child.stdout:
                with self.lock:
                    self.apply(json.loads(line))
        except (AssertionError, KeyError, ValueError) as error:  # told by whoever looks
            self.trouble = error

    def apply(self, line):
        def key(endpoint):
            return endpoint["address"], endpoint["port"]

        changes = line["added"] or line["removed"] or line["changed"] or line["state"] != self.state
        assert line["version"] >= self.version + bool(changes), (
            f"version {line['version']} after {self.version}")
        self.version, self.state, self.stale_ms = line["version"], line["state"], line["stale_ms"]
        for endpoint in line["removed"]:
            assert key(endpoint) in self.held, f"removed what was not there: {endpoint}"
            del self.held[key(endpoint)]
        for endpoint in line["added"]:
            assert key(endpoint) not in self.held, f"added what was there: {endpoint}"
            self.held[key(endpoint)] = endpoint
        for endpoint in line["changed"]:
            assert key(endpoint) in self.held, f"changed what was not there: {endpoint}"
            self.held[key(endpoint)] = endpoint
        self.history.append([address for address, _ in self.held])

    def view(self):
        """{(address, port): (ready, serving, terminating)} as applied so far, and the state."""
        if self.trouble:
            raise self.trouble
        if not self.process.alive():
            raise AssertionError(f"fairlead watch ended; see {self.process.log}\n{self.tail()}")
        with self.lock:
            return {k: (e["ready"], e["serving"], e["terminating"]) for k, e in self.held.items()}, \
                self.state

    # What it says on standard error: trouble in words for the user, and log lines.

    def forget(self):
        """What was said up to now does not count any more."""
        self.read_up_to = len(self.process.text())

    def said(self):
        return self.process.text()[self.read_up_to:].splitlines()

    def lines_with(self, *words):
        return [line for line in self.said() if all(word in line for word in words)]

    def troubles_with(self, word):
        """What the user is told whatever the log level, as opposed to log lines."""
        return [line for line in self.lines_with(word) if line.startswith("fairlead: ")]

    def expect(self, *words, seconds=60):
        """Waits for a line with all of these words."""
        return wait_for(f"fairlead says {' '.join(words)}", lambda: self.lines_with(*words), seconds,
                        self.tail)[0]

    def tail(self):
        return "\n".join(f"    {line}" for line in self.said()[-12:])

    def close(self):
        code = self.process.stop()
        self.thread.join()
        if self.trouble:
            raise self.trouble
        assert code == 0, f"fairlead watch exited with {code} at SIGTERM; see {self.process.log}"
