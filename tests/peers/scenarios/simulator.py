"""kubectl, client-go, kube-rs and curl against `fairlead sim`."""
import contextlib
import json
import pathlib
import subprocess

from bed import EmptyBed
from kubectl import Kubectl, change_and_watch
from process import Process
from waiting import free_port, wait_for

SECURE = ["--tls", "--token", "sesame"]  # kubectl asks who one is wherever there is TLS


@contextlib.contextmanager
def simulator(bed, *arguments):
    """Gives its kubeconfig."""
    kubeconfig = str(bed.folder / f"sim-{free_port()}.kubeconfig")
    process = Process(bed.folder, "sim", [
        bed.fairlead, "sim", "--listen", f"127.0.0.1:{free_port()}", "--kubeconfig-out", kubeconfig,
        *arguments])

    def is_up():
        assert process.alive(), f"it ended; see {process.log}"
        return pathlib.Path(kubeconfig).exists()
    try:
        wait_for("the simulator is up", is_up)
        yield kubeconfig
    finally:
        code = process.stop()
        assert code == 0, f"fairlead sim exited with {code}; see {process.log}"


def shown_by_us(bed, kubeconfig):
    shown = json.loads(bed.run("get", "-A", "-o", "json", kubeconfig=kubeconfig).stdout)
    return {s["service"]: sorted(f"{e['address']} {json.dumps(e['ready'])} {json.dumps(e['terminating'])}"
                                 for e in s["endpoints"]) for s in shown}


class Follower:
    """One of the others: prints all it holds whenever that has changed."""

    def __init__(self, bed, name, *arguments, **options):
        self.process = Process(bed.folder, name, [bed.bin / arguments[0], *arguments[1:]], **options)
        self.begin = len(self.process.text())
        self.agreed = set()

    def look(self, truth):
        assert self.process.alive(), f"it ended; see {self.process.log}"
        lines = self.process.text()[self.begin:].splitlines(keepends=True)
        lines = [line for line in lines if line.startswith("{") and line.endswith("\n")]
        if lines and json.loads(lines[-1])["endpoints"] == truth:
            self.agreed.add(json.dumps(truth, sort_keys=True))


def follow_with_client_go(bed, kubeconfig):
    return [Follower(bed, "client-go-protobuf", "client-go-watch", "--kubeconfig", kubeconfig),
            Follower(bed, "client-go-json", "client-go-watch", "--kubeconfig", kubeconfig, "--json")]


def follow_with_all(bed, kubeconfig):
    """kube-rs, too, which is built without TLS."""
    return [*follow_with_client_go(bed, kubeconfig),
            Follower(bed, "kube-rs", "kube-rs-watch", env={"KUBECONFIG": kubeconfig})]


def others_agree(bed, kubeconfig, followers, states):
    """Waits until each has held `states` different states as we show them."""

    def all_agree():
        truth = {k: v for k, v in shown_by_us(bed, kubeconfig).items() if v}
        for follower in followers:
            follower.look(truth)
        return all(len(follower.agreed) >= states for follower in followers)
    try:
        wait_for("they hold what we show", all_agree, 120,
                 lambda: {f.process.log.name: len(f.agreed) for f in followers})
    finally:
        for follower in followers:
            follower.process.stop()


def others_list(bed):
    """client-go (protobuf and JSON) and kube-rs hold what `fairlead get -A` shows: several slices."""
    with simulator(bed, "--service", "a=3", "--service", "other/b=250") as kubeconfig:
        def all_ready():
            truth = shown_by_us(bed, kubeconfig)
            return sum(line.endswith("true false") for line in truth.get("other/b", [])) == 250
        wait_for("250 pods are ready", all_ready)
        others_agree(bed, kubeconfig, follow_with_all(bed, kubeconfig), 1)


def others_watch(bed):
    """The same while pods roll: each holds several states, one after the other."""
    with simulator(bed, "--service", "a=3", "--service", "other/b=2", "--roll", "5s") as kubeconfig:
        others_agree(bed, kubeconfig, follow_with_all(bed, kubeconfig), 3)


def client_go_over_tls(bed):
    """client-go over TLS, by HTTP/2 that ALPN chose, with a token: several states, as we show them."""
    with simulator(bed, *SECURE, "--roll", "5s") as kubeconfig:
        others_agree(bed, kubeconfig, follow_with_client_go(bed, kubeconfig), 2)


def kubectl_gets_and_watches(bed):
    """kubectl get, and get -w while pods roll."""
    with simulator(bed, "--roll", "3s") as kubeconfig:
        kubectl = Kubectl(bed, kubeconfig)
        wait_for("three pods", lambda: sum(
            pod["status"]["phase"] == "Running" for pod in kubectl.get("pods")) >= 3)
        assert "echo" in kubectl("get", "services")
        assert sum(len(s["endpoints"]) for s in kubectl.get("endpointslices")) >= 3
        watch = subprocess.run(
            [kubectl.program, "--kubeconfig", kubeconfig, "get", "endpointslices", "-w",
             "--request-timeout=8s", "-o", "name"], capture_output=True, text=True, timeout=60,
            check=False)
        assert watch.stdout.count("endpointslice") >= 2, watch.stdout + watch.stderr


def kubectl_changes_what_is_watched(bed):
    """create, patch, replace, apply, label and delete by kubectl over TLS: `fairlead watch` sees each."""
    with simulator(bed, *SECURE) as kubeconfig:
        change_and_watch(bed, Kubectl(bed, kubeconfig), kubeconfig)


def curl_gets_and_watches(bed):
    """curl over HTTP/1.1 and over HTTP/2 on cleartext."""
    with simulator(bed) as kubeconfig:
        server = json.loads(Kubectl(bed, kubeconfig)("config", "view", "-o", "json"))
        url = server["clusters"][0]["cluster"]["server"] + "/apis/discovery.k8s.io/v1/endpointslices"
        for version, number in (("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")):
            got = subprocess.run(["curl", "-sS", version, "-w", "%{http_version}", url],
                                 capture_output=True, text=True, timeout=60, check=False)
            assert got.returncode == 0, got.stderr
            assert '"EndpointSliceList"' in got.stdout, got.stdout[:200]
            assert got.stdout.endswith(number), got.stdout[-10:]
            lines = subprocess.run(["curl", "-sN", version, "--max-time", "5", f"{url}?watch=1"],
                                   capture_output=True, text=True, timeout=60, check=False)
            assert '"type":"ADDED"' in lines.stdout, lines.stdout[:200]


BED = EmptyBed
SCENARIOS = [others_list, others_watch, client_go_over_tls, kubectl_gets_and_watches,
             kubectl_changes_what_is_watched, curl_gets_and_watches]
