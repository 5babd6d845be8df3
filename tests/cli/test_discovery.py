"""fairlead get and watch against the simulator."""
import contextlib
import json
import os
import re
import signal
import subprocess
import urllib.request

from support import FAIRLEAD, Case, free_port, run, wait_for, write_kubeconfig

MEMBERS = {"address", "port", "portName", "protocol", "appProtocol", "ready", "serving",
           "terminating", "node", "zone", "pod"}


def create(kubeconfig, path, thing):
    with open(kubeconfig, encoding="utf-8") as file:
        server = next(line.split()[-1] for line in file if "server:" in line)
    request = urllib.request.Request(server + path, json.dumps(thing).encode(),
                                     {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30):
        pass


class Get(Case):
    def test_json(self):
        with self.simulator() as kubeconfig:
            shown = self.get(kubeconfig, "echo")
            self.assertEqual(shown["service"], "default/echo")
            self.assertEqual(shown["state"], "some")
            self.assertEqual(shown["stale_ms"], 0)
            self.assertGreater(shown["version"], 0)
            self.assertEqual(len(shown["endpoints"]), 3)
            for endpoint in shown["endpoints"]:
                self.assertEqual(set(endpoint), MEMBERS)
                self.assertTrue(endpoint["ready"] and endpoint["pod"])

    def test_C20_target_port_by_name_and_number(self):
        with self.simulator() as kubeconfig:
            plain = self.get(kubeconfig, "echo")["endpoints"]
            self.assertEqual({e["port"] for e in plain}, {50051})
            name = plain[0]["portName"]
            self.assertEqual(self.get(kubeconfig, f"echo:{name}")["endpoints"], plain)
            self.assertEqual(self.get(kubeconfig, "default/echo:80")["endpoints"], plain)
            answer = run("get", "echo:50051", "--kubeconfig", kubeconfig)
            self.fails(answer, 2, "PORT", '"50051"', f"{name} (80)")

    def test_other_formats(self):
        with self.simulator() as kubeconfig:
            table = run("get", "echo", "--kubeconfig", kubeconfig).stdout.splitlines()
            self.assertTrue(table[0].startswith("ADDRESS"))
            self.assertEqual(len(table), 4)
            wide = run("get", "echo", "-o", "wide", "--kubeconfig", kubeconfig).stdout
            self.assertIn("PROTOCOL", wide.splitlines()[0])
            text = run("get", "echo", "-o", "yaml", "--kubeconfig", kubeconfig).stdout
            self.assertIn('service: "default/echo"', text)
            self.assertEqual(text.count("- address:"), 3)

    def test_all_services(self):
        with self.simulator("--service", "echo=3", "--service", "other/b=2") as kubeconfig:
            wait_for("b is up", lambda: self.ready_count(kubeconfig, "other/b") == 2)
            answer = run("get", "-A", "-o", "json", "--kubeconfig", kubeconfig)
            shown = {s["service"]: len(s["endpoints"]) for s in json.loads(answer.stdout)}
            self.assertEqual(shown, {"default/echo": 3, "other/b": 2})
            answer = run("get", "-A", "-n", "other", "-o", "json", "--kubeconfig", kubeconfig)
            self.assertEqual([s["service"] for s in json.loads(answer.stdout)], ["other/b"])

    def test_all_goes_on_after_a_refusal(self):
        with self.simulator("--service", "echo=1", "--service", "other/b=1", "--fault", "403@0sx3",
                            ready=False) as kubeconfig:
            answer = run("get", "-A", "-o", "json", "--kubeconfig", kubeconfig)
            self.assertEqual(answer.returncode, 0, answer.stderr)
            self.assertIn("trying the default namespace alone", answer.stderr)
            self.assertIn("default/echo", [s["service"] for s in json.loads(answer.stdout)])

    def test_absent_and_empty_are_different_answers(self):
        with self.simulator("--service", "echo=3", "--service", "none=0") as kubeconfig:
            answer = run("get", "nosuch", "-o", "json", "--kubeconfig", kubeconfig)
            self.fails(answer, 3, "ABSENT", "default/nosuch")
            self.assertEqual(json.loads(answer.stdout)["state"], "absent")
            answer = run("get", "none", "-o", "json", "--kubeconfig", kubeconfig)
            self.fails(answer, 4, "EMPTY", "default/none")
            self.assertEqual(json.loads(answer.stdout)["state"], "empty")


class Watch(Case):
    def watch(self, kubeconfig, *arguments):
        return subprocess.Popen([FAIRLEAD, "watch", "--kubeconfig", kubeconfig, *arguments],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def test_applying_the_lines_gives_the_set(self):
        with self.simulator("--roll", "1s") as kubeconfig:
            process = self.watch(kubeconfig, "echo", "-o", "json")
            held, version, addresses = {}, 0, set()
            while len(addresses) < 6:  # a whole rolling update of three
                line = json.loads(process.stdout.readline())
                self.assertEqual(list(line), ["time", "service", "state", "version", "stale_ms",
                                              "added", "removed", "changed"])
                self.assertGreater(line["version"], version)
                version = line["version"]
                for endpoint in line["removed"]:
                    del held[endpoint["address"], endpoint["port"]]
                for endpoint in line["added"]:
                    self.assertNotIn((endpoint["address"], endpoint["port"]), held)
                for endpoint in line["changed"]:
                    self.assertIn((endpoint["address"], endpoint["port"]), held)
                for endpoint in line["added"] + line["changed"]:
                    held[endpoint["address"], endpoint["port"]] = endpoint
                addresses |= set(held)
                self.assertGreaterEqual(sum(e["ready"] for e in held.values()), 3)
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
            self.assertEqual(process.returncode, 0)

    def test_text_lines(self):
        with self.simulator("--roll", "1s") as kubeconfig:
            process = self.watch(kubeconfig, "echo")
            signs = set()
            while not {"=", "+", "-", "~"} <= signs:
                line = process.stdout.readline()
                signs.add(line[0])
                self.assertIn("default/echo", line)
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=10)
            self.assertEqual(process.returncode, 0)

    def test_names_of_pods_are_no_control_sequences(self):
        endpoint = {"addresses": ["10.9.9.9"], "zone": "z\n+ zone", "nodeName": "n\033[31m",
                    "targetRef": {"kind": "Pod", "name": "p\033]0;t\007\n+ pod"}}
        slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
                  "metadata": {"name": "odd", "labels": {"kubernetes.io/service-name": "echo"}},
                  "addressType": "IPv4", "ports": [{"name": "grpc", "port": 50051}],
                  "endpoints": [endpoint]}
        with self.simulator() as kubeconfig:
            create(kubeconfig, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices", slice_)
            process = self.watch(kubeconfig, "echo")
            shown = "".join(process.stdout.readline() for _ in range(5))
            process.send_signal(signal.SIGINT)
            shown += process.communicate(timeout=10)[0]
            shown += run("get", "echo", "-o", "wide", "--kubeconfig", kubeconfig).stdout
            self.assertEqual(shown.count("10.9.9.9"), 2, shown)
            self.assertEqual(len(shown.splitlines()), 10, shown)
            self.assertTrue(shown.replace("\n", "").isprintable(), shown)

    def test_absent_service_is_said_and_waited_for(self):
        with self.simulator() as kubeconfig:
            process = self.watch(kubeconfig, "nosuch", "-o", "json")
            line = json.loads(process.stdout.readline())
            self.assertEqual((line["state"], line["added"]), ("absent", []))
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=10)
            self.assertEqual(process.returncode, 0)

    def test_closed_pipe_ends_it(self):
        with self.simulator("--roll", "1s") as kubeconfig:
            process = self.watch(kubeconfig, "echo", "-o", "json")
            process.stdout.readline()
            process.stdout.close()
            self.assertEqual(process.wait(20), 5)
            self.assertIn("standard output", process.stderr.read())
            process.stderr.close()


class Seen(Case):
    """What a running watch shows besides its lines: metrics and the log."""

    @contextlib.contextmanager
    def watch(self, kubeconfig, *arguments):
        process = subprocess.Popen([FAIRLEAD, "watch", "echo", "--kubeconfig", kubeconfig,
                                    *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                   text=True)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.rest, process.errors = process.communicate(timeout=30)
        self.assertEqual(process.returncode, 0, process.errors)

    def test_metrics(self):
        with self.simulator() as kubeconfig, \
                self.watch(kubeconfig, "--metrics", "127.0.0.1:0") as process:
            address = re.search(r"http://\S+", process.stderr.readline()).group()
            for _ in range(4):  # the state and three pods
                process.stdout.readline()
            with urllib.request.urlopen(address, timeout=30) as answer:
                self.assertIn("version=0.0.4", answer.headers["Content-Type"])
                text = answer.read().decode()
            series = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
            self.assertEqual(series["fairlead_discovery_services"], "1")
            self.assertGreater(int(series['fairlead_heap_bytes{area="blocks"}']), 0)
            self.assertEqual(series['reflector_lists_total{name="endpointslices"}'], "1")
            self.assertEqual(series['reflector_watches_total{name="endpointslices"}'], "1")

    def test_a_bad_metrics_address_is_one_line(self):
        with self.simulator(ready=False) as kubeconfig:
            for address in ("nonsense", "127.0.0.1:99999", "192.0.2.1:9100"):
                answer = run("watch", "echo", "--kubeconfig", kubeconfig, "--metrics", address)
                self.fails(answer, 5 if address.startswith("192") else 2, address.split(":")[0])

    def test_C19_a_snapshot_is_marked_and_yields(self):
        snapshot = os.path.join(self.folder, "snapshot")
        with self.simulator() as kubeconfig:
            with self.watch(kubeconfig, "--snapshot", snapshot, "-o", "json") as process:
                self.assertNotIn("snapshot", json.loads(process.stdout.readline()))
                wait_for("the snapshot is written", lambda: os.path.exists(snapshot))
        with self.watch(kubeconfig, "--snapshot", snapshot, "-o", "json") as process:
            line = json.loads(process.stdout.readline())  # the server is gone
            self.assertEqual((line["state"], line["snapshot"]), ("some", True))
            self.assertEqual(len(line["added"]), 3)
            self.assertGreater(line["stale_ms"], 0)

    def test_a_useless_snapshot_is_said_once(self):
        snapshot = os.path.join(self.folder, "snapshot")
        with open(snapshot, "wb") as file:
            file.write(b"not a snapshot")
        with self.simulator() as kubeconfig:
            with self.watch(kubeconfig, "--snapshot", snapshot) as process:
                self.assertIn("some", process.stdout.readline())
            self.assertEqual(process.errors.count(snapshot), 1, process.errors)

    def test_tls_without_verification_is_warned_of(self):
        server = f"https://127.0.0.1:{free_port()}"
        kubeconfig = write_kubeconfig(self.folder, server,
                                      cluster={"insecure-skip-tls-verify": True})
        for arguments in (["get", "echo"], ["get", "-A"]):
            answer = run(*arguments, "--kubeconfig", kubeconfig, "--timeout", "1s")
            self.assertEqual(answer.returncode, 5)
            self.assertEqual(answer.stderr.count("insecure-skip-tls-verify"), 1, answer.stderr)
        answer = run("get", "static:127.0.0.1:1", "--kubeconfig", kubeconfig)
        self.assertEqual((answer.returncode, answer.stderr), (0, ""))

    def test_the_log_in_both_formats(self):
        with self.simulator() as kubeconfig:
            answer = run("get", "echo", "--kubeconfig", kubeconfig, "-v")
            self.assertIn("level=info msg=", answer.stderr)
            answer = run("get", "echo", "--kubeconfig", kubeconfig, "--log-format", "json")
            for line in answer.stderr.splitlines():
                self.assertEqual(list(json.loads(line))[:5],
                                 ["timestamp", "level", "service", "trace_id", "message"])
            self.assertEqual(run("get", "echo", "--kubeconfig", kubeconfig).stderr, "")
