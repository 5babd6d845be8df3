"""What the binary says of itself: causes, manual pages, completion; and the documents made from it."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import unittest

from support import FAIRLEAD, Case, run

ROOT = pathlib.Path(__file__).resolve().parents[2]


def causes():
    """The names in the one list of causes."""
    text = (ROOT / "include/fairlead/error.h").read_text(encoding="utf-8")
    return re.findall(r"^ +X\((\w+), \w+, \"", text, re.M)


class Explain(Case):
    def test_every_cause_is_explained(self):
        names = causes()
        self.assertGreater(len(names), 30)
        for name in names:
            answer = run("explain", name)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertTrue(answer.stdout.startswith(f"{name}: "))
            self.assertIn("What to do: ", answer.stdout)
        listed = [line.split()[0] for line in run("explain").stdout.splitlines()]
        self.assertEqual(listed, names)

    def test_names_as_they_stand_in_code_and_logs(self):
        for name in ("gone", "GONE", "FL_EGONE"):
            self.assertTrue(run("explain", name).stdout.startswith("GONE: "))

    def test_for_scripts(self):
        one = json.loads(run("explain", "CERT", "-o", "json").stdout)
        self.assertEqual(sorted(one), ["cause", "meaning", "reaction", "remedy", "text"])
        every = json.loads(run("explain", "-o", "json").stdout)
        self.assertEqual([item["cause"] for item in every], causes())

    def test_wrong_ones(self):
        self.fails(run("explain", "NIX"), 2, '"NIX"', "fairlead explain lists")
        self.fails(run("explain", "GONE", "-o", "markdown"), 2, "markdown")

    def test_the_document_is_up_to_date(self):
        document = (ROOT / "doc/errors.md").read_text(encoding="utf-8")
        self.assertEqual(document, run("explain", "-o", "markdown").stdout, "run: make docs")


class Proofs(Case):
    """Documents name the tests that try to break what they promise."""

    def test_every_test_that_a_document_names_exists(self):
        files = [path for path in (ROOT / "tests").rglob("*") if path.suffix in (".c", ".py")]
        names = {path.stem for path in files} | {path.name for path in files}
        for path in files:
            names.update(re.findall(r"\btest_\w+", path.read_text(encoding="utf-8")))
        named = set()
        for document in (ROOT / "doc").glob("*.md"):
            text = document.read_text(encoding="utf-8")
            named.update(re.findall(r"`(test_\w+…?|\w+_test|\w+_fuzz|\w+\.py)`", text))
        self.assertGreater(len(named), 40)
        for name in sorted(named):
            start = name.rstrip("…")
            found = any(known.startswith(start) for known in names) if start != name else start in names
            self.assertTrue(found, name)


class Manual(Case):
    def test_every_command_has_a_page(self):
        overview = run("manual").stdout
        commands = re.findall(r"^\.BR fairlead\\-(\w+) \(1\)$", overview, re.M)
        self.assertIn("get", commands)
        for command in commands:
            page, text = run("manual", command).stdout, run("help", command).stdout
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXIT STATUS"):
                self.assertIn(f".SH {section}\n", page)
            for option in re.findall(r"--([a-z0-9-]+) ", text.partition("\nOptions:\n")[2]):
                self.assertIn("\\-\\-" + option.replace("-", "\\-"), page)

    def test_unknown_page(self):
        self.fails(run("manual", "gte"), 2, '"gte"')


@unittest.skipUnless(shutil.which("bash"), "needs bash")
class Bash(Case):
    def complete(self, *words):
        """What bash offers for the last word."""
        script = (f'source <("{FAIRLEAD}" completion bash); COMP_WORDS=("$@"); '
                  'COMP_CWORD=$(($# - 1)); _fairlead; printf "%s\\n" "${COMPREPLY[@]}"')
        answer = subprocess.run(["bash", "-c", script, "fairlead", *words], capture_output=True,
                                text=True, timeout=30, check=True)
        self.assertEqual(answer.stderr, "")
        return answer.stdout.split()

    def test_commands(self):
        self.assertEqual(self.complete("fairlead", "wa"), ["watch"])
        self.assertIn("explain", self.complete("fairlead", ""))

    def test_options_are_those_of_the_help(self):
        offered = self.complete("fairlead", "get", "--")
        for option in re.findall(r" (--[a-z-]+) ", run("help", "get").stdout):
            self.assertIn(option, offered)
        self.assertEqual(self.complete("fairlead", "watch", "--snap"), ["--snapshot"])

    def test_words_and_files(self):
        self.assertEqual(self.complete("fairlead", "explain", "GON"), ["GONE"])
        self.assertEqual(self.complete("fairlead", "completion", "z"), ["zsh"])
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "kubeconfig")
            pathlib.Path(path).touch()
            prefix = os.path.join(folder, "kube")
            self.assertEqual(self.complete("fairlead", "get", "--kubeconfig", prefix), [path])
            self.assertEqual(self.complete("fairlead", "get", "--timeout", prefix), [])


class Completion(Case):
    def test_shells_that_are_installed_accept_their_script(self):
        for shell in ("bash", "zsh", "fish"):
            answer = run("completion", shell)
            self.assertEqual(answer.returncode, 0)
            self.assertIn("kubeconfig", answer.stdout)
            if shutil.which(shell):
                subprocess.run([shell, "-n"], input=answer.stdout, text=True, timeout=30, check=True)

    def test_unknown_shell(self):
        self.fails(run("completion", "tcsh"), 2, "tcsh", "bash, zsh or fish")
