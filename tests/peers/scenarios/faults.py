"""Servers that freeze, die, vanish, limit and complain, under a steady load: what is lost is counted."""
import contextlib
import json
import signal
import socket
import subprocess
import threading
import time

from bed import METHOD, EmptyBed
from load import Load
from process import Process
from waiting import wait_for

PORT = 50051
RATE = 300  # calls a second, over three servers
SERVERS = ["10.244.9.1", "10.244.9.2", "10.244.9.3"]
VICTIM = SERVERS[1]
WATCHFUL = {"keepalive": 10000, "keepalive_timeout": 1000}  # the shortest time that gRPC allows


def sh(*arguments, text=None):
    return subprocess.run(arguments, check=True, capture_output=True, text=True, input=text,
                          timeout=30).stdout


class FaultBed(EmptyBed):
    """Two servers on grpc-go and one on gRPC C++, each on an address of its own."""

    @contextlib.contextmanager
    def server(self, address, *flags, program="grpc-echo"):
        process = Process(self.folder, f"server-{address}-{time.monotonic_ns()}",
                          [self.bin / program, "--listen", f"{address}:{PORT}", *flags])

        def listens():
            assert process.alive(), f"it ended; see {process.log}"
            return "listening on" in process.text()
        try:
            wait_for(f"{address} listens", listens)
            yield process
        finally:
            process.stop(signal.SIGKILL)

    @contextlib.contextmanager
    def servers(self, *flags):
        """The processes; with flags all three on grpc-go."""
        with contextlib.ExitStack() as stack:
            yield [stack.enter_context(self.server(
                address, *flags, program="grpc-cpp-echo" if not flags and address == SERVERS[2]
                else "grpc-echo")) for address in SERVERS]


def target(*addresses):
    return "static:" + ",".join(f"{address}:{PORT}" for address in addresses)


def accepted(process):
    return process.text().count("accepted ")


def only_at(victim, told, statuses):
    """Calls failed at this server and nowhere else, in these ways and no other. How many?"""
    lost = sum(told["failures"].values())
    failed = {peer: failures for peer, (_, failures) in told["peers"].items() if failures}
    assert set(told["failures"]) <= set(statuses), told
    assert failed in ({}, {f"{victim}:{PORT}": lost}), told
    return lost


def is_used_again(load, victim):
    """Calls go to this server, and go well."""
    def calls():
        made, failures = load.now()["peers"][f"{victim}:{PORT}"]
        return made - failures
    before = calls()
    wait_for(f"{victim} is used again", lambda: calls() > before + 20, 60, load.now)


def max_connection_age(bed):
    """Every connection ends after 1 s, six times over: no call notices."""
    with (bed.servers("--max-age", "1s", "--max-age-grace", "5s") as servers,
          Load(bed, target(*SERVERS), rate=RATE) as load):
        wait_for("six generations of connections",
                 lambda: all(accepted(server) > 6 for server in servers), 60, load.now)
        told = load.stop()
    assert not told["failures"], told
    assert {calls > 100 for calls, _ in told["peers"].values()} == {True}, told
    print(f"    {told['ok']} calls, {sum(map(accepted, servers))} connections, "
          f"{told['retries']} retried unseen")


def pings_that_a_server_forbids(bed):
    """C10: a server ends the connection of whom pings too often; the next one is used with more time."""
    with (bed.server(SERVERS[0]) as server,
          Load(bed, target(SERVERS[0]), rate=100, keepalive_without_calls=True, **WATCHFUL) as load):
        load.hold()  # the answers to calls would forgive the pings
        wait_for("the server complains", lambda: "pings too many" in load.process.text(), 120)
        load.hold()
        load.later()
        told = load.stop()
    assert not told["failures"] and accepted(server) == 2, (told, server.text())
    assert "keepalive_ms=20000" in load.process.text(), load.process.text()


def one_call_at_a_time(bed):
    """MAX_CONCURRENT_STREAMS 1: calls queue, and further connections are opened, up to four."""
    with bed.server(SERVERS[0], "--max-streams", "1", "--delay", "5ms") as server:
        shown = json.loads(bed.run("call", target(SERVERS[0]), METHOD, "-d", '{"message":"ahoy"}', "-o",
                                   "json", "--repeat", "2000", "--concurrency", "64",
                                   kubeconfig="/nonexistent").stdout)
    assert (shown["calls"], shown["failures"]) == (2000, 0), shown
    assert accepted(server) == 4, server.text()


def frozen_server(bed):
    """SIGSTOP: a PING finds it; what was under way there is lost, the others are untouched."""
    with bed.servers() as servers, Load(bed, target(*SERVERS), rate=RATE, timeout=2000, **WATCHFUL) as load:
        servers[1].freeze()
        wait_for("it is found", lambda: "UNAVAILABLE TIMEOUT" in load.now()["failures"], 60, load.now)
        time.sleep(2.5)  # what was started before has ended by now
        known = load.failed()
        load.later()
        assert load.failed() == known, f"it is called no more: {load.now()}"
        servers[1].thaw()
        is_used_again(load, VICTIM)
        lost = only_at(VICTIM, load.stop(), ["DEADLINE_EXCEEDED DEADLINE", "UNAVAILABLE TIMEOUT"])
    assert lost > 0
    print(f"    {lost} calls lost until it was found")


def killed_server(bed):
    """SIGKILL: only the calls under way there are lost."""
    with bed.servers("--delay", "50ms") as servers, Load(bed, target(*SERVERS), rate=RATE) as load:
        is_used_again(load, VICTIM)
        servers[1].stop(signal.SIGKILL)
        load.later()
        with bed.server(VICTIM):
            is_used_again(load, VICTIM)
            told = load.stop()
    lost = only_at(VICTIM, told, ["UNAVAILABLE RESET", "UNAVAILABLE CLOSED"])
    assert 0 < lost <= 50, told
    print(f"    {lost} calls lost")


@contextlib.contextmanager
def swallowing(address):
    """Nothing goes to this address nor comes from it, and nobody is told."""
    sh("nft", "-f", "-", text=f"""
        table ip fault {{
          chain in {{ type filter hook input priority 0;
                      ip daddr {address} drop; ip saddr {address} drop; }}
        }}""")
    try:
        yield
    finally:
        sh("nft", "delete", "table", "ip", "fault")


def black_hole(bed):
    """A host that vanishes: bytes that nobody acknowledges are noticed before a PING is due."""
    statuses = ["DEADLINE_EXCEEDED DEADLINE", "UNAVAILABLE TIMEOUT", "UNAVAILABLE UNREACHABLE"]
    with bed.servers(), Load(bed, target(*SERVERS), rate=RATE, timeout=5000, **WATCHFUL) as load:
        with swallowing(VICTIM):
            wait_for("it is found", lambda: "UNAVAILABLE TIMEOUT" in load.now()["failures"], 60, load.now)
            time.sleep(1)
            known = load.failed()
            load.later()
            assert load.failed() == known, f"it is called no more: {load.now()}"
        is_used_again(load, VICTIM)
        lost = only_at(VICTIM, load.stop(), statuses)
    assert 0 < lost < 5 * RATE / 3, f"{lost} lost: found before the calls' own deadline"
    print(f"    {lost} calls lost until it was found")


def reset_in_mid_stream(bed):
    """A server's kernel resets its connections: its streams end and go on elsewhere; no echo is lost."""
    with bed.servers(), Load(bed, target(*SERVERS), rate=RATE, streams=6) as load:
        killed = sh("ss", "-K", "-tnH", "state", "established", f"src {VICTIM} sport = :{PORT}").splitlines()
        assert len(killed) == 1, killed
        load.later()
        is_used_again(load, VICTIM)
        told = load.stop()
    lost = only_at(VICTIM, told, ["UNAVAILABLE RESET", "UNAVAILABLE CLOSED"])
    assert lost <= 50, told
    streams = told["streams"]
    assert (streams["ends"], streams["opened"], streams["wrong"]) == ({"UNAVAILABLE": 2}, 8, 0), told
    print(f"    {lost} calls lost, {streams['echoes']} echoes, none lost or doubled")


class Silence:
    """Accepts connections and says nothing."""

    def __init__(self, address):
        self.listener = socket.create_server((address, PORT))
        self.held = []
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                self.held.append(self.listener.accept()[0])

    def close(self):
        self.listener.close()
        for connection in self.held:
            connection.close()


def accept_and_silence(bed):
    """C12: whoever accepts and says nothing gets no call; where it is the only one, calls fail in time."""
    silence = Silence("10.244.9.9")
    try:
        with bed.server(SERVERS[0]), Load(bed, target(SERVERS[0], "10.244.9.9"), rate=RATE,
                                          connect_timeout=500) as load:
            wait_for("it was tried twice", lambda: len(silence.held) >= 2, 60)
            told = load.stop()
        assert not told["failures"], told
        assert {peer for peer, (calls, _) in told["peers"].items() if calls} == {f"{SERVERS[0]}:{PORT}"}
        load = Load(bed, target("10.244.9.9"), rate=RATE, connect_timeout=500)
        try:
            wait_for("calls fail", lambda: load.failed() > 100, 60)
            told = load.stop()
        finally:
            load.end()
        assert set(told["failures"]) == {"UNAVAILABLE TIMEOUT"} and told["ok"] == 0, told
    finally:
        silence.close()


BED = FaultBed
SCENARIOS = [max_connection_age, one_call_at_a_time, killed_server, black_hole, reset_in_mid_stream,
             accept_and_silence, frozen_server, pings_that_a_server_forbids]
