"""A TCP relay in user space: the switch before an API server, or a link that can be frozen."""
import contextlib
import socket
import threading


class Relay:
    """Listens on `address` and joins each connection to the present backend's."""

    def __init__(self, backend_port, address="127.0.0.1"):
        self.backend_port = backend_port
        self.listener = socket.create_server((address, 0))
        self.port = self.listener.getsockname()[1]
        self.lock = threading.Lock()
        self.pairs = set()
        self.refusing = False
        self.flowing = threading.Event()
        self.flowing.set()
        self.passed = 0  # bytes towards the client
        self.left = None  # how many more before it freezes by itself
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                threading.Thread(target=self.join, args=(near,), daemon=True).start()

    def join(self, near):
        if self.refusing:
            near.close()
            return
        try:
            far = socket.create_connection(("127.0.0.1", self.backend_port), timeout=10)
        except OSError:
            near.close()
            return
        far.settimeout(None)
        pair = (near, far)
        with self.lock:
            self.pairs.add(pair)
        threading.Thread(target=self.pump, args=(near, far, pair), daemon=True).start()
        self.pump(far, near, pair)

    def pump(self, source, sink, pair):
        with contextlib.suppress(OSError):
            while data := source.recv(16384):
                if source is pair[1]:
                    self.count(len(data))
                self.flowing.wait()
                sink.sendall(data)
        self.end(pair)

    def count(self, passed):
        with self.lock:
            self.passed += passed
            if self.left is None:
                return
            self.left -= passed
            if self.left > 0:
                return
            self.left = None
        self.freeze()

    def end(self, pair):
        with self.lock:
            if pair not in self.pairs:
                return
            self.pairs.remove(pair)
        for side in pair:
            with contextlib.suppress(OSError):
                side.shutdown(socket.SHUT_RDWR)
            side.close()

    def cut(self):
        """Ends every connection; new ones are welcome."""
        with self.lock:
            pairs = list(self.pairs)
        for pair in pairs:
            self.end(pair)

    def flip(self, backend_port):
        """From now on everybody is connected to another backend."""
        self.backend_port = backend_port
        self.cut()

    def refuse(self):
        self.refusing = True
        self.cut()

    def admit(self):
        self.refusing = False

    def freeze(self):
        """Bytes stay where they are; connections live on."""
        self.flowing.clear()

    def freeze_after(self, count):
        """When so many bytes have passed towards the client."""
        with self.lock:
            self.left = count

    def is_frozen(self):
        return not self.flowing.is_set()

    def thaw(self):
        self.flowing.set()

    def close(self):
        self.listener.close()
        self.thaw()
        self.cut()
