#!/usr/bin/env python3
"""Reads the includes of every source and fails on an arrow that ARCHITECTURE.md's table does not allow,
after checking on planted faults that it would find one. The argument is the root of the tree."""
import pathlib
import re
import sys
import tempfile

# room: the rooms it may include, besides itself and the installed headers.
BELOW_FACES = ["base", "wire", "loop", "http", "kube", "discovery", "balance", "channel", "server", "registry", "manager"]
MAY = {
    "base": [],
    "wire": ["base"],
    "loop": ["base"],
    "http": ["base", "wire"],
    "admin": ["base", "http"],
    "kube": ["base", "wire", "http"],
    "discovery": ["base"],
    "balance": ["base"],
    "channel": ["base", "wire", "http", "discovery", "balance"],
    "server": ["base", "wire", "http"],
    "registry": ["base", "wire", "http", "kube", "channel", "discovery"],
    "manager": ["base", "discovery", "registry", "channel"],
    "sim": BELOW_FACES,
    "proxy": BELOW_FACES,
    "xds": BELOW_FACES,
    "doctor": BELOW_FACES,
    "cli": BELOW_FACES + ["admin", "sim", "proxy", "xds", "doctor"],
}
# System interfaces that only loop/ and the command line may touch, and who else has a reason.
SYSTEM = {
    "uv.h": ["loop"],
    "openssl/": ["loop"],
    "ares.h": ["loop"],
    "sys/socket.h": ["loop"],
    "sys/mman.h": ["base"],
    "netinet/": ["loop"],
    "arpa/": ["loop"],
    "unistd.h": ["loop", "cli"],
    "sys/mman.h": ["base", "loop"],
    "nghttp2/": ["http"],
    "llhttp.h": ["http"],
    "yaml.h": ["wire", "cli"],
    "google/protobuf/": ["cli"],
    "pthread.h": ["base", "loop", "cli"],
}
INCLUDE = re.compile(r'^\s*#\s*include\s+([<"])([^>"]+)[>"]', re.M)


def faults_of_source(root, path):
    room = path.relative_to(root / "src").parts[0]
    if room not in MAY:
        yield f"{path}: no such room in the table"
        return
    for kind, name in INCLUDE.findall(path.read_text()):
        first = name.split("/")[0]
        if kind == '"':
            if first not in MAY or "/" not in name:
                yield f'{path}: include "{name}" by its room, as "room/file.h"'
            elif first != room and first not in MAY[room]:
                yield f'{path}: {room}/ may not know "{name}"'
        elif not name.startswith("fairlead/"):
            for prefix, rooms in SYSTEM.items():
                if name.startswith(prefix) and room not in rooms:
                    yield f"{path}: {room}/ may not include <{name}>"


# Header only, and not in fairlead.h: for programs that use that library.
GLUE = {"protobuf_c.h": ("protobuf-c/protobuf-c.h", "stdlib.h")}


def faults_of_header(root, path):
    allowed = ("stdbool.h", "stddef.h", "stdint.h", *GLUE.get(path.name, ()))
    for kind, name in INCLUDE.findall(path.read_text()):
        ours = name.startswith("fairlead/")
        if kind == '"' or (not ours and name not in allowed):
            yield f"{path}: an installed header may include only <fairlead/…> and C's own types"


def faults(root):
    for pattern in ("*.[ch]", "*.cc"):
        for path in sorted((root / "src").rglob(pattern)):
            yield from faults_of_source(root, path)
    for path in sorted((root / "include" / "fairlead").iterdir()):
        yield from faults_of_header(root, path)


def plant(root, path, text):
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def self_check():
    """Every kind of forbidden arrow is found, every allowed one is not."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        plant(root, "include/fairlead/x.h", "#include <fairlead/def.h>\n")
        plant(root, "src/http/good.c", '#include "base/buf.h"\n#include <nghttp2/nghttp2.h>\n')
        assert not list(faults(root)), list(faults(root))
        plant(root, "src/base/up.c", '#include "http/conn.h"\n')
        plant(root, "src/kube/system.c", "#include <sys/socket.h>\n")
        plant(root, "src/wire/local.c", '#include "pb.h"\n')
        plant(root, "src/cellar/x.c", "")
        plant(root, "src/channel/plus.cc", "#include <google/protobuf/message.h>\n")
        plant(root, "include/fairlead/y.h", "#include <uv.h>\n")
        assert len(list(faults(root))) == 6, list(faults(root))


def main():
    self_check()
    found = list(faults(pathlib.Path(sys.argv[1])))
    for fault in found:
        print(fault)
    sys.exit(1 if found else 0)


main()
