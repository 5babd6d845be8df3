"""The part of the bench with the canned server: sync, memory, a forced relist, and events as fast as the client
takes them. And the floor: curl reads the same bytes into nothing."""
import json
import resource
import subprocess
import time

from data import ENDPOINTS, FLIPS, PATHS, TYPES
from program import CLIENT_CORE, pinned
from subject import Canned, Subject


def write_kubeconfig(path, port, ca):
    path.write_text(json.dumps({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "clusters": [{"name": "c", "cluster": {"server": f"https://127.0.0.1:{port}",
                                               "certificate-authority": str(ca)}}],
        "users": [{"name": "c", "user": {"token": "any"}}],
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "c"}}]}))
    return path


def make_certificates(folder):
    """ca.crt, server.crt and server.key for the canned server."""
    def openssl(*arguments):
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=ca", "-keyout", "ca.key",
            "-out", "ca.crt")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=server", "-keyout", "server.key", "-out",
            "server.csr")
    (folder / "names").write_text("subjectAltName=IP:127.0.0.1\n")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days",
            "2", "-extfile", "names", "-out", "server.crt")


class CannedRun:
    def __init__(self, tools, data, slices, folder, row):
        self.tools, self.data, self.slices, self.folder, self.row = tools, data, slices, folder, row

    def serve(self, as_json):
        server = Canned(self.tools.canned_server, self.data, self.folder, as_json)
        write_kubeconfig(self.folder / "canned.kubeconfig", server.port, self.folder / "ca.crt")
        return server

    def start(self, kind, kubeconfig):
        return Subject(kind.name, kind.command(kubeconfig, self.slices),
                       self.folder / f"{kind.key}.log", {"KUBECONFIG": str(kubeconfig)})

    def subject(self, kind, as_json=False):
        """One subject from its start to after the events."""
        server = self.serve(as_json)
        subject = None
        try:
            subject = self.start(kind, self.folder / "canned.kubeconfig")
            self.measure(kind, server, subject)
        finally:
            if subject:
                subject.close()
            server.close()

    def measure(self, kind, server, subject):
        def row(metric, value, unit):
            self.row(kind.key, metric, value, unit)
        synced = subject.wait("synced")
        row("sync_cpu", synced["cpu_us"] / 1e6, "s")
        row("sync_time", synced["us"] / 1e6, "s")
        row("sync_peak", subject.peak_kib() / 1024, "MiB")
        row("idle", subject.idle_kib() / 1024, "MiB")
        subject.require(self.slices, self.slices * ENDPOINTS, 0)
        if kind.has_areas:
            for area, held in subject.ask("areas", "areas").items():
                if area != "at":
                    row(f"heap_{area}", held / (self.slices * ENDPOINTS), "B per endpoint")
        self.relist(server, subject, row)
        self.events(server, subject, row)
        if kind.can_free:
            subject.ask("free", "freed")
            time.sleep(1)
            row("freed", subject.status("VmRSS") / 1024, "MiB")

    def relist(self, server, subject, row):
        """The watch ends with 410; over when the next watch stands and the client rests."""
        lists = server.ask("state")["lists"]
        server.wait("the watch stands", lambda s: s["watches"] == 1 and s["queued"] == 0)
        subject.reset_peak()
        before = subject.cpu_us()
        server.ask("expire")
        server.wait("the client has listed again",
                    lambda s: s["lists"] > lists and s["watches"] == 1 and s["queued"] == 0)
        cpu = subject.cpu_us()
        while True:
            time.sleep(0.3)
            now = subject.cpu_us()
            if now - cpu < 2000:
                break
            cpu = now
        row("relist_cpu", (now - before) / 1e6, "s")
        row("relist_peak", subject.peak_kib() / 1024, "MiB")

    def events(self, server, subject, row):
        count = self.slices * FLIPS
        subject.reset_peak()
        served = server.cpu_us()
        subject.ask(f"expect {count}", "expecting")
        server.ask("events")
        done = subject.wait("events")
        row("event_cpu", done["cpu_us"] / count, "us")
        row("events_per_s", (count - 1) / (done["us"] / 1e6), "1/s")
        row("server_cpu", (server.cpu_us() - served) / count, "us")
        row("events_peak", subject.peak_kib() / 1024, "MiB")
        subject.require(self.slices, self.slices * ENDPOINTS, count)

    def floor(self, as_json=False):
        server = self.serve(as_json)
        form = "json" if as_json else "pb"
        try:
            none = self.curl(server, "/nothing", form)
            path = PATHS["endpointslices"]
            sync = self.curl(server, path + "?resourceVersion=0", form)
            stream = self.curl(server, path + "?watch=1&end=1", form)
        finally:
            server.close()
        count = self.slices * FLIPS
        key = "curl-json" if as_json else "curl"
        self.row(key, "sync_cpu", sync / 1e6, "s")
        self.row(key, "event_cpu", (stream - none) / count, "us")

    def curl(self, server, path, form):
        """CPU of curl, microseconds."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["curl", "-s", "--http2", "--cacert", self.folder / "ca.crt", "-H",
                        f"Accept: {TYPES[form]}", "-o", "/dev/null", f"https://127.0.0.1:{server.port}{path}"],
                       check=True, preexec_fn=pinned(CLIENT_CORE))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e6
