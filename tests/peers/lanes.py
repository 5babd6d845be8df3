"""lanes.py FAIRLEAD BIN [GROUP|SCENARIO…] - runs the groups of scenarios, two at a time.

Each group has a control plane and a network namespace of its own, so groups cannot meet. What a group
says goes to standard output line by line after the group's name."""
import ast
import pathlib
import queue
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).parent
LANES = 2
# The longest first, so that no lane ends long after the other.
GROUPS = ["history", "outages", "pods", "faults", "network", "rights", "old_etcd", "tokens", "certificates",
          "switch", "manager", "simulator", "commands", "interop"]
# Any address of 10.244.0.0/16 is local there, so that pods have addresses which the API server accepts.
# The namespace ends with the last process in it.
IN_NAMESPACE = ["unshare", "--net", "sh", "-c",
                'ip link set lo up && ip route add local 10.244.0.0/16 dev lo && exec "$@"', "sh"]


def scenario_names(group):
    """Those that the file lists, without running it."""
    tree = ast.parse((HERE / "scenarios" / f"{group}.py").read_text())
    return [name.id for node in tree.body if isinstance(node, ast.Assign)
            and ast.unparse(node.targets[0]) == "SCENARIOS" for name in node.value.elts]


def choose(names):
    """[(group, scenarios)] for names of either; all without names. No scenarios: all of the group."""
    chosen, unknown = [], set(names)
    for group in GROUPS:
        wanted = [] if group in names else [n for n in scenario_names(group) if n in names]
        unknown -= {group, *wanted}
        if not names or group in names or wanted:
            chosen.append((group, wanted))
    if unknown:
        sys.exit(f"peers: no such group or scenario: {', '.join(sorted(unknown))}")
    return chosen


def run_group(programs, group, scenarios):
    """Its exit code."""
    process = subprocess.Popen(
        [*IN_NAMESPACE, sys.executable, HERE / "group.py", *programs, group, *scenarios],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    for line in process.stdout:
        print(f"{group:12} | {line}", end="", flush=True)
    return process.wait()


def run_lane(programs, waiting, failed):
    while True:
        try:
            group, scenarios = waiting.get_nowait()
        except queue.Empty:
            return
        if run_group(programs, group, scenarios) != 0:
            failed.append(group)


def main():
    *programs, = sys.argv[1:3]
    began = time.monotonic()
    waiting, failed = queue.Queue(), []
    for item in choose(sys.argv[3:]):
        waiting.put(item)
    lanes = [threading.Thread(target=run_lane, args=(programs, waiting, failed)) for _ in range(LANES)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    print(f"{time.monotonic() - began:.0f} s; " +
          (f"failed: {', '.join(sorted(failed))}" if failed else "all passed"))
    sys.exit(1 if failed else 0)


main()
