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
        table = answer.stdout[answer.stdout.index("FAIRLEAD  "):].splitlines()
        fairlead, resolved, virtual = {}, {}, {}
        for line in table[1:8]:
            name, *cells = re.split(r"\s{2,}", line.strip())
            fairlead[name], resolved[name], virtual[name] = cells
        self.assertEqual(fairlead["failed"], "0")
        self.assertEqual(fairlead["to dead addresses"], "0")
        self.assertGreater(int(fairlead["told that no pod is there"]), 0)
        self.assertGreater(int(fairlead["calls"]), 5000)
        self.assertRegex(fairlead["event to first moved call"], "ms")
        self.assertGreater(int(resolved["to dead addresses"]), 0)
        self.assertGreater(int(virtual["calls"]), 0)

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
