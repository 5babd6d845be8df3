"""The part of the bench with the real kube-apiserver: sync, the time from before a write to the callback at 150
writes a second, and a relist. All subjects are held up to the relist, which an API server that is started again
causes: it has forgotten the versions at which they watch."""
import pathlib
import statistics
import subprocess
import tempfile
import time

from data import ADMIN_TOKEN, ENDPOINTS, NAMESPACE, DataCluster, say
from program import SERVER_CORE, pinned
from subject import Subject
from waiting import free_port

RATE = 150
FORGOTTEN = 20       # slices
RELIST_SECONDS = 120  # client-go and kube-rs wait up to 30 s before they try again


class RealRun:
    def __init__(self, tools, data, slices, writes, row):
        self.tools, self.data, self.slices, self.writes, self.row = tools, data, slices, writes, row
        self.flipped = 0

    def run(self, kinds, turn):
        with tempfile.TemporaryDirectory() as folder:
            cluster = DataCluster(folder, self.tools.peers, self.data / "etcd")
            subjects = []
            try:
                for kind in kinds:
                    say(f"round {turn}: real API server, {kind.name}")
                    subjects.append((kind, self.sync(kind, cluster, pathlib.Path(folder))))
                    self.latency(*subjects[-1], cluster, turn, pathlib.Path(folder))
                say(f"round {turn}: real API server, relist")
                self.relist(subjects, cluster)
            finally:
                for _, subject in subjects:
                    subject.close()
                cluster.close()

    def sync(self, kind, cluster, folder):
        subject = Subject(kind.name, kind.command(cluster.kubeconfig, self.slices), folder / f"{kind.key}.log",
                          {"KUBECONFIG": cluster.kubeconfig})
        synced = subject.wait("synced")
        self.row(kind.key, "real_sync_cpu", synced["cpu_us"] / 1e6, "s")
        self.row(kind.key, "real_sync_time", synced["us"] / 1e6, "s")
        return subject

    def latency(self, kind, subject, cluster, turn, folder):
        """Each write flips one endpoint of another slice, so a name says which write a callback belongs to."""
        subject.ask("log", "logging")
        subject.ask(f"expect {self.writes}", "expecting")
        told = self.write(cluster.kubeconfig, self.writes)
        subject.wait("events")
        subject.ask(f"write {folder / 'times'}", "written")
        written = {service_of(name): int(ns) for name, ns in map(str.split, told.splitlines())}
        seen = {}
        for line in (folder / "times").read_text().splitlines():
            name, ns = line.split()
            seen.setdefault(service_of(name), int(ns))
        if not written.keys() <= seen.keys():
            raise SystemExit(f"bench: {kind.name} missed {len(written.keys() - seen.keys())} writes")
        times = sorted((seen[name] - ns) / 1e6 for name, ns in written.items())
        self.row(kind.key, "latency_p50", statistics.median(times), "ms")
        self.row(kind.key, "latency_p99", times[len(times) * 99 // 100], "ms")

    def write(self, kubeconfig, count):
        """Another endpoint each time."""
        told = subprocess.run([self.tools.bin / "slice-writer", f"--kubeconfig={kubeconfig}",
                               f"--namespace={NAMESPACE}", f"--count={count}", f"--rate={RATE}",
                               f"--endpoint={self.flipped}"], check=True, capture_output=True, text=True,
                              preexec_fn=pinned(SERVER_CORE)).stdout
        self.flipped += 1
        return told

    def relist(self, subjects, cluster):
        before = [subject.cpu_us() for _, subject in subjects]
        for _, subject in subjects:
            subject.reset_peak()
        self.forget_versions(cluster)
        self.wait_for_relists(subjects, before)
        unready = len(subjects) * self.writes + FORGOTTEN
        for (kind, subject), cpu in zip(subjects, before):
            self.row(kind.key, "real_relist_cpu", (subject.cpu_us() - cpu) / 1e6, "s")
            self.row(kind.key, "real_relist_peak", subject.peak_kib() / 1024, "MiB")
            subject.require(self.slices, self.slices * ENDPOINTS, unready)

    def forget_versions(self, cluster):
        """Slices are written while nobody can watch, on another port; a server that starts after that has not
        seen it happen."""
        server = cluster.apiserver
        port = server.port
        server.kill()
        server.port = free_port()
        server.restart()
        self.write(cluster.write_kubeconfig("away.kubeconfig", {"token": ADMIN_TOKEN}), FORGOTTEN)
        server.kill()
        server.port = port
        server.restart()

    def wait_for_relists(self, subjects, before):
        """Until each has spent what a list costs at the very least, and all have rested for 3 s."""
        least = 5 * self.slices
        deadline, quiet, last = time.monotonic() + RELIST_SECONDS, 0, before
        while quiet < 3:
            time.sleep(1)
            now = [subject.cpu_us() for _, subject in subjects]
            busy = any(n - l > 20000 for n, l in zip(now, last)) or any(
                n - b < least for n, b in zip(now, before))
            quiet, last = 0 if busy else quiet + 1, now
            if time.monotonic() > deadline:
                spent = {subject.name: n - b for (_, subject), n, b in zip(subjects, now, before)}
                raise SystemExit(f"bench: not all have listed again in {RELIST_SECONDS} s: CPU, us: {spent}")


def service_of(name):
    """Of a slice's name, service-00001-abcde, or of the service itself, service-00001."""
    return "-".join(name.split("-")[:2])
