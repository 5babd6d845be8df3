"""Figures of several rounds: medians with their spread, tables, and targets with how far they are met."""
import statistics


class Figures:
    def __init__(self, rows, peers):
        self.peers, self.values = peers, {}
        for r in rows:
            self.values.setdefault((r["subject"], r["metric"]), []).append(r["value"])

    def has(self, *keys):
        return all(key in self.values for key in keys)

    def median(self, subject, metric):
        return statistics.median(self.values[subject, metric])

    def text(self, subject, metric):
        values = self.values.get((subject, metric))
        if not values:
            return ""
        digits = 3 if statistics.median(values) < 10 else 1 if statistics.median(values) < 1000 else 0
        if len(values) == 1:
            return f"{values[0]:.{digits}f}"
        return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f}-{max(values):.{digits}f})"

    def best(self, metric, most=False):
        found = [self.median(s, metric) for s in self.peers if (s, metric) in self.values]
        return (max(found) if most else min(found)) if found else None


def print_table(rows):
    widths = [max(len(r[i]) for r in rows) for i in range(len(rows[0]))]
    for r in rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(r, widths)).rstrip())


def print_targets(targets):
    """Of (what, measured, bound, unit): measured must not be above the bound."""
    table = [("TARGET", "MEASURED", "BOUND", "")]
    for what, measured, bound, unit in targets:
        digits = 3 if unit == "x" else 1
        verdict = "met" if measured <= bound else f"missed by {(measured / bound - 1) * 100:.0f} %"
        table.append((what, f"{measured:.{digits}f} {unit}", f"<= {bound:.{digits}f} {unit}", verdict))
    print_table(table)
