"""`fairlead watch -o json` as a script would use it: applies the lines to an empty set."""
import json
import subprocess
import threading

from cluster import Process


class Watch:
    def __init__(self, folder, fairlead, kubeconfig, service):
        self.process = Process(folder, "watch", [
            fairlead, "watch", "--kubeconfig", kubeconfig, "-o", "json", service],
            stdout=subprocess.PIPE, text=True)
        self.lock = threading.Lock()
        self.held, self.state, self.version, self.lines = {}, None, 0, 0
        self.trouble = None
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        try:
            for line in self.process.child.stdout:
                with self.lock:
                    self.apply(json.loads(line))
        except Exception as error:
            self.trouble = error

    def apply(self, line):
        def key(endpoint):
            return endpoint["address"], endpoint["port"]

        assert line["version"] > self.version, f"version {line['version']} after {self.version}"
        self.version, self.state = line["version"], line["state"]
        self.lines += 1
        for endpoint in line["removed"]:
            assert key(endpoint) in self.held, f"removed what was not there: {endpoint}"
            del self.held[key(endpoint)]
        for endpoint in line["added"]:
            assert key(endpoint) not in self.held, f"added what was there: {endpoint}"
            self.held[key(endpoint)] = endpoint
        for endpoint in line["changed"]:
            assert key(endpoint) in self.held, f"changed what was not there: {endpoint}"
            self.held[key(endpoint)] = endpoint

    def view(self):
        """{(address, port): (ready, serving, terminating)} as applied so far, and the state."""
        if self.trouble:
            raise self.trouble
        if not self.process.alive():
            raise AssertionError(f"fairlead watch ended; see {self.process.log}")
        with self.lock:
            return {k: (e["ready"], e["serving"], e["terminating"]) for k, e in self.held.items()}, \
                self.state

    def close(self):
        code = self.process.stop()
        self.thread.join()
        assert code == 0, f"fairlead watch exited with {code} at SIGTERM; see {self.process.log}"
