"""A steady load by a program of tests/peers/driver, which tells all the while what became of its calls."""
import json
import pathlib
import signal
import subprocess
import threading

from process import Process
from waiting import wait_for


class Load:
    """`options`: of the program, as option="value" or option=True."""

    def __init__(self, bed, target, program="peer_load", **options):
        program = pathlib.Path(bed.fairlead).parent / "tests" / "peers" / "driver" / program
        flags = []
        for name, value in options.items():
            flags += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
        self.process = Process(bed.folder, "load", [program, *flags, target], stdout=subprocess.PIPE,
                               text=True)
        self.told = None  # the last line
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        for line in self.process.child.stdout:
            self.told = json.loads(line)

    def now(self):
        assert self.process.alive(), f"the load ended; see {self.process.log}"
        return self.told or {"ok": 0, "ended": 0, "failures": {}, "streams": {"echoes": 0}}

    def later(self):
        """What it tells when some more calls, or echoes, went well."""
        before = self.now()

        def is_later():
            now = self.now()
            return (now["ok"] + now["streams"]["echoes"] >=
                    before["ok"] + before["streams"]["echoes"] + 100)
        wait_for("the load goes on", is_later, 60, lambda: f"    {self.told}")
        return self.now()

    def failed(self):
        return sum(self.now()["failures"].values())

    def hold(self):
        """Or, the next time, lets calls go on."""
        self.process.child.send_signal(signal.SIGUSR1)

    def stop(self):
        """The account at the end, when every call has ended."""
        self.process.child.send_signal(signal.SIGTERM)
        code = self.process.child.wait(60)
        self.thread.join()
        assert code == 0, f"the load exited with {code}; see {self.process.log}"
        assert self.told["started"] == self.told["ended"], self.told
        return self.told

    def __enter__(self):
        try:
            self.later()
        except BaseException:
            self.end()
            raise
        return self

    def __exit__(self, *_):
        self.end()

    def end(self):
        """However it is."""
        self.process.stop(signal.SIGKILL)
        self.thread.join()
