"""Debian's etcd 3.4: the API server refuses streaming lists, but only inside the stream."""
from bed import SLICES, SliceBed
from scenarios.history import lose_history


def streaming_lists(bed):
    return [r for r in bed.audit.requests(bed.account.user) if r.query.get("sendInitialEvents")]


def assert_once_each(requests):
    resources = sorted(r.resource for r in requests)
    assert resources == sorted(set(resources)), f"more than once for a collection: {requests}"


def streaming_list_refused_in_the_stream(bed):
    """The refusal is an event after 200 OK: fall back to a plain list, and remember it."""
    answer = bed.cluster.request(
        "GET", f"{SLICES}?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
               "&resourceVersionMatch=NotOlderThan&timeoutSeconds=5", raw=True)
    assert b"RequestWatchProgress is disabled" in answer, answer
    bed.audit.forget()
    with bed.watching() as watch:
        assert streaming_lists(bed), "a streaming list is tried first"
        assert_once_each(streaming_lists(bed))
        watch.expect("stream_refused")
        # Another connection may lead to another server, so that may be asked once more.
        lose_history(bed, watch)
        watch.expect("relist_gone")
        bed.agree(watch)
        assert any(r.verb == "list" for r in bed.audit.requests(bed.account.user)), "it was listed again"
        assert_once_each(streaming_lists(bed))
        bed.drop()


class OldBed(SliceBed):
    def __init__(self, fairlead, bin_folder, folder):
        super().__init__(fairlead, bin_folder, folder, etcd="etcd-debian")


BED = OldBed
SCENARIOS = [streaming_list_refused_in_the_stream]
