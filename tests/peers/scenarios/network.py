"""A network that swallows what is sent, in a namespace that has only one way to the API server."""
import subprocess
import time

from bed import SliceBed
from process import Process
from waiting import wait_for

HERE, THERE = "10.99.0.1", "10.99.0.2"


def sh(*arguments, text=None):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, input=text,
                          timeout=30).stdout


class Link:
    """A namespace behind a pair of virtual interfaces; this end has the address HERE."""

    def __init__(self, folder):
        self.holder = Process(folder, "namespace", ["unshare", "--net", "sleep", "infinity"])
        self.within = ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net"]
        wait_for("the namespace is there", lambda: self.inside("readlink", "/proc/self/ns/net") !=
                 sh("readlink", "/proc/self/ns/net"))
        sh("ip", "link", "add", "near", "type", "veth", "peer", "name", "far", "netns",
           str(self.holder.pid))
        sh("ip", "address", "add", f"{HERE}/24", "dev", "near")
        sh("ip", "link", "set", "near", "up")
        self.inside("ip", "address", "add", f"{THERE}/24", "dev", "far")
        self.inside("ip", "link", "set", "far", "up")

    def inside(self, *arguments):
        return sh(*self.within, *arguments)

    def connections(self):
        """The ports that established connections come from."""
        return {line.split()[-1].rpartition(":")[2]
                for line in sh("ss", "-tnH", "state", "established", "dst", THERE).splitlines()}

    def swallow(self, ports):
        """Nothing of these connections passes any more, in either direction, and nobody is told."""
        listed = ", ".join(sorted(ports))
        sh("nft", "-f", "-", text=f"""
            table ip blackhole {{
              chain in {{ type filter hook input priority 0;
                          ip saddr {THERE} tcp sport {{ {listed} }} drop; }}
              chain out {{ type filter hook output priority 0;
                           ip daddr {THERE} tcp dport {{ {listed} }} drop; }}
            }}""")

    def close(self):
        self.holder.stop()


def connection_that_swallows_everything(bed):
    """W8: the connection is a black hole; a ping finds it, and another connection goes on."""
    link = Link(bed.folder)
    kubeconfig = bed.account.kubeconfig("far.kubeconfig", f"{HERE}:{bed.cluster.apiserver.port}")
    try:
        with bed.watching(kubeconfig, within=link.within) as watch:
            before, held = link.connections(), watch.view()
            assert before, "it is connected"
            watch.forget()
            bed.audit.forget()
            link.swallow(before)
            began = time.monotonic()
            bed.publish()
            assert watch.view() == held, "nothing passes"
            wait_for("there is another connection", lambda: link.connections() - before, 120, watch.tail)
            print(f"    found and dialled again after {time.monotonic() - began:.1f} s")
            watch.expect("no answer to an HTTP/2 PING")
            watch.expect("answers again")
            bed.agree(watch)
            lists = bed.audit.lists(bed.account.user)
            assert not lists, f"the watch goes on where it was: {lists}"
    finally:
        link.close()


BED = SliceBed
SCENARIOS = [connection_that_swallows_everything]
