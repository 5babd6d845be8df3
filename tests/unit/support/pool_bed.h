/* pool_bed.h - an HTTP pool on an http_bed. */
#ifndef FL_TEST_POOL_BED_H
#define FL_TEST_POOL_BED_H

#include "support/http_bed.h"

#include "http/pool.h"

struct pool_bed {
    struct bed b;
    struct fl_http_pool *pool;
    int done;
};

/* The pool has closed; `arg` is the bed. */
void on_done(void *arg);
int pool_try_open(struct pool_bed *p, const struct fl_http_pool_options *options);
void pool_open(struct pool_bed *p, const struct fl_http_pool_options *options);
void pool_shut(struct pool_bed *p);
int pool_try_ask(struct pool_bed *p, const char *method, uint64_t deadline_ms, struct heard *h,
                 struct fl_http_exchange **x);
/* A whole request without a deadline. */
struct heard *pool_ask(struct pool_bed *p, const char *method);

/* Of either version, and nothing else. */
extern const struct fl_http_pool_options pool_h1;
extern const struct fl_http_pool_options pool_h2;

#endif
