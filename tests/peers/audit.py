"""What the API server itself noted of each request: its audit log."""
import collections
import json
import pathlib
import urllib.parse

POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
          "rules": [{"level": "Metadata"}]}

Request = collections.namedtuple("Request", "user verb resource query code")


class Audit:
    """`verb` is list, watch, get, …; of a watch there is one line when it begins, and one when it ends."""

    def __init__(self, path):
        self.path = pathlib.Path(path)
        self.skipped = 0

    def forget(self):
        """Requests up to now are not shown any more."""
        self.skipped = len(self.lines())

    def lines(self):
        return self.path.read_text().splitlines() if self.path.exists() else []

    def requests(self, user):
        """Those of `user` that were begun or refused, since forget()."""
        out = []
        for line in self.lines()[self.skipped:]:
            if not line.endswith("}"):
                continue  # half written
            event = json.loads(line)
            first = event["stage"] == "ResponseStarted" or event["verb"] != "watch" or \
                event["responseStatus"]["code"] != 200
            if first and event.get("user", {}).get("username") == user:
                out.append(Request(user, event["verb"],
                                   event.get("objectRef", {}).get("resource"),
                                   dict(urllib.parse.parse_qsl(event["requestURI"].partition("?")[2])),
                                   event.get("responseStatus", {}).get("code")))
        return out

    def lists(self, user):
        """Those of the requests that ask for a whole collection, streamed or not."""
        return [r for r in self.requests(user)
                if r.verb == "list" or r.query.get("sendInitialEvents")]

    def refused(self):
        """How many requests were answered 401; they have no user."""
        return sum('"code":401' in line for line in self.lines())
