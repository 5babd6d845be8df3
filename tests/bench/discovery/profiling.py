"""Where Fairlead's CPU goes on the canned server, by library and by function: perf over the sync and over the
events."""
import signal
import subprocess
import time

from data import FLIPS
from subject import Subject

FREQUENCY = "4000"
RECORD = ["perf", "record", "-q", "-F", FREQUENCY, "-o"]
TOP = 12


def shares(path, sort):
    told = subprocess.run(["perf", "report", "-i", path, "--no-children", "-g", "none", "--sort", sort],
                          check=True, capture_output=True, text=True).stdout
    rows = [line.split(None, 1) for line in told.splitlines() if line.strip() and not line.startswith("#")]
    return [(share, " ".join(what.split())) for share, what in rows]


def show(title, path):
    print(f"\n{title}\n  by library")
    for share, what in shares(path, "dso")[:8]:
        print(f"    {share:>7}  {what}")
    print("  by function")
    for share, what in shares(path, "dso,sym")[:TOP]:
        print(f"    {share:>7}  {what}")


def start(run, command):
    return Subject("Fairlead", command, run.folder / "profile.log")


def profile_sync(run, kind):
    server, path = run.serve(as_json=False), run.folder / "sync.perf"
    command = kind.command(run.folder / "canned.kubeconfig", run.slices)
    subject = start(run, [*RECORD, path, "--", *command])
    subject.wait("synced")
    subject.child.stdin.close()  # Fairlead ends, and perf after it
    subject.child.wait()
    server.close()
    show("sync", path)


def profile_events(run, kind):
    server, path = run.serve(as_json=False), run.folder / "events.perf"
    subject = start(run, kind.command(run.folder / "canned.kubeconfig", run.slices))
    subject.wait("synced")
    perf = subprocess.Popen([*RECORD, path, "-p", str(subject.child.pid)])
    time.sleep(1)
    count = run.slices * FLIPS
    subject.ask(f"expect {count}", "expecting")
    server.ask("events")
    done = subject.wait("events")
    perf.send_signal(signal.SIGINT)
    perf.wait()
    subject.close()
    server.close()
    show(f"events ({done['cpu_us'] / count:.1f} us each, with perf)", path)


def profile(run, kind):
    profile_sync(run, kind)
    profile_events(run, kind)
