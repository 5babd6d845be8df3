#!/usr/bin/env python3
"""Sums gcov's JSON (one document a line on standard input) by folder of src/."""
import json
import os
import sys

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

total = [0, 0]
for room in sorted({key[0] for key in lines}):
    counts = [count for key, count in lines.items() if key[0] == room]
    reached = sum(1 for count in counts if count)
    total[0] += reached
    total[1] += len(counts)
    print(f"{room:10} {reached:6} of {len(counts):6} lines  {100 * reached / len(counts):5.1f} %")
print(f"{'all':10} {total[0]:6} of {total[1]:6} lines  {100 * total[0] / max(total[1], 1):5.1f} %")
