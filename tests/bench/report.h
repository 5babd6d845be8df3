/* report.h - what a benchmark measured: a line each for people, and with --json FILE an object each
 * appended to FILE: {"bench","subject","metric","value","unit"}, one a line. */
#ifndef FL_BENCH_REPORT_H
#define FL_BENCH_REPORT_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

struct fl_bench_report {
    const char *bench;
    FILE *json; /* NULL: not asked for */
};

static inline bool fl_bench_open(struct fl_bench_report *report, const char *bench, int argc,
                                 char **argv) {
    *report = (struct fl_bench_report){bench, NULL};
    if (argc == 1) return true;
    if (argc == 3 && strcmp(argv[1], "--json") == 0) report->json = fopen(argv[2], "a");
    if (!report->json) fprintf(stderr, "usage: %s [--json FILE]\n", argv[0]);
    return report->json != NULL;
}

static inline void fl_bench_add(struct fl_bench_report *report, const char *subject,
                                const char *metric, double value, const char *unit) {
    printf("%-8s %-24s %-24s %10.1f %s\n", report->bench, subject, metric, value, unit);
    if (report->json)
        fprintf(report->json,
                "{\"bench\":\"%s\",\"subject\":\"%s\",\"metric\":\"%s\",\"value\":%.3f,"
                "\"unit\":\"%s\"}\n",
                report->bench, subject, metric, value, unit);
}

static inline bool fl_bench_close(struct fl_bench_report *report) {
    return !report->json || fclose(report->json) == 0;
}

#endif
