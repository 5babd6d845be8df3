"""Rights taken away and given back under a watch."""
import json

from bed import SERVICE, SLICES, SliceBed
from waiting import wait_for


def rights_taken_and_given_back(bed):
    """403 in the middle: what is known is kept, the reason is said, and it goes on by itself."""
    token = bed.account.token()

    def status_is(code):
        path = f"{SLICES}?labelSelector=kubernetes.io/service-name%3D{SERVICE}"
        return lambda: bed.cluster.apiserver.status(path, token) == code

    with bed.watching() as watch:
        before = watch.view()
        bed.account.revoke()
        wait_for("the rights are gone", status_is(403))
        watch.forget()
        bed.drop()
        watch.expect("FORBIDDEN", "trying again")
        assert watch.view() == before, "what was known is kept"
        bed.account.grant()
        wait_for("the rights are back", status_is(200))
        bed.agree(watch)
        watch.expect("answers again")


def all_services_of_the_namespace(bed):
    """The Role of one namespace is enough for -A within it."""
    shown = json.loads(bed.run("get", "-A", "-n", "default", "-o", "json").stdout)
    truth, _ = bed.cluster.endpoints(SERVICE)
    held = {s["service"]: {(e["address"], e["port"]) for e in s["endpoints"]} for s in shown}
    assert held[f"default/{SERVICE}"] == set(truth), held


BED = SliceBed
SCENARIOS = [rights_taken_and_given_back, all_services_of_the_namespace]
