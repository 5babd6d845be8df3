/* conns.c - fairlead conns: the channels of a running program, and whether they agree with the API
 * server's slices.
 *
 * The program tells through its admin endpoint (/conns). To compare, each channel's service is
 * subscribed to here and its set laid beside the program's subchannels. News takes a moment to
 * arrive, so a difference counts only if it is still there a second later. */
#include <stdio.h>

#include "base/escape.h"
#include "cli/command.h"
#include "cli/fetch.h"
#include "cli/render.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "discovery/set.h"

#define DOCUMENT_MAX ((size_t)16 * 1024 * 1024)
#define KNOWN_MS     10000
#define SETTLE_MS    1000
#define TRIES        2
#define PEER_MAX     280 /* address, brackets, port */
#define TEXT_MAX     1024

struct conns {
    struct fl_client client;
    struct fl_timer timer;
    const char *address;
    json_t *document; /* {"channels": […]} (+ "diff" in each) */
    struct fl_set *set;
    struct fl_error trouble; /* why a set is not known */
    size_t differences;
};

/* ---- asking ---- */

static int read_document(struct conns *conns, struct fl_error *err) {
    struct fl_buf text;
    json_error_t wrong;
    fl_buf_init(&text, DOCUMENT_MAX);
    int rc = fl_fetch(&conns->client, conns->address, "/conns", &text, err);
    if (!rc) {
        json_decref(conns->document);
        conns->document = json_loadb(fl_buf_str(&text).p, text.len, 0, &wrong);
        if (!json_is_array(json_object_get(conns->document, "channels")))
            rc = fl_fail(err, FL_EPROTO, "http://%s/conns: not what Fairlead tells of channels",
                         conns->address);
    }
    fl_buf_deinit(&text);
    return rc;
}

static void on_timer(struct fl_timer *timer) {
    fl_client_stop(&FL_CONTAINER(timer, struct conns, timer)->client);
}

static void run_for(struct conns *conns, uint32_t ms) {
    struct fl_io *io = conns->client.runtime->io;
    fl_io_timer_set(io, &conns->timer, fl_io_now_ms(io) + ms);
    fl_client_run(&conns->client);
    fl_io_timer_clear(io, &conns->timer);
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct conns *conns = arg;
    FL_UNUSED(previous);
    if (trouble) conns->trouble = *trouble;
    bool hopeless = trouble && fl_error_reaction(trouble->code) == FL_REACT_FIX;
    if (fl_set_state(set) == FL_SET_UNKNOWN && !hopeless) return;
    fl_set_unref(conns->set);
    conns->set = fl_set_ref(set);
    fl_client_stop(&conns->client);
}

static void on_subscription_closed(void *arg) {
    struct fl_subscription **subscription = ((void **)arg)[1];
    *subscription = NULL;
    fl_client_stop(((void **)arg)[0]);
}

/* The API server's set into conns->set. */
static int read_set(struct conns *conns, const char *target, struct fl_error *err) {
    struct fl_subscription *subscription;
    fl_fail(&conns->trouble, FL_ETIMEOUT, "no answer in time");
    conns->set = fl_set_unref(conns->set);
    int rc = fl_discovery_subscribe(conns->client.discovery, conns->client.runtime, target, on_set,
                                    conns, &subscription, err);
    if (rc) return rc;
    run_for(conns, KNOWN_MS);
    void *closing[] = {&conns->client, &subscription};
    fl_subscription_close(subscription, on_subscription_closed, closing);
    while (subscription) fl_client_run(&conns->client);
    if (conns->set && fl_set_state(conns->set) != FL_SET_UNKNOWN) return FL_OK;
    *err = conns->trouble;
    return fl_error_prefix(err, "%s", target);
}

/* ---- comparing ---- */

struct comparison {
    json_t *left;   /* by peer, the subchannels that no endpoint was found for yet */
    json_t *result; /* [{"peer","what","slices","program"}] */
};

static const char *condition_of(const json_t *subchannel) {
    const struct fl_endpoint endpoint = {
        .ready = json_is_true(json_object_get(subchannel, "ready")),
        .serving = json_is_true(json_object_get(subchannel, "serving")),
        .terminating = json_is_true(json_object_get(subchannel, "terminating"))};
    return fl_render_condition(&endpoint);
}

static void add_difference(struct comparison *c, const char *peer, const char *what,
                           const char *slices, const char *program) {
    json_array_append_new(c->result, json_pack("{s:s, s:s, s:s?, s:s?}", "peer", peer, "what", what,
                                               "slices", slices, "program", program));
}

static void compare_endpoint(void *arg, const struct fl_endpoint *endpoint) {
    struct comparison *c = arg;
    char peer[PEER_MAX];
    if (strcmp(endpoint->protocol, "TCP") != 0) return;
    bool v6 = strchr(endpoint->address, ':') != NULL;
    snprintf(peer, sizeof peer, v6 ? "[%s]:%u" : "%s:%u", endpoint->address,
             (unsigned)endpoint->port);
    json_t *subchannel = json_object_get(c->left, peer);
    const char *slices = fl_render_condition(endpoint);
    if (!subchannel) {
        add_difference(c, peer, "missing", slices, NULL);
        return;
    }
    const char *program = condition_of(subchannel);
    if (strcmp(slices, program) != 0) add_difference(c, peer, "differs", slices, program);
    json_object_del(c->left, peer);
}

static json_t *compare(const json_t *channel, const struct fl_set *set) {
    struct comparison c = {json_object(), json_array()};
    json_t *subchannel;
    const char *peer;
    size_t i;
    json_array_foreach (json_object_get(channel, "subchannels"), i, subchannel)
        json_object_set(c.left, json_string_value(json_object_get(subchannel, "peer")), subchannel);
    fl_set_each(set, compare_endpoint, &c);
    json_object_foreach (c.left, peer, subchannel)
        add_difference(&c, peer, "gone", NULL, condition_of(subchannel));
    json_decref(c.left);
    return c.result;
}

/* The target with the namespace that the program found, which its own configuration may have said;
 * "": it is not the API server's to know. */
static void target_of(const json_t *channel, char *out, size_t size) {
    const char *target = json_string_value(json_object_get(channel, "target"));
    const char *service =
        json_string_value(json_object_get(json_object_get(channel, "set"), "service"));
    *out = '\0';
    if (!target || !fl_str_starts(fl_str_of(target), FL_STR("kubernetes:"))) return;
    const char *port = strchr(target + sizeof("kubernetes:") - 1, ':');
    if (service)
        snprintf(out, size, "kubernetes:///%s%s", service, port ? port : "");
    else
        snprintf(out, size, "%s", target);
}

/* As the channel sees it. Without such a port the channel has no endpoints, and that shows. */
static void select_port(const json_t *channel, struct fl_set **set) {
    const json_t *excluded = json_object_get(json_object_get(channel, "set"), "excluded_port");
    struct fl_set *view;
    if (!excluded ||
        fl_set_select_first(*set, (uint16_t)json_integer_value(excluded), NULL, &view, NULL) != 0)
        return;
    fl_set_unref(*set);
    *set = view;
}

static int compare_all(struct conns *conns, struct fl_error *err) {
    json_t *channel;
    size_t i;
    conns->differences = 0;
    json_array_foreach (json_object_get(conns->document, "channels"), i, channel) {
        char target[1024];
        target_of(channel, target, sizeof target);
        if (!*target) continue;
        int rc = read_set(conns, target, err);
        if (rc) return rc;
        select_port(channel, &conns->set);
        json_t *differences = compare(channel, conns->set);
        conns->differences += json_array_size(differences);
        json_object_set_new(channel, "diff", differences);
    }
    return FL_OK;
}

static int ask(struct conns *conns, bool diff, struct fl_error *err) {
    int rc = read_document(conns, err);
    for (int i = 0; !rc && diff && i < TRIES; i++) {
        if (i) run_for(conns, SETTLE_MS);
        if (i) rc = read_document(conns, err);
        if (!rc) rc = compare_all(conns, err);
        if (!conns->differences) break;
    }
    return rc;
}

/* ---- showing ---- */

/* What another program said goes to a terminal, which nothing in it may steer. */
static void escape_all(json_t *value) {
    const char *key;
    json_t *item;
    size_t i;
    if (json_is_string(value)) {
        char text[TEXT_MAX];
        struct fl_str raw = fl_str_n(json_string_value(value), json_string_length(value));
        json_string_setn(value, text, fl_escape(text, sizeof text, raw, FL_ESCAPE_LINE));
    }
    json_array_foreach (value, i, item) escape_all(item);
    json_object_foreach (value, key, item) escape_all(item);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number_of(const json_t *object, const char *key) {
    return (long long)json_integer_value(json_object_get(object, key));
}

/* Why a subchannel is in its state; "" where there is nothing to explain. */
static void why_of(const json_t *channel, const json_t *subchannel, char *out, size_t size) {
    const char *state = text_of(subchannel, "state"), *cause = text_of(subchannel, "cause");
    bool retries = json_object_get(subchannel, "retry_ms") != NULL;
    *out = '\0';
    if (json_is_true(json_object_get(subchannel, "ejected")))
        snprintf(out, size, "ejected: it fails more than the others");
    else if (*cause && retries)
        snprintf(out, size, "%s: %s; again in %.1f s", cause, text_of(subchannel, "detail"),
                 (double)number_of(subchannel, "retry_ms") / 1000);
    else if (*cause)
        snprintf(out, size, "%s: %s", cause, text_of(subchannel, "detail"));
    else if (strcmp(state, "IDLE") != 0)
        return;
    else if (strcmp(text_of(channel, "state"), "IDLE") == 0)
        snprintf(out, size, "the channel has no calls");
    else if (!json_is_true(json_object_get(subchannel, "wanted")))
        snprintf(out, size, "not among those wanted");
}

static int add_row(struct fl_table *table, const json_t *channel, const json_t *subchannel) {
    char connections[24], calls[24], why[FL_ERROR_DETAIL_MAX + 64];
    json_t *connection, *list = json_object_get(subchannel, "connections");
    long long sum = 0;
    size_t i;
    json_array_foreach (list, i, connection) sum += number_of(connection, "calls");
    snprintf(connections, sizeof connections, "%zu", json_array_size(list));
    snprintf(calls, sizeof calls, "%lld", sum);
    why_of(channel, subchannel, why, sizeof why);
    const char *cells[] = {text_of(subchannel, "peer"),
                           text_of(subchannel, "state"),
                           condition_of(subchannel),
                           connections,
                           calls,
                           text_of(subchannel, "pod"),
                           why};
    return fl_table_row(table, cells);
}

static int add_leaving(struct fl_table *table, const json_t *leaving) {
    char calls[24];
    snprintf(calls, sizeof calls, "%lld", number_of(leaving, "calls"));
    const char *cells[] = {text_of(leaving, "peer"), "SHUTDOWN", "gone", "1", calls, "",
                           "its last calls end"};
    return fl_table_row(table, cells);
}

static void print_differences(const json_t *channel) {
    json_t *difference, *list = json_object_get(channel, "diff");
    size_t i;
    if (list && json_array_size(list) == 0) puts("the same as in the API server's slices");
    json_array_foreach (list, i, difference) {
        const char *what = text_of(difference, "what"), *peer = text_of(difference, "peer");
        const char *slices = text_of(difference, "slices");
        if (strcmp(what, "missing") == 0)
            printf("%s+%s %s  %s in the slices, unknown to the program\n",
                   fl_colour(stdout, FL_GREEN), fl_colour(stdout, FL_PLAIN), peer, slices);
        else if (strcmp(what, "gone") == 0)
            printf("%s-%s %s  gone from the slices, still in the program\n",
                   fl_colour(stdout, FL_RED), fl_colour(stdout, FL_PLAIN), peer);
        else
            printf("%s~%s %s  %s in the slices, %s in the program\n", fl_colour(stdout, FL_YELLOW),
                   fl_colour(stdout, FL_PLAIN), peer, slices, text_of(difference, "program"));
    }
}

static void print_cause(const json_t *object) {
    if (*text_of(object, "cause"))
        printf("  %s: %s\n", text_of(object, "cause"), text_of(object, "detail"));
}

static int print_channel(const json_t *channel) {
    static const char *const head[] = {"ENDPOINT", "STATE", "CONDITION", "CONNECTIONS",
                                       "CALLS",    "POD",   "WHY"};
    const json_t *set = json_object_get(channel, "set");
    json_t *item;
    size_t i;
    struct fl_table table;
    fl_table_init(&table, FL_COUNT(head));
    int rc = fl_table_row(&table, head);
    json_array_foreach (json_object_get(channel, "subchannels"), i, item)
        if (!rc) rc = add_row(&table, channel, item);
    json_array_foreach (json_object_get(channel, "leaving"), i, item)
        if (!rc) rc = add_leaving(&table, item);
    printf("%s  %s  %lld calls, %lld waiting  endpoints: %s", text_of(channel, "target"),
           text_of(channel, "state"), number_of(channel, "calls"), number_of(channel, "waiting"),
           text_of(set, "state"));
    if (number_of(set, "stale_ms"))
        printf(", stale for %lld s", (number_of(set, "stale_ms") + 999) / 1000);
    putchar('\n');
    print_cause(channel);
    print_cause(set);
    if (!rc && table.cell_count > FL_COUNT(head)) fl_table_print(&table, stdout);
    fl_table_deinit(&table);
    print_differences(channel);
    return rc;
}

static int show(const struct conns *conns, bool json) {
    json_t *channel, *channels = json_object_get(conns->document, "channels");
    size_t i;
    if (json) {
        json_dumpf(conns->document, stdout, JSON_COMPACT);
        putchar('\n');
        return FL_OK;
    }
    escape_all(channels);
    if (json_array_size(channels) == 0) puts("no channels");
    int rc = FL_OK;
    json_array_foreach (channels, i, channel) {
        if (i) putchar('\n');
        if (!rc) rc = print_channel(channel);
    }
    return rc;
}

/* ---- life ---- */

static int conns_of(const struct fl_client_options *options, const char *address, bool diff,
                    bool json) {
    struct conns conns = {.address = address};
    struct fl_error err = {0};
    int rc = fl_client_open(&conns.client, options, &err);
    if (!rc && fl_io_timer_init(conns.client.runtime->io, &conns.timer, on_timer))
        rc = fl_fail_nomem(&err);
    if (!rc) rc = ask(&conns, diff, &err);
    if (!rc && show(&conns, json)) rc = fl_fail_nomem(&err);
    json_decref(conns.document);
    fl_set_unref(conns.set);
    if (conns.client.runtime) {
        fl_io_timer_deinit(conns.client.runtime->io, &conns.timer);
        fl_client_close(&conns.client);
    }
    if (rc) return fl_command_fail(&err);
    return conns.differences ? FL_EXIT_FAILED : FL_EXIT_OK;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_client_options client = {0};
    const char *format = "text";
    bool diff = false;
    const struct fl_option options[] = {
        {"diff", 0, FL_OPTION_FLAG, &diff, NULL, "compares with the API server's slices"},
        {"output", 'o', FL_OPTION_TEXT, &format, "FORMAT", "text or json (one line)"},
        {"kubeconfig", 0, FL_OPTION_TEXT, &client.kubeconfig, "FILE",
         "configuration for --diff (default: $KUBECONFIG, in-cluster, ~/.kube/config)"},
        {"context", 0, FL_OPTION_TEXT, &client.context, "NAME", "context of that configuration"},
    };
    static const char *const words[] = {"ADDR"};
    struct fl_args args = {.options = options,
                           .option_count = FL_COUNT(options),
                           .words_min = 1,
                           .words_max = 1,
                           .words_named = words};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    bool json = strcmp(format, "json") == 0;
    if (!json && strcmp(format, "text") != 0) {
        fl_fail(&err, FL_EUSAGE, "-o %s: want text or json", format);
        return fl_command_fail(&err);
    }
    return conns_of(&client, args.words.list[0], diff, json);
}

const struct fl_command fl_command_conns = {
    "conns", "[--diff] ADDR", "The connections of a running program, and why they are as they are",
    "ADDR is [HOST:]PORT of the program's admin endpoint, which it opens by fl_admin_new, and\n"
    "fairlead call and watch by --metrics. Shown are each channel, its endpoints, their\n"
    "connectivity states and why, and connections that are leaving.\n\n"
    "With --diff the endpoints are compared with the API server's slices: + is in the slices\n"
    "and unknown to the program, - is gone from the slices and still in the program, ~ has\n"
    "another condition. What is the same a second later is no difference. Exit code 1 if\n"
    "there are differences, 5 if nobody answers.",
    run};
