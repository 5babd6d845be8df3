"""group.py FAIRLEAD BIN GROUP [SCENARIO…] - the scenarios of one file, scenarios/GROUP.py, in order.

Runs inside a network namespace where 10.244.0.0/16 is local (see lanes.py). A group's BED is made once
and shared by its SCENARIOS; each of those is a function of it, told by its text."""
import importlib
import pathlib
import sys
import tempfile
import time
import traceback


def attempt(label, what):
    """Does `what`; says how long it took, or how it failed. Did it succeed?"""
    began = time.monotonic()
    try:
        what()
    except Exception:  # noqa: BLE001 - whatever it was, the others go on
        traceback.print_exc(file=sys.stdout)
        print(f"FAILED  {label}, {time.monotonic() - began:.1f} s", flush=True)
        return False
    print(f"ok      {label}, {time.monotonic() - began:.1f} s", flush=True)
    return True


def main():
    fairlead, bin_folder, name, *names = sys.argv[1:]
    group = importlib.import_module(f"scenarios.{name}")
    chosen = [s for s in group.SCENARIOS if not names or s.__name__ in names]
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"fairlead-peers-{name}-"))
    print(f"logs are in {folder}", flush=True)
    bed = group.BED(fairlead, bin_folder, folder)
    good = True
    try:
        for scenario in chosen:
            summary = " ".join(scenario.__doc__.split())
            good &= attempt(f"{scenario.__name__}: {summary}", lambda s=scenario: s(bed))
    finally:
        good &= attempt("all processes ended as they should", bed.close)
    sys.exit(0 if good else 1)


main()
