/* reflector_fuzz.c - a reflector that is answered by the fuzzer: responses of any status and
 * content in pieces of any size, at any time. Whatever comes, it does not spin, its deadlines lie
 * ahead, and its position goes back only when it says so.
 *
 * The input is a script; each step is a byte, for some with an argument, which is the next one:
 * 'J' 'P' a head of status 200 in JSON, protobuf; 'S' a head of another status; 'F' so many of the
 * following bytes as data; 'L' likewise times 256; 'C' the end; 'E' an error's end; 'T' time, in
 * seconds; 'W' an outage is over; 'R' a relist is wanted. Other bytes are data by themselves. */
#include <stdlib.h>

#include "kube/reflector.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NEXT_MAX 8 /* calls until there is nothing to do */

struct bed {
    struct fl_kube_server server;
    struct fl_kube_store *store;
    struct fl_reflector *r;
    uint64_t now_ms, position;
    bool restored;
    size_t held; /* as the tap tells */
};

static int on_change(void *arg, const struct fl_kube_entry *old, const struct fl_kube_entry *now) {
    struct bed *bed = arg;
    if (!old) bed->held++;
    if (!now) bed->held--;
    return FL_OK;
}

static void on_synced(void *arg) { FL_UNUSED(arg); }

static void on_trouble(void *arg, const struct fl_error *why) {
    FL_UNUSED(arg);
    FL_ASSERT(why->code <= 0 && !strchr(why->detail, '\n'));
}

static void on_note(void *arg, enum fl_reflector_note note) {
    if (note == FL_REFLECTOR_RESTORED) ((struct bed *)arg)->restored = true;
}

static void on_round(void *arg, const struct fl_reflector_round *round) {
    FL_UNUSED(arg);
    FL_ASSERT(round->ms < 1000000000);
}

static const struct fl_reflector_events events = {on_synced, on_trouble, on_note, on_round};

static void check(struct bed *bed) {
    uint64_t position = fl_kube_store_version(fl_str_of(fl_reflector_position(bed->r)));
    FL_ASSERT(bed->restored || !position || !bed->position || position >= bed->position);
    bed->position = position;
    bed->restored = false;
    FL_ASSERT(bed->held == fl_kube_store_count(bed->store));
}

static void drive(struct bed *bed) {
    struct fl_reflector_request request;
    int calls = 0;
    while (fl_reflector_next(bed->r, bed->now_ms, &request) != FL_REFLECTOR_WAIT)
        FL_ASSERT(++calls < NEXT_MAX);
    FL_ASSERT(fl_reflector_deadline_ms(bed->r) > bed->now_ms);
    check(bed);
}

/* Waits for the next request, if none is under way: only heads and bodies of requests count. */
static void wait_for_request(struct bed *bed) {
    drive(bed);
    for (int i = 0; i < 3 && !fl_reflector_watching(bed->r); i++) {
        uint64_t deadline_ms = fl_reflector_deadline_ms(bed->r);
        if (deadline_ms > bed->now_ms + 120000) return;
        bed->now_ms = deadline_ms;
        drive(bed);
    }
}

static void head(struct bed *bed, int status, const char *type) {
    fl_reflector_response(bed->r, bed->now_ms, status, fl_str_of(type), FL_STR("2"));
}

static void closed(struct bed *bed, int code) {
    struct fl_error why = {.code = code};
    fl_reflector_closed(bed->r, bed->now_ms, &why);
}

static uint8_t take(struct fl_str *script) {
    if (script->n == 0) return 0;
    uint8_t byte = (uint8_t)script->p[0];
    *script = fl_str_from(*script, 1);
    return byte;
}

static void feed(struct bed *bed, struct fl_str *script, size_t n) {
    n = FL_MIN(n, script->n);
    fl_reflector_data(bed->r, bed->now_ms, fl_str_n(script->p, n));
    *script = fl_str_from(*script, n);
}

static void step(struct bed *bed, struct fl_str *script) {
    static const int statuses[] = {204, 301, 400, 401, 403, 404, 405, 406,
                                   410, 415, 422, 429, 500, 502, 503, 504};
    static const int codes[] = {FL_ERESET, FL_EGOAWAY, FL_ENOMEM, FL_ESHUTDOWN};
    uint8_t op = take(script);
    switch (op) {
    case 'J':
        wait_for_request(bed);
        head(bed, 200, "application/json");
        break;
    case 'P':
        wait_for_request(bed);
        head(bed, 200, "application/vnd.kubernetes.protobuf");
        break;
    case 'S':
        wait_for_request(bed);
        head(bed, statuses[take(script) % FL_COUNT(statuses)], "application/json");
        break;
    case 'F':
        feed(bed, script, take(script));
        break;
    case 'L':
        feed(bed, script, (size_t)take(script) * 256);
        break;
    case 'C':
        closed(bed, FL_OK);
        break;
    case 'E':
        closed(bed, codes[take(script) % FL_COUNT(codes)]);
        break;
    case 'T':
        bed->now_ms += (uint64_t)take(script) * 1000;
        break;
    case 'W':
        fl_reflector_wake(bed->r, bed->now_ms + take(script));
        break;
    case 'R':
        fl_reflector_relist(bed->r, bed->now_ms);
        break;
    default:
        fl_reflector_data(bed->r, bed->now_ms, fl_str_n(&op, 1));
    }
    drive(bed);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct bed bed = {.now_ms = 1000};
    struct fl_str script = fl_str_n(data, size);
    fl_kube_server_init(&bed.server, 1);
    if (fl_kube_store_new(1, on_change, &bed, &bed.store) < 0) return 0;
    const struct fl_reflector_options options = {
        .kind = size % 2 ? FL_K8S_SERVICE : FL_K8S_ENDPOINTSLICE,
        .store = bed.store,
        .server = &bed.server,
        .seed = 1,
    };
    if (fl_reflector_new(&options, &events, &bed, &bed.r) == FL_OK) {
        while (script.n) step(&bed, &script);
        fl_reflector_free(bed.r);
    }
    fl_kube_store_free(bed.store);
    return 0;
}
