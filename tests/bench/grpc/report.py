"""What bench-grpc prints: medians and spread of each figure, and the targets with how far they are met."""
from figures import Figures, print_table, print_targets

SUBJECTS = (("fairlead", "Fairlead"), ("go-1", "grpc-go, 1"), ("go-2", "grpc-go, 2"), ("cpp-cq", "C++, queue"),
            ("cpp-callback", "C++, callback"), ("h2load", "h2load"), ("copy", "plain socket"))
PEERS = ("go-1", "go-2", "cpp-cq", "cpp-callback")
METRICS = (("cpu_1", "CPU per call, us"), ("cpu_10", "… 10 connections"), ("rate_1", "calls per second"),
           ("rate_10", "… 10 connections"),
           ("lean_rate_1", "lean server: calls per second"), ("lean_rate_10", "… 10 connections"),
           ("lean_cpu_1", "… CPU per call, us"), ("lean_cpu_10", "… 10 connections"),
           ("lean_busy_1", "… client's core busy, %"), ("lean_busy_10", "… 10 connections"),
           ("lean_server_cpu_1", "… server's CPU per call, us"), ("lean_server_cpu_10", "… 10 connections"),
           ("p50", "one in flight: p50, us"), ("p99", "… p99"),
           ("lean_p50", "… lean server: p50"), ("lean_p99", "… p99"),
           ("stream_1k", "stream of 1 KiB: MB per CPU second"), ("stream_1m", "… of 1 MiB"),
           ("ready_memory", "memory of a READY connection, B"), ("idle_memory", "… of an idle channel, B"),
           ("idle_freed", "… after malloc_trim, FreeOSMemory"), ("idle_live", "… heap and stacks in use"),
           ("move_p50", "event to the new endpoint's answer: p50, ms"), ("move_p99", "… p99"),
           ("churn_share", "idle, 1,000 changes a second: % of a core"), ("churn_cpu", "… CPU per change, us"))


def targets(f):
    """(what, measured, bound, unit): measured must not be above the bound; for rates the other way round."""
    def below(what, metric, times):
        if f.has(("fairlead", metric)) and f.best(metric):
            yield f"{what} / best peer", f.median("fairlead", metric) / f.best(metric), times, "x"

    def above(what, metric, times):
        if f.has(("fairlead", metric)) and f.best(metric, True):
            yield f"best peer's {what} / ours", f.best(metric, True) / f.median("fairlead", metric), 1 / times, "x"

    def floor(what, metric, subject, times):
        if f.has(("fairlead", metric), (subject, metric)):
            yield what, f.median("fairlead", metric) / f.median(subject, metric), times, "x"

    for n, text in ((1, "one connection"), (10, "10 connections")):
        yield from below(f"CPU per call, {text}", f"cpu_{n}", 1 / 2.5)
        yield from floor(f"CPU per call, {text} / h2load", f"cpu_{n}", "h2load", 1.8)
    for n, text in ((1, "one connection"), (10, "10 connections")):
        yield from above(f"calls per second of a core, {text}", f"lean_rate_{n}", 2.5)
    for metric in ("p50", "p99"):
        yield from below(f"{metric}, one in flight", metric, 1)
        yield from below(f"{metric}, one in flight, lean server", "lean_" + metric, 1)
    yield from above("bytes per CPU second, 1 KiB", "stream_1k", 2)
    if f.has(("fairlead", "stream_1m"), ("copy", "stream_1m")):
        yield ("plain socket's bytes per CPU second / ours, 1 MiB",
               f.median("copy", "stream_1m") / f.median("fairlead", "stream_1m"), 1 / 0.8, "x")
    yield from below("memory of an idle channel", "idle_memory", 1 / 10)
    yield from below("… in use", "idle_live", 1 / 10)
    if f.has(("fairlead", "ready_memory")):
        yield "memory of a READY connection", f.median("fairlead", "ready_memory"), 33000, "B"
    if f.has(("fairlead", "move_p99")):
        yield "event to the new endpoint's answer, p99", f.median("fairlead", "move_p99"), 10, "ms"
    if f.has(("fairlead", "churn_share")):
        yield "idle, 1,000 changes a second", f.median("fairlead", "churn_share"), 3, "% of a core"


def show(rows, quick):
    """Prints both tables."""
    f = Figures(rows, PEERS)
    table = [("", *(name for _, name in SUBJECTS))]
    for metric, name in METRICS:
        cells = [f.text(subject, metric) for subject, _ in SUBJECTS]
        if any(cells):
            table.append((name, *cells))
    print_table(table)
    print()
    print_targets(targets(f))
    if quick:
        print("\n--quick: so short a run shows that the bench works, not what a call costs.")
