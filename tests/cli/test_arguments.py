"""Help, versions, wrong arguments and output that nobody takes: no cluster is needed."""
import os
import subprocess

from support import FAIRLEAD, Case, run

COMMANDS = ["demo", "get", "watch", "call", "conns", "sim", "echo", "explain", "completion", "manual",
            "version"]


class Help(Case):
    def test_overview_lists_every_command(self):
        answer = run("help")
        self.assertEqual(answer.returncode, 0)
        for command in COMMANDS:
            self.assertIn(f"\n  {command} ", answer.stdout)

    def test_every_command_explains_itself(self):
        for command in COMMANDS:
            by_help, by_option = run("help", command), run(command, "--help")
            self.assertEqual(by_help.returncode, 0)
            self.assertEqual(by_help.stdout, by_option.stdout)
            self.assertRegex(by_help.stdout, f"^fairlead {command}( [^ ].*)?\n")
        self.assertEqual(run("help", "help").stdout, run("help").stdout)

    def test_no_command_is_usage(self):
        answer = run()
        self.assertEqual((answer.returncode, answer.stdout), (2, ""))
        self.assertIn("usage:", answer.stderr)

    def test_version(self):
        self.assertRegex(run("version").stdout, r"^fairlead \d+\.\d+\.\d+\n$")
        self.assertEqual(run("--version").stdout, run("version").stdout)

    def test_no_colours_off_a_terminal(self):
        for answer in (run("help"), run("get", "--nonsense")):
            self.assertNotIn("\033", answer.stdout + answer.stderr)


class Wrong(Case):
    def usage(self, *arguments, word):
        answer = run(*arguments)
        self.assertEqual((answer.returncode, answer.stdout), (2, ""), answer.stderr)
        self.assertEqual(len(answer.stderr.splitlines()), 1, answer.stderr)
        self.assertIn(word, answer.stderr)

    def test_command(self):
        self.usage("gte", word='"gte"')
        self.usage("help", "gte", word='"gte"')
        self.usage("help", "get", "watch", word='"watch"')

    def test_options(self):
        self.usage("get", "--nonsense", word="--nonsense")
        self.usage("get", "-x", word="-x")
        self.usage("get", "echo", "--timeout", word="--timeout needs a value")
        self.usage("get", "echo", "--timeout=soon", word='"soon" is not a duration')
        self.usage("get", "echo", "--all=yes", word="--all takes no value")
        self.usage("sim", "--seed", "many", word='"many" is not a number')

    def test_the_log(self):
        self.usage("get", "echo", "--log-format", "xml", word="want text or json")
        self.usage("get", "echo", "--verbose=2", word="--verbose takes no value")

    def test_words(self):
        self.usage("get", word="name one service")
        self.usage("get", "a", "b", word='"b"')
        self.usage("get", "-A", "a", word="name one service")
        self.usage("watch", word="name one service")
        self.usage("call", "host:1", word="SERVICE/METHOD is missing")

    def test_formats(self):
        self.usage("get", "echo", "-o", "xml", word="xml")
        self.usage("watch", "echo", "-o", "yaml", word="yaml")

    def test_services_of_the_simulator(self):
        self.usage("sim", "--service", "echo", word="NAME=PODS")
        self.usage("sim", "--service", "echo=x", word="NAME=PODS")
        self.usage("sim", "--service", "Echo_=1", word="Echo_")

    def test_addresses(self):
        self.usage("sim", "--listen", "nowhere", word="nowhere")
        self.usage("echo", "--listen", "127.0.0.1:99999", word="99999")

    def test_requests(self):
        call = ["call", "127.0.0.1:1"]
        self.usage(*call, "some.Service", word="want SERVICE/METHOD")
        self.usage(*call, "grpc.health.v1.Health/Chick", word="it has: Check, Watch")
        method = "grpc.examples.echo.Echo/UnaryEcho"
        self.usage(*call, method, "-d", "{", word="-d")
        self.usage(*call, method, "-d", '{"massage": "x"}', word="massage")
        self.usage(*call, method, "-d", "@/nonexistent", word="/nonexistent")
        self.usage(*call, method, "--concurrency", "0", word="--concurrency")
        self.usage(*call, method, "-d", '{"message":\n "a",\n nonsense}', word="line 3")
        self.usage(*call, method, "-d", "{} {}", word="takes one message, not 2")
        self.usage(*call, method, "-d", "", word="takes one message, not 0")
        self.usage(*call, method, "-H", "nonsense", word="want NAME:VALUE")
        self.usage(*call, method, "-H", "x-bin: !", word="x-bin: the value is not base64")
        self.usage(*call, method, "--reflect", "--proto-set", "x", word="not both")
        self.usage(*call, method, "--key", "x", word="--cert and --key go together")
        self.usage(*call, method, "--proto-set", "/nonexistent", word="/nonexistent")
        self.usage(*call, method, "--proto-set", __file__, word="no FileDescriptorSet")

    def test_targets(self):
        method = "grpc.examples.echo.Echo/UnaryEcho"
        for target in ("static:", "static:a", "zk:///a", "kubernetes:///UPPER/x", "host:port",
                       "kubernetes:///a/b/c", "kubernetes:///a/b:", ""):
            answer = run("call", target, method)
            self.assertEqual(answer.returncode, 2, f"{target}: {answer.stderr}")
            self.assertEqual(len(answer.stderr.splitlines()), 1, answer.stderr)


class Output(Case):
    WHERE = ("get", "static:1.2.3.4:5")

    def test_no_line_of_a_table_ends_with_blanks(self):
        lines = run(*self.WHERE).stdout.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertEqual([line.rstrip() for line in lines], lines)

    def test_a_full_disk_is_told(self):
        for arguments in (self.WHERE, ("version",), ("completion", "bash")):  # short and long
            with open("/dev/full", "w", encoding="utf-8") as full:
                answer = subprocess.run([FAIRLEAD, *arguments], stdout=full, timeout=60, text=True,
                                        stderr=subprocess.PIPE, check=False)
            self.fails(answer, 5, "standard output cannot be written")

    def test_closed_descriptors_are_no_sockets(self):
        for closed, code in ((0, 0), (1, 5), (2, 0)):
            answer = subprocess.run([FAIRLEAD, *self.WHERE], timeout=60, check=False,
                                    preexec_fn=lambda: os.close(closed))
            self.assertEqual(answer.returncode, code, f"descriptor {closed}")
