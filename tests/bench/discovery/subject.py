"""A subject: a client process that is pinned to one core, told what to do by lines on its standard input, and
answers by lines of JSON.

At its start it prints {"at":"synced","cpu_us":CPU of the process so far,"us":time}. The commands:
    expect N     -> {"at":"expecting"}, and after N updates {"at":"events","cpu_us","us","seen"}
    cpu          -> {"at":"cpu","cpu_us"}
    held         -> {"at":"held","slices","endpoints","unready"}: what it knows now
    log          -> from now on the time of each update is kept
    write FILE   -> these times, as lines "NAME NANOSECONDS"
    areas        -> {"at":"areas","heap":…}: bytes of the heap, in all and by area (Fairlead only)
    free         -> gives memory back to the system (client-go only)
"""
import json
import os
import queue
import subprocess
import threading
import time

CLIENT_CORE, SERVER_CORE = 1, 0
IDLE_QUIET, IDLE_MAX = 2.0, 5.0  # seconds: memory that has not moved so long, waited for at most


def pinned(core):
    cores = sorted(os.sched_getaffinity(0))
    return lambda: os.sched_setaffinity(0, {cores[core % len(cores)]})


class Subject:
    def __init__(self, name, command, log, env=None):
        self.name, self.log = name, open(log, "ab")
        self.child = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      stderr=self.log, env={**os.environ, **(env or {})},
                                      preexec_fn=pinned(CLIENT_CORE), text=True)
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
                raise SystemExit(f"bench: {self.name} did not say \"{at}\" in {seconds} s: it did not see every "
                                 f"event; its log: {self.log.name}") from None
            if answer is None:
                raise SystemExit(f"bench: {self.name} ended; its log: {self.log.name}")
            if answer["at"] == at:
                return answer

    def tell(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()

    def ask(self, command, at):
        self.tell(command)
        return self.wait(at)

    def cpu_us(self):
        return self.ask("cpu", "cpu")["cpu_us"]

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

    def require(self, slices, endpoints, unready):
        held = self.ask("held", "held")
        got = (held["slices"], held["endpoints"], held["unready"])
        if got != (slices, endpoints, unready):
            raise SystemExit(f"bench: {self.name} holds (slices, endpoints, unready) {got}, "
                             f"not {(slices, endpoints, unready)}")

    def close(self):
        if self.child.poll() is None:
            self.child.kill()
        self.child.wait()
        self.log.close()


class Canned:
    """canned_server on the other core."""

    def __init__(self, program, data, certificates, as_json=False):
        command = [program, data, certificates / "server.crt", certificates / "server.key"]
        self.child = subprocess.Popen([str(c) for c in command] + (["--json"] if as_json else []),
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                      preexec_fn=pinned(SERVER_CORE), text=True)
        self.port = int(self.child.stdout.readline())

    def ask(self, command):
        self.child.stdin.write(command + "\n")
        self.child.stdin.flush()
        return json.loads(self.child.stdout.readline())

    def wait(self, what, check, seconds=120):
        deadline = time.monotonic() + seconds
        while not check(self.ask("state")):
            if time.monotonic() > deadline:
                raise SystemExit(f"bench: gave up after {seconds} s waiting until {what}")
            time.sleep(0.01)

    def cpu_us(self):
        with open(f"/proc/{self.child.pid}/schedstat") as file:
            return int(file.read().split()[0]) // 1000

    def close(self):
        self.child.kill()
        self.child.wait()
