"""A real control plane: etcd, kube-apiserver and kube-controller-manager on loopback."""
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request

ADMIN_TOKEN = "admin-token"
POWERLESS_TOKEN = "powerless-token"
AWAY = (OSError, http.client.HTTPException)  # the server is not there, or went in mid-answer


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds=60.0):
    """Waits until check() is true; its last word goes into the error."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"gave up after {seconds:.0f} s waiting until {what}")
        time.sleep(0.05)


class Process:
    """A child with its log in a file; stopped by its process id."""

    def __init__(self, folder, name, arguments, **options):
        self.log = pathlib.Path(folder) / f"{name}.log"
        self.file = open(self.log, "ab")
        options.setdefault("stdout", self.file)
        self.child = subprocess.Popen(arguments, stderr=self.file, stdin=subprocess.DEVNULL, **options)

    def alive(self):
        return self.child.poll() is None

    def stop(self, how=signal.SIGTERM, seconds=20):
        if self.alive():
            self.child.send_signal(how)
            try:
                self.child.wait(seconds)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.file.close()
        return self.child.returncode


def make_certificates(folder):
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)

    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test-ca",
            "-keyout", "ca.key", "-out", "ca.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=kube-apiserver", "-keyout",
            "server.key", "-out", "server.csr")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=system:masters/CN=by-certificate",
            "-keyout", "client.key", "-out", "client.csr")
    openssl("x509", "-req", "-in", "client.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-out", "client.crt")
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1,IP:10.96.0.1,DNS:localhost,"
                                "DNS:kubernetes.default.svc\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key",
            "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", "server.crt")
    openssl("genrsa", "-out", "sa.key", "2048")
    openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=other-ca",
            "-keyout", "other.key", "-out", "other.crt")


class Cluster:
    def __init__(self, folder, bin_folder):
        self.folder = pathlib.Path(folder)
        self.bin = pathlib.Path(bin_folder)
        make_certificates(self.folder)
        (self.folder / "tokens.csv").write_text(
            f'{ADMIN_TOKEN},admin,1,"system:masters"\n{POWERLESS_TOKEN},nobody,2\n')
        self.etcd_port, self.etcd_peer, self.port = free_port(), free_port(), free_port()
        self.context = ssl.create_default_context(cafile=str(self.folder / "ca.crt"))
        self.kubeconfig = self.write_kubeconfig("admin.kubeconfig")
        self.etcd = self.start_etcd()
        self.apiserver = self.start_apiserver()
        self.manager = self.start_manager()

    def write_kubeconfig(self, name, token=ADMIN_TOKEN, ca="ca.crt", user=None):
        path = self.folder / name
        path.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "test",
            "clusters": [{"name": "test", "cluster": {
                "server": f"https://127.0.0.1:{self.port}",
                "certificate-authority": str(self.folder / ca)}}],
            "users": [{"name": "test", "user": user or {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}]}))
        return str(path)

    def start_etcd(self):
        client, peer = (f"http://127.0.0.1:{p}" for p in (self.etcd_port, self.etcd_peer))
        return Process(self.folder, "etcd", [
            self.bin / "etcd", "--data-dir", self.folder / "etcd", "--unsafe-no-fsync",
            "--listen-client-urls", client, "--advertise-client-urls", client,
            "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
            "--initial-cluster", f"n1={peer}", "--name", "n1"])

    def start_apiserver(self):
        f = self.folder
        process = Process(f, "kube-apiserver", [
            self.bin / "kube-apiserver", f"--etcd-servers=http://127.0.0.1:{self.etcd_port}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={self.port}",
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={f}/server.crt", f"--tls-private-key-file={f}/server.key",
            f"--client-ca-file={f}/ca.crt", f"--token-auth-file={f}/tokens.csv",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={f}/sa.pub",
            f"--service-account-signing-key-file={f}/sa.key", "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount", "--anonymous-auth=false",
            "--profiling=false", "--max-requests-inflight=2000",
            "--max-mutating-requests-inflight=1000"])
        wait_for("kube-apiserver is ready", lambda: self.is_ready(process), 90)
        return process

    def is_ready(self, process):
        if not process.alive():
            raise AssertionError(f"kube-apiserver ended; see {process.log}")
        try:
            return self.request("GET", "/readyz", raw=True) == b"ok"
        except AWAY:
            return False

    def start_manager(self):
        f = self.folder
        return Process(f, "kube-controller-manager", [
            self.bin / "kube-controller-manager", f"--kubeconfig={self.kubeconfig}",
            "--bind-address=127.0.0.1", f"--secure-port={free_port()}", "--leader-elect=false",
            "--controllers=endpointslice-controller,deployment-controller,replicaset-controller,"
            "namespace-controller,serviceaccount-controller",
            f"--service-account-private-key-file={f}/sa.key", f"--root-ca-file={f}/ca.crt",
            "--kube-api-qps=500", "--kube-api-burst=1000",
            "--concurrent-replicaset-syncs=4"])

    def kill_apiserver(self):
        self.apiserver.stop(signal.SIGKILL)

    def restart_apiserver(self):
        """With a new manager: the old one's informers wait up to a minute before they ask again, and
        what its controllers put off meanwhile (a slice informer that is behind: 1, 2, 4 ... 1000 s)
        is not taken up when they have caught up."""
        self.apiserver = self.start_apiserver()
        self.manager.stop(signal.SIGKILL)
        self.manager = self.start_manager()

    def request(self, method, path, body=None, raw=False,
                content_type="application/strategic-merge-patch+json"):
        request = urllib.request.Request(f"https://127.0.0.1:{self.port}{path}", method=method)
        request.add_header("Authorization", f"Bearer {ADMIN_TOKEN}")
        data = None
        if body is not None:
            data = json.dumps(body).encode()
            request.add_header("Content-Type",
                               content_type if method == "PATCH" else "application/json")
        with urllib.request.urlopen(request, data, context=self.context, timeout=30) as answer:
            payload = answer.read()
        return payload if raw else json.loads(payload)

    def endpoints(self, service, namespace="default"):
        """The truth: {(address, port): (ready, serving, terminating)} over all slices."""
        slices = self.request("GET", f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices"
                                     f"?labelSelector=kubernetes.io/service-name%3D{service}")
        truth = {}
        for item in slices["items"]:
            for endpoint in item.get("endpoints") or []:
                conditions = endpoint.get("conditions", {})
                ready = conditions.get("ready", True)
                for port in item.get("ports") or []:
                    truth[(endpoint["addresses"][0], port["port"])] = (
                        ready, conditions.get("serving", ready), conditions.get("terminating", False))
        return truth, len(slices["items"])

    def close(self):
        for process in (self.manager, self.apiserver, self.etcd):
            process.stop()
