/* client_bed.h - a kube client and a small HTTP server in a simulated world, which grants what
 * carries the Authorization that it wants. */
#ifndef FL_TEST_CLIENT_BED_H
#define FL_TEST_CLIENT_BED_H

#include "support/alloc.h"

#include <fairlead/log.h>
#include <stdio.h>

#include "base/log.h"
#include "kube/client.h"
#include "sim/world.h"

#define TOKEN_FILE "/run/token"
#define PLUGIN     "/bin/get-token"

struct client_bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_listener *listener;
    struct fl_kube_client *client;
    struct fl_kube_config config;
    bool client_closed;
    /* The server: answers 401 but to this Authorization, nothing at all when silent. */
    char wanted[128];
    bool silent;
    struct fl_http_stream *unanswered;
    unsigned requests;
    char path[256], authority[128], authorization[128], user_agent[64], accept[64];
    char as[64], group[64], accept_encoding[64];
    bool http2;
    /* What it answers besides. */
    struct fl_http_headers extra;
    struct fl_str body; /* empty: "granted" */
    /* The real operations beneath the test's own. */
    struct fl_io_ops ops;
    const struct fl_io_ops *real_ops;
};

struct answer {
    struct fl_kube_request *request;
    unsigned heads, closes;
    int status, code;
    char body[64], detail[FL_ERROR_DETAIL_MAX], retry_after[32];
    size_t bytes;
};

/* The server asked; one that may fail, and one that must not. */
int try_get(struct client_bed *f, const char *path, struct answer *a);
void start(struct client_bed *f, struct answer *a);
/* Asked and answered. */
struct answer get(struct client_bed *f);
void expect_granted(struct client_bed *f);
/* The server wants this Authorization from now on. */
void want(struct client_bed *f, const char *authorization);
void token_file(struct client_bed *f, const char *text);
void setup(struct client_bed *f);
/* The client opened. */
int try_open(struct client_bed *f, bool http2, struct fl_error *err);
void open_client(struct client_bed *f, bool http2);
void on_client_closed(void *arg);
void close_client(struct client_bed *f);
void teardown(struct client_bed *f);
/* With the token file holding "first", which the server wants. */
void setup_token_file(struct client_bed *f);
void plugin_prints(struct client_bed *f, const char *out, uint32_t delay_ms);
size_t plugin_runs(const struct client_bed *f);

extern char logged[8192];
/* What is logged from now on is kept in `logged`. */
void log_keep(void);
/* No more of it; and nothing secret is ever logged. */
void log_drop(void);

#endif
