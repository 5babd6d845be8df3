"""A child process with its log in a file."""
import pathlib
import signal
import subprocess


class Process:
    """Standard error goes to FOLDER/NAME.log, and standard output too unless the caller wants it.
    Stopped by its process id."""

    def __init__(self, folder, name, arguments, **options):
        self.log = pathlib.Path(folder) / f"{name}.log"
        with open(self.log, "ab") as file:
            options.setdefault("stdout", file)
            self.child = subprocess.Popen(arguments, stderr=file, stdin=subprocess.DEVNULL, **options)

    @property
    def pid(self):
        return self.child.pid

    def alive(self):
        return self.child.poll() is None

    def freeze(self):
        self.child.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.child.send_signal(signal.SIGCONT)

    def stop(self, how=signal.SIGTERM, seconds=20):
        if self.alive():
            self.child.send_signal(how)
            self.thaw()
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        return self.child.returncode

    def text(self):
        return self.log.read_text(errors="replace")
