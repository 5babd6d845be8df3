#!/usr/bin/env python3
"""Sums gcov's JSON (one document a line on standard input) by folder of src/; fails if the tests reach
fewer lines outside the faces than they must."""
import json
import os
import sys

FACES = {"cli"}
WANTED = 85  # per cent

root = os.path.join(sys.argv[1], "src") + os.sep
lines = {}
for document in sys.stdin:
    for source in json.loads(document)["files"]:
        path = os.path.normpath(os.path.join(sys.argv[1], source["file"]))
        if not path.startswith(root):
            continue
        room = path[len(root):].split(os.sep)[0]
        for line in source["lines"]:
            key = (room, path, line["line_number"])
            lines[key] = lines.get(key, 0) + line["count"]



def row(name, counts):
    """Prints a row, gives its percentage."""
    reached = sum(1 for count in counts if count)
    percent = 100 * reached / max(len(counts), 1)
    print(f"{name:18} {reached:6} of {len(counts):6} lines  {percent:5.1f} %")
    return percent


for room in sorted({key[0] for key in lines}):
    row(room, [count for key, count in lines.items() if key[0] == room])
row("all", list(lines.values()))
outside = row("outside the faces", [count for key, count in lines.items() if key[0] not in FACES])
if outside < WANTED:
    sys.exit(f"coverage: {outside:.1f} % of lines outside the faces, wanted {WANTED} %")
