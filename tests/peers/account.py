"""The service account that Fairlead runs as: the Role of doc/rbac.yaml and nothing else."""
import base64
import json
import pathlib
import subprocess
import time

from certificates import openssl
from cluster import ISSUER

RBAC = pathlib.Path(__file__).parents[2] / "doc" / "rbac.yaml"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/namespaces/default/rolebindings"
# go-jose, which the API server verifies with, grants a minute beyond `exp`.
LEEWAY_S = 60


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


class Account:
    def __init__(self, cluster, name="fairlead-test"):
        self.cluster, self.name = cluster, name
        self.user = f"system:serviceaccount:default:{name}"
        self.uid = cluster.request("POST", "/api/v1/namespaces/default/serviceaccounts", {
            "kind": "ServiceAccount", "apiVersion": "v1", "metadata": {"name": name}})["metadata"]["uid"]
        self.create_role()
        self.grant()

    def create_role(self):
        """From doc/rbac.yaml as a user would, but for the binding, which is of our account."""
        subprocess.run([self.cluster.bin / "kubectl", "--kubeconfig", self.cluster.kubeconfig, "-n",
                        "default", "apply", "-f", RBAC], check=True, capture_output=True, timeout=60)
        roles = self.cluster.request(
            "GET", "/apis/rbac.authorization.k8s.io/v1/namespaces/default/roles")["items"]
        assert len(roles) == 1, f"{RBAC} makes {len(roles)} roles"
        self.role = roles[0]["metadata"]["name"]

    def grant(self):
        self.cluster.request("POST", BINDINGS, {
            "kind": "RoleBinding", "apiVersion": "rbac.authorization.k8s.io/v1",
            "metadata": {"name": self.name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": self.role},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": "default"}]})

    def revoke(self):
        self.cluster.request("DELETE", f"{BINDINGS}/{self.name}")

    def token(self):
        """As the kubelet gets it: bound to the account, for an hour."""
        return self.cluster.request(
            "POST", f"/api/v1/namespaces/default/serviceaccounts/{self.name}/token",
            {"kind": "TokenRequest", "apiVersion": "authentication.k8s.io/v1", "spec": {}})["status"]["token"]

    def short_token(self, seconds):
        """A bound token that the API server accepts for so long; its own API grants no less than ten
        minutes, so it is signed here with the cluster's key."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": [ISSUER], "sub": self.user, "iat": now - 120, "nbf": now - 120,
                  "exp": now - LEEWAY_S + seconds, "jti": f"{time.monotonic_ns()}",
                  "kubernetes.io": {"namespace": "default",
                                    "serviceaccount": {"name": self.name, "uid": self.uid}}}
        head = base64url(json.dumps({"alg": "RS256", "kid": self.key_id()}).encode())
        signed = head + b"." + base64url(json.dumps(claims).encode())
        signature = openssl(self.cluster.folder, "dgst", "-sha256", "-sign", "sa.key", stdin=signed)
        return (signed + b"." + base64url(signature)).decode()

    def key_id(self):
        """Of the cluster's signing key, out of a token which it signed."""
        head = self.token().partition(".")[0]
        return json.loads(base64.urlsafe_b64decode(head + "=" * (-len(head) % 4)))["kid"]

    def kubeconfig(self, name="fairlead.kubeconfig", server=None, **options):
        return self.cluster.write_kubeconfig(name, {"token": self.token()}, server, **options)
