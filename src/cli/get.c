/* get.c - fairlead get: the endpoints of a service, now. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"
#include "cli/command.h"
#include "cli/render.h"
#include "cli/services.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/yaml.h"

enum format { FORMAT_TABLE, FORMAT_WIDE, FORMAT_JSON, FORMAT_YAML };

struct get {
    struct fl_client client;
    struct fl_services *services;
    struct fl_timer timeout;
    struct fl_map sets;      /* service -> struct fl_set *, those that are known */
    size_t wanted;           /* sets to wait for; SIZE_MAX: not known yet */
    bool known;              /* everything asked for was found out */
    bool refused;            /* the cluster as a whole, and told so */
    struct fl_error trouble; /* the last reason why not */
};

static bool parse_format(const char *name, enum format *out) {
    static const char *const names[] = {"table", "wide", "json", "yaml"};
    for (size_t i = 0; i < FL_COUNT(names); i++) {
        if (strcmp(name, names[i]) != 0) continue;
        *out = (enum format)i;
        return true;
    }
    return false;
}

static void finish(struct get *get) {
    get->known = true;
    fl_client_stop(&get->client);
}

static void check_complete(struct get *get) {
    if (fl_map_count(&get->sets) >= get->wanted) finish(get);
}

/* A reason not to know. What a person must mend ends the wait; what may pass is waited for. */
static void on_trouble(void *arg, const struct fl_error *trouble) {
    struct get *get = arg;
    if (trouble->code == FL_OK) return;
    get->trouble = *trouble;
    enum fl_reaction reaction = fl_error_reaction(trouble->code);
    if (reaction == FL_REACT_FIX || reaction == FL_REACT_FATAL)
        fl_client_stop(&get->client);
    else
        fl_terminal_progress("waiting: %s", trouble->detail);
}

/* The names of all services. Where the whole cluster may not be read, those of the default
 * namespace are told instead: the first refusal is no end. */
static void on_names_trouble(void *arg, const struct fl_error *trouble) {
    struct get *get = arg;
    if (trouble->code != FL_EFORBIDDEN || get->refused) {
        on_trouble(get, trouble);
        return;
    }
    get->refused = true;
    get->trouble = *trouble;
    fl_terminal_clear_progress();
    fprintf(stderr, "fairlead: FORBIDDEN: %s; trying the default namespace alone\n",
            trouble->detail);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct get *get = arg;
    FL_UNUSED(previous);
    if (fl_set_state(set) == FL_SET_UNKNOWN) {
        if (trouble) on_trouble(get, trouble);
        return;
    }
    void *old = NULL;
    if (fl_map_set(&get->sets, fl_str_of(fl_set_service(set)), fl_set_ref(set), &old)) {
        fl_set_unref(set);
        fl_fail_nomem(&get->trouble);
        fl_client_stop(&get->client);
        return;
    }
    fl_set_unref(old);
    check_complete(get);
}

static void on_complete(void *arg, size_t count) {
    struct get *get = arg;
    get->wanted = count;
    check_complete(get);
}

static void on_timeout(struct fl_timer *timer) {
    struct get *get = FL_CONTAINER(timer, struct get, timeout);
    if (get->trouble.code == FL_OK)
        fl_fail(&get->trouble, FL_ETIMEOUT, "no answer in time; --timeout gives it longer");
    fl_client_stop(&get->client);
}

static int compare_services(const void *a, const void *b) {
    const struct fl_set *const *x = a, *const *y = b;
    return strcmp(fl_set_service(*x), fl_set_service(*y));
}

/* The sets by name; caller frees with fl_free. NULL on no memory. */
static struct fl_set **sorted_sets(const struct get *get) {
    size_t count = fl_map_count(&get->sets), cursor = 0, i = 0;
    struct fl_set **sets = fl_calloc(count + 1, sizeof(struct fl_set *));
    struct fl_str key;
    void *value;
    while (sets && fl_map_next(&get->sets, &cursor, &key, &value)) sets[i++] = value;
    if (sets) qsort(sets, count, sizeof(struct fl_set *), compare_services);
    return sets;
}

struct rows {
    struct fl_table table;
    const struct fl_set *set;
    bool all, wide;
    int rc;
};

/* One row: the service where several are shown, then the cells. */
static void add_cells(struct rows *rows, const char *service, const char *const *cells,
                      size_t count) {
    if (rows->all && !rows->rc) rows->rc = fl_table_cell(&rows->table, service);
    for (size_t i = 0; i < count && !rows->rc; i++)
        rows->rc = fl_table_cell(&rows->table, cells[i]);
}

static void add_endpoint(void *arg, const struct fl_endpoint *e) {
    struct rows *rows = arg;
    char port[8];
    snprintf(port, sizeof port, "%u", (unsigned)e->port);
    const char *narrow[] = {e->address, port, fl_render_condition(e), e->zone, e->pod};
    const char *wide[] = {e->address,   port,        fl_render_condition(e),
                          e->zone,      e->pod,      e->node,
                          e->port_name, e->protocol, e->app_protocol};
    add_cells(rows, fl_set_service(rows->set), rows->wide ? wide : narrow,
              rows->wide ? FL_COUNT(wide) : FL_COUNT(narrow));
}

static int print_table(struct fl_set *const *sets, size_t count, bool all, bool wide) {
    static const char *const heads[] = {"ADDRESS", "PORT", "CONDITION", "ZONE",        "POD",
                                        "NODE",    "NAME", "PROTOCOL",  "APP-PROTOCOL"};
    size_t columns = wide ? FL_COUNT(heads) : 5;
    struct rows rows = {.all = all, .wide = wide};
    fl_table_init(&rows.table, columns + all);
    add_cells(&rows, "SERVICE", heads, columns);
    for (size_t i = 0; i < count; i++) {
        rows.set = sets[i];
        const char *external = fl_set_external_name(sets[i]);
        const char *cells[FL_COUNT(heads)] = {external, "", "external name", "", "", "", "",
                                              "",       ""};
        if (external) add_cells(&rows, fl_set_service(sets[i]), cells, columns);
        fl_set_each(sets[i], add_endpoint, &rows);
    }
    if (rows.rc == FL_OK && rows.table.cell_count > columns + all)
        fl_table_print(&rows.table, stdout);
    fl_table_deinit(&rows.table);
    return rows.rc;
}

static bool print_value(json_t *value, enum format format) {
    bool ok = value != NULL;
    if (ok && format == FORMAT_YAML) ok = fl_yaml_print(value, stdout);
    if (ok && format == FORMAT_JSON)
        ok = json_dumpf(value, stdout, JSON_COMPACT) == 0 && puts("") >= 0;
    json_decref(value);
    return ok;
}

static json_t *render(struct fl_set *const *sets, size_t count, bool all) {
    if (!all) return fl_render_set(sets[0]);
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) json_array_append_new(list, fl_render_set(sets[i]));
    return list;
}

static void warn_truncated(const struct fl_set *set) {
    if (fl_set_is_truncated(set))
        fprintf(stderr,
                "fairlead: %s: the cluster cut this list at 1,000 addresses (core Endpoints)\n",
                fl_set_service(set));
}

/* What the state of one service means for the exit code, and for who reads the screen. */
static int answer(const struct fl_set *set) {
    switch (fl_set_state(set)) {
    case FL_SET_ABSENT:
        fprintf(stderr, "fairlead: ABSENT: service \"%s\" does not exist\n", fl_set_service(set));
        return FL_EXIT_ABSENT;
    case FL_SET_EMPTY:
        fprintf(stderr, "fairlead: EMPTY: service \"%s\" has no endpoint that may take calls\n",
                fl_set_service(set));
        return FL_EXIT_EMPTY;
    default:
        return FL_EXIT_OK;
    }
}

static int report(const struct get *get, bool all, enum format format) {
    struct fl_error err = {0};
    struct fl_set **sets = sorted_sets(get);
    size_t count = fl_map_count(&get->sets);
    bool ok = sets != NULL;
    fl_terminal_clear_progress();
    if (ok && format <= FORMAT_WIDE)
        ok = print_table(sets, count, all, format == FORMAT_WIDE) == FL_OK;
    else if (ok)
        ok = print_value(render(sets, count, all), format);
    int exit_code = FL_EXIT_OK;
    for (size_t i = 0; ok && i < count; i++) warn_truncated(sets[i]);
    if (!ok) {
        fl_fail_nomem(&err);
        exit_code = fl_command_fail(&err);
    } else if (!all) {
        exit_code = answer(sets[0]);
    }
    fl_free(sets);
    return exit_code;
}

static int open_get(struct get *get, const struct fl_client_options *options, const char *service,
                    uint64_t timeout_ms, struct fl_error *err) {
    static const struct fl_services_events events = {
        .on_set = on_set, .on_complete = on_complete, .on_trouble = on_names_trouble};
    int rc = fl_client_open(&get->client, options, err);
    if (rc) return rc;
    struct fl_io *io = get->client.runtime->io;
    if (fl_io_timer_init(io, &get->timeout, on_timeout)) return fl_fail_nomem(err);
    fl_io_timer_set(io, &get->timeout, fl_io_now_ms(io) + timeout_ms);
    return fl_services_open(&get->client, service, &events, get, &get->services, err);
}

static void close_get(struct get *get) {
    fl_services_close(get->services);
    if (get->client.runtime) {
        fl_io_timer_deinit(get->client.runtime->io, &get->timeout);
        fl_client_close(&get->client);
    }
    size_t cursor = 0;
    struct fl_str key;
    void *set;
    while (fl_map_next(&get->sets, &cursor, &key, &set)) fl_set_unref(set);
    fl_map_deinit(&get->sets);
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_client_options client = {0};
    const char *format_name = "table";
    uint64_t timeout_ms = 10000;
    bool all = false;
    const struct fl_option options[] = {
        FL_CLIENT_OPTIONS(client),
        {"all", 'A', FL_OPTION_FLAG, &all, NULL, "every service (with -n: of that namespace)"},
        {"output", 'o', FL_OPTION_TEXT, &format_name, "FORMAT", "table, wide, json or yaml"},
        {"timeout", 0, FL_OPTION_DURATION, &timeout_ms, "TIME", "how long to try (default 10s)"},
    };
    struct fl_args args = {.options = options, .option_count = FL_COUNT(options), .words_max = 1};
    struct fl_error err = {0};
    enum format format;
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    if (all == (args.words.count == 1)) {
        fl_fail(&err, FL_EUSAGE, "name one service, or give -A for all");
        return fl_command_fail(&err);
    }
    if (!parse_format(format_name, &format)) {
        fl_fail(&err, FL_EUSAGE, "-o %s: want table, wide, json or yaml", format_name);
        return fl_command_fail(&err);
    }
    struct get get = {.wanted = all ? SIZE_MAX : 1};
    fl_map_init(&get.sets, 0);
    int rc = open_get(&get, &client, all ? NULL : args.words.list[0], timeout_ms, &err);
    if (!rc) {
        fl_client_run(&get.client);
        if (!get.known && get.trouble.code == FL_OK)
            fl_fail(&get.trouble, FL_ECANCELLED, "interrupted before there was an answer");
    }
    exit_code = rc          ? fl_command_fail(&err)
                : get.known ? report(&get, all, format)
                            : fl_command_fail(&get.trouble);
    close_get(&get);
    return exit_code;
}

const struct fl_command fl_command_get = {
    "get", "SERVICE[:PORT] | -A [-n NS] [-o FORMAT] [--timeout TIME]",
    "The endpoints of a service, now",
    "SERVICE may be NAME, NS/NAME or a whole target such as kubernetes:///NS/NAME; PORT a\n"
    "name or number of the service's ports. Ports shown are the pods' own. Exit codes: 0\n"
    "an answer, 2 usage or a port that the service does not have, 3 absent, 4 empty\n"
    "(nothing may take calls), 5 could not find out.",
    run};
