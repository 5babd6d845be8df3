"""The connection manager's three acceptance scenarios, on real pods. A program keeps a connection for its
calls and long streams, and asks for a connection to each pod twenty times a second to tell it something."""
import contextlib
import statistics
import subprocess
import time

from bed import PORT, SERVICE, SLICES, PodBed
from load import Load
from process import Process
from waiting import wait_for

GRACE_S = 3  # what long streams keep of a pod that ends
WAKES = 5


class ManagerBed(PodBed):
    def program(self, service=f"{SERVICE}:grpc", **options):
        return Load(self, service, "peer_manager", rate=200, kubeconfig=self.kubeconfig, **options)

    def rebuild_one(self):
        """A pod is deleted and another takes its place. The address that left."""
        before = self.addresses()
        victim = next(pod for pod in self.kubelet.pods.values() if (pod.address, PORT) in before)
        self.cluster.request("DELETE", f"/api/v1/namespaces/default/pods/{victim.name}", {
            "kind": "DeleteOptions", "apiVersion": "v1", "gracePeriodSeconds": GRACE_S})
        wait_for("it has left", lambda: (victim.address, PORT) not in self.addresses(), 60)
        self.settle(len(before))
        return victim.address

    def holds(self, load):
        """Waits until the handles are those of the API server's ready endpoints."""
        def agree():
            truth = {f"{address}:{port}" for address, port in self.addresses()}
            return set(load.now().get("fanout", {"handles": []})["handles"]) == truth
        wait_for("the handles are the server's endpoints", agree, 60, lambda: f"    {load.told}")


def connections(load):
    """{peer: the port that its connection comes from}"""
    shown = subprocess.run(["ss", "-tnpH", "state", "established", f"dport = :{PORT}"],
                           capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in shown.splitlines() if f"pid={load.process.pid}," in line]
    return {row[3]: row[2].rpartition(":")[2] for row in rows}


def expect_unharmed(told):
    fanout = told["fanout"]
    assert (told["failures"], told["streams"]["wrong"]) == ({}, 0), told
    assert (fanout["failed"], fanout["errors"], fanout["replaced"]) == (0, 0, 0), fanout


def pod_rebuilt(bed):
    """1: a pod is rebuilt: connections follow by difference, kept ones stay the same, down to the socket;
    those that leave are closed after their delay and counted."""
    bed.scale(3)
    with bed.program() as load:
        bed.holds(load)
        before = connections(load)
        left = f"{bed.rebuild_one()}:{PORT}"
        bed.holds(load)
        wait_for("the old one is closed", lambda: "Closed 1/1 old connections" in load.process.text(), 60)
        after = connections(load)
        told = load.stop()
    expect_unharmed(told)
    kept = set(before) - {left}
    assert len(kept) == 2 and {p: after.get(p) for p in kept} == {p: before[p] for p in kept}, (before, after)
    assert left not in after and len(after) == 3, after
    said = load.process.text()
    for line in ("[Watcher] Endpoints UPDATED: NAME", "[Watcher] Handling Endpoints change for service: NAME",
                 "[NAME] Found 1 old connections to close",
                 "[NAME] Scheduling delayed close for 1 old connections (5 seconds delay)",
                 "[NAME] Closing 1 old connections", "[Watcher] Successfully updated connections for NAME"):
        wanted = f"[K8s Discovery] {line.replace('NAME', f'{SERVICE}:grpc')}"
        assert wanted in said, f"{wanted} is missing; see {load.process.log}"
    assert "ERROR" not in said and said.count("Found 1 old connections") == 1, load.process.log


def calls_through_a_rebuild(bed):
    """2: calls and messages to every pod go on through a rebuild without a failure. Long streams on kept
    pods are untouched; on the rebuilt one they end when it is killed, and go on elsewhere."""
    bed.scale(3)
    with bed.program(streams=6) as load:
        bed.holds(load)
        wait_for("streams run", lambda: load.now()["streams"]["opened"] == 6, 60)
        rounds = load.later()["fanout"]["rounds"]
        bed.rebuild_one()
        bed.holds(load)
        wait_for("streams run again", lambda: load.now()["streams"]["opened"] == 8, 60, load.now)
        load.later()
        told = load.stop()
    expect_unharmed(told)
    streams, fanout = told["streams"], told["fanout"]
    assert (streams["ends"], streams["opened"]) == ({"UNAVAILABLE": 2}, 8), streams
    assert fanout["rounds"] > rounds and fanout["told"] >= 2 * fanout["rounds"], "kept pods hear everything"
    print(f"    {told['ok']} calls, {fanout['told']} messages in {fanout['rounds']} rounds, "
          f"{fanout['left']} to pods just gone, {streams['echoes']} echoes")


def scaled_to_zero_and_back(bed):
    """3: at 0 pods there is no handle and calls fail at once with the cause; when pods return, all is
    as it was."""
    bed.scale(3)
    with bed.program() as load:
        bed.holds(load)
        bed.scale(0)
        bed.holds(load)
        wait_for("calls fail for want of endpoints",
                 lambda: load.now()["failures"].get("UNAVAILABLE EMPTY", 0) > 10, 60, load.now)
        bed.scale(2)
        bed.holds(load)
        back = load.later()
        load.later()
        told = load.stop()
    assert (told["failures"], told["fanout"]["failed"]) == (back["failures"], back["fanout"]["failed"]), (
        f"no call fails when there are pods: {told}")
    assert {failure.partition(" ")[0] for failure in told["failures"]} == {"UNAVAILABLE"}, told
    assert told["fanout"]["failed"] <= 3 and told["fanout"]["errors"] == 0, "one to each pod that ended"


@contextlib.contextmanager
def service_by_hand(bed, name, addresses):
    """A service whose slice the test writes, as `write(addresses)`, and servers at the addresses."""
    bed.cluster.request("POST", "/api/v1/namespaces/default/services", {
        "kind": "Service", "apiVersion": "v1", "metadata": {"name": name},
        "spec": {"ports": [{"name": "grpc", "port": 80, "targetPort": PORT}]}})

    def write(chosen, method="PUT"):
        bed.cluster.request(method, SLICES if method == "POST" else f"{SLICES}/{name}-1", {
            "kind": "EndpointSlice", "apiVersion": "discovery.k8s.io/v1", "addressType": "IPv4",
            "metadata": {"name": f"{name}-1", "labels": {"kubernetes.io/service-name": name}},
            "ports": [{"name": "grpc", "port": PORT, "protocol": "TCP"}],
            "endpoints": [{"addresses": [a], "conditions": {"ready": True}} for a in chosen]})
    servers = [Process(bed.folder, f"server-{a}", [bed.bin / "grpc-echo", "--listen", f"{a}:{PORT}"])
               for a in addresses]
    try:
        for server in servers:
            wait_for("a server listens", lambda s=server: "listening on" in s.text())
        write(addresses, "POST")
        yield write
    finally:
        for server in servers:
            server.stop()


def first_pod_back(bed):
    """3: traffic within 100 ms of the write of the slice that brings the first pod back."""
    took_ms = []
    address = "10.244.200.1"
    with service_by_hand(bed, "wake", [address]) as write, bed.program("wake:grpc") as load:
        for _ in range(WAKES):
            write([])
            wait_for("nothing is left", lambda: not load.now()["fanout"]["handles"])
            time.sleep(1)  # such a pause is what the load takes for one
            began = time.monotonic()
            write([address])
            wait_for("traffic", lambda since=began: load.now()["resumedMs"] >= since * 1000, 60, load.now)
            took_ms.append(load.now()["resumedMs"] - began * 1000)
        load.stop()
    assert statistics.median(took_ms) < 100, took_ms
    print(f"    {', '.join(f'{ms:.0f}' for ms in took_ms)} ms")


BED = ManagerBed
SCENARIOS = [pod_rebuilt, calls_through_a_rebuild, scaled_to_zero_and_back, first_pod_back]
