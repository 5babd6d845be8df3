/* pool_bed.c - see pool_bed.h. */
#include "support/pool_bed.h"

void on_done(void *arg) {
    struct pool_bed *p = arg;
    assert_false(p->b.in_call);
    p->done++;
}

int pool_try_open(struct pool_bed *p, const struct fl_http_pool_options *options) {
    struct fl_http_pool_options o = *options;
    o.host = FL_STR("127.0.0.1");
    o.port = BED_PORT;
    return fl_http_pool_new(p->b.io, &o, &p->pool, NULL);
}

void pool_open(struct pool_bed *p, const struct fl_http_pool_options *options) {
    memset(p, 0, sizeof *p);
    bed_init(&p->b, &bed_plain);
    p->b.echo = true;
    assert_int_equal(pool_try_open(p, options), 0);
}

void pool_shut(struct pool_bed *p) {
    p->b.in_call = true;
    fl_http_pool_close(p->pool, on_done, p);
    p->b.in_call = false;
    bed_run(&p->b, 5000);
    assert_int_equal(p->done, 1);
    bed_deinit(&p->b);
}

int pool_try_ask(struct pool_bed *p, const char *method, uint64_t deadline_ms, struct heard *h,
                 struct fl_http_exchange **x) {
    struct fl_http_request head = {.method = fl_str_of(method),
                                   .scheme = FL_STR("http"),
                                   .authority = FL_STR("bed"),
                                   .path = FL_STR("/p")};
    p->b.in_call = true;
    int rc = fl_http_pool_request(p->pool, &head, deadline_ms, &bed_events, h, x, NULL);
    p->b.in_call = false;
    return rc;
}

struct heard *pool_ask(struct pool_bed *p, const char *method) {
    struct fl_http_exchange *x;
    struct heard *h = bed_heard(&p->b);
    assert_int_equal(pool_try_ask(p, method, 0, h, &x), 0);
    return h;
}

const struct fl_http_pool_options pool_h1 = {.http.version = FL_HTTP_1};
const struct fl_http_pool_options pool_h2 = {.http.version = FL_HTTP_2};
