"""Debian's etcd 3.4: the API server refuses streaming lists, but only inside the stream."""
from bed import SLICES, SliceBed
from scenarios.history import lost_history
from waiting import wait_for

PAGE = 500  # objects, as everybody asks
FIRST_PAGE_BYTES = 64 * 1024  # well within the first page, well beyond what comes before it


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
        with lost_history(bed, watch):
            pass
        watch.expect("relist_gone")
        bed.agree(watch)
        assert any(r.verb == "list" for r in bed.audit.requests(bed.account.user)), "it was listed again"
        assert_once_each(streaming_lists(bed))
        bed.drop()


def compacted_between_two_pages(bed):
    """W7: 410 between two pages of a list: it is read again, and nothing is missing or left over."""
    for i in range(PAGE + PAGE // 5):
        bed.write_slice(f"many-{i}", [f"10.30.{i // 250}.{i % 250 + 1}"])
    with bed.watching() as watch:
        with lost_history(bed, watch):
            bed.relay.freeze_after(FIRST_PAGE_BYTES)
        wait_for("the first page is on its way", bed.relay.is_frozen)
        bed.cluster.request("DELETE", f"{SLICES}/many-0")
        bed.cluster.etcd.compact()
        bed.relay.thaw()
        watch.expect("relist_page_expired")
        bed.agree(watch)


class OldBed(SliceBed):
    """Without what came later, either: pages read from the API server's own memory of old versions."""

    def __init__(self, *arguments):
        super().__init__(*arguments, etcd="etcd-debian",
                         flags=["--feature-gates=ListFromCacheSnapshot=false"])


BED = OldBed
SCENARIOS = [streaming_list_refused_in_the_stream, compacted_between_two_pages]
