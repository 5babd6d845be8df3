"""Rights taken away and given back under a watch."""
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


BED = SliceBed
SCENARIOS = [rights_taken_and_given_back]
