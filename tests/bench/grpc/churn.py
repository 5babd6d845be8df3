"""The part of bench-grpc in which nothing is called: a channel to each of many services of 100 endpoints, all idle
and without a socket but that to the API server, while endpoints change. In a network namespace of its own, as the
endpoints' addresses are nobody's."""
import contextlib
import os
import subprocess
import time

from canned import make_certificates, write_kubeconfig
from data import ENDPOINTS, FLIPS, newest_peers, prepare
from program import Program
from subject import Canned

SERVICES, RATE = 1000, 1000  # changes a second
PATIENCE = 60                # seconds


def require(cache):
    """What this part cannot do without: better said before the others have run."""
    if os.geteuid() != 0:
        raise SystemExit("bench: run as root: churn makes a network namespace; or leave it out with --only")
    newest_peers(cache)


@contextlib.contextmanager
def namespace():
    """The command that runs another in a network that is nothing but loopback."""
    name = f"fairlead-bench-{os.getpid()}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    try:
        subprocess.run(["ip", "-n", name, "link", "set", "lo", "up"], check=True)
        yield ["ip", "netns", "exec", name]
    finally:
        subprocess.run(["ip", "netns", "del", name], check=True)


def wait_for_endpoints(subject, count):
    """Until the channels, none of which tries to connect to any, hold so many that may take calls."""
    deadline = time.monotonic() + PATIENCE
    while (held := subject.ask("usable", "usable")["endpoints"]) != count:
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: Fairlead's channels hold {held} endpoints, not {count}")
        time.sleep(0.5)


def measure(subject, server, services, row):
    if subject.wait("ready", 300)["count"] != services:
        raise SystemExit("bench: Fairlead opened too few channels")
    wait_for_endpoints(subject, services * ENDPOINTS)
    count = services * FLIPS
    before, began = subject.ask("cpu", "cpu")["cpu_us"], time.monotonic()
    server.ask(f"pace {RATE}")
    server.wait("all changes were sent", lambda s: s["paced"] == count and s["queued"] == 0)
    time.sleep(max(0, count / RATE + 0.1 - (time.monotonic() - began)))
    used, took = subject.ask("cpu", "cpu")["cpu_us"] - before, time.monotonic() - began
    wait_for_endpoints(subject, services * (ENDPOINTS - FLIPS))
    row("fairlead", "churn_share", 100 * used / 1e6 / took, "%")
    row("fairlead", "churn_cpu", used / count, "us")


def churn(tools, cache, folder, row, quick, say):
    services = SERVICES // 4 if quick else SERVICES
    data = prepare(cache, newest_peers(cache), services)
    say("churn")
    make_certificates(folder)
    with namespace() as within:
        server = Canned(tools.canned, data, folder, within=within)
        subject = None
        try:
            config = write_kubeconfig(folder / "churn.kubeconfig", server.port, folder / "ca.crt")
            subject = Program("Fairlead", [*within, tools.fairlead, "watch", config, services], folder / "churn.log")
            measure(subject, server, services, row)
        finally:
            if subject:
                subject.close()
            server.close()
