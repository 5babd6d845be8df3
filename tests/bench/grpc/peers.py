"""The subjects of bench-grpc and the servers they call.

A subject is a program that makes calls of grpc.examples.echo.Echo to ADDRESSES ("127.0.0.1:1234,127.0.0.2:1234":
one channel to all of them, which take turns), on standard output prints one line of JSON, and fails if a call does.
    unary ADDRESSES CALLS IN_FLIGHT             messages of 64 bytes
    stream ADDRESSES MESSAGES IN_FLIGHT BYTES   one stream, of which each message comes back
        -> {"at":"done","count","cpu_us","us"}, after a tenth as many that are not counted; with one call in flight
           "p50_us" and "p99_us" too
    channels ADDRESSES COUNT [IDLE_MS]          channels, all connections of each having had calls
        -> {"at":"ready","count"}, once they are idle if IDLE_MS is given; it keeps them until standard input
           ends. At its line "free" memory is given back to the system -> {"at":"freed","live"}: bytes
           of heap and goroutines' stacks in use
CPU is that of the subject's process, by getrusage. Messages are bytes to all: nobody decodes protobuf."""
import hashlib
import os
import pathlib
import resource
import shutil
import subprocess

from program import CLIENT_CORE, SERVER_CORE, Program, pinned

HERE = pathlib.Path(__file__).resolve().parent
ECHO_BYTES = 64
UNARY = "/grpc.examples.echo.Echo/UnaryEcho"


class Tools:
    """The programs: ours from the build folder, the peers' built from sources and kept by what they are built
    from."""

    def __init__(self, build, cache, say):
        self.say = say
        self.fairlead, self.lean, self.copy, self.move, self.canned = (build / "tests/bench" / name for name in (
            "grpc_subject", "lean_server", "socket_copy", "move_bench", "canned_server"))
        self.bin = cache / ("bench-grpc-" + self.key())
        self.go, self.cpp = self.bin / "grpc-go-bench", self.bin / "grpc_cpp_bench"
        if not self.bin.exists():
            self.make()

    @staticmethod
    def key():
        text = hashlib.sha256()
        for path in sorted(p for p in [*(HERE / "go").rglob("*"), *(HERE / "cpp").rglob("*")] if p.is_file()):
            text.update(path.read_bytes())
        return text.hexdigest()[:16]

    def make(self):
        draft = self.bin.with_suffix(".draft")
        shutil.rmtree(draft, ignore_errors=True)
        draft.mkdir(parents=True)
        self.say("building grpc-go-bench")
        subprocess.run(["go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", f"{draft}/",
                        "./cmd/..."], cwd=HERE / "go", check=True, env={**os.environ, "CGO_ENABLED": "0"})
        self.say("building grpc_cpp_bench")
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "grpc++"], check=True, capture_output=True,
                               text=True).stdout.split()
        subprocess.run(["g++", "-O2", "-std=c++17", HERE / "cpp/grpc_cpp_bench.cc", "-o", draft / "grpc_cpp_bench",
                        *flags], check=True)
        draft.rename(self.bin)


class Kind:
    """A subject as it is started. With two cores it shares one with the server."""

    def __init__(self, key, name, command, env=None, cores=1, has_channels=False):
        self.key, self.name, self.command, self.env = key, name, command, env
        self.cores, self.has_channels = cores, has_channels

    def start(self, log, *arguments):
        return Program(self.name, [*self.command, *arguments], log, self.env,
                       CLIENT_CORE if self.cores == 1 else None)


def plain_copy(tools):
    """What a socket costs without gRPC: streams only, against lean_server --plain."""
    return Kind("copy", "plain socket", [tools.copy])


def kinds_of(tools):
    return (
        Kind("fairlead", "Fairlead", [tools.fairlead], has_channels=True),
        Kind("go-1", "grpc-go, GOMAXPROCS 1", [tools.go], {"GOMAXPROCS": "1"}, has_channels=True),
        Kind("go-2", "grpc-go, GOMAXPROCS 2", [tools.go], {"GOMAXPROCS": "2"}, cores=2),
        Kind("cpp-cq", "gRPC C++, completion queue", [tools.cpp, "cq"]),
        Kind("cpp-callback", "gRPC C++, callbacks", [tools.cpp, "callback"]))


class Server:
    """A server on the other core: 127.0.0.1, 127.0.0.2, … at one port."""

    def __init__(self, command):
        self.child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, text=True,
                                      preexec_fn=pinned(SERVER_CORE))
        self.port = int(self.child.stdout.readline())
        self.listeners = self.sockets()

    def sockets(self):
        folder = f"/proc/{self.child.pid}/fd"
        return sum(os.readlink(f"{folder}/{fd}").startswith("socket:") for fd in os.listdir(folder))

    def connections(self):
        return self.sockets() - self.listeners

    def addresses(self, count):
        return ",".join(f"127.0.0.{host + 1}:{self.port}" for host in range(count))

    def cpu_us(self):
        """Of all its threads."""
        with open(f"/proc/{self.child.pid}/stat") as file:
            fields = file.read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) * 1_000_000 // os.sysconf("SC_CLK_TCK")

    def close(self):
        self.child.kill()
        self.child.wait()


def h2load(server, folder, calls, connections, in_flight):
    """The floor: CPU of h2load per call, us. It makes the requests that a gRPC client makes, and reads no answer."""
    request = folder / "request"
    request.write_bytes(b"\0" + ECHO_BYTES.to_bytes(4, "big") + bytes(ECHO_BYTES))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    told = subprocess.run(["h2load", "-n", str(calls), "-c", str(connections), "-m", str(in_flight), "-t", "1", "-d",
                           request, "-H", "content-type: application/grpc", "-H", "te: trailers",
                           f"http://{server.addresses(1)}{UNARY}"], check=True, capture_output=True, text=True,
                          preexec_fn=pinned(CLIENT_CORE)).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if f"{calls} succeeded" not in told:
        raise SystemExit(f"bench: h2load did not make every call:\n{told}")
    return (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) * 1e6 / calls
