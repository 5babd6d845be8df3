/* call.c - fairlead call: one gRPC call, or many. */
#include <errno.h>
#include <stdio.h>

#include "base/alloc.h"
#include "channel/channel.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/methods.h"
#include "cli/table.h"
#include "cli/tally.h"
#include "cli/terminal.h"

#define DATA_MAX ((size_t)4 * 1024 * 1024)

struct caller {
    struct fl_client client;
    struct fl_channel *channel;
    struct fl_load *load;
    const struct fl_method *method;
    struct fl_buf request;
    struct fl_tally tally;
    uint64_t repeat;
    json_t *response;        /* of a single call */
    struct fl_error failure; /* the first failed call, or why there were none */
    bool ended;
};

/* ---- the request's data ---- */

static int read_stream(FILE *file, struct fl_buf *out, const char *name, struct fl_error *err) {
    for (;;) {
        char *room = fl_buf_reserve(out, 4096);
        if (!room) return fl_fail(err, FL_EUSAGE, "-d %s: more than %zu bytes", name, out->max);
        size_t n = fread(room, 1, 4096, file);
        if (n == 0) break;
        fl_buf_commit(out, n);
    }
    return ferror(file) ? fl_fail(err, FL_EUSAGE, "-d %s: %s", name, strerror(errno)) : FL_OK;
}

/* JSON, @file or - into `out`. */
static int read_data(const char *data, struct fl_buf *out, struct fl_error *err) {
    if (strcmp(data, "-") == 0) return read_stream(stdin, out, data, err);
    if (*data != '@') return fl_buf_append(out, fl_str_of(data)) ? fl_fail_nomem(err) : FL_OK;
    FILE *file = fopen(data + 1, "r");
    if (!file) return fl_fail(err, FL_EUSAGE, "-d %s: %s", data, strerror(errno));
    int rc = read_stream(file, out, data, err);
    fclose(file);
    return rc;
}

static int encode_request(struct caller *caller, const char *data, struct fl_error *err) {
    struct fl_buf text;
    fl_buf_init(&text, DATA_MAX);
    fl_buf_init(&caller->request, DATA_MAX);
    int rc = read_data(data, &text, err);
    if (!rc) {
        json_error_t at;
        json_t *json = json_loadb(fl_buf_str(&text).p, text.len, JSON_REJECT_DUPLICATES, &at);
        if (!json_is_object(json))
            rc = fl_fail(err, FL_EUSAGE, "-d: not a JSON object: line %d: %s", at.line, at.text);
        else
            rc = caller->method->encode(json, &caller->request, err);
        json_decref(json);
    }
    fl_buf_deinit(&text);
    return rc;
}

/* ---- the calls ---- */

static void on_result(void *arg, const struct fl_call_result *result, uint64_t latency_us) {
    struct caller *caller = arg;
    fl_tally_add(&caller->tally, result, latency_us);
    if (result->status == FL_STATUS_OK && caller->repeat == 1)
        caller->method->decode(fl_str_n(result->response, result->response_len), &caller->response,
                               &caller->failure);
    if (result->status != FL_STATUS_OK && caller->failure.code == FL_OK)
        fl_fail(&caller->failure, result->why->code ? result->why->code : FL_ECLOSED, "%s: %s%s%s",
                fl_status_name(result->status), result->message, *result->peer ? " from " : "",
                result->peer);
    if (caller->repeat > 1 && caller->tally.calls % 1000 == 0)
        fl_terminal_progress("%llu of %llu calls", (unsigned long long)caller->tally.calls,
                             (unsigned long long)caller->repeat);
}

static void on_done(void *arg) {
    struct caller *caller = arg;
    caller->ended = true;
    fl_client_stop(&caller->client);
}

static void on_channel_closed(void *arg) {
    struct caller *caller = arg;
    caller->channel = NULL;
    fl_client_stop(&caller->client);
}

static int make_calls(struct caller *caller, const struct fl_client_options *options,
                      const char *target, struct fl_load_options *load, struct fl_error *err) {
    int rc = fl_client_open(&caller->client, options, err);
    if (!rc) fl_client_warn(&caller->client, target);
    if (!rc)
        rc = fl_channel_new(caller->client.runtime, caller->client.discovery, target, NULL,
                            &caller->channel, err);
    if (!rc) {
        load->request = fl_buf_str(&caller->request);
        rc = fl_load_start(caller->client.runtime->io, caller->channel, load, &caller->load, err);
    }
    if (rc) return rc;
    fl_client_run(&caller->client); /* until done, or a signal: then the running calls may end */
    if (caller->ended) return FL_OK;
    fl_load_stop(caller->load);
    fl_client_run(&caller->client); /* a second signal cancels them */
    return FL_OK;
}

static void close_caller(struct caller *caller) {
    if (caller->channel) fl_channel_close(caller->channel, on_channel_closed, caller);
    while (caller->channel || (caller->load && !caller->ended)) fl_client_run(&caller->client);
    fl_load_free(caller->load);
    if (caller->client.runtime) fl_client_close(&caller->client);
    fl_buf_deinit(&caller->request);
}

/* ---- what is shown ---- */

static int add_counts(struct fl_table *table, const char *prefix, json_t *counts) {
    const char *key;
    json_t *value;
    int rc = FL_OK;
    json_object_foreach (counts, key, value) {
        char name[320], text[32];
        snprintf(name, sizeof name, "%s%s", prefix, key);
        snprintf(text, sizeof text, "%lld", (long long)json_integer_value(value));
        const char *cells[] = {name, text};
        if (!rc) rc = fl_table_row(table, cells);
    }
    return rc;
}

static void print_summary(json_t *summary) {
    static const char *const head[] = {"CALLS", "COUNT"};
    struct fl_table table;
    fl_table_init(&table, 2);
    int rc = fl_table_row(&table, head);
    if (!rc) rc = add_counts(&table, "", json_object_get(summary, "byStatus"));
    if (!rc) rc = add_counts(&table, "at ", json_object_get(summary, "byPeer"));
    if (!rc) rc = add_counts(&table, "latency ", json_object_get(summary, "latency"));
    if (!rc) fl_table_print(&table, stdout);
    fl_table_deinit(&table);
}

static int report(struct caller *caller, bool json) {
    fl_terminal_clear_progress();
    json_t *out =
        caller->repeat == 1 ? json_incref(caller->response) : fl_tally_json(&caller->tally);
    if (out && (json || caller->repeat == 1)) {
        json_dumpf(out, stdout, json ? JSON_COMPACT : JSON_INDENT(2));
        putchar('\n');
    } else if (out) {
        print_summary(out);
    }
    json_decref(out);
    if (caller->failure.code == FL_OK) return FL_EXIT_OK;
    int exit_code = fl_command_fail(&caller->failure);
    return exit_code == FL_EXIT_UNKNOWN ? FL_EXIT_FAILED : exit_code;
}

static int call(struct caller *caller, const struct fl_client_options *options, const char *target,
                struct fl_load_options *load, bool json) {
    struct fl_error err = {0};
    int rc = fl_tally_init(&caller->tally) ? fl_fail_nomem(&err)
                                           : make_calls(caller, options, target, load, &err);
    close_caller(caller); /* a call still running ends CANCELLED and is tallied */
    int exit_code = rc ? fl_command_fail(&err) : report(caller, json);
    fl_tally_deinit(&caller->tally);
    json_decref(caller->response);
    return exit_code;
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct fl_client_options client = {0};
    const char *data = "{}", *format = "text";
    uint64_t repeat = 1, concurrency = 1, timeout_ms = 10000;
    const struct fl_option options[] = {
        {"data", 'd', FL_OPTION_TEXT, &data, "JSON|@FILE|-", "the request (default {})"},
        {"repeat", 0, FL_OPTION_NUMBER, &repeat, "N", "so many calls (default 1), then a summary"},
        {"concurrency", 0, FL_OPTION_NUMBER, &concurrency, "M", "so many at a time (default 1)"},
        {"timeout", 0, FL_OPTION_DURATION, &timeout_ms, "TIME", "of each call (default 10s)"},
        {"output", 'o', FL_OPTION_TEXT, &format, "FORMAT", "text or json (one line)"},
        {"kubeconfig", 0, FL_OPTION_TEXT, &client.kubeconfig, "FILE",
         "configuration (default: $KUBECONFIG, in-cluster, ~/.kube/config)"},
        {"context", 0, FL_OPTION_TEXT, &client.context, "NAME", "context of that configuration"},
    };
    struct fl_args args = {
        .options = options, .option_count = FL_COUNT(options), .words_min = 2, .words_max = 2};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    struct caller caller = {.repeat = repeat, .method = fl_method_find(args.words.list[1], &err)};
    if (!err.code && (repeat == 0 || concurrency == 0 || concurrency > 10000))
        fl_fail(&err, FL_EUSAGE, "--repeat wants 1 or more, --concurrency 1 to 10000");
    if (!err.code && strcmp(format, "text") != 0 && strcmp(format, "json") != 0)
        fl_fail(&err, FL_EUSAGE, "-o %s: want text or json", format);
    if (!err.code && encode_request(&caller, data, &err)) fl_buf_deinit(&caller.request);
    if (err.code) return fl_command_fail(&err);
    struct fl_load_options load = {
        .method = caller.method->path,
        .repeat = repeat,
        .concurrency = (unsigned)FL_MIN(repeat, concurrency),
        .timeout_ms = (uint32_t)FL_MIN(timeout_ms, UINT32_MAX),
        .on_result = on_result,
        .on_done = on_done,
        .arg = &caller,
    };
    return call(&caller, &client, args.words.list[0], &load, strcmp(format, "json") == 0);
}

const struct fl_command fl_command_call = {
    "call", "TARGET SERVICE/METHOD [-d JSON|@FILE|-] [--repeat N --concurrency M]",
    "A gRPC call, or many, to the endpoints that are alive now",
    "TARGET: kubernetes:///[NS/]SERVICE[:PORT], static:A:1,B:2 or HOST:PORT. Methods:\n"
    "grpc.examples.echo.Echo/UnaryEcho {\"message\"} and grpc.health.v1.Health/Check\n"
    "{\"service\"}. Exit codes: 0 every call was OK, 1 a call failed, 2 usage, 3 absent, 4\n"
    "empty, 5 not started.",
    run};
