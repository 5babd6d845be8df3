"""fairlead sim as kubectl, curl and scripts see it. client-go, kube-rs: tests/peers."""
import base64
import json
import os
import ssl
import subprocess
import urllib.error
import urllib.request

from support import Case, free_port, run, wait_for

SLICES = "/apis/discovery.k8s.io/v1/endpointslices"
PROTOBUF = "application/vnd.kubernetes.protobuf"


def server_of(kubeconfig):
    with open(kubeconfig, encoding="utf-8") as file:
        return next(line.split()[-1] for line in file if "server:" in line)


def authority_of(kubeconfig):
    with open(kubeconfig, encoding="utf-8") as file:
        line = next(line for line in file if "certificate-authority-data:" in line)
    return base64.b64decode(line.split()[-1]).decode()


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

    def test_faults_are_listed_and_bad_ones_are_one_line(self):
        listed = run("sim", "--fault", "help")
        self.assertEqual(listed.returncode, 0)
        for kind in ("cut", "410-event", "restored-etcd", "no-initial-events-end"):
            self.assertIn(kind, listed.stdout)
        self.fails(run("sim", "--fault", "cat@5s"), 2, "--fault cat@5s", '"cat"')
        self.fails(run("sim", "--fault", "cut@5"), 2, '"5"', "time")
        self.fails(run("sim", "--fault", "cut@5sx0"), 2, "times")
        self.fails(run("sim", "--surge", "0"), 2, "--surge")

    def test_a_fault_is_shown_and_logged(self):
        with self.simulator("--fault", "500@0sx2", ready=False) as kubeconfig:
            def status():
                try:
                    fetch(server_of(kubeconfig), SLICES)
                    return 200
                except urllib.error.HTTPError as error:
                    return error.code
            self.assertEqual([status() for _ in range(3)], [500, 500, 200])

    def test_tls_and_tokens(self):
        with self.simulator("--tls", "--token", "admin", "--reader-token", "reader") as kubeconfig:
            self.assertTrue(server_of(kubeconfig).startswith("https://"))
            self.assertEqual(os.stat(kubeconfig).st_mode & 0o777, 0o600)
            context = ssl.create_default_context(cadata=authority_of(kubeconfig))

            def ask(token, method="GET", body=None):
                request = urllib.request.Request(
                    server_of(kubeconfig) + "/api/v1/namespaces/default/services", method=method,
                    data=body, headers={"Authorization": f"Bearer {token}",
                                        "Content-Type": "application/json"})
                try:
                    with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                        return answer.status, json.loads(answer.read())
                except urllib.error.HTTPError as error:
                    return error.code, json.loads(error.read())
            self.assertEqual(ask("nobody")[0], 401)
            self.assertEqual(ask("reader")[0], 200)
            web = b'{"metadata":{"name":"web"},"spec":{"ports":[{"port":80}]}}'
            code, answer = ask("reader", "POST", web)
            self.assertEqual((code, answer["reason"]), (403, "Forbidden"))
            self.assertIn('cannot create resource "services"', answer["message"])
            self.assertEqual(ask("admin", "POST", web)[0], 201)

    def test_tokens_are_not_for_the_clear(self):
        for option in ("--token", "--reader-token"):
            self.fails(run("sim", option, "secret"), 2, "--tls")

    def test_what_users_write_is_seen_by_watch(self):
        with self.simulator() as kubeconfig:
            server = server_of(kubeconfig)

            def write(method, path, body, kind="application/json"):
                request = urllib.request.Request(server + "/api/v1/namespaces/default/" + path,
                                                 method=method, data=json.dumps(body).encode(),
                                                 headers={"Content-Type": kind})
                with urllib.request.urlopen(request, timeout=10) as answer:
                    return answer.status
            write("POST", "services", {"metadata": {"name": "web"}, "spec": {
                "selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]}})
            write("POST", "pods", {"metadata": {"name": "w", "labels": {"app": "web"}},
                                   "spec": {"containers": [{"name": "c"}]}})
            self.assertEqual(self.get(kubeconfig, "web", code=4)["state"], "empty")
            write("PATCH", "pods/w/status", {"status": {
                "phase": "Running", "podIP": "10.0.0.1",
                "conditions": [{"type": "Ready", "status": "True"}]}},
                "application/merge-patch+json")
            wait_for("the pod stands in the set", lambda: self.ready_count(kubeconfig, "web") == 1)
            write("DELETE", "pods/w", {})
            wait_for("the set is empty", lambda: self.ready_count(kubeconfig, "web") == 0)

    def test_one_pod_port_for_two_simulators_is_one_line(self):
        port = str(free_port())
        with self.simulator("--pod-port", port):
            answer = run("sim", "--listen", f"127.0.0.1:{free_port()}", "--pod-port", port)
            self.fails(answer, 5, port, "another simulator")

    def test_many_services(self):
        with self.simulator("--service", "echo=3", "--service", "other/b=120",
                            "--service", "none=0") as kubeconfig:
            wait_for("all pods", lambda: self.ready_count(kubeconfig, "other/b") == 120)
            _, body = fetch(server_of(kubeconfig), "/apis/discovery.k8s.io/v1/namespaces/other"
                                                   "/endpointslices")
            self.assertEqual(sorted(len(i["endpoints"]) for i in json.loads(body)["items"]),
                             [20, 100])
            self.assertEqual(self.get(kubeconfig, "none", code=4)["state"], "empty")
