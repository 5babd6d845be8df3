"""A subject of bench-discovery, and the server it is measured against.

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
import subprocess
import time

from program import SERVER_CORE, Program, pinned


class Subject(Program):
    def cpu_us(self):
        return self.ask("cpu", "cpu")["cpu_us"]

    def require(self, slices, endpoints, unready):
        held = self.ask("held", "held")
        got = (held["slices"], held["endpoints"], held["unready"])
        if got != (slices, endpoints, unready):
            raise SystemExit(f"bench: {self.name} holds (slices, endpoints, unready) {got}, "
                             f"not {(slices, endpoints, unready)}")


class Canned:
    """canned_server on the other core."""

    def __init__(self, program, data, certificates, as_json=False, within=()):
        command = [*within, program, data, certificates / "server.crt", certificates / "server.key"]
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
