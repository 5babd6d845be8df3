"""fairlead demo: plain lines, a table, and exit code 0 because no call failed."""
import re

from support import Case, run


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
        self.assertRegex(rows["endpoint event to first moved call"], "ms of 3 new pods")
