"""A real control plane on loopback: etcd, one or two kube-apiservers, kube-controller-manager."""
import http.client
import json
import pathlib
import signal
import ssl
import urllib.error
import urllib.request

from audit import POLICY, Audit
from certificates import SERVER_NAMES, Authority, openssl
from process import Process
from waiting import free_port, wait_for

ADMIN_TOKEN = "admin-token"
POWERLESS_TOKEN = "powerless-token"
AWAY = (OSError, http.client.HTTPException)  # the server is not there, or went in mid-answer
ISSUER = "https://kubernetes.default.svc"
CONTROLLERS = ["endpointslice", "deployment", "replicaset", "namespace", "serviceaccount"]
STRATEGIC = "application/strategic-merge-patch+json"


class Server:
    """A program of the control plane that may be killed and started again on what it left behind."""

    def restart(self):
        self.process = self.start()

    def kill(self):
        self.process.stop(signal.SIGKILL)


class Etcd(Server):
    def __init__(self, folder, program):
        self.folder, self.program = folder, program
        self.data = folder / "etcd"
        self.port, self.peer_port = free_port(), free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.process = self.start()

    def start(self):
        peer = f"http://127.0.0.1:{self.peer_port}"
        process = Process(self.folder, "etcd", [
            self.program, "--data-dir", self.data, "--unsafe-no-fsync",
            "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"n1={peer}", "--name", "n1"])
        wait_for("etcd answers", lambda: self.is_ready(process))
        return process

    def is_ready(self, process):
        if not process.alive():
            raise AssertionError(f"etcd ended; see {process.log}")
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=5) as answer:
                return b"true" in answer.read()
        except AWAY:
            return False

    def call(self, method, body):
        """A method of etcd's API in JSON, such as kv/compaction."""
        request = urllib.request.Request(f"{self.url}/v3/{method}", json.dumps(body).encode())
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.loads(answer.read())

    def revision(self):
        return int(self.call("kv/range", {"key": "AA=="})["header"]["revision"])

    def compact(self):
        """Forgets every revision but the newest."""
        self.call("kv/compaction", {"revision": self.revision(), "physical": True})


class ApiServer(Server):
    """One kube-apiserver; `name` makes its files. Certificates and tokens lie in the folder."""

    def __init__(self, folder, program, name, etcd_url, flags=()):
        self.folder, self.program, self.name = folder, program, name
        self.etcd_url, self.flags = etcd_url, flags
        self.port = free_port()
        self.audit = Audit(folder / f"{name}.audit")
        self.context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
        self.process = self.start()

    def start(self):
        f = self.folder
        process = Process(f, self.name, [
            self.program, f"--etcd-servers={self.etcd_url}",
            "--bind-address=0.0.0.0", "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={f}/server.crt", f"--tls-private-key-file={f}/server.key",
            f"--client-ca-file={f}/ca.crt", f"--token-auth-file={f}/tokens.csv",
            f"--service-account-issuer={ISSUER}", f"--service-account-key-file={f}/sa.pub",
            f"--service-account-signing-key-file={f}/sa.key", "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount", "--anonymous-auth=false",
            "--profiling=false", "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000", f"--audit-policy-file={f}/audit-policy.json",
            f"--audit-log-path={self.audit.path}", *self.flags])
        wait_for(f"{self.name} is ready", lambda: self.is_ready(process), 120)
        return process

    def is_ready(self, process):
        if not process.alive():
            raise AssertionError(f"{self.name} ended; see {process.log}")
        try:
            return self.request("GET", "/readyz", raw=True) == b"ok"
        except AWAY:
            return False

    def request(self, method, path, body=None, raw=False, content_type=STRATEGIC, token=ADMIN_TOKEN):
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("Authorization", f"Bearer {token}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type",
                               content_type if method == "PATCH" else "application/json")
        with urllib.request.urlopen(request, data, context=self.context, timeout=30) as answer:
            payload = answer.read()
        return payload if raw else json.loads(payload)

    def status(self, path, token=ADMIN_TOKEN):
        """The HTTP status of a GET."""
        try:
            self.request("GET", path, raw=True, token=token)
            return 200
        except urllib.error.HTTPError as error:
            return error.code


class Cluster:
    """`etcd`: the name of its program; `flags`: of the API server. Only what needs pods needs a
    controller manager."""

    def __init__(self, folder, bin_folder, etcd="etcd", flags=(), controllers=False):
        self.folder = pathlib.Path(folder)
        self.bin = pathlib.Path(bin_folder)
        self.write_secrets()
        self.etcd = Etcd(self.folder, self.bin / etcd)
        self.apiserver = self.start_apiserver("kube-apiserver", self.etcd.url, flags)
        self.others = []
        self.kubeconfig = self.write_kubeconfig("admin.kubeconfig", {"token": ADMIN_TOKEN})
        self.manager = self.start_manager() if controllers else None

    def write_secrets(self):
        self.authority = Authority(self.folder, "ca")
        self.authority.sign("server", "/CN=kube-apiserver", SERVER_NAMES)
        self.authority.sign("client", "/O=system:masters/CN=by-certificate")
        openssl(self.folder, "genrsa", "-out", "sa.key", "2048")
        openssl(self.folder, "rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
        (self.folder / "audit-policy.json").write_text(json.dumps(POLICY))
        (self.folder / "tokens.csv").write_text(
            f'{ADMIN_TOKEN},admin,1,"system:masters"\n{POWERLESS_TOKEN},nobody,2\n')

    def write_kubeconfig(self, name, user, server=None, ca="ca.crt", namespace="default"):
        """`server`: host:port, the first API server without."""
        path = self.folder / name
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://{server or f'127.0.0.1:{self.apiserver.port}'}",
                "certificate-authority": str(self.folder / ca)}}],
            "users": [{"name": "test", "user": user}],
            "contexts": [{"name": "test", "context": {
                "cluster": "test", "user": "test", "namespace": namespace}}]}))
        return str(path)

    def start_apiserver(self, name, etcd_url, flags=()):
        return ApiServer(self.folder, self.bin / "kube-apiserver", name, etcd_url, flags)

    def add_apiserver(self, name, etcd_url):
        self.others.append(self.start_apiserver(name, etcd_url))
        return self.others[-1]

    def start_manager(self):
        f = self.folder
        return Process(f, "kube-controller-manager", [
            self.bin / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--leader-elect=false",
            f"--controllers={','.join(f'{name}-controller' for name in CONTROLLERS)}",
            f"--service-account-private-key-file={f}/sa.key", f"--root-ca-file={f}/ca.crt",
            "--kube-api-qps=500", "--kube-api-burst=1000",
            "--concurrent-replicaset-syncs=4"])

    def restart_manager(self):
        """After the API server was away: the manager's informers wait up to a minute before they ask
        again, and what its controllers put off meanwhile (a slice informer that is behind: 1, 2, 4 ...
        1000 s) is not taken up when they have caught up."""
        self.manager.stop(signal.SIGKILL)
        self.manager = self.start_manager()

    def request(self, *arguments, **options):
        return self.apiserver.request(*arguments, **options)

    def endpoints(self, service, namespace="default"):
        """The truth: {(address, port): (ready, serving, terminating)} over all slices, and their count."""
        slices = self.request("GET", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                                     f"?labelSelector=kubernetes.io/service-name%3D{service}")
        truth = {}
        for item in slices["items"]:
            for endpoint in item.get("endpoints") or []:
                conditions = endpoint.get("conditions", {})
                for port in item.get("ports") or []:
                    truth[(endpoint["addresses"][0], port["port"])] = (
                        conditions.get("ready", True), conditions.get("serving", True),
                        conditions.get("terminating", False))
        return truth, len(slices["items"])

    def close(self):
        processes = [self.manager] if self.manager else []
        processes += [server.process for server in [*self.others, self.apiserver]]
        for process in [*processes, self.etcd.process]:
            process.stop(signal.SIGKILL)  # how they end is not what is tested, and takes them a minute
