"""The part of bench-grpc that counts bytes: many channels of three endpoints in one process, all connections READY
and without a call, or all channels idle after that. What a channel takes is the difference between many and one."""
from peers import Server

ENDPOINTS = 3
MANY = 300
IDLE_MS = 3000  # long enough for all channels to be READY at one time


class Memory:
    def __init__(self, tools, folder):
        self.tools, self.folder = tools, folder

    def resident(self, kind, count, *idle):
        """Bytes at rest, after memory was given back to the system, and those that are in use."""
        server = Server([self.tools.lean, ENDPOINTS])
        subject = kind.start(self.folder / f"{kind.key}.log", "channels", server.addresses(ENDPOINTS), count, *idle)
        try:
            if subject.wait("ready")["count"] != count:
                raise SystemExit(f"bench: {kind.name} opened too few channels")
            rest = subject.idle_kib() * 1024
            connections = server.connections()
            if connections != (0 if idle else count * ENDPOINTS):
                raise SystemExit(f"bench: {kind.name} has {connections} connections for {count} channels")
            live = subject.ask("free", "freed")["live"]
            return rest, subject.idle_kib() * 1024, live
        finally:
            subject.close()
            server.close()

    def of_channel(self, kind, many, *idle):
        """The same of one more channel."""
        return [(more - less) / (many - 1) for more, less in
                zip(self.resident(kind, many, *idle), self.resident(kind, 1, *idle), strict=True)]


def memory(tools, kinds, folder, row, quick, say):
    many = MANY // 10 if quick else MANY
    for kind in kinds:
        if not kind.has_channels:
            continue
        say(f"memory, {kind.name}")
        measured = Memory(tools, folder)
        row(kind.key, "ready_memory", measured.of_channel(kind, many)[0] / ENDPOINTS, "B")
        for metric, value in zip(("idle_memory", "idle_freed", "idle_live"),
                                 measured.of_channel(kind, many, IDLE_MS), strict=True):
            row(kind.key, metric, value, "B")
