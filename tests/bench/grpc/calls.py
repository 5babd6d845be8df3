"""The parts of bench-grpc that make calls: unary ones and streams. Each measurement is a process of its own."""
from peers import Server, h2load, plain_copy
from program import Program

IN_FLIGHT = 32    # on each connection
SATURATING = 320  # in all, so that the client need not wait for the server
CONNECTIONS = (1, 10)
HOSTS, MOVES = 200, 1000  # of which three at a time are the service's endpoints; events
# Of a stream: what a message holds, how many are on the way, how many make a measurement.
STREAMS = (("1k", 1024, 64, 200_000), ("1m", 1 << 20, 4, 1000))


class Calls:
    def __init__(self, tools, kinds, folder, row, quick, say):
        self.tools, self.kinds, self.folder, self.row, self.say = tools, kinds, folder, row, say
        self.share = 20 if quick else 1  # measurements are so many times smaller

    def count(self, full):
        return max(20, full // self.share)

    def ask(self, kind, mode, server, connections, count, *more):
        """One measurement; it fails unless all calls were made."""
        subject = kind.start(self.folder / f"{kind.key}.log", mode, server.addresses(connections), count, *more)
        try:
            done = subject.wait("done", 300)
        finally:
            subject.close()
        if done["count"] != count:
            raise SystemExit(f"bench: {kind.name} made {done['count']} of {count} calls")
        return done

    def on_each(self, command, part, measure, kinds=None):
        """`measure(kind, server)` with a server of its own for each subject."""
        for kind in kinds or self.kinds:
            self.say(f"{part}, {kind.name}")
            server = Server(command)
            try:
                measure(kind, server)
            finally:
                server.close()

    def on_go(self):
        return [self.tools.go, "server", max(CONNECTIONS)]

    def on_lean(self):
        return [self.tools.lean, max(CONNECTIONS)]

    def unary(self):
        """CPU per call, against grpc-go's server."""
        count = self.count(100_000)
        for n in CONNECTIONS:
            def measure(kind, server, n=n):
                done = self.ask(kind, "unary", server, n, count, n * IN_FLIGHT)
                self.row(kind.key, f"cpu_{n}", done["cpu_us"] / count, "us")
                self.row(kind.key, f"rate_{n}", count / (done["us"] / 1e6), "1/s")
            self.on_each(self.on_go(), f"unary calls, connections: {n}", measure)
            self.floor(self.on_go(), f"cpu_{n}", n, count)

    def floor(self, command, metric, connections, count, in_flight=IN_FLIGHT):
        self.say("h2load")
        server = Server(command)
        try:
            self.row("h2load", metric, h2load(server, self.folder, count, connections, in_flight), "us")
        finally:
            server.close()

    def saturation(self):
        """Calls per second of a client that has a core for itself and a server that needs less."""
        count = self.count(200_000)
        for n in CONNECTIONS:
            def measure(kind, server, n=n):
                served = server.cpu_us()
                done = self.ask(kind, "unary", server, n, count, SATURATING)
                made = count + count // 10 + 1
                self.row(kind.key, f"lean_rate_{n}", count / (done["us"] / 1e6), "1/s")
                self.row(kind.key, f"lean_cpu_{n}", done["cpu_us"] / count, "us")
                self.row(kind.key, f"lean_busy_{n}", 100 * done["cpu_us"] / done["us"], "%")
                self.row(kind.key, f"lean_server_cpu_{n}", (server.cpu_us() - served) / made, "us")
            self.on_each(self.on_lean(), f"saturation, connections: {n}", measure,
                         [kind for kind in self.kinds if kind.cores == 1])
            self.floor(self.on_lean(), f"lean_cpu_{n}", n, count, SATURATING // n)

    def latency(self):
        count = self.count(20_000)
        for prefix, command in (("", self.on_go()), ("lean_", self.on_lean())):
            def measure(kind, server, prefix=prefix):
                done = self.ask(kind, "unary", server, 1, count, 1)
                self.row(kind.key, f"{prefix}p50", done["p50_us"], "us")
                self.row(kind.key, f"{prefix}p99", done["p99_us"], "us")
            self.on_each(command, "latency", measure)

    def streams(self):
        """Bytes, both ways together, per second of the client's CPU."""
        for name, size, in_flight, full in STREAMS:
            count = self.count(full)

            def measure(kind, server, name=name, size=size, in_flight=in_flight, count=count):
                done = self.ask(kind, "stream", server, 1, count, in_flight, size)
                self.row(kind.key, f"stream_{name}", 2 * size * count / done["cpu_us"], "MB/s")
            self.on_each(self.on_lean(), f"streams, {name}", measure)
            if name == "1m":
                self.on_each([self.tools.lean, 1, "--plain"], "streams, 1m", measure, [plain_copy(self.tools)])

    def moves(self):
        """From an event on the wire to the first call that the endpoint which came with it answers: move_bench."""
        count = self.count(MOVES)
        self.say("moves")
        server = Server([self.tools.lean, HOSTS])
        subject = Program("Fairlead", [self.tools.move, server.port, HOSTS, count], self.folder / "moves.log",
                          core=None)
        try:
            done = subject.wait("done", 300)
        finally:
            subject.close()
            server.close()
        if done["count"] != count:
            raise SystemExit(f"bench: Fairlead saw {done['count']} of {count} moves")
        self.row("fairlead", "move_p50", done["p50_us"] / 1000, "ms")
        self.row("fairlead", "move_p99", done["p99_us"] / 1000, "ms")
