"""Certificate authorities and what they sign, made with openssl."""
import pathlib
import subprocess

SERVER_NAMES = ("IP:127.0.0.1,IP:10.96.0.1,IP:10.99.0.1,DNS:localhost,"
                "DNS:kubernetes.default.svc")


def openssl(folder, *arguments, stdin=None):
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True,
                          input=stdin).stdout


class Authority:
    """A CA whose certificate is FOLDER/NAME.crt."""

    def __init__(self, folder, name):
        self.folder, self.name = pathlib.Path(folder), name
        self.certificate = self.folder / f"{name}.crt"
        openssl(folder, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                f"/CN={name}", "-keyout", f"{name}.key", "-out", f"{name}.crt")

    def sign(self, name, subject, names=None):
        """Makes NAME.key and NAME.crt; the certificate comes last, as whoever watches both expects."""
        (self.folder / f"{name}.ext").write_text(f"subjectAltName={names}\n" if names else "")
        openssl(self.folder, "req", "-newkey", "rsa:2048", "-nodes", "-subj", subject, "-keyout",
                f"{name}.key.new", "-out", f"{name}.csr")
        openssl(self.folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{self.name}.crt", "-CAkey",
                f"{self.name}.key", "-CAcreateserial", "-days", "2", "-extfile", f"{name}.ext", "-out",
                f"{name}.crt.new")
        for kind in ("key", "crt"):
            (self.folder / f"{name}.{kind}.new").replace(self.folder / f"{name}.{kind}")
