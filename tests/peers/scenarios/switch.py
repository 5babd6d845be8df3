"""Two API servers on one etcd behind a TCP switch."""
from bed import SERVICE, SliceBed
from relay import Relay
from waiting import wait_for


class TwoServers(SliceBed):
    """The second one reaches etcd through a link that can be frozen: then its cache lags behind."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.link = Relay(self.cluster.etcd.port)
        self.first = self.cluster.apiserver
        self.second = self.cluster.add_apiserver("kube-apiserver-2",
                                                 f"http://127.0.0.1:{self.link.port}")
        self.touch()

    def touch(self):
        """Makes every collection newer than the beginning of the second server's history."""
        self.publish()
        self.cluster.request("PATCH", f"/api/v1/namespaces/default/services/{SERVICE}",
                             {"metadata": {"labels": {"touched": "yes"}}})

    def flip(self, server):
        """And waits until Fairlead has asked the other one."""
        server.audit.forget()
        self.relay.flip(server.port)
        wait_for("the other API server is asked", lambda: server.audit.requests(self.account.user), 120)

    def close(self):
        self.link.close()
        super().close()


def switch_that_flips(bed):
    """Two servers that are both up to date: the watches move over and go on, without a list."""
    with bed.watching() as watch:
        for server in (bed.second, bed.first, bed.second, bed.first):
            watch.forget()
            bed.flip(server)
            bed.publish()
            bed.agree(watch)
            watch.expect("answers again")
            lists = server.audit.lists(bed.account.user)
            assert not lists, f"the watch goes on where it was: {lists}"


def switch_to_a_lagging_apiserver(bed):
    """W4: the other server is behind; nothing older is ever shown, and what is missing comes later."""
    bed.relay.flip(bed.first.port)
    with bed.watching() as watch:
        bed.link.freeze()
        bed.publish()
        bed.agree(watch)
        bed.publish()
        bed.agree(watch)
        held = watch.view()
        bed.flip(bed.second)
        bed.publish()
        assert watch.view() == held, "the lagging server knows nothing new"
        bed.link.thaw()
        bed.agree(watch)
        bed.flip(bed.first)


BED = TwoServers
SCENARIOS = [switch_that_flips, switch_to_a_lagging_apiserver]
