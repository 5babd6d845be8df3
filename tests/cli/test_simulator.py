"""fairlead sim as kubectl, curl and scripts see it. client-go, kube-rs: tests/peers."""
import json
import subprocess
import urllib.request

from support import Case, free_port, run, wait_for

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def server_of(kubeconfig):
    with open(kubeconfig, encoding="utf-8") as file:
        return next(line.split()[-1] for line in file if "server:" in line)


def fetch(server, path, accept="application/json"):
    request = urllib.request.Request(server + path, headers={"Accept": accept})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.headers["Content-Type"], answer.read()


class Simulator(Case):
    def test_lists_as_json_and_protobuf(self):
        with self.simulator() as kubeconfig:
            server = server_of(kubeconfig)
            kind, body = fetch(server, SLICES)
            self.assertTrue(kind.startswith("application/json"))
            listing = json.loads(body)
            self.assertEqual(listing["kind"], "EndpointSliceList")
            self.assertEqual(len(listing["items"][0]["endpoints"]), 3)
            kind, body = fetch(server, SLICES, PROTOBUF)
            self.assertEqual(kind, PROTOBUF)
            self.assertEqual(body[:4], b"k8s\0")

    def test_watches_over_both_http_versions(self):
        with self.simulator() as kubeconfig:
            for version in ("--http1.1", "--http2-prior-knowledge"):
                got = subprocess.run(["curl", "-sN", version, "--max-time", "2",
                                      f"{server_of(kubeconfig)}{SLICES}?watch=1"],
                                     capture_output=True, text=True, timeout=30)
                first = json.loads(got.stdout.splitlines()[0])
                self.assertEqual(first["type"], "ADDED")
                self.assertEqual(first["object"]["kind"], "EndpointSlice")

    def test_pods_live_a_real_life(self):
        with self.simulator("--roll", "1s") as kubeconfig:
            def phases():
                _, body = fetch(server_of(kubeconfig), "/api/v1/pods")
                return {(p["status"]["phase"], "deletionTimestamp" in p["metadata"])
                        for p in json.loads(body)["items"]}
            seen = set()
            wanted = {("Pending", False), ("Running", False), ("Running", True)}

            def all_seen():
                seen.update(phases())
                return wanted <= seen
            wait_for("pods were pending, running and terminating", all_seen)

    def test_address_in_use_is_one_line(self):
        with self.simulator() as kubeconfig:
            port = server_of(kubeconfig).rsplit(":", 1)[1]
            answer = run("sim", "--listen", f"127.0.0.1:{port}", "--pod-port", str(free_port()))
            self.fails(answer, 5, f"127.0.0.1:{port}", "in use")

    def test_kubeconfig_that_cannot_be_written(self):
        answer = run("sim", "--listen", f"127.0.0.1:{free_port()}", "--kubeconfig-out",
                     "/nonexistent/file")
        self.fails(answer, 5, "/nonexistent/file")

    def test_many_services(self):
        with self.simulator("--service", "echo=3", "--service", "other/b=120",
                            "--service", "none=0") as kubeconfig:
            wait_for("all pods", lambda: self.ready_count(kubeconfig, "other/b") == 120)
            _, body = fetch(server_of(kubeconfig), "/apis/discovery.k8s.io/v1/namespaces/other"
                                                   "/endpointslices")
            self.assertEqual(sorted(len(i["endpoints"]) for i in json.loads(body)["items"]),
                             [20, 100])
            self.assertEqual(self.get(kubeconfig, "none", code=4)["state"], "empty")
