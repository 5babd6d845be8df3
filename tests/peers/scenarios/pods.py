"""A real deployment through its life, calls going on."""
import json
import os
import time

from bed import PORT, SERVICE, TARGET, PodBed
from kubelet import GRPC_CPP, GRPC_GO, OURS
from load import Load


def scale_to_zero_and_back(bed):
    """0 -> 3 -> 300 (several slices) -> 1 -> 0: the watch's lines add up to the server's slices."""
    bed.settle(0)
    assert '"empty"' in bed.run("get", SERVICE, "-o", "json", code=4).stdout
    bed.scale(3)
    bed.scale(300)
    _, slices = bed.cluster.endpoints(SERVICE)
    assert slices >= 3, f"{slices} slices"
    shown = json.loads(bed.run("get", f"{SERVICE}:80", "-o", "json").stdout)
    assert len(shown["endpoints"]) == 300 and shown["endpoints"][0]["port"] == PORT
    assert {e["zone"] for e in shown["endpoints"]} == {"zone-1", "zone-2"}
    bed.scale(1)
    bed.scale(0)


def rolling_replacement_under_load(bed):
    """Every pod is replaced while calls go on; none fails, and the new pods get them."""
    bed.scale(6)
    with bed.load() as summary:
        for _ in range(3):
            bed.roll(6)
        time.sleep(1)  # calls reach the last ones, too
    peers = summary["byPeer"]
    assert len(peers) >= 24, f"calls went to {len(peers)} pods: {peers}"
    print(f"    {summary['calls']} calls, {len(peers)} pods, {summary['retries']} retried unseen")


def expect_unharmed(bed, told):
    """gRPC C++ itself cancels calls that reach it between its Shutdown and its GOAWAY, a few in hundred
    shutdowns, and says so in their trailers; no other call may fail."""
    cpp = {f"{pod.address}:{PORT}" for pod in bed.kubelet.pods.values() if pod.program == GRPC_CPP}
    failed = {peer for peer, (_, failures) in told["peers"].items() if failures}
    assert (told["toRemoved"], told["toEnding"]) == (0, 0), told
    assert set(told["failures"]) <= {"CANCELLED"} and failed <= cpp, (told["failures"], failed - cpp)


def rolling_updates(bed):
    """Ten pods are replaced under 2,000 calls/s, again and again (ROLLS times): no call fails, and none
    goes to an address after its removal, or to a pod that ends."""
    rolls = int(os.environ.get("ROLLS", "3"))
    bed.kubelet.programs = [OURS, GRPC_GO, GRPC_CPP]
    bed.scale(10)
    with Load(bed, TARGET, rate=2000, kubeconfig=bed.kubeconfig) as load:
        for _ in range(rolls):
            bed.roll(10)
            expect_unharmed(bed, load.later())
        told = load.stop()
    bed.kubelet.programs = [OURS, GRPC_GO]
    expect_unharmed(bed, told)
    served = [peer for peer, (calls, _) in told["peers"].items() if calls]
    assert len(served) >= 10 * (rolls + 1), f"calls went to {len(served)} pods: {told}"
    assert told["ok"] > 1000 * rolls, told
    print(f"    {rolls} rolls, {told['ok']} calls, {len(served)} pods, {told['retries']} retried unseen, "
          f"{told['started'] - told['ok']} cancelled by gRPC C++, longest gap {told['longestGapMs']} ms")


def scale_up_gets_traffic(bed):
    """C4: new pods get their share without any failure to ask again."""
    bed.scale(1)
    with bed.load() as summary:
        bed.scale(4)
        time.sleep(2)  # of calls
    assert len(summary["byPeer"]) == 4, summary["byPeer"]


def apiserver_killed_and_restarted(bed):
    """SIGKILL of the API server: calls go on, and after its restart the watch goes on where it was."""
    bed.scale(3)
    bed.watch.forget()
    with bed.load():
        bed.cluster.apiserver.kill()
        bed.watch.expect("trying again")
        held, state = bed.watch.view()
        assert len(held) == 3 and state == "some", "what was known is kept while the server is away"
        bed.cluster.apiserver.restart()
        bed.cluster.restart_manager()
        bed.scale(5)
        bed.scale(2)
    bed.watch.expect("answers again")


BED = PodBed
SCENARIOS = [scale_to_zero_and_back, rolling_replacement_under_load, rolling_updates, scale_up_gets_traffic,
             apiserver_killed_and_restarted]
