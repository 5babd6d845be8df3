"""A million endpoints in one process: the data of 500,000 twice, the second time under other names, addresses and
uids of the same length. (A small run has fewer.)"""
import re

from canned import CannedRun
from data import ENDPOINTS, field, fields

COPIES = 2


def renamed(stream, copy):
    """Lengths stay, so that the bytes around need no change; uids stay random ones (version 4, variant a or b)."""
    stream = stream.replace(b"service-0", b"servic%d-0" % copy)
    stream = re.sub(rb"(\n[\x07-\x0f])10\.", rb"\g<1>1%d." % copy, stream)
    return re.sub(rb"(-4[0-9a-f]{3}-)a", rb"\g<1>%x" % (copy + 10), stream)


def frames_and_bookmark(stream):
    at = last = 0
    while at < len(stream):
        last = at
        at += 4 + int.from_bytes(stream[at:at + 4], "big")
    return stream[:last], stream[last:]


def make_stream(old, new, copies):
    objects, bookmark = frames_and_bookmark(old.read_bytes())
    with open(new, "wb") as out:
        for copy in range(copies):
            out.write(renamed(objects, copy) if copy else objects)
        out.write(bookmark)


def make_list(old, new, copies):
    envelope = list(fields(old.read_bytes()[4:]))
    content = next(content for n, _, content in envelope if n == 2)
    parts = [(n, whole) for n, whole, _ in fields(content)]
    items = b"".join(whole for n, whole in parts if n == 2)
    lists = b"".join(whole for n, whole in parts if n != 2) + b"".join(
        renamed(items, copy) if copy else items for copy in range(copies))
    new.write_bytes(b"k8s\0" + b"".join(field(2, lists) if n == 2 else whole for n, whole, _ in envelope))


def make_data(data, slices, folder):
    """Lists in one piece, and streaming ones."""
    folder.mkdir()
    for resource in ("services", "endpointslices"):
        for kind, make in (("initial", make_stream), ("list", make_list)):
            name = f"{resource}.{kind}.pb"
            make(data / name, folder / name, COPIES)


def million(tools, kind, data, slices, folder, row):
    made = folder / "million"
    if not made.exists():
        make_data(data, slices, made)
    run = CannedRun(tools, made, COPIES * slices, folder, row)
    server = run.serve(as_json=False)
    subject = None
    try:
        subject = run.start(kind, folder / "canned.kubeconfig")
        synced = subject.wait("synced")
        row("fairlead-million", "sync_cpu", synced["cpu_us"] / 1e6, "s")
        row("fairlead-million", "sync_peak", subject.peak_kib() / 1024, "MiB")
        row("fairlead-million", "idle", subject.idle_kib() / 1024, "MiB")
        subject.require(COPIES * slices, COPIES * slices * ENDPOINTS, 0)
    finally:
        if subject:
            subject.close()
        server.close()
