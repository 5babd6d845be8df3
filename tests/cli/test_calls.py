"""fairlead call and echo."""
import json
import signal
import subprocess
import time

from support import FAIRLEAD, METHOD, Case, free_port, run, wait_for


class Call(Case):
    def test_one_call(self):
        port = free_port()
        with self.child("echo", "--listen", f"127.0.0.1:{port}") as server:
            server.stdout.readline()
            for target in (f"127.0.0.1:{port}", f"static:127.0.0.1:{port}", f"localhost:{port}"):
                answer = run("call", target, METHOD, "-d", '{"message":"ahoy"}')
                self.assertEqual(answer.returncode, 0, answer.stderr)
                self.assertEqual(json.loads(answer.stdout), {"message": "ahoy"})
            answer = run("call", f"127.0.0.1:{port}", "grpc.health.v1.Health/Check")
            self.assertEqual(json.loads(answer.stdout), {"status": "SERVING"})
            answer = run("call", f"127.0.0.1:{port}", METHOD, "-d", "-", stdin='{"message":"x"}')
            self.assertEqual(json.loads(answer.stdout), {"message": "x"})

    def test_C5_calls_are_balanced_over_the_pods(self):
        with self.simulator() as kubeconfig:
            answer = run("call", "kubernetes:///default/echo", METHOD, "--repeat", "300",
                         "--concurrency", "3", "-o", "json", "--kubeconfig", kubeconfig)
            summary = json.loads(answer.stdout)
            self.assertEqual((summary["calls"], summary["failures"]), (300, 0), answer.stderr)
            self.assertEqual(len(summary["byPeer"]), 3)
            self.assertTrue(all(count >= 50 for count in summary["byPeer"].values()), summary)

    def test_rolling_updates_fail_no_call(self):
        with self.simulator("--roll", "2s") as kubeconfig:
            process = subprocess.Popen(
                [FAIRLEAD, "call", "kubernetes:///echo", METHOD, "--repeat", "100000000",
                 "--concurrency", "4", "-o", "json", "--kubeconfig", kubeconfig],
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            time.sleep(8)
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=30)
            summary = json.loads(out)
            self.assertEqual((process.returncode, summary["failures"]), (0, 0), err)
            self.assertGreaterEqual(len(summary["byPeer"]), 6, summary["byPeer"])

    def test_failures_name_the_cause(self):
        with self.simulator("--service", "echo=3", "--service", "none=0") as kubeconfig:
            config = ["--kubeconfig", kubeconfig]
            self.fails(run("call", "kubernetes:///none", METHOD, *config), 4, "EMPTY",
                       "UNAVAILABLE", "default/none")
            self.fails(run("call", "kubernetes:///nosuch", METHOD, *config), 3, "ABSENT",
                       "default/nosuch")
            self.fails(run("call", "kubernetes:///echo:nosuch", METHOD, *config), 2, "PORT",
                       "(80)")
        port = free_port()
        self.fails(run("call", f"127.0.0.1:{port}", METHOD), 1, "REFUSED",
                   f"can be reached; 127.0.0.1:{port}: connection refused")


class Echo(Case):
    def test_sigterm_finishes_what_was_accepted(self):
        port = free_port()
        with self.child("echo", "--listen", f"127.0.0.1:{port}", "--delay", "1s") as server:
            server.stdout.readline()
            client = subprocess.Popen([FAIRLEAD, "call", f"127.0.0.1:{port}", METHOD, "-d",
                                       '{"message":"late"}'], stdout=subprocess.PIPE, text=True)
            time.sleep(0.5)
            server.send_signal(signal.SIGTERM)
            wait_for("it stopped listening",
                     lambda: run("call", f"127.0.0.1:{port}", METHOD).returncode == 1)
            out, _ = client.communicate(timeout=20)
            self.assertEqual((client.returncode, json.loads(out)), (0, {"message": "late"}))
            self.assertEqual(server.wait(20), 0)
