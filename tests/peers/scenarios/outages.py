"""An API server that is there and does nothing."""
import time

from bed import SliceBed
from waiting import wait_for

STOPPED_S = 60


def apiserver_stopped_for_a_minute(bed):
    """SIGSTOP for 60 s (W8): what is known is kept and said to be stale; no relist storm after it."""
    with bed.watching() as watch:
        before = watch.view()
        watch.forget()
        bed.audit.forget()
        bed.cluster.apiserver.process.freeze()
        stopped = time.monotonic()
        try:
            said = watch.expect("trying again")
            print(f"    after {time.monotonic() - stopped:.1f} s: {said}")
            wait_for("it is shown to be stale", lambda: watch.stale_ms > 0)
            time.sleep(max(0, stopped + STOPPED_S - time.monotonic()))
            assert watch.view() == before, "what was known is kept"
        finally:
            bed.cluster.apiserver.process.thaw()
        bed.publish()
        bed.agree(watch)
        watch.expect("answers again")
        wait_for("it is shown to be fresh", lambda: watch.stale_ms == 0)
        lists = bed.audit.lists(bed.account.user)
        requests = bed.audit.requests(bed.account.user)
        assert not lists, f"the watches go on where they were, without a list: {lists}"
        assert len(requests) <= 8, f"a storm: {requests}"


BED = SliceBed
SCENARIOS = [apiserver_stopped_for_a_minute]
