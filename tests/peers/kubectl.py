"""kubectl as a person uses it, against whichever API server."""
import json
import subprocess

from waiting import wait_for
from watching import Watch

SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "hand"},
           "spec": {"ports": [{"name": "http", "port": 80, "targetPort": 8080}]}}


def slice_of(*addresses):
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {"name": "hand-1", "labels": {"kubernetes.io/service-name": "hand"}},
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [{"addresses": [address]} for address in addresses]}


class Kubectl:
    def __init__(self, bed, kubeconfig):
        self.program, self.kubeconfig = bed.bin / "kubectl", kubeconfig

    def __call__(self, *arguments, document=None, code=0):
        answer = subprocess.run(
            [self.program, "--kubeconfig", self.kubeconfig, *arguments], capture_output=True, text=True,
            timeout=60, input=json.dumps(document) if document else None, check=False)
        assert answer.returncode == code, f"kubectl {arguments}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def get(self, kind):
        return json.loads(self("get", kind, "-o", "json"))["items"]


def change_and_watch(bed, kubectl, kubeconfig):
    """Creates a service and its slice by hand, changes them in every way that kubectl has, and deletes
    them: `fairlead watch` sees each step."""
    kubectl("create", "-f", "-", document=SERVICE)
    watch = Watch(bed.folder, "watch-hand", bed.fairlead, kubeconfig, "hand")

    def seen(state, **ready):
        want = {(f"10.9.0.{name[1:]}", 8080): (is_ready, True, False)
                for name, is_ready in ready.items()}
        wait_for(f"{state} {ready} is seen", lambda: watch.view() == (want, state), 30,
                 lambda: f"    {watch.view()}\n{watch.tail()}")

    def patch(kind, change):
        kubectl("patch", "endpointslice", "hand-1", f"--type={kind}", "-p", json.dumps(change))

    try:
        seen("empty")
        kubectl("create", "-f", "-", document=slice_of("10.9.0.1"))
        seen("some", a1=True)
        kubectl("create", "-f", "-", document=slice_of("10.9.0.1"), code=1)  # it is there already
        patch("merge", {"endpoints": [{"addresses": ["10.9.0.1"], "conditions": {"ready": False}},
                                      {"addresses": ["10.9.0.2"]}]})
        seen("some", a1=False, a2=True)
        patch("json", [{"op": "remove", "path": "/endpoints/0"}])
        seen("some", a2=True)
        kubectl("replace", "-f", "-", document=slice_of("10.9.0.3"))
        seen("some", a3=True)
        kubectl("apply", "-f", "-", document=slice_of("10.9.0.3", "10.9.0.4"))
        seen("some", a3=True, a4=True)
        kubectl("label", "endpointslice", "hand-1", "kubernetes.io/service-name=other", "--overwrite")
        seen("empty")
        kubectl("label", "endpointslice", "hand-1", "kubernetes.io/service-name=hand", "--overwrite")
        seen("some", a3=True, a4=True)
        kubectl("delete", "endpointslice", "hand-1")
        seen("empty")
        kubectl("delete", "service", "hand")
        seen("absent")
        watch.close()
    finally:
        watch.process.stop()
        watch.thread.join()
