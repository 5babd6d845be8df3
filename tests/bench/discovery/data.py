"""What the bench feeds its subjects: Services and EndpointSlices as a real controller writes them, in a real
API server, and that server's own bytes for the canned one. Made once and kept by size."""
import concurrent.futures
import http.client
import json
import pathlib
import random
import shutil
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(TESTS / "peers"), str(TESTS / "common")]
from cluster import ADMIN_TOKEN, Cluster  # noqa: E402

ENDPOINTS = 100  # of a slice
FLIPS = 4        # of each slice among the events, each of another endpoint
NAMESPACE = "benchmark"
NODES = 1000
VERSION = 4      # of what this file makes; a new one is made anew
TYPES = {"pb": "application/vnd.kubernetes.protobuf", "json": "application/json"}
PATHS = {"endpointslices": "/apis/discovery.k8s.io/v1/endpointslices", "services": "/api/v1/services"}
INITIAL = ("?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true"
           "&timeoutSeconds=600")


def say(text):
    """Progress: on a terminal in one line, else a line each."""
    ends = ("\r\033[K", "") if sys.stderr.isatty() else ("", "\n")
    print(ends[0] + text, end=ends[1], file=sys.stderr, flush=True)


# ---- the real server ----

class DataCluster(Cluster):
    """etcd and kube-apiserver on loopback, with the data of `etcd` if that folder is given. Without a controller
    manager: it would take our slices away, whose pods do not exist."""

    def __init__(self, folder, bin_folder, etcd=None):
        if etcd:
            shutil.copytree(etcd, pathlib.Path(folder) / "etcd")
        super().__init__(folder, bin_folder, flags=("--bind-address=127.0.0.1", "--audit-log-path="))


def service(name):
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"clusterIP": "None", "selector": {"app": name},
                     "ports": [{"name": "grpc", "port": 80, "targetPort": 8080}]}}


def uid(dice):
    text = f"{dice.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def endpoint(name, number, dice, letters):
    node = dice.randrange(NODES)
    pod = f"{name}-{letters}-" + "".join(dice.choices("bcdfghjklmnpqrstvwxz2456789", k=5))
    return {"addresses": [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"],
            "conditions": {"ready": True, "serving": True, "terminating": False},
            "nodeName": f"ip-10-0-{node >> 8}-{node & 255}.eu-central-1.compute.internal",
            "targetRef": {"kind": "Pod", "name": pod, "namespace": NAMESPACE, "uid": uid(dice)},
            "zone": f"eu-central-1{'abc'[node % 3]}"}


def endpoint_slice(index, name, owner):
    dice = random.Random(index)
    letters = "".join(dice.choices("bcdf456789", k=10))
    return {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
            "metadata": {
                "name": f"{name}-{letters[:5]}", "generateName": f"{name}-",
                "annotations": {"endpoints.kubernetes.io/last-change-trigger-time": "2026-01-01T00:00:00Z"},
                "labels": {"app": name, "service.kubernetes.io/headless": "",
                           "endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io",
                           "kubernetes.io/service-name": name},
                "ownerReferences": [{"apiVersion": "v1", "blockOwnerDeletion": True, "controller": True,
                                     "kind": "Service", "name": name, "uid": owner}]},
            "endpoints": [endpoint(name, index * ENDPOINTS + i, dice, letters) for i in range(ENDPOINTS)],
            "ports": [{"name": "grpc", "port": 8080, "protocol": "TCP"}]}


class Connection:
    def __init__(self, cluster):
        self.http = http.client.HTTPSConnection("127.0.0.1", cluster.apiserver.port,
                                                context=cluster.apiserver.context, timeout=120)

    def send(self, method, path, body=None, accept="application/json"):
        self.http.request(method, path, json.dumps(body) if body else None, {
            "Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": "application/json", "Accept": accept,
            "User-Agent": "kube-controller-manager/v1.36.3 (linux/amd64) kubernetes/bench"})
        return self.http.getresponse()

    def do(self, *arguments):
        answer = self.send(*arguments)
        body = answer.read()
        if answer.status >= 300:
            raise AssertionError(f"{arguments[:2]}: {answer.status} {body[:300]}")
        return body


def fill(cluster, count):
    Connection(cluster).do("POST", "/api/v1/namespaces",
                           {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})

    def write(part):
        connection = Connection(cluster)
        for index in range(part, count, 4):
            name = f"service-{index:05}"
            made = json.loads(connection.do("POST", f"/api/v1/namespaces/{NAMESPACE}/services", service(name)))
            connection.do("POST", f"/apis/discovery.k8s.io/v1/namespaces/{NAMESPACE}/endpointslices",
                          endpoint_slice(index, name, made["metadata"]["uid"]))
            if index % 200 == 0:
                say(f"data: {index} of {count} slices written")

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(write, range(4)))


# ---- protobuf, as little of it as events need ----

def varint(n):
    out = bytearray()
    while n >= 0x80:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    return bytes(out) + bytes([n])


def read_varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, the whole field, its content) for each field; all that is walked here is length-delimited,
    or a varint."""
    at = 0
    while at < len(data):
        begin = at
        tag, at = read_varint(data, at)
        value, at = read_varint(data, at)
        if tag & 7 == 2:
            at += value
            yield tag >> 3, data[begin:at], data[at - value:at]
        else:
            yield tag >> 3, data[begin:at], value


def field(number, content):
    return varint(number << 3 | 2) + varint(len(content)) + content


def only(data, number):
    return next(content for n, _, content in fields(data) if n == number)


def with_version(metadata, version):
    return b"".join(field(6, version) if n == 6 else whole for n, whole, _ in fields(metadata))


def unready(endpoint_bytes):
    return b"".join(field(2, b"\x08\x00\x10\x00\x18\x00") if n == 2 else whole
                    for n, whole, _ in fields(endpoint_bytes))


def framed(event):
    return len(event).to_bytes(4, "big") + event


class ProtobufSlice:
    def __init__(self, frame):
        self.envelope = only(only(frame, 2), 1)[4:]
        self.parts = list(fields(only(self.envelope, 2)))
        self.places = [i for i, (n, _, _) in enumerate(self.parts) if n == 2]

    def flip(self, which, version):
        place = self.places[which]
        self.parts[place] = (2, field(2, unready(self.parts[place][2])), None)
        raw = b"".join(field(1, with_version(content, b"%d" % version)) if n == 1 else whole
                       for n, whole, content in self.parts)
        envelope = b"k8s\0" + b"".join(field(2, raw) if n == 2 else whole
                                       for n, whole, _ in fields(self.envelope))
        return framed(field(1, b"MODIFIED") + field(2, field(1, envelope)))


class JsonSlice:
    def __init__(self, line):
        self.object = json.loads(line)["object"]

    def flip(self, which, version):
        self.object["endpoints"][which]["conditions"] = {"ready": False, "serving": False,
                                                         "terminating": False}
        self.object["metadata"]["resourceVersion"] = str(version)
        event = {"type": "MODIFIED", "object": self.object}
        return json.dumps(event, separators=(",", ":")).encode() + b"\n"


def frames(stream):
    at = 0
    while at < len(stream):
        size = int.from_bytes(stream[at:at + 4], "big")
        yield stream[at + 4:at + 4 + size]
        at += 4 + size


def write_events(path, slices, version):
    with open(path, "wb") as out:
        for turn in range(FLIPS):
            for one in slices:
                version += 1
                out.write(one.flip(turn * ENDPOINTS // FLIPS, version))


def expired(form):
    """What the server says when a watch begins at a version that it has forgotten."""
    message, reason = "too old resource version: 1 (2)", "Expired"
    if form == "json":
        return json.dumps({"type": "ERROR", "object": {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message,
            "reason": reason, "code": 410}}, separators=(",", ":")).encode() + b"\n"
    status = (field(1, b"") + field(2, b"Failure") + field(3, message.encode()) + field(4, reason.encode()) +
              b"\x30" + varint(410))
    envelope = b"k8s\0" + field(1, field(1, b"v1") + field(2, b"Status")) + field(2, status)
    return framed(field(1, b"ERROR") + field(2, field(1, envelope)))


# ---- the server's bytes ----

def read_until(answer, is_last):
    body = bytearray()
    while True:
        piece = answer.read1(1 << 20)
        if not piece:
            raise AssertionError("the watch ended before the end of its initial events")
        body += piece
        if is_last(body[-4096:]) and body.endswith((b"\n", b'"\0')):
            return bytes(body)


def read_initial(cluster, path, form):
    """Up to and with the bookmark that ends the initial events. Frames are written whole."""
    accept = TYPES[form] + (";stream=watch" if form == "pb" else "")
    answer = Connection(cluster).send("GET", path + INITIAL, None, accept)
    if answer.status != 200:
        raise AssertionError(answer.read())
    return read_until(answer, lambda tail: b"initial-events-end" in tail)


def capture_pages(connection, path, stem, form):
    tokens, token, page = [], "", 0
    while True:
        query = f"?limit=500&continue={token}" if token else "?limit=500"
        body = connection.do("GET", path + query, None, TYPES[form])
        stem("page%d" % page).write_bytes(body)
        if form == "json":
            token = json.loads(body)["metadata"].get("continue", "")
        else:
            token = dict((n, content) for n, _, content in fields(only(only(body[4:], 2), 1))).get(3, b"").decode()
        if not token:
            break
        tokens.append(token.rstrip("=") + "\n")
        page += 1
    stem("tokens").write_text("".join(tokens))


def capture(cluster, folder):
    for resource, path in PATHS.items():
        for form in TYPES:
            say(f"data: reading {resource} as {form}")

            def stem(kind):
                return folder / f"{resource}.{kind}.{form}"
            connection = Connection(cluster)
            stem("list").write_bytes(connection.do("GET", path + "?resourceVersion=0", None, TYPES[form]))
            stem("initial").write_bytes(read_initial(cluster, path, form))
            capture_pages(connection, path, stem, form)
            stem("expired").write_bytes(expired(form))


def make_events(folder):
    say("data: events in protobuf")
    version = int(json.loads((folder / "services.page0.json").read_bytes())["metadata"]["resourceVersion"])
    initial = (folder / "endpointslices.initial.pb").read_bytes()
    slices = [ProtobufSlice(f) for f in frames(initial) if f.startswith(b"\x0a\x05ADDED")]
    write_events(folder / "endpointslices.events.pb", slices, version)
    say("data: events in JSON")
    lines = (folder / "endpointslices.initial.json").read_bytes().splitlines()
    write_events(folder / "endpointslices.events.json",
                 [JsonSlice(l) for l in lines if l.startswith(b'{"type":"ADDED"')], version)


def newest_peers(cache):
    """kube-apiserver and etcd, as tests/peers/run builds them."""
    built = sorted(cache.glob("*/kube-apiserver"), key=lambda p: p.stat().st_mtime)
    if not built:
        sys.exit("bench: no kube-apiserver is built yet: run make test-peers once")
    return built[-1].parent


def prepare(cache, bin_folder, count):
    """The folder with the data for `count` slices, made if it is not there."""
    folder = pathlib.Path(cache) / f"bench-data-{VERSION}-{count}"
    if folder.exists():
        return folder
    draft = folder.with_suffix(".draft")
    shutil.rmtree(draft, ignore_errors=True)
    draft.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as temporary:
        cluster = DataCluster(temporary, bin_folder)
        try:
            fill(cluster, count)
            capture(cluster, draft)
        finally:
            cluster.close()
        shutil.copytree(pathlib.Path(temporary) / "etcd", draft / "etcd")
    make_events(draft)
    draft.rename(folder)
    return folder
