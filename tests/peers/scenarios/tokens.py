"""Tokens that live for seconds: out of a file that somebody rotates, and from a plugin."""
import datetime
import json

from bed import SLICES, SliceBed
from waiting import wait_for

SECONDS = 20


def wait_until_refused(bed, token):
    """The API server also takes for good what it has found good in the last ten seconds."""
    wait_for("the token is refused",
             lambda: bed.cluster.apiserver.status(f"{SLICES}?limit=1", token) == 401)


def replace(path, text):
    """As the kubelet does it: never half a file."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.replace(path)


def goes_on(bed, watch):
    """After the connection dropped all is seen, and the user reads nothing of a refusal."""
    watch.forget()
    bed.drop()
    bed.agree(watch)
    assert not watch.troubles_with("UNAUTHORIZED"), watch.tail()


def token_file_rotated_after_expiry(bed):
    """W15: a bound token expires; its 401 makes the file be read again, unseen by the user."""
    path = bed.folder / "token"
    token = bed.account.short_token(SECONDS)
    replace(path, token)
    kubeconfig = bed.cluster.write_kubeconfig("token-file.kubeconfig", {"tokenFile": str(path)},
                                              bed.server)
    with bed.watching(kubeconfig) as watch:
        for _ in range(2):
            wait_until_refused(bed, token)
            token = bed.account.short_token(SECONDS)
            replace(path, token)
            goes_on(bed, watch)
            watch.expect("credentials were refused, newer ones are used")


class Plugin:
    """An exec credential plugin: prints what the test last wrote, and notes each run."""

    def __init__(self, bed, name):
        self.bed = bed
        self.answer, self.runs = (bed.folder / f"{name}.{part}" for part in ("answer", "runs"))
        program = bed.folder / name
        program.write_text(f'#!/bin/sh\necho "$1" >> {self.runs} && cat {self.answer}\n')
        program.chmod(0o755)
        self.kubeconfig = bed.cluster.write_kubeconfig(f"{name}.kubeconfig", {"exec": {
            "apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "Never",
            "command": str(program), "args": ["an argument; no shell"]}}, bed.server)

    def renew(self, says_expiry):
        """A token of some seconds for the next run."""
        token = self.bed.account.short_token(SECONDS)
        status = {"token": token}
        if says_expiry:
            ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=SECONDS)
            status["expirationTimestamp"] = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
        replace(self.answer, json.dumps({"apiVersion": "client.authentication.k8s.io/v1",
                                         "kind": "ExecCredential", "status": status}))
        return token

    def run_count(self):
        lines = self.runs.read_text().splitlines()
        assert set(lines) == {"an argument; no shell"}, lines
        return len(lines)


def plugin_whose_token_is_refused(bed):
    """A plugin that names no expiry: cached until a 401, then run once more, unseen by the user."""
    plugin = Plugin(bed, "plugin-401")
    token = plugin.renew(says_expiry=False)
    with bed.watching(plugin.kubeconfig) as watch:
        wait_until_refused(bed, token)
        assert plugin.run_count() == 1, "it is cached"
        plugin.renew(says_expiry=False)
        goes_on(bed, watch)
        watch.expect("exec plugin gave credentials")
        assert plugin.run_count() == 2, plugin.run_count()


def plugin_that_says_when_its_token_expires(bed):
    """It is run again when that time has come: the API server never refuses anything."""
    plugin = Plugin(bed, "plugin-expiry")
    token = plugin.renew(says_expiry=True)
    with bed.watching(plugin.kubeconfig) as watch:
        wait_until_refused(bed, token)
        plugin.renew(says_expiry=True)
        refused = bed.audit.refused()
        goes_on(bed, watch)
        watch.expect("exec plugin gave credentials")
        assert bed.audit.refused() == refused, "the expired token was sent"


BED = SliceBed
SCENARIOS = [token_file_rotated_after_expiry, plugin_whose_token_is_refused,
             plugin_that_says_when_its_token_expires]
