"""The kubelet's part: runs every pod as a real gRPC server on the pod's own address.

Pods run `fairlead echo` and grpc-go in turn, and gRPC C++ where a scenario wants it; all get SIGTERM when
the pod is deleted and leave as they like, or SIGKILL when its grace period is over. Addresses are never
used again."""
import signal
import socket
import threading
import time
import urllib.error

from cluster import AWAY
from process import Process

PORT = 50051
NODES = {"node-a": "zone-1", "node-b": "zone-2"}
OURS, GRPC_GO, GRPC_CPP = "fairlead", "grpc-echo", "grpc-cpp-echo"
MANY = 20  # beyond so many pods at once all run the lighter server


class Pod:
    """A pod's process and what the API server is to be told of it."""

    def __init__(self, name, address, node, program, process):
        self.name, self.address, self.node = name, address, node
        self.program, self.process = program, process
        self.told = self.killed = False
        self.kill_at = None  # it was told to end, and has until then

    def listens(self):
        """The readiness probe."""
        try:
            socket.create_connection((self.address, PORT), 1).close()
        except OSError:
            return False
        return True

    @property
    def ending(self):
        return self.kill_at is not None


class Kubelet:
    def __init__(self, cluster, fairlead):
        self.cluster, self.fairlead = cluster, fairlead
        self.programs = [OURS, GRPC_GO]
        self.pods = {}  # uid -> Pod
        self.count = 0
        self.stopping = threading.Event()
        self.trouble = None
        for name, zone in NODES.items():
            cluster.request("POST", "/api/v1/nodes", {
                "kind": "Node", "apiVersion": "v1", "metadata": {
                    "name": name, "labels": {"topology.kubernetes.io/zone": zone}}})
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.stopping.is_set():
            try:
                self.look()
            except AWAY:
                pass  # pods live on; what could not be told is told at the next look
            except (AssertionError, KeyError, ValueError) as error:  # told by the scenario that waits
                self.trouble = error
                return
            time.sleep(0.1)

    def look(self):
        pods = self.cluster.request("GET", "/api/v1/namespaces/default/pods")["items"]
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if pod["metadata"].get("deletionTimestamp"):
                self.end(pod)
                continue
            if uid not in self.pods:
                self.pods[uid] = self.start(pod["metadata"]["name"], len(pods))
            if not self.pods[uid].told and self.pods[uid].listens():
                self.tell(pod, self.pods[uid])

    def start(self, name, pods):
        self.count += 1
        address = f"10.244.{self.count // 250}.{self.count % 250 + 1}"
        node = list(NODES)[self.count % len(NODES)]
        program = self.programs[self.count % len(self.programs) if pods <= MANY else 0]
        command = [self.fairlead, "echo"] if program == OURS else [self.cluster.bin / program]
        return Pod(name, address, node, program, Process(self.cluster.folder, "pods", [
            *command, "--listen", f"{address}:{PORT}"]))

    def tell(self, pod, mine):
        path = f"/api/v1/namespaces/default/pods/{mine.name}"
        if not pod["spec"].get("nodeName"):
            self.cluster.request("POST", f"{path}/binding", {
                "kind": "Binding", "apiVersion": "v1", "metadata": {"name": mine.name},
                "target": {"kind": "Node", "name": mine.node}})
        self.cluster.request("PATCH", f"{path}/status", {"status": {
            "phase": "Running", "podIP": mine.address, "podIPs": [{"ip": mine.address}],
            "conditions": [{"type": "Ready", "status": "True"}]}})
        mine.told = True

    def end(self, pod):
        mine = self.pods.get(pod["metadata"]["uid"])
        if mine and not mine.ending:
            mine.process.child.send_signal(signal.SIGTERM)
            mine.kill_at = time.monotonic() + pod["metadata"]["deletionGracePeriodSeconds"]
        if mine and mine.process.alive() and time.monotonic() > mine.kill_at:
            mine.process.child.kill()
            mine.killed = True
        if mine and mine.process.alive():
            return
        if mine:
            mine.process.stop()
            if mine.process.child.returncode != 0 and not mine.killed:
                raise AssertionError(f"pod {mine.name} ended with {mine.process.child.returncode}")
        path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}?gracePeriodSeconds=0"
        try:
            self.cluster.request("DELETE", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def check(self):
        if self.trouble:
            raise self.trouble

    def lingering(self):
        """Pods whose process was told to end and has not."""
        return [f"{mine.name} at {mine.address}" for mine in self.pods.values()
                if mine.ending and mine.process.alive()]

    def close(self):
        self.stopping.set()
        self.thread.join()
        for mine in self.pods.values():
            mine.process.stop(signal.SIGKILL)
