#!/usr/bin/env python3
"""scenarios.py FAIRLEAD BIN [NAME…] - Fairlead against real components, one scenario after the other.

Runs inside a network namespace where 10.244.0.0/16 is local (see `run`). Each scenario is a function;
they share one control plane and go in order."""
import contextlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import traceback

from cluster import POWERLESS_TOKEN, Cluster, Process, free_port, wait_for
from kubelet import PORT, Kubelet
from watching import Watch

METHOD = "grpc.examples.echo.Echo/UnaryEcho"


class Bed:
    """What the scenarios share."""

    def __init__(self, fairlead, bin_folder, folder):
        self.fairlead, self.bin, self.folder = fairlead, pathlib.Path(bin_folder), folder
        self.cluster = Cluster(folder, bin_folder)
        self.kubelet = Kubelet(self.cluster, fairlead)
        self.make_service()
        self.watch = Watch(folder, fairlead, self.cluster.kubeconfig, "echo:grpc")

    def make_service(self):
        labels = {"app": "echo"}
        self.cluster.request("POST", "/api/v1/namespaces/default/services", {
            "kind": "Service", "apiVersion": "v1", "metadata": {"name": "echo"}, "spec": {
                "selector": labels,
                "ports": [{"name": "grpc", "port": 80, "targetPort": PORT, "appProtocol": "grpc"}]}})
        self.cluster.request("POST", "/apis/apps/v1/namespaces/default/deployments", {
            "kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": "echo"}, "spec": {
                "replicas": 0, "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{"name": "echo", "image": "echo",
                                    "ports": [{"containerPort": PORT}]}]}}}})

    def patch_deployment(self, spec):
        self.cluster.request("PATCH", "/apis/apps/v1/namespaces/default/deployments/echo",
                             {"spec": spec})

    def ready_pods(self):
        truth, _ = self.cluster.endpoints("echo")
        return sum(1 for ready, _, _ in truth.values() if ready), len(truth)

    def settle(self, pods):
        """Until the API server shows `pods` ready endpoints and no other, and the watch the same."""
        truth = held = state = None

        def settled():
            nonlocal truth, held, state
            self.kubelet.check()
            truth, _ = self.cluster.endpoints("echo")
            held, state = self.watch.view()
            if len(truth) != pods or not all(ready for ready, _, _ in truth.values()):
                return False
            return held == truth and state == ("some" if pods else "empty")
        try:
            wait_for(f"{pods} pods are ready and seen", settled, 120)
        except AssertionError:
            print(f"    server: {truth}\n    watch:  {state} {held}\n"
                  f"    told to end and alive: {self.kubelet.lingering()}")
            raise

    def scale(self, pods):
        self.patch_deployment({"replicas": pods})
        self.settle(pods)

    def run(self, *arguments, code=0, kubeconfig=None):
        arguments = [self.fairlead, *arguments]
        if kubeconfig is not False:
            arguments += ["--kubeconfig", kubeconfig or self.cluster.kubeconfig]
        answer = subprocess.run(arguments, capture_output=True, text=True, timeout=60)
        assert answer.returncode == code, (
            f"{arguments[1:]} exited with {answer.returncode}, wanted {code}: {answer.stderr}")
        return answer

    @staticmethod
    def connected(pid):
        """Has this process a connection to a pod?"""
        shown = subprocess.run(["ss", "-tnpH", "state", "established", f"dport = :{PORT}"],
                               capture_output=True, text=True, check=True).stdout
        return f"pid={pid}," in shown

    @contextlib.contextmanager
    def load(self):
        """Calls through a channel all the while; every one of them must have been answered."""
        target = "kubernetes:///default/echo:grpc"
        process = Process(self.folder, "load", [
            self.fairlead, "call", target, METHOD, "-d", '{"message":"ahoy"}', "-o", "json",
            "--repeat", "100000000", "--concurrency", "8",
            "--kubeconfig", self.cluster.kubeconfig], stdout=subprocess.PIPE, text=True)
        summary = {}
        try:
            wait_for("the load is connected", lambda: self.connected(process.child.pid))
            yield summary
        finally:
            process.child.send_signal(signal.SIGINT)
            out, _ = process.child.communicate(timeout=30)
            process.stop()
        summary.update(json.loads(out))
        assert summary["failures"] == 0, f"calls failed: {summary}; see {process.log}"
        assert process.child.returncode == 0, f"exit code {process.child.returncode}"


def scale_to_zero_and_back(bed):
    """0 -> 3 -> 300 (several slices) -> 1 -> 0: the watch's lines add up to the server's slices."""
    bed.settle(0)
    assert '"empty"' in bed.run("get", "echo", "-o", "json", code=4).stdout
    bed.scale(3)
    bed.scale(300)
    _, slices = bed.cluster.endpoints("echo")
    assert slices >= 3, f"{slices} slices"
    shown = json.loads(bed.run("get", "echo:80", "-o", "json").stdout)
    assert len(shown["endpoints"]) == 300 and shown["endpoints"][0]["port"] == PORT
    assert {e["zone"] for e in shown["endpoints"]} == {"zone-1", "zone-2"}
    bed.scale(1)
    bed.scale(0)


def rolling_replacement_under_load(bed):
    """Every pod is replaced while calls go on; none fails, and the new pods get them."""
    bed.scale(6)
    with bed.load() as summary:
        for turn in range(3):
            before = set(bed.cluster.endpoints("echo")[0])
            bed.patch_deployment({"template": {"metadata": {"annotations": {"turn": str(turn)}}}})
            wait_for("every pod is another",
                     lambda: not before & set(bed.cluster.endpoints("echo")[0]), 120)
            bed.settle(6)
        time.sleep(1)
    peers = summary["byPeer"]
    assert len(peers) >= 24, f"calls went to {len(peers)} pods: {peers}"
    print(f"    {summary['calls']} calls, {len(peers)} pods, {summary['retries']} retried unseen")


def scale_up_gets_traffic(bed):
    """C4: new pods get their share without any failure to ask again."""
    bed.scale(1)
    with bed.load() as summary:
        bed.scale(4)
        time.sleep(2)
    assert len(summary["byPeer"]) == 4, summary["byPeer"]


def apiserver_killed_and_restarted(bed):
    """SIGKILL of the API server: calls go on, and after its restart the watch goes on where it was."""
    bed.scale(3)
    with bed.load():
        bed.cluster.kill_apiserver()
        time.sleep(4)
        held, state = bed.watch.view()
        assert len(held) == 3 and state == "some", "what was known is kept while the server is away"
        bed.cluster.restart_apiserver()
        bed.scale(5)
        bed.scale(2)


def wrong_credentials(bed):
    """Wrong CA, wrong token, no rights, no such service or port, nobody listening: one line each."""
    def one_line(answer, *words):
        lines = answer.stderr.strip().splitlines()
        assert len(lines) == 1, answer.stderr
        for word in words:
            assert word in lines[0], f"no {word!r} in: {lines[0]}"
        assert "token" not in lines[0].replace("powerless", ""), lines[0]

    other_ca = bed.cluster.write_kubeconfig("other.kubeconfig", ca="other.crt")
    one_line(bed.run("get", "echo", code=5, kubeconfig=other_ca), "CERT")
    wrong = bed.cluster.write_kubeconfig("wrong.kubeconfig", token="nonsense-4711")
    answer = bed.run("get", "echo", code=5, kubeconfig=wrong)
    one_line(answer, "UNAUTHORIZED")
    assert "4711" not in answer.stderr
    powerless = bed.cluster.write_kubeconfig("powerless.kubeconfig", token=POWERLESS_TOKEN)
    one_line(bed.run("get", "echo", code=5, kubeconfig=powerless), "FORBIDDEN", "may not list")
    one_line(bed.run("get", "nosuch", code=3), "ABSENT", "default/nosuch")
    one_line(bed.run("get", "echo:9999", code=2), "PORT", "grpc (80)")


def other_services_and_credentials(bed):
    """An ExternalName service; a client certificate in place of a token."""
    bed.cluster.request("POST", "/api/v1/namespaces/default/services", {
        "kind": "Service", "apiVersion": "v1", "metadata": {"name": "outside"},
        "spec": {"type": "ExternalName", "externalName": "db.example.com"}})
    shown = json.loads(bed.run("get", "outside", "-o", "json").stdout)
    assert (shown["state"], shown["externalName"]) == ("some", "db.example.com"), shown
    folder = bed.cluster.folder
    certificate = bed.cluster.write_kubeconfig("certificate.kubeconfig", user={
        "client-certificate": str(folder / "client.crt"), "client-key": str(folder / "client.key")})
    shown = json.loads(bed.run("get", "-A", "-o", "json", kubeconfig=certificate).stdout)
    assert "default/outside" in [s["service"] for s in shown], shown


@contextlib.contextmanager
def simulator(bed, *arguments):
    kubeconfig = str(bed.folder / f"sim-{free_port()}.kubeconfig")
    process = Process(bed.folder, "sim", [
        bed.fairlead, "sim", "--listen", f"127.0.0.1:{free_port()}", "--kubeconfig-out", kubeconfig,
        *arguments])
    try:
        wait_for("the simulator is up", lambda: pathlib.Path(kubeconfig).exists() and process.alive(), 10)
        yield kubeconfig
    finally:
        code = process.stop()
        assert code == 0, f"fairlead sim exited with {code}; see {process.log}"


def simulator_truth(bed, kubeconfig):
    shown = json.loads(bed.run("get", "-A", "-o", "json", kubeconfig=kubeconfig).stdout)
    return {s["service"]: sorted(f"{e['address']} {json.dumps(e['ready'])} {json.dumps(e['terminating'])}"
                                 for e in s["endpoints"]) for s in shown}


def last_line(process):
    lines = process.log.read_text().splitlines()
    lines = [line for line in lines if line.startswith("{")]
    return json.loads(lines[-1]) if lines else None


def others_agree(bed, kubeconfig, states):
    """Waits until client-go and kube-rs have each held `states` different states as we show them."""
    peers = [
        Process(bed.folder, "client-go-protobuf",
                [bed.bin / "client-go-watch", "--kubeconfig", kubeconfig]),
        Process(bed.folder, "client-go-json",
                [bed.bin / "client-go-watch", "--kubeconfig", kubeconfig, "--json"]),
        Process(bed.folder, "kube-rs", [bed.bin / "kube-rs-watch"], env={"KUBECONFIG": kubeconfig}),
    ]
    agreed = {process.log.name: set() for process in peers}

    def all_agree():
        truth = {k: v for k, v in simulator_truth(bed, kubeconfig).items() if v}
        for process in peers:
            assert process.alive(), f"it ended; see {process.log}"
            seen = last_line(process)
            if seen and seen["endpoints"] == truth:
                agreed[process.log.name].add(json.dumps(truth, sort_keys=True))
        return all(len(seen) >= states for seen in agreed.values())
    try:
        wait_for("client-go and kube-rs hold what we show", all_agree, 90)
    finally:
        for process in peers:
            process.stop()
            process.log.unlink()


def others_list_the_simulator(bed):
    """client-go (protobuf and JSON) and kube-rs hold what `fairlead get -A` shows: several slices."""
    with simulator(bed, "--service", "a=3", "--service", "other/b=250") as kubeconfig:
        def all_ready():
            truth = simulator_truth(bed, kubeconfig)
            return sum(line.endswith("true false") for line in truth.get("other/b", [])) == 250
        wait_for("250 pods are ready", all_ready)
        others_agree(bed, kubeconfig, 1)


def others_watch_the_simulator(bed):
    """The same while pods roll: each holds several states, one after the other."""
    with simulator(bed, "--service", "a=3", "--service", "other/b=2", "--roll", "5s") as kubeconfig:
        others_agree(bed, kubeconfig, 3)


def kubectl_and_curl_use_the_simulator(bed):
    """kubectl get and watch, curl over HTTP/1.1 and h2c."""
    with simulator(bed, "--roll", "3s") as kubeconfig:
        def kubectl(*arguments):
            answer = subprocess.run([bed.bin / "kubectl", "--kubeconfig", kubeconfig, *arguments],
                                    capture_output=True, text=True, timeout=30)
            assert answer.returncode == 0, answer.stderr
            return answer.stdout
        server = json.loads(kubectl("config", "view", "-o", "json"))["clusters"][0]["cluster"]["server"]
        wait_for("three pods", lambda: kubectl("get", "pods", "-o", "json").count('"Running"') >= 3, 20)
        assert "echo" in kubectl("get", "services")
        slices = json.loads(kubectl("get", "endpointslices", "-o", "json"))["items"]
        assert sum(len(s["endpoints"]) for s in slices) >= 3
        watch = subprocess.run(
            [bed.bin / "kubectl", "--kubeconfig", kubeconfig, "get", "endpointslices", "-w",
             "--request-timeout=8s", "-o", "name"], capture_output=True, text=True, timeout=30)
        assert watch.stdout.count("endpointslice") >= 2, watch.stdout + watch.stderr
        path = "/apis/discovery.k8s.io/v1/endpointslices"
        for version in ("--http1.1", "--http2-prior-knowledge"):
            got = subprocess.run(["curl", "-sS", version, "-w", "%{http_version}", server + path],
                                 capture_output=True, text=True, timeout=30)
            assert got.returncode == 0, got.stderr
            assert '"EndpointSliceList"' in got.stdout, got.stdout[:200]
            assert got.stdout.endswith("2" if "2" in version[6:] else "1.1"), got.stdout[-10:]
            lines = subprocess.run(["curl", "-sN", version, "--max-time", "5",
                                    f"{server}{path}?watch=1"], capture_output=True, text=True, timeout=30)
            assert '"type":"ADDED"' in lines.stdout, lines.stdout[:200]


SCENARIOS = [
    scale_to_zero_and_back, rolling_replacement_under_load, scale_up_gets_traffic,
    apiserver_killed_and_restarted, wrong_credentials, other_services_and_credentials,
    others_list_the_simulator, others_watch_the_simulator, kubectl_and_curl_use_the_simulator,
]


def main():
    fairlead, bin_folder, *names = sys.argv[1:]
    chosen = [s for s in SCENARIOS if not names or s.__name__ in names]
    folder = pathlib.Path(tempfile.mkdtemp(prefix="fairlead-peers-"))
    print(f"starting etcd, kube-apiserver, kube-controller-manager (logs: {folder})", flush=True)
    bed = Bed(fairlead, bin_folder, folder)
    failed = 0
    try:
        for scenario in chosen:
            print(f"{scenario.__name__}: {scenario.__doc__.strip()}", flush=True)
            began = time.monotonic()
            try:
                scenario(bed)
                print(f"    ok, {time.monotonic() - began:.1f} s", flush=True)
            except Exception:
                failed += 1
                traceback.print_exc(file=sys.stdout)
        try:
            bed.watch.close()
        except AssertionError:
            failed += 1
            traceback.print_exc(file=sys.stdout)
    finally:
        bed.watch.process.stop()
        bed.kubelet.close()
        bed.cluster.close()
    print(f"{len(chosen) - failed} passed, {failed} failed")
    sys.exit(1 if failed or not chosen else 0)


main()
