"""What every Python harness waits and listens with."""
import socket
import time


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(what, check, seconds=60.0, show=None):
    """Waits until check() is true and returns its answer; `seconds` is how long before it is given up,
    never how long it should take. show() says in what state things linger then."""
    deadline = time.monotonic() + seconds
    while True:
        answer = check()
        if answer:
            return answer
        if time.monotonic() > deadline:
            state = f"\n{show()}" if show else ""
            raise AssertionError(f"gave up after {seconds:.0f} s waiting until {what}{state}")
        time.sleep(0.02)
