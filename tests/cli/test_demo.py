"""fairlead demo: plain lines, a table, and exit code 0 because no call failed; on a terminal a
picture that is redrawn, which Ctrl-C ends in order."""
import contextlib
import os
import pty
import re
import subprocess

from support import FAIRLEAD, Case, run

ESCAPES = re.compile(r"\x1b\[[?0-9;]*[a-zA-Z]|\^C")


def read_to_the_end(terminal):
    """Until the last program on it has closed it, which reads as an error."""
    parts = []
    with contextlib.suppress(OSError):
        while part := os.read(terminal, 4096):
            parts.append(part)
    return b"".join(parts)


class Demo(Case):
    def test_no_call_fails(self):
        answer = run("demo")
        self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
        self.assertNotIn("\033", answer.stdout)
        table = answer.stdout[answer.stdout.index("FAIRLEAD"):]
        rows = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in table.strip().splitlines())
        self.assertEqual(rows["failures"], "0")
        self.assertEqual(rows["pods seen"], "6")
        self.assertEqual(rows["calls to a pod that had left"], "0")
        self.assertGreater(int(rows["calls"]), 1000)
        self.assertRegex(rows["endpoint event to first moved call"], "ms, 3 new pods")

    def test_terminal_of_80_columns_and_an_interruption(self):
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        with subprocess.Popen([FAIRLEAD, "demo"], stdin=theirs, stdout=theirs, stderr=theirs,
                              env={**os.environ, "TERM": "xterm"}, start_new_session=True,
                              preexec_fn=lambda: os.close(os.open(os.ttyname(0), os.O_RDWR))
                              ) as process:
            os.close(theirs)
            shown = b""
            while b"gone" not in shown:
                shown += os.read(ours, 4096)
            os.write(ours, b"\x03")
            shown += read_to_the_end(ours)
            self.assertNotEqual(process.wait(timeout=10), 0)
        lines = [ESCAPES.sub("", line) for line in shown.decode().splitlines()]
        self.assertRegex(shown, rb"\x1b\[\d+A\x1b\[J")  # redrawn in place
        for line in lines:
            self.assertLess(len(line), 80, line)
        self.assertIn("interrupted", lines[-1])
