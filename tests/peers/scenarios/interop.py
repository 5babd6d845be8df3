"""The cases of gRPC's interoperability tests: our client against grpc-go's server, grpc-go's client
against our server, plain and with TLS."""
import contextlib
import pathlib
import socket
import subprocess

from bed import EmptyBed
from certificates import Authority
from process import Process
from relay import Relay
from waiting import free_port, wait_for

CASES = ["empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong",
         "empty_stream", "timeout_on_sleeping_server", "cancel_after_begin",
         "cancel_after_first_response", "status_code_and_message", "special_status_message",
         "custom_metadata", "unimplemented_method", "unimplemented_service", "pick_first_unary",
         "rpc_soak", "channel_soak"]
COMPRESSED = ["client_compressed_unary", "client_compressed_streaming"]
SOAK = 100  # calls, and channels


class InteropBed(EmptyBed):
    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.ours = pathlib.Path(self.fairlead).parent / "tests" / "interop"
        self.authority = Authority(self.folder, "ca")
        self.authority.sign("server", "/CN=interop", "DNS:interop.test")

    @contextlib.contextmanager
    def serving(self, name, arguments, port):
        """While the server listens; it is the namespace's only one on that port."""
        process = Process(self.folder, name, arguments)

        def is_up():
            assert process.alive(), f"it ended; see {process.log}"
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return True
            return False
        try:
            wait_for(f"{name} listens", is_up)
            yield
            assert process.alive(), f"it ended; see {process.log}"
        finally:
            process.stop()

    def grpc_go(self, tls):
        port = free_port()
        flags = [f"--port={port}"]
        if tls:
            flags += ["--use_tls", f"--tls_cert_file={self.folder}/server.crt",
                      f"--tls_key_file={self.folder}/server.key"]
        return port, self.serving("grpc-go-server", [self.bin / "grpc-go-interop-server", *flags], port)

    def our_server(self, tls):
        port = free_port()
        files = [self.folder / "server.crt", self.folder / "server.key"] if tls else []
        return port, self.serving("our-server", [self.ours / "interop_server", f"127.0.0.1:{port}",
                                                 *files], port)

    def run_ours(self, target, *cases, tls=False):
        """Our client says "ok CASE" for each case."""
        flags = ["--cacert", self.authority.certificate, "--server-name", "interop.test"] if tls else []
        answer = subprocess.run([self.ours / "interop_client", "--iterations", str(SOAK), *flags, target,
                                 *cases], capture_output=True, text=True, timeout=120, check=False)
        said = answer.stdout.splitlines()
        assert answer.returncode == 0 and said == [f"ok {case}" for case in cases], (
            f"exit code {answer.returncode}: {answer.stderr}\n{answer.stdout}")

    def run_grpc_go(self, port, case, tls):
        flags = ["--use_tls", "--use_test_ca", f"--ca_file={self.authority.certificate}",
                 "--server_host_override=interop.test"] if tls else []
        answer = subprocess.run([
            self.bin / "grpc-go-interop-client", "--server_host=127.0.0.1", f"--server_port={port}",
            f"--test_case={case}", f"--soak_iterations={SOAK}", "--soak_overall_timeout_seconds=60",
            "--soak_per_iteration_max_acceptable_latency_ms=20000", *flags],
            capture_output=True, text=True, timeout=120, check=False)
        assert answer.returncode == 0, f"{case}: {answer.stderr[-2000:]}"


def ours_against_grpc_go(bed):
    """Every case of our client against grpc-go's server, plain and TLS."""
    for tls in (False, True):
        port, server = bed.grpc_go(tls)
        with server:  # it listens on all addresses: two endpoints, of which pick_first stays with one
            bed.run_ours(f"static:127.0.0.1:{port},127.0.0.2:{port}", *CASES, tls=tls)
    print(f"    {len(CASES)} cases, plain and TLS")


def grpc_go_against_ours(bed):
    """Every case of grpc-go's client against our server, plain and TLS."""
    for tls in (False, True):
        port, server = bed.our_server(tls)
        with server:
            for case in CASES:
                bed.run_grpc_go(port, case, tls)
    print(f"    {len(CASES)} cases, plain and TLS")


def ours_against_ours(bed):
    """Every case, and compressed requests, which grpc-go's client and server leave out."""
    port, server = bed.our_server(tls=False)
    with server:
        bed.run_ours(f"static:127.0.0.1:{port}", *CASES, *COMPRESSED)


def compressed_responses(bed):
    """Of two responses the one that is to be compressed is, and the other is not: bytes on the wire."""
    port, server = bed.our_server(tls=False)
    with server:
        for case, plain in ("server_compressed_unary", 314159), ("server_compressed_streaming", 92653):
            relay = Relay(port)
            try:
                bed.run_ours(f"static:127.0.0.1:{relay.port}", case)
            finally:
                relay.close()
            assert plain < relay.passed < plain + 5000, f"{case}: {relay.passed} bytes"


BED = InteropBed
SCENARIOS = [ours_against_grpc_go, grpc_go_against_ours, ours_against_ours, compressed_responses]
