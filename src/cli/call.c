/* call.c - fairlead call: one gRPC call of any method, or many.
 *
 *     descriptors: own, of a file ─────────────┐
 *     or the server's (reflect.c), over the ───┴─> method ─> -d as messages ─> calls (load.c)
 *     channel that the calls use
 *
 * What can be found wrong without the server is, before anything is connected. */
#include <inttypes.h>
#include <stdio.h>

#include "base/alloc.h"
#include "channel/channel.h"
#include "cli/client.h"
#include "cli/command.h"
#include "cli/load.h"
#include "cli/metadata_args.h"
#include "cli/reflect.h"
#include "cli/request_data.h"
#include "cli/table.h"
#include "cli/tally.h"
#include "cli/terminal.h"
#include "server/reflection.h"

#define SET_MAX         ((size_t)64 * 1024 * 1024)
#define MESSAGES_MAX    ((size_t)256 * 1024 * 1024)
#define CONCURRENCY_MAX 10000
#define TIMEOUT_MS      10000
#define NOT_GIVEN       UINT64_MAX

/* What the command line says. */
struct wish {
    struct fl_client_options client;
    const char *target, *method, *data, *proto_set, *format, *metrics;
    struct fl_words headers;
    struct fl_channel_tls tls;
    bool plaintext, with_tls;
    bool reflect, json;
    uint64_t repeat, concurrency, timeout_ms; /* timeout_ms: NOT_GIVEN, or 0: none */
};

struct caller {
    const struct wish *wish;
    struct fl_client client;
    struct fl_channel *channel;
    struct fl_schema *schema;
    const struct fl_rpc *rpc; /* NULL: the server is to be asked */
    struct fl_reflect *reflect;
    char *service;
    struct fl_metadata_args metadata;
    struct fl_request_data data;
    struct fl_buf encoded;
    struct fl_str *messages; /* in encoded */
    struct fl_load *load;
    struct fl_tally tally;
    struct fl_error failure; /* the first failed call, or why there were none */
    bool reflected, ended;
    bool by_server; /* the failure is the server's own status, for which there is no cause */
    bool cut;       /* streams were cancelled at the user's wish, which is no failure */
};

/* ---- the method ---- */

#define HOW_TO_MAKE_ONE "protoc --include_imports --descriptor_set_out=FILE makes one"

static int add_set(struct caller *caller, struct fl_str set, struct fl_error *err) {
    struct fl_buf missing;
    if (fl_schema_add_set(caller->schema, set, err))
        return fl_fail(err, FL_EUSAGE, "%s; " HOW_TO_MAKE_ONE, err->detail);
    fl_buf_init(&missing, FL_ERROR_DETAIL_MAX);
    if (fl_schema_missing_import(caller->schema, &missing))
        fl_fail(err, FL_EUSAGE, "%.*s is imported and not there; " HOW_TO_MAKE_ONE,
                FL_STR_ARG(fl_buf_str(&missing)));
    fl_buf_deinit(&missing);
    return err->code;
}

static int read_set(struct caller *caller, const char *path, struct fl_error *err) {
    struct fl_buf set;
    fl_buf_init(&set, SET_MAX);
    int rc = fl_read_file(path, &set, err);
    if (rc)
        fl_error_prefix(err, "--proto-set");
    else if (add_set(caller, fl_buf_str(&set), err))
        rc = fl_error_prefix(err, "--proto-set %s", path);
    fl_buf_deinit(&set);
    return rc;
}

/* From the file that was given, or among what this command knows itself; else it stays NULL. */
static int find_method(struct caller *caller, struct fl_error *err) {
    const struct wish *wish = caller->wish;
    struct fl_str service, method;
    bool whole =
        fl_str_split(fl_str_of(wish->method + (*wish->method == '/')), '/', &service, &method);
    if (!whole) return fl_fail(err, FL_EUSAGE, "\"%s\": want SERVICE/METHOD", wish->method);
    caller->service = fl_str_dup(service);
    if (!caller->service || fl_schema_new(&caller->schema)) return fl_fail_nomem(err);
    if (wish->reflect) return FL_OK;
    struct fl_str own = fl_str_n(fl_descriptors_server, fl_descriptors_server_len);
    int rc = wish->proto_set ? read_set(caller, wish->proto_set, err)
                             : fl_schema_add_set(caller->schema, own, err);
    if (!rc && (wish->proto_set || fl_schema_has_service(caller->schema, caller->service)))
        rc = fl_schema_rpc(caller->schema, wish->method, &caller->rpc, err);
    return rc;
}

static void on_reflected(void *arg, const struct fl_error *why) {
    struct caller *caller = arg;
    caller->failure = *why;
    caller->reflected = true;
    fl_client_stop(&caller->client);
}

static uint32_t timeout_of(const struct caller *caller, bool streaming) {
    uint64_t ms = caller->wish->timeout_ms;
    if (ms == NOT_GIVEN) return streaming ? 0 : TIMEOUT_MS;
    return (uint32_t)FL_MIN(ms, UINT32_MAX);
}

static int ask_server(struct caller *caller, struct fl_error *err) {
    const struct fl_reflect_options options = {
        .channel = caller->channel,
        .schema = caller->schema,
        .service = caller->service,
        .metadata = {caller->metadata.list, caller->metadata.count},
        .timeout_ms = timeout_of(caller, false),
        .on_done = on_reflected,
        .arg = caller,
    };
    int rc = fl_reflect_start(&options, &caller->reflect, err);
    if (rc) return rc;
    fl_client_run(&caller->client);
    if (!caller->reflected) return fl_fail(err, FL_ECANCELLED, "interrupted");
    if (caller->failure.code) {
        *err = caller->failure;
        return err->code;
    }
    return fl_schema_rpc(caller->schema, caller->wish->method, &caller->rpc, err);
}

/* ---- the request ---- */

static int encode_all(struct caller *caller, struct fl_error *err) {
    const struct fl_request_data *data = &caller->data;
    caller->messages = fl_calloc(data->count + 1, sizeof(struct fl_str));
    if (!caller->messages) return fl_fail_nomem(err);
    for (size_t i = 0; i < data->count; i++) {
        size_t before = caller->encoded.len;
        if (fl_rpc_encode(caller->rpc, data->values[i], &caller->encoded, err)) {
            char place[48];
            fl_request_data_place(data, i, place);
            return fl_error_prefix(err, "-d, %s", place);
        }
        caller->messages[i].n = caller->encoded.len - before;
    }
    const char *at = fl_buf_str(&caller->encoded).p;
    for (size_t i = 0; i < data->count; at += caller->messages[i++].n) caller->messages[i].p = at;
    return FL_OK;
}

static int encode_request(struct caller *caller, struct fl_error *err) {
    if (!caller->rpc->client_streams && caller->data.count != 1)
        return fl_fail(err, FL_EUSAGE, "-d: %s takes one message, not %zu", caller->rpc->path + 1,
                       caller->data.count);
    return encode_all(caller, err);
}

/* ---- the calls ---- */

static void on_message(void *arg, struct fl_str message) {
    struct caller *caller = arg;
    const struct wish *wish = caller->wish;
    bool stream = caller->rpc->server_streams;
    struct fl_buf json;
    caller->tally.messages++;
    if (wish->repeat != 1 || caller->failure.code) return;
    fl_buf_init(&json, MESSAGES_MAX);
    if (fl_rpc_decode(caller->rpc, message, !stream && !wish->json, &json, &caller->failure) == 0)
        printf("%.*s\n", FL_STR_ARG(fl_buf_str(&json)));
    if (stream && fflush(stdout) != 0)
        fl_fail(&caller->failure, FL_ESYS, "standard output cannot be written");
    if (caller->failure.code) fl_client_stop(&caller->client);
    fl_buf_deinit(&json);
}

static void on_result(void *arg, const struct fl_call_result *result, uint64_t latency_us) {
    struct caller *caller = arg;
    fl_tally_add(&caller->tally, result, latency_us);
    bool wanted = caller->cut && result->status == FL_STATUS_CANCELLED;
    if (result->status != FL_STATUS_OK && !wanted && caller->failure.code == FL_OK) {
        caller->by_server = result->why->code == FL_OK;
        fl_fail(&caller->failure, caller->by_server ? FL_ECLOSED : result->why->code, "%s: %s%s%s",
                fl_status_name(result->status), result->message, *result->peer ? " from " : "",
                result->peer);
    }
    if (caller->wish->repeat > 1 && caller->tally.calls % 1000 == 0)
        fl_terminal_progress("%" PRIu64 " of %" PRIu64 " calls", caller->tally.calls,
                             caller->wish->repeat);
}

static void on_done(void *arg) {
    struct caller *caller = arg;
    caller->ended = true;
    fl_client_stop(&caller->client);
}

static int make_calls(struct caller *caller, struct fl_error *err) {
    const struct wish *wish = caller->wish;
    bool streaming = caller->rpc->client_streams || caller->rpc->server_streams;
    const struct fl_load_options options = {
        .method = caller->rpc->path,
        .streaming = streaming,
        .request = caller->messages[0],
        .messages = caller->messages,
        .message_count = caller->data.count,
        .metadata = {caller->metadata.list, caller->metadata.count},
        .repeat = wish->repeat,
        .concurrency = (unsigned)FL_MIN(wish->repeat, wish->concurrency),
        .timeout_ms = timeout_of(caller, streaming),
        .on_message = on_message,
        .on_result = on_result,
        .on_done = on_done,
        .arg = caller,
    };
    struct fl_io *io = caller->client.runtime->io;
    int rc = fl_load_start(io, caller->channel, &options, &caller->load, err);
    if (rc) return rc;
    uint64_t started_us = fl_io_now_us(io);
    fl_client_run(&caller->client); /* until done, or a signal: then the running calls may end */
    caller->tally.elapsed_us = fl_io_now_us(io) - started_us;
    if (caller->ended) return FL_OK;
    fl_load_stop(caller->load);
    caller->cut = streaming;
    if (!streaming) fl_client_run(&caller->client); /* a second signal cancels them */
    return FL_OK;
}

/* ---- the whole ---- */

static int prepare(struct caller *caller, struct fl_error *err) {
    const struct wish *wish = caller->wish;
    fl_buf_init(&caller->encoded, MESSAGES_MAX);
    int rc = fl_tally_init(&caller->tally) ? fl_fail_nomem(err) : FL_OK;
    if (!rc) rc = fl_metadata_args_read(&wish->headers, &caller->metadata, err);
    if (!rc) rc = find_method(caller, err);
    if (!rc) rc = fl_request_data_read(wish->data, &caller->data, err);
    if (!rc && caller->rpc) rc = encode_request(caller, err);
    return rc;
}

static int connect_and_call(struct caller *caller, struct fl_error *err) {
    const struct wish *wish = caller->wish;
    int rc = fl_client_open(&caller->client, &wish->client, err);
    if (rc) return rc;
    fl_client_warn(&caller->client, wish->target);
    rc = fl_client_show(&caller->client, wish->metrics, err);
    if (rc) return rc;
    const struct fl_channel_options options = {.tls = wish->with_tls ? &wish->tls : NULL};
    rc = fl_channel_new(caller->client.runtime, caller->client.discovery, wish->target, &options,
                        &caller->channel, err);
    if (!rc && !caller->rpc) {
        rc = ask_server(caller, err);
        if (!rc) rc = encode_request(caller, err);
    }
    return rc ? rc : make_calls(caller, err);
}

static void on_channel_closed(void *arg) {
    struct caller *caller = arg;
    caller->channel = NULL;
    fl_client_stop(&caller->client);
}

/* A call still running ends CANCELLED and is tallied. */
static void disconnect(struct caller *caller) {
    if (caller->channel) fl_channel_close(caller->channel, on_channel_closed, caller);
    while (caller->channel || (caller->load && !caller->ended)) fl_client_run(&caller->client);
    fl_load_free(caller->load);
    fl_reflect_free(caller->reflect);
    if (caller->client.runtime) fl_client_close(&caller->client);
}

static void forget(struct caller *caller) {
    fl_tally_deinit(&caller->tally);
    fl_metadata_args_deinit(&caller->metadata);
    fl_request_data_deinit(&caller->data);
    fl_schema_free(caller->schema);
    fl_buf_deinit(&caller->encoded);
    fl_free(caller->messages);
    fl_free(caller->service);
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
    if (!rc) rc = add_counts(&table, "", json_object_get(summary, "pace"));
    if (!rc) fl_table_print(&table, stdout);
    fl_table_deinit(&table);
}

static int report(struct caller *caller) {
    fl_terminal_clear_progress();
    json_t *summary = caller->wish->repeat == 1 ? NULL : fl_tally_json(&caller->tally);
    if (summary && caller->wish->json) {
        json_dumpf(summary, stdout, JSON_COMPACT);
        putchar('\n');
    } else if (summary) {
        print_summary(summary);
    }
    json_decref(summary);
    if (caller->failure.code == FL_OK) return FL_EXIT_OK;
    if (caller->by_server) {
        fflush(stdout); /* as fl_command_fail does */
        fprintf(stderr, "fairlead: %s\n", caller->failure.detail);
        return FL_EXIT_FAILED;
    }
    int exit_code = fl_command_fail(&caller->failure);
    return exit_code == FL_EXIT_UNKNOWN && !ferror(stdout) ? FL_EXIT_FAILED : exit_code;
}

static int call(const struct wish *wish) {
    struct caller caller = {.wish = wish};
    struct fl_error err = {0};
    int rc = prepare(&caller, &err);
    if (!rc) rc = connect_and_call(&caller, &err);
    disconnect(&caller);
    int exit_code = rc ? fl_command_fail(&err) : report(&caller);
    forget(&caller);
    return exit_code;
}

static int check_tls(struct wish *wish, struct fl_error *err) {
    const struct fl_channel_tls *tls = &wish->tls;
    wish->with_tls |= tls->ca_file || tls->cert_file || tls->key_file || tls->server_name ||
                      tls->insecure_skip_verify;
    if (wish->plaintext && wish->with_tls)
        return fl_fail(err, FL_EUSAGE, "--plaintext or an option of TLS, not both");
    if (!tls->cert_file != !tls->key_file)
        return fl_fail(err, FL_EUSAGE, "--cert and --key go together");
    if (tls->insecure_skip_verify)
        fprintf(stderr, "fairlead: warning: --insecure-skip-verify: anybody on the way can pose as "
                        "the server\n");
    return FL_OK;
}

static int check(struct wish *wish, struct fl_error *err) {
    wish->json = strcmp(wish->format, "json") == 0;
    if (wish->repeat == 0 || wish->concurrency == 0 || wish->concurrency > CONCURRENCY_MAX)
        return fl_fail(err, FL_EUSAGE, "--repeat wants 1 or more, --concurrency 1 to 10000");
    if (!wish->json && strcmp(wish->format, "text") != 0)
        return fl_fail(err, FL_EUSAGE, "-o %s: want text or json", wish->format);
    if (wish->reflect && wish->proto_set)
        return fl_fail(err, FL_EUSAGE, "--reflect or --proto-set, not both");
    return check_tls(wish, err);
}

static int run(const struct fl_command *self, int argc, char **argv) {
    struct wish wish = {
        .data = "{}", .format = "text", .repeat = 1, .concurrency = 1, .timeout_ms = NOT_GIVEN};
    const struct fl_option options[] = {
        {"data", 'd', FL_OPTION_TEXT, &wish.data, "JSON|@FILE|-",
         "the request, or several of a stream (default {})"},
        {"proto-set", 0, FL_OPTION_TEXT, &wish.proto_set, "FILE",
         "the methods, as protoc --include_imports --descriptor_set_out wrote them"},
        {"reflect", 0, FL_OPTION_FLAG, &wish.reflect, NULL,
         "asks the server for the methods, even for those known here"},
        {"header", 'H', FL_OPTION_LIST, &wish.headers, "NAME:VALUE",
         "metadata of each call; base64 where the name ends in -bin"},
        {"plaintext", 0, FL_OPTION_FLAG, &wish.plaintext, NULL,
         "without TLS, as it is without the next ones"},
        {"tls", 0, FL_OPTION_FLAG, &wish.with_tls, NULL, "TLS, trusting the system's authorities"},
        {"cacert", 0, FL_OPTION_TEXT, &wish.tls.ca_file, "FILE",
         "TLS, trusting these authorities (PEM)"},
        {"cert", 0, FL_OPTION_TEXT, &wish.tls.cert_file, "FILE",
         "TLS with a certificate of this side (PEM)"},
        {"key", 0, FL_OPTION_TEXT, &wish.tls.key_file, "FILE", "its private key (PEM)"},
        {"server-name", 0, FL_OPTION_TEXT, &wish.tls.server_name, "NAME",
         "what certificates must name (default: the service, or HOST)"},
        {"insecure-skip-verify", 0, FL_OPTION_FLAG, &wish.tls.insecure_skip_verify, NULL,
         "TLS with whatever certificate"},
        {"repeat", 0, FL_OPTION_NUMBER, &wish.repeat, "N",
         "so many calls (default 1), then a summary"},
        {"concurrency", 0, FL_OPTION_NUMBER, &wish.concurrency, "M",
         "so many at a time (default 1)"},
        {"timeout", 0, FL_OPTION_DURATION, &wish.timeout_ms, "TIME",
         "of each call (default 10s, none for streams)"},
        {"output", 'o', FL_OPTION_TEXT, &wish.format, "FORMAT", "text or json (one line)"},
        FL_METRICS_OPTION(wish.metrics),
        {"kubeconfig", 0, FL_OPTION_TEXT, &wish.client.kubeconfig, "FILE",
         "configuration (default: $KUBECONFIG, in-cluster, ~/.kube/config)"},
        {"context", 0, FL_OPTION_TEXT, &wish.client.context, "NAME",
         "context of that configuration"},
    };
    static const char *const words[] = {"TARGET", "SERVICE/METHOD"};
    struct fl_args args = {.options = options,
                           .option_count = FL_COUNT(options),
                           .words_min = 2,
                           .words_max = 2,
                           .words_named = words};
    struct fl_error err = {0};
    int exit_code;
    if (!fl_command_parse(self, &args, argc, argv, &exit_code)) return exit_code;
    wish.target = args.words.list[0];
    wish.method = args.words.list[1];
    if (check(&wish, &err)) return fl_command_fail(&err);
    return call(&wish);
}

const struct fl_command fl_command_call = {
    "call",
    "TARGET SERVICE/METHOD [-d JSON|@FILE|-] [--proto-set FILE | --reflect]\n"
    "    [-H NAME:VALUE] [--plaintext | --tls | --cacert FILE] [--repeat N --concurrency M]",
    "A gRPC call, or many, to the endpoints that are alive now",
    "TARGET: kubernetes:///[NS/]SERVICE[:PORT], static:A:1,B:2 or HOST:PORT. METHOD may be\n"
    "of any kind: -d holds one JSON message, or several one behind the other for a method\n"
    "that takes a stream; with - they are read to the end of standard input before the call\n"
    "begins. A response is shown as JSON, those of a stream one a line.\n\n"
    "The methods are known from --proto-set, or from the server by reflection\n"
    "(grpc.reflection.v1, v1alpha). grpc.examples.echo.Echo and grpc.health.v1.Health are\n"
    "known without either.\n\n"
    "With --repeat there is a summary instead of responses: calls by status and endpoint,\n"
    "latencies of those that were OK, calls per second. At Ctrl-C no new calls are made, and\n"
    "the running ones end; streams are cancelled.\n\n"
    "Exit codes: 0 every call was OK, 1 a call failed, 2 usage, 3 absent, 4 empty,\n"
    "5 not started.",
    run};
