"""What the commands say of credentials, rights and services, one by one."""
import json

from bed import SERVICE, SliceBed
from certificates import Authority
from cluster import POWERLESS_TOKEN
from kubectl import Kubectl, change_and_watch


def has_one_line(answer, *words):
    lines = answer.stderr.strip().splitlines()
    assert len(lines) == 1, answer.stderr
    for word in words:
        assert word in lines[0], f"no {word!r} in: {lines[0]}"
    assert "token" not in lines[0].replace("powerless", ""), lines[0]


def wrong_credentials(bed):
    """Wrong CA, wrong token, no rights, no such service or port: one line each."""
    Authority(bed.folder, "other")
    other_ca = bed.cluster.write_kubeconfig("other.kubeconfig", {"token": "x"}, ca="other.crt")
    has_one_line(bed.run("get", SERVICE, code=5, kubeconfig=other_ca), "CERT")
    wrong = bed.cluster.write_kubeconfig("wrong.kubeconfig", {"token": "nonsense-4711"})
    answer = bed.run("get", SERVICE, code=5, kubeconfig=wrong)
    has_one_line(answer, "UNAUTHORIZED")
    assert "4711" not in answer.stderr
    powerless = bed.cluster.write_kubeconfig("powerless.kubeconfig", {"token": POWERLESS_TOKEN})
    has_one_line(bed.run("get", SERVICE, code=5, kubeconfig=powerless), "FORBIDDEN", "may not list")
    has_one_line(bed.run("get", "nosuch", code=3), "ABSENT", "default/nosuch")
    has_one_line(bed.run("get", f"{SERVICE}:9999", code=2), "PORT", "grpc (80)")


def other_services_and_credentials(bed):
    """An ExternalName service; a client certificate in place of a token."""
    bed.cluster.request("POST", "/api/v1/namespaces/default/services", {
        "kind": "Service", "apiVersion": "v1", "metadata": {"name": "outside"},
        "spec": {"type": "ExternalName", "externalName": "db.example.com"}})
    shown = json.loads(bed.run("get", "outside", "-o", "json").stdout)
    assert (shown["state"], shown["externalName"]) == ("some", "db.example.com"), shown
    certificate = bed.cluster.write_kubeconfig("certificate.kubeconfig", {
        "client-certificate": str(bed.folder / "client.crt"),
        "client-key": str(bed.folder / "client.key")})
    shown = json.loads(bed.run("get", "-A", "-o", "json", kubeconfig=certificate).stdout)
    assert "default/outside" in [s["service"] for s in shown], shown


def kubectl_changes_what_is_watched(bed):
    """create, patch, replace, apply, label and delete by kubectl: `fairlead watch` sees each."""
    change_and_watch(bed, Kubectl(bed, bed.cluster.kubeconfig), bed.kubeconfig)


BED = SliceBed
SCENARIOS = [wrong_credentials, other_services_and_credentials, kubectl_changes_what_is_watched]
