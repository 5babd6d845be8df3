"""The part of bench-grpc that counts bytes: many channels of three endpoints in one process, all connections READY
and without a call. What a channel takes is the difference between many and one."""
from peers import Server

ENDPOINTS = 3
MANY = 300


def resident(kind, tools, folder, count):
    """KiB, at rest."""
    server = Server([tools.lean, ENDPOINTS])
    subject = kind.start(folder / f"{kind.key}.log", "channels", server.addresses(ENDPOINTS), count)
    try:
        if subject.wait("ready")["count"] != count:
            raise SystemExit(f"bench: {kind.name} opened too few channels")
        kib = subject.idle_kib()
        sockets = subject.sockets()
        if sockets < count * ENDPOINTS:
            raise SystemExit(f"bench: {kind.name} has {sockets} sockets for {count} channels")
    finally:
        subject.close()
        server.close()
    return kib


def memory(tools, kinds, folder, row, quick, say):
    many = MANY // 10 if quick else MANY
    for kind in kinds:
        if kind.has_channels:
            say(f"memory, {kind.name}")
            more = resident(kind, tools, folder, many) - resident(kind, tools, folder, 1)
            row(kind.key, "ready_memory", more * 1024 / (many - 1) / ENDPOINTS, "B")
