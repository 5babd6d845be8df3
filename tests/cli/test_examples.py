"""The programs in examples/, run against a simulator as their comments say."""
import os
import subprocess

import support

TARGET = "kubernetes:///default/echo:grpc"


class Examples(support.Case):
    def example(self, name, *arguments, kubeconfig=None):
        environment = {**os.environ, "HOME": "/nonexistent"}
        environment.pop("KUBERNETES_SERVICE_HOST", None)
        if kubeconfig:
            environment["KUBECONFIG"] = kubeconfig
        return subprocess.run([os.path.join(os.environ["EXAMPLES"], name), *arguments],
                              capture_output=True, text=True, timeout=30, env=environment)

    def lines(self, *arguments, kubeconfig):
        answer = self.example(*arguments, kubeconfig=kubeconfig)
        self.assertEqual(answer.returncode, 0, answer.stdout + answer.stderr)
        return answer.stdout.splitlines()

    def test_against_the_simulator(self):
        with self.simulator() as kubeconfig:
            lines = self.lines("echo_client", TARGET, "30", kubeconfig=kubeconfig)
            self.assertEqual(len(lines), 30)
            self.assertTrue(all(line.endswith('said "hello"') for line in lines), lines)
            self.assertEqual(len({line.split()[0] for line in lines}), 3, lines)

            lines = self.lines("poll_loop", TARGET, kubeconfig=kubeconfig)
            self.assertIn("default/echo: some", lines)
            self.assertEqual(sum(line.startswith("  ") for line in lines), 3, lines)

            lines = self.lines("watch_service", TARGET, "1", kubeconfig=kubeconfig)
            self.assertEqual(sum(line.startswith("+ ") for line in lines), 3, lines)

            line, = self.lines("greeter_client", TARGET, "Ahab", kubeconfig=kubeconfig)
            self.assertRegex(line, r'^127\.1\.0\.\d:50051 said "Hello Ahab"$')

            lines = self.lines("fanout", TARGET, kubeconfig=kubeconfig)
            self.assertEqual(lines[-1], "3 of 3 have heard it")
            self.assertEqual(len({line.split()[1] for line in lines[:-1]}), 3, lines)

            lines = self.lines("idle", TARGET, kubeconfig=kubeconfig)
            self.assertEqual([line.split()[0] for line in lines if line.split()[0] in ("OK", "IDLE")],
                             ["OK", "IDLE", "OK"], lines)

            lines = self.lines("uv_loop", TARGET, "6", kubeconfig=kubeconfig)
            self.assertEqual(len(lines), 6)
            self.assertTrue(all(line.endswith("is serving") for line in lines), lines)

    def test_nobody_there(self):
        port = support.free_port()
        answer = self.example("echo_client", f"127.0.0.1:{port}", "1")
        self.assertEqual(answer.returncode, 1)
        self.assertIn("DEADLINE_EXCEEDED", answer.stdout)

    def test_bad_target(self):
        for name in ("echo_client", "fanout", "greeter_client", "idle", "poll_loop", "uv_loop",
                     "watch_service"):
            self.assertEqual(self.example(name).returncode, 2)
            answer = self.example(name, "echo")
            self.assertEqual(answer.returncode, 1)
            self.assertIn("echo", answer.stderr)
