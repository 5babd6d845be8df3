"""The table: medians and spread of each figure, and the targets with how far they are met."""
from figures import Figures, print_table, print_targets

SUBJECTS = (("fairlead", "Fairlead"), ("client-go", "client-go"), ("client-go-compact", "compacted"),
            ("kube-rs", "kube-rs"), ("kube-rs-streaming", "streaming"), ("curl", "curl"))
METRICS = (("sync_cpu", "CPU of the sync, s"), ("sync_time", "time of the sync, s"),
           ("relist_cpu", "CPU of a relist, s"), ("event_cpu", "CPU per event, us"),
           ("events_per_s", "events per second"), ("server_cpu", "server's CPU per event, us"),
           ("idle", "memory, idle, MiB"), ("freed", "… after FreeOSMemory"),
           ("sync_peak", "memory, peak of the sync"), ("relist_peak", "… of a relist"),
           ("events_peak", "… in the events"),
           ("real_sync_cpu", "real server: CPU of the sync, s"), ("real_sync_time", "… time, s"),
           ("real_relist_cpu", "… CPU of a relist, s"), ("real_relist_peak", "… its peak, MiB"),
           ("latency_p50", "write to callback, p50, ms"), ("latency_p99", "… p99, ms"))
AS_IS = ("client-go", "kube-rs", "kube-rs-streaming")


def show_figures(f):
    table = [("", *(name for _, name in SUBJECTS))]
    for metric, name in METRICS:
        cells = [f.text(subject, metric) for subject, _ in SUBJECTS]
        if any(cells):
            table.append((name, *cells))
    print_table(table)
    for subject, name in (("fairlead-json", "Fairlead, JSON"), ("curl-json", "curl, JSON"),
                          ("fairlead-million", "Fairlead, twice the endpoints")):
        cells = [f"{text} {f.text(subject, metric)}" for metric, text in METRICS if f.has((subject, metric))]
        if cells:
            print(f"\n{name}: " + "; ".join(cells))
    if f.has(("fairlead", "empty")):
        print(f"\nFairlead, empty process: {f.text('fairlead', 'empty')} MiB")
    areas = [f"{metric[5:]} {f.text(subject, metric)}" for subject, metric in f.values
             if subject == "fairlead" and metric.startswith("heap_")]
    if areas:
        print("\nFairlead, bytes of the heap per endpoint: " + "; ".join(areas))


def targets(f, slices):
    """(what, measured, bound, unit): measured must not be above the bound; for a rate the other way round."""
    def ratio(what, metric, part, other, subject="fairlead"):
        if other is not None and f.has((subject, metric)):
            yield what, f.median(subject, metric) / other, part, "x"

    def floor(what, metric, times):
        if f.has(("fairlead", metric), ("curl", metric)):
            yield what, f.median("fairlead", metric) / f.median("curl", metric), times, "x"

    yield from ratio("sync CPU / best peer", "sync_cpu", 1 / 6, f.best("sync_cpu"))
    yield from floor("sync CPU / floor", "sync_cpu", 4)
    yield from ratio("idle memory / best peer", "idle", 1 / 8, f.best("idle"))
    if f.has(("client-go-compact", "idle")):
        yield from ratio("idle memory / compacted client-go", "idle", 1 / 3, f.median("client-go-compact", "idle"))
    if f.has(("fairlead", "idle"), ("fairlead", "empty")):
        over = f.median("fairlead", "idle") - f.median("fairlead", "empty")
        yield "bytes per endpoint over an empty process", over * 1048576 / (slices * 100), 75, "B"
    for metric, name in (("sync_peak", "sync"), ("relist_peak", "relist"), ("events_peak", "events")):
        yield from ratio(f"peak in {name} / best peer", metric, 1 / 8, f.best(metric))
        if f.has(("fairlead", "idle")):
            yield from ratio(f"peak in {name} / own idle", metric, 1.10, f.median("fairlead", "idle"))
    yield from ratio("CPU per event / best peer", "event_cpu", 1 / 10, f.best("event_cpu"))
    yield from floor("CPU per event / floor", "event_cpu", 2.5)
    if f.has(("fairlead", "events_per_s")) and f.best("events_per_s", True):
        yield ("best peer's events per second / ours",
               f.best("events_per_s", True) / f.median("fairlead", "events_per_s"), 1 / 8, "x")
    for metric in ("latency_p50", "latency_p99"):
        yield from ratio(f"{metric} / best peer", metric, 1.0, f.best(metric))
    for metric, part in (("sync_cpu", 1 / 2), ("event_cpu", 1 / 2), ("idle", 1 / 4)):
        best = [f.median(s, metric) for s in ("kube-rs", "kube-rs-streaming") if f.has((s, metric))]
        yield from ratio(f"JSON: {metric} / kube-rs", metric, part, min(best) if best else None, "fairlead-json")
    if f.has(("fairlead-million", "idle")) and slices == 5000:
        yield "1,000,000 endpoints, idle", f.median("fairlead-million", "idle"), 90, "MiB"


def show(rows, slices, quick):
    """Prints both tables."""
    f = Figures(rows, AS_IS)
    show_figures(f)
    print()
    print_targets(targets(f, slices))
    if quick:
        print("\n--quick: of a small run the fixed costs of a process are a large part; the targets are for 5,000 "
              "slices.")
