"""Versions that the server has forgotten: 410 Gone."""
import contextlib
import json
import shutil
import urllib.error

from bed import SLICES, SliceBed

VERSIONS_LOST = 200  # more than the API server needs in some minutes for itself


def is_gone(bed, version):
    """Does the server refuse to watch from this version, in whichever form?"""
    try:
        first = bed.cluster.request(
            "GET", f"{SLICES}?watch=1&resourceVersion={version}&timeoutSeconds=2", raw=True)
    except urllib.error.HTTPError as error:
        return error.code == 410
    return first and json.loads(first.splitlines()[0])["object"].get("code") == 410


@contextlib.contextmanager
def lost_history(bed, watch):
    """While the watch is cut off, everything changes, and what it would ask for is compacted away. The
    watch may connect again at the end of the context."""
    version = bed.cluster.request("GET", SLICES)["metadata"]["resourceVersion"]
    bed.relay.refuse()
    for _ in range(3):
        bed.publish()
    bed.cluster.etcd.compact()
    bed.cluster.apiserver.kill()
    bed.cluster.apiserver.restart()  # its own cache of the history begins now
    assert is_gone(bed, version), f"the server still knows version {version}"
    watch.forget()
    bed.audit.forget()
    yield
    bed.relay.admit()


def compacted_history_is_listed_again(bed):
    """etcd compaction, then an API server without the old versions (W11): relist, and the deletes are
    not lost (W1)."""
    with bed.watching() as watch:
        with lost_history(bed, watch):
            pass
        watch.expect("relist_gone")
        bed.agree(watch)
        lists = bed.audit.lists(bed.account.user)
        resources = sorted(r.resource for r in lists)
        assert resources == sorted(set(resources)), f"each collection is listed once: {lists}"
        assert "endpointslices" in resources, f"a true 410 is answered by a list: {lists}"
        bed.drop()


def copy_etcd(bed, source, target):
    """While it is down."""
    bed.cluster.etcd.kill()
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target)
    bed.cluster.etcd.restart()


def etcd_restored_from_an_old_copy(bed):
    """W4: every version is older from now on, and whoever watches from a later one hears nothing, not
    even a refusal. Missing bookmarks tell, and a list that is read twice is believed."""
    data, copy = bed.cluster.etcd.data, bed.folder / "etcd-copy"
    copy_etcd(bed, data, copy)
    with bed.watching() as watch:
        for _ in range(VERSIONS_LOST // 2):
            bed.publish()
        bed.agree(watch)
        bed.relay.refuse()
        bed.cluster.apiserver.kill()
        copy_etcd(bed, copy, data)
        bed.cluster.apiserver.restart()
        bed.publish()
        watch.forget()
        bed.relay.admit()
        watch.expect("restored", seconds=400)


BED = SliceBed
SCENARIOS = [compacted_history_is_listed_again, etcd_restored_from_an_old_copy]
