/* watch.c - fairlead watch: the present set, then a line per difference, until interrupted; and
 * when and why what is shown is stale. */
#include <math.h>
#include <stdio.h>

#include "base/log.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/services.h"
#include "cli/terminal.h"

struct watch {
    struct fl_client client;
    struct fl_services *services;
    bool json;
    struct fl_error told;    /* the reason that was printed last and not yet taken back */
    struct fl_error failure; /* why the command ends, code FL_OK: it was interrupted */
};

static void stop(struct watch *watch, int code, const char *text) {
    fl_fail(&watch->failure, code, "%s", text);
    fl_client_stop(&watch->client);
}

/* ---- text ---- */

static const char *const change_signs[] = {
    [FL_CHANGE_ADDED] = "+", [FL_CHANGE_REMOVED] = "-", [FL_CHANGE_CHANGED] = "~"};
static const enum fl_colour change_colours[] = {
    [FL_CHANGE_ADDED] = FL_GREEN, [FL_CHANGE_REMOVED] = FL_RED, [FL_CHANGE_CHANGED] = FL_YELLOW};

/* "ready terminating": the names of the bits, for a changed endpoint. */
static void print_what(unsigned what) {
    static const struct {
        unsigned bit;
        const char *name;
    } names[] = {{FL_CHANGED_READY, "ready"},
                 {FL_CHANGED_SERVING, "serving"},
                 {FL_CHANGED_TERMINATING, "terminating"},
                 {FL_CHANGED_IDENTITY, "identity"},
                 {FL_CHANGED_PLACE, "place"},
                 {FL_CHANGED_PORT, "port"},
                 {FL_CHANGED_HINTS, "hints"}};
    fputs("  changed:", stdout);
    for (size_t i = 0; i < FL_COUNT(names); i++)
        if (what & names[i].bit) printf(" %s", names[i].name);
}

static void print_field(const char *name, const char *value) {
    if (!*value) return;
    printf("  %s=", name);
    fl_terminal_put(stdout, value);
}

static void print_hints(const char *name, const char *const *hints, size_t count) {
    for (size_t i = 0; i < count; i++) print_field(name, hints[i]);
}

struct lines {
    const char *service, *time;
};

static void print_change(void *arg, const struct fl_change *change) {
    const struct lines *lines = arg;
    const struct fl_endpoint *e = &change->endpoint;
    bool v6 = strchr(e->address, ':') != NULL;
    printf("%s%s%s %s  %s  %s%s%s:%u", fl_colour(stdout, change_colours[change->kind]),
           change_signs[change->kind], fl_colour(stdout, FL_PLAIN), lines->time, lines->service,
           v6 ? "[" : "", e->address, v6 ? "]" : "", (unsigned)e->port);
    if (change->kind != FL_CHANGE_REMOVED) printf("  %s", fl_render_condition(e));
    print_field("port", e->port_name);
    print_field("pod", e->pod);
    print_field("node", e->node);
    print_field("zone", e->zone);
    print_hints("for-zone", e->for_zones, e->for_zone_count);
    print_hints("for-node", e->for_nodes, e->for_node_count);
    if (change->kind == FL_CHANGE_CHANGED) print_what(change->what);
    putchar('\n');
}

static int print_text(struct fl_set *set, struct fl_set *previous, const char *time) {
    struct lines lines = {fl_set_service(set), time};
    if (!previous || fl_set_state(set) != fl_set_state(previous) ||
        fl_set_is_snapshot(set) != fl_set_is_snapshot(previous)) {
        const char *external = fl_set_external_name(set);
        printf("%s=%s %s  %s  %s", fl_colour(stdout, FL_BOLD), fl_colour(stdout, FL_PLAIN), time,
               lines.service, fl_set_state_name(fl_set_state(set)));
        if (external) print_field("external-name", external);
        if (fl_set_is_snapshot(set)) fputs("  from the snapshot", stdout);
        if (fl_set_is_truncated(set)) fputs("  cut at 1,000 addresses by the cluster", stdout);
        putchar('\n');
    }
    return fl_set_diff(previous, set, print_change, &lines);
}

static void print_stale_text(const struct fl_set *set, const struct fl_error *trouble,
                             const char *time) {
    uint64_t ms = fl_set_stale_ms(set);
    printf("%s!%s %s  %s  ", fl_colour(stdout, ms ? FL_RED : FL_GREEN), fl_colour(stdout, FL_PLAIN),
           time, fl_set_service(set));
    if (!ms) {
        puts("fresh again");
        return;
    }
    printf("stale: no sign of life for %.0f s", ceil((double)(ms + FL_FRESH_MS) / 1000));
    if (trouble) printf(": %s: %s", fl_error_name(trouble->code), trouble->detail);
    putchar('\n');
}

/* ---- JSON ---- */

struct lists {
    json_t *by_kind[3];
};

static void append_change(void *arg, const struct fl_change *change) {
    struct lists *lists = arg;
    json_array_append_new(lists->by_kind[change->kind], fl_render_endpoint(&change->endpoint));
}

static json_t *line_new(const struct fl_set *set, const char *time) {
    json_t *line = json_pack("{s:s}", "time", time), *head = fl_render_head(set);
    json_object_update(line, head);
    json_decref(head);
    return line;
}

static void line_print(json_t *line) {
    json_dumpf(line, stdout, JSON_COMPACT);
    putchar('\n');
    json_decref(line);
}

/* A line without changes, so that applying all lines still gives the set. */
static void print_stale_json(const struct fl_set *set, const struct fl_error *trouble,
                             const char *time) {
    json_t *line = line_new(set, time);
    if (trouble)
        json_object_set_new(line, "trouble",
                            json_pack("{s:s, s:s}", "cause", fl_error_name(trouble->code), "detail",
                                      trouble->detail));
    json_object_update_new(line, json_pack("{s:[], s:[], s:[]}", "added", "removed", "changed"));
    line_print(line);
}

static int print_json(struct fl_set *set, struct fl_set *previous, const char *time) {
    static const char *const names[] = {[FL_CHANGE_ADDED] = "added",
                                        [FL_CHANGE_REMOVED] = "removed",
                                        [FL_CHANGE_CHANGED] = "changed"};
    struct lists lists = {{json_array(), json_array(), json_array()}};
    int rc = fl_set_diff(previous, set, append_change, &lists);
    json_t *line = line_new(set, time);
    for (size_t i = 0; i < FL_COUNT(names); i++)
        json_object_set_new(line, names[i], lists.by_kind[i]);
    line_print(line);
    return rc;
}

/* ---- events ---- */

/* A reason why what is shown may be old goes to standard error, in both formats; so does its end.
 * The same reason again, of another service or another try, is not told twice. */
static void tell_trouble(struct watch *watch, const char *service, const struct fl_error *trouble) {
    struct fl_error *told = &watch->told;
    if (!trouble || trouble->code == FL_OK) {
        if (told->code != FL_OK)
            fprintf(stderr, "fairlead: %s: the source answers again\n", service);
        told->code = FL_OK;
    } else if (told->code != trouble->code || strcmp(told->detail, trouble->detail) != 0) {
        *told = *trouble;
        fprintf(stderr, "fairlead: %s: %s: %s (trying again)\n", service,
                fl_error_name(trouble->code), trouble->detail);
    }
}

/* Nothing was ever known and a person must mend the reason: no use in waiting. */
static bool is_hopeless(const struct fl_set *set, const struct fl_error *trouble) {
    return trouble && fl_set_state(set) == FL_SET_UNKNOWN &&
           fl_error_reaction(trouble->code) == FL_REACT_FIX;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct watch *watch = arg;
    if (is_hopeless(set, trouble)) {
        stop(watch, trouble->code, trouble->detail);
        return;
    }
    tell_trouble(watch, fl_set_service(set), trouble);
    if (set == previous || fl_set_state(set) == FL_SET_UNKNOWN) return;
    if (previous && fl_set_state(previous) == FL_SET_UNKNOWN) previous = NULL;
    char time[FL_TIME_TEXT_MAX];
    fl_time_format(fl_io_wall_ms(watch->client.runtime->io), time);
    int rc = (watch->json ? print_json : print_text)(set, previous, time);
    if (rc) stop(watch, rc, fl_error_text(rc));
    if (fflush(stdout) != 0) stop(watch, FL_ESYS, "standard output cannot be written");
}

static void on_stale(void *arg, struct fl_set *set, const struct fl_error *trouble) {
    struct watch *watch = arg;
    char time[FL_TIME_TEXT_MAX];
    fl_time_format(fl_io_wall_ms(watch->client.runtime->io), time);
    (watch->json ? print_stale_json : print_stale_text)(set, trouble, time);
    if (fflush(stdout) != 0) stop(watch, FL_ESYS, "standard output cannot be written");
}

static void on_complete(void *arg, size_t count) {
    FL_UNUSED(arg);
    FL_UNUSED(count);
}

static void on_trouble(void *arg, const struct fl_error *trouble) {
    struct watch *watch = arg;
    bool refused = trouble->code == FL_EFORBIDDEN; /* the default namespace may do instead */
    if (fl_error_reaction(trouble->code) == FL_REACT_FIX && !refused)
        stop(watch, trouble->code, trouble->detail);
    else
        tell_trouble(watch, "all services", trouble);
}

/* ---- life ---- */

static int watch_services(struct watch *watch, const struct fl_client_options *options,
                          const char *service, const char *metrics) {
    static const struct fl_services_events events = {on_set, on_stale, on_complete, on_trouble};
    struct fl_error err = {0};
    int rc = fl_client_open(&watch->client, options, &err);
    if (rc) return fl_command_fail(&err);
    rc = fl_client_show(&watch->client, metrics, &err);
    if (!rc) rc = fl_services_open(&watch->client, service, &events, watch, &watch->services, &err);
    if (!rc) fl_client_run(&watch->client);
    int exit_code = rc                             ? fl_command_fail(&err)
                    : watch->failure.code != FL_OK ? fl_command_fail(&watch->failure)
                                                   : FL_EXIT_OK;
    fl_services_close(watch->services);
    fl_client_close(&watch->client);
    return exit_code;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_client_options client = {0};
    const char *format = "text", *metrics = NULL;
    bool all = false;
    const struct fl_option options[] = {
        FL_CLIENT_OPTIONS(client),
        {"all", 'A', FL_OPTION_FLAG, &all, NULL, "every service (with -n: of that namespace)"},
        {"output", 'o', FL_OPTION_TEXT, &format, "FORMAT", "text or json (one object a line)"},
        FL_METRICS_OPTION(metrics),
        FL_SNAPSHOT_OPTION(client),
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options), .words_max = 1};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    if (all == (args.words.count == 1))
        fl_fail(&err, FL_EUSAGE, "name one service, or give -A for all");
    else if (strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
        fl_fail(&err, FL_EUSAGE, "-o %s: want text or json", format);
    if (err.code != FL_OK) return fl_command_fail(&err);
    struct watch watch = {.json = strcmp(format, "json") == 0};
    return watch_services(&watch, &client, all ? NULL : args.words.list[0], metrics);
}

const struct fl_command fl_command_watch = {
    "watch", "SERVICE[:PORT] | -A [-n NS] [-o text|json] [--metrics ADDR] [--snapshot FILE]",
    "The endpoints of a service, then every change",
    "Lines begin with = (state), + (added), - (removed), ~ (changed, and what: ready,\n"
    "serving, terminating, identity: another pod, place: node or zone, port: its name or\n"
    "application protocol, hints: zones and nodes that should prefer it) or ! (stale: the\n"
    "source has given no sign of life for more than the 45 s that it may be quiet, and\n"
    "why; or fresh again). Another address, port or protocol is another endpoint.\n\n"
    "With -o json each line is\n"
    "{\"time\",\"service\",\"state\",\"version\",\"stale_ms\",\"added\",\"removed\",\"changed\"};\n"
    "applying the lines in order to an empty set gives the set. Why the source does not\n"
    "answer goes to standard error at once. Ends at Ctrl-C.",
    run};
