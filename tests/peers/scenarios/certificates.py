"""The API server's certificate and its authority replaced under a watch."""
import socket
import ssl

from bed import SliceBed
from certificates import SERVER_NAMES, Authority
from waiting import wait_for


def serves(bed, authority):
    """Does the API server show a certificate of this authority?"""
    context = ssl.create_default_context(cafile=str(authority.certificate))
    try:
        with socket.create_connection(("127.0.0.1", bed.cluster.apiserver.port), timeout=10) as s:
            context.wrap_socket(s, server_hostname="127.0.0.1").close()
        return True
    except OSError:
        return False


def replace_serving_certificate(bed, name):
    """By one that another authority signed, of which only the tests know; kube-apiserver reads its
    files again by itself."""
    authority = Authority(bed.folder, name)
    bed.cluster.apiserver.context.load_verify_locations(authority.certificate)
    authority.sign("server", "/CN=kube-apiserver", SERVER_NAMES)
    wait_for("the new certificate is served", lambda: serves(bed, authority), 150)
    return authority


def trust(bed, authority):
    """The CA file of the client's configuration, replaced as a whole."""
    new = bed.folder / "trusted.new"
    new.write_bytes(authority.certificate.read_bytes())
    new.replace(bed.folder / "trusted.crt")


def client(bed):
    return bed.account.kubeconfig("trusting.kubeconfig", bed.server, ca="trusted.crt")


def forget_sessions(bed):
    """A new process knows none of the TLS sessions of the old one: the next handshake is a whole one,
    with certificates."""
    bed.cluster.apiserver.kill()
    bed.cluster.apiserver.restart()


def certificate_and_ca_replaced(bed):
    """New certificate, new CA file, then the connection drops: the watch goes on with the new CA."""
    trust(bed, bed.cluster.authority)
    with bed.watching(client(bed)) as watch:
        trust(bed, replace_serving_certificate(bed, "ca-2"))
        watch.forget()
        bed.drop()
        bed.agree(watch)
        forget_sessions(bed)
        bed.publish()
        bed.agree(watch)
        watch.expect("certificates have changed")
        assert not watch.troubles_with("CERT"), watch.tail()


def ca_replaced_late(bed):
    """The client's CA file follows after the connection: trouble is said, then it goes on by itself."""
    trust(bed, replace_serving_certificate(bed, "ca-3"))
    with bed.watching(client(bed)) as watch:
        authority = replace_serving_certificate(bed, "ca-4")
        watch.forget()
        forget_sessions(bed)
        bed.publish()
        watch.expect("CERT", "trying again")
        assert watch.view()[0], "what was known is kept"
        trust(bed, authority)
        bed.agree(watch)
        watch.expect("certificates have changed")
        watch.expect("answers again")


BED = SliceBed
SCENARIOS = [certificate_and_ca_replaced, ca_replaced_late]
