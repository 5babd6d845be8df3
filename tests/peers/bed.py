"""What the scenarios of a file share: a control plane, the account, a service, somebody who watches it."""
import contextlib
import json
import pathlib
import signal
import subprocess

from account import Account
from cluster import Cluster
from kubelet import PORT, Kubelet
from process import Process
from relay import Relay
from waiting import wait_for
from watching import Watch

METHOD = "grpc.examples.echo.Echo/UnaryEcho"
SERVICE = "echo"
TARGET = f"kubernetes:///default/{SERVICE}:grpc"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"


def run(fairlead, *arguments, code=0):
    answer = subprocess.run([fairlead, *arguments], capture_output=True, text=True, timeout=60,
                            check=False)
    assert answer.returncode == code, (
        f"{arguments} exited with {answer.returncode}, wanted {code}: {answer.stderr}")
    return answer


class Bed:
    """A control plane, and the account with the least Role, which everything but the tests of rights
    runs as."""

    def __init__(self, fairlead, bin_folder, folder, **options):
        self.fairlead, self.bin, self.folder = fairlead, pathlib.Path(bin_folder), pathlib.Path(folder)
        self.cluster = Cluster(folder, bin_folder, **options)
        self.account = Account(self.cluster)
        self.kubeconfig = self.account.kubeconfig()
        self.watches = 0

    def run(self, *arguments, code=0, kubeconfig=None):
        return run(self.fairlead, *arguments, "--kubeconfig", kubeconfig or self.kubeconfig, code=code)

    def make_service(self, selector=None):
        self.cluster.request("POST", "/api/v1/namespaces/default/services", {
            "kind": "Service", "apiVersion": "v1", "metadata": {"name": SERVICE}, "spec": {
                **({"selector": selector} if selector else {}),
                "ports": [{"name": "grpc", "port": 80, "targetPort": PORT, "appProtocol": "grpc"}]}})

    def start_watch(self, kubeconfig=None, **options):
        self.watches += 1
        return Watch(self.folder, f"watch-{self.watches}", self.fairlead,
                     kubeconfig or self.kubeconfig, f"{SERVICE}:grpc", **options)

    def agree(self, watch, is_wanted=lambda truth: True, show=lambda: "", seconds=120):
        """Waits until the watch shows what the API server's slices say, and those what is wanted."""
        truth = held = state = None

        def agreed():
            nonlocal truth, held, state
            truth, _ = self.cluster.endpoints(SERVICE)
            held, state = watch.view()
            return is_wanted(truth) and held == truth and state == ("some" if truth else "empty")

        def lingering():
            return (f"    server: {truth}\n    watch:  {state} {held}\n    its last words "
                    f"({watch.process.log}):\n{watch.tail()}\n{show()}")
        wait_for("the set equals the server's", agreed, seconds, lingering)

    def close(self):
        self.cluster.close()


class SliceBed(Bed):
    """The test itself writes the slices of a service without selector. Fairlead reaches the API server
    through a relay, which can cut, freeze and flip."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.generation = 0
        self.make_service()
        self.relay = Relay(self.cluster.apiserver.port)
        self.kubeconfig = self.account.kubeconfig(server=self.server)
        self.publish()

    @property
    def server(self):
        return f"127.0.0.1:{self.relay.port}"

    @property
    def audit(self):
        return self.cluster.apiserver.audit

    def write_slice(self, name, addresses):
        method = "PUT" if self.has_slice(name) else "POST"
        path = f"{SLICES}/{name}" if method == "PUT" else SLICES
        self.cluster.request(method, path, {
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
            "metadata": {"name": name, "labels": {"kubernetes.io/service-name": SERVICE}},
            "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in addresses]})

    def has_slice(self, name):
        return self.cluster.apiserver.status(f"{SLICES}/{name}") == 200

    def publish(self):
        """Other endpoints than before, of which the third number of the address tells the generation;
        every second time with another slice, which is deleted at the next."""
        self.generation += 1
        addresses = [f"10.20.{self.generation}.{i}" for i in range(1, 6)]
        self.write_slice("echo-1", addresses[:3])
        if self.generation % 2:
            self.write_slice("echo-2", addresses[3:])
        else:
            self.cluster.request("DELETE", f"{SLICES}/echo-2")

    @contextlib.contextmanager
    def watching(self, kubeconfig=None, **options):
        """A watch that holds what is there; at the end it must hold what is there then."""
        watch = self.start_watch(kubeconfig, **options)
        try:
            self.agree(watch)
            yield watch
            self.agree(watch)
            generations = [max(int(address.split(".")[2]) for address in addresses)
                           for addresses in watch.history if addresses]
            assert generations == sorted(generations), f"went back in time: {generations}"
            watch.close()
        finally:
            watch.process.stop()
            watch.thread.join()

    def drop(self):
        """The connections end; what was published meanwhile is seen after they are made again."""
        self.relay.cut()
        self.publish()

    def close(self):
        self.relay.close()
        super().close()


class PodBed(Bed):
    """A deployment whose pods are real gRPC servers, with a watch that sees all scenarios pass."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, controllers=True, **options)
        self.kubelet = Kubelet(self.cluster, self.fairlead)
        self.rolls = 0
        self.make_service({"app": SERVICE})
        self.make_deployment({"app": SERVICE})
        self.watch = self.start_watch()

    def make_deployment(self, labels):
        self.cluster.request("POST", "/apis/apps/v1/namespaces/default/deployments", {
            "kind": "Deployment", "apiVersion": "apps/v1", "metadata": {"name": SERVICE}, "spec": {
                "replicas": 0, "selector": {"matchLabels": labels},
                "strategy": {"rollingUpdate": {"maxSurge": 2, "maxUnavailable": 0}},
                "template": {"metadata": {"labels": labels}, "spec": {
                    "terminationGracePeriodSeconds": 30,
                    "containers": [{"name": SERVICE, "image": SERVICE,
                                    "ports": [{"containerPort": PORT}]}]}}}})

    def patch_deployment(self, spec):
        self.cluster.request("PATCH", f"/apis/apps/v1/namespaces/default/deployments/{SERVICE}",
                             {"spec": spec})

    def settle(self, pods):
        """Until the API server shows `pods` ready endpoints and no other, and the watch the same."""
        def is_wanted(truth):
            self.kubelet.check()
            return len(truth) == pods and all(ready for ready, _, _ in truth.values())
        self.agree(self.watch, is_wanted,
                   lambda: f"    told to end and alive: {self.kubelet.lingering()}")

    def scale(self, pods):
        self.patch_deployment({"replicas": pods})
        self.settle(pods)

    def roll(self, pods):
        """Every pod is replaced."""
        before = self.addresses()
        self.rolls += 1
        self.patch_deployment({"template": {"metadata": {"annotations": {"roll": str(self.rolls)}}}})
        wait_for("every pod is another", lambda: not before & self.addresses(), 120)
        self.settle(pods)

    def addresses(self):
        return set(self.cluster.endpoints(SERVICE)[0])

    @staticmethod
    def is_connected(pid):
        """Has this process a connection to a pod?"""
        shown = subprocess.run(["ss", "-tnpH", "state", "established", f"dport = :{PORT}"],
                               capture_output=True, text=True, check=True).stdout
        return f"pid={pid}," in shown

    @contextlib.contextmanager
    def load(self):
        """Calls through a channel all the while; every one of them must have been answered. Yields what
        will be the summary: calls, byPeer, ..."""
        process = Process(self.folder, "load", [
            self.fairlead, "call", TARGET, METHOD, "-d",
            '{"message":"ahoy"}', "-o", "json", "--repeat", "100000000", "--concurrency", "8",
            "--kubeconfig", self.kubeconfig], stdout=subprocess.PIPE, text=True)
        summary = {}
        try:
            wait_for("the load is connected", lambda: self.is_connected(process.pid))
            yield summary
        finally:
            process.child.send_signal(signal.SIGINT)
            out, _ = process.child.communicate(timeout=30)
            process.stop()
        summary.update(json.loads(out))
        assert summary["failures"] == 0, f"calls failed: {summary}; see {process.log}"
        assert process.child.returncode == 0, f"exit code {process.child.returncode}"

    def close(self):
        try:
            self.watch.close()
        finally:
            self.watch.process.stop()
            self.kubelet.close()
            super().close()


class EmptyBed:
    """No control plane: scenarios of the simulator bring their own server."""

    def __init__(self, fairlead, bin_folder, folder):
        self.fairlead, self.bin, self.folder = fairlead, pathlib.Path(bin_folder), pathlib.Path(folder)

    def run(self, *arguments, code=0, kubeconfig):
        return run(self.fairlead, *arguments, "--kubeconfig", kubeconfig, code=code)

    def close(self):
        pass
