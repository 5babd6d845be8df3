"""The kubelet's part: runs every pod as a real gRPC server on the pod's own address.

Even pods run `fairlead echo`, odd ones grpc-go; both get SIGTERM when the pod is deleted and leave as
they like. Addresses are never used again."""
import signal
import threading
import time
import urllib.error

from cluster import Process

PORT = 50051
NODES = {"node-a": "zone-1", "node-b": "zone-2"}
MANY = 20  # beyond so many pods at once all run the lighter server


class Kubelet:
    def __init__(self, cluster, fairlead):
        self.cluster, self.fairlead = cluster, fairlead
        self.pods = {}  # uid -> [name, process, told to end]
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
            except (OSError, urllib.error.URLError):
                pass  # the API server is away; pods live on
            except Exception as error:  # told by the scenario that waits
                self.trouble = error
                return
            time.sleep(0.1)

    def look(self):
        pods = self.cluster.request("GET", "/api/v1/namespaces/default/pods")["items"]
        for pod in pods:
            uid = pod["metadata"]["uid"]
            if pod["metadata"].get("deletionTimestamp"):
                self.end(pod)
            elif uid not in self.pods:
                self.start(pod, len(pods))

    def start(self, pod, pods):
        name, uid = pod["metadata"]["name"], pod["metadata"]["uid"]
        self.count += 1
        address = f"10.244.{self.count // 250}.{self.count % 250 + 1}"
        node = list(NODES)[self.count % len(NODES)]
        grpc_go = self.count % 2 and pods <= MANY
        program = self.cluster.bin / "grpc-echo" if grpc_go else self.fairlead
        arguments = [program] + ([] if grpc_go else ["echo"]) + ["--listen", f"{address}:{PORT}"]
        process = Process(self.cluster.folder, "pods", arguments)
        self.pods[uid] = [name, process, False]
        path = f"/api/v1/namespaces/default/pods/{name}"
        self.cluster.request("POST", f"{path}/binding", {
            "kind": "Binding", "apiVersion": "v1", "metadata": {"name": name},
            "target": {"kind": "Node", "name": node}})
        self.cluster.request("PATCH", f"{path}/status", {"status": {
            "phase": "Running", "podIP": address, "podIPs": [{"ip": address}],
            "conditions": [{"type": "Ready", "status": "True"}]}})

    def end(self, pod):
        entry = self.pods.get(pod["metadata"]["uid"])
        if entry and not entry[2]:
            entry[1].child.send_signal(signal.SIGTERM)
            entry[2] = True
        if entry and entry[1].alive():
            return
        if entry:
            entry[1].stop()
            if entry[1].child.returncode != 0:
                raise AssertionError(f"pod {entry[0]} ended with {entry[1].child.returncode}")
        path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}?gracePeriodSeconds=0"
        try:
            self.cluster.request("DELETE", path)
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def check(self):
        if self.trouble:
            raise self.trouble

    def close(self):
        self.stopping.set()
        self.thread.join()
        for _, process, _ in self.pods.values():
            process.stop(signal.SIGKILL)
