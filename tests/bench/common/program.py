"""A program that is measured or measures: pinned to a core, told what to do by lines on its standard input, and
answering by lines of JSON with a member "at"."""
import json
import os
import queue
import subprocess
import threading
import time

CLIENT_CORE, SERVER_CORE = 1, 0
IDLE_QUIET, IDLE_MAX = 2.0, 5.0  # seconds: memory that has not moved so long, waited for at most


def pinned(core):
    """For preexec_fn; None: any core."""
    if core is None:
        return None
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


class Program:
    def __init__(self, name, command, log, env=None, core=CLIENT_CORE):
        self.name, self.log = name, open(log, "ab")
        self.child = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.log, env={**os.environ, **(env or {})},
                                      preexec_fn=pinned(core), text=True)
        self.answers = queue.Queue()
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self):
        for line in self.child.stdout:
            self.answers.put(json.loads(line))
        self.answers.put(None)

    def wait(self, at, seconds=120):
        """The answer `at`; what else comes is another's."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                answer = self.answers.get(timeout=max(0.01, deadline - time.monotonic()))
            except queue.Empty:
                raise SystemExit(f"bench: {self.name} did not say \"{at}\" in {seconds} s: it did not see "
                                 f"everything: {self.last_words()}") from None
            if answer is None:
                raise SystemExit(f"bench: {self.name} ended: {self.last_words()}")
            if answer["at"] == at:
                return answer

    def last_words(self):
        with open(self.log.name, errors="replace") as log:
            return "".join(log.readlines()[-5:]).strip() or "it wrote nothing to its log"

    def tell(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def ask(self, command, at):
        self.tell(command)
        return self.wait(at)

    def status(self, field):  # KiB
        with open(f"/proc/{self.child.pid}/status") as status:
            return next(int(line.split()[1]) for line in status if line.startswith(field + ":"))

    def reset_peak(self):
        with open(f"/proc/{self.child.pid}/clear_refs", "w") as file:
            file.write("5")

    def peak_kib(self):
        return self.status("VmHWM")

    def idle_kib(self):
        """Resident memory once it does not move any more."""
        began = moved = time.monotonic()
        last = self.status("VmRSS")
        while time.monotonic() - moved < IDLE_QUIET and time.monotonic() - began < IDLE_MAX:
            time.sleep(0.1)
            now = self.status("VmRSS")
            if abs(now - last) > 64:
                last, moved = now, time.monotonic()
        return self.status("VmRSS")

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.log.close()
