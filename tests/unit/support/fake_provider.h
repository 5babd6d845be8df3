/* fake_provider.h - a source of endpoints that does what a test says. One loop's thread. */
#ifndef FL_TEST_FAKE_PROVIDER_H
#define FL_TEST_FAKE_PROVIDER_H

#include "base/io.h"
#include "discovery/provider.h"

#define FL_FAKE_FEEDS_MAX 64

struct fl_fake {
    struct fl_provider provider; /* scheme "fake": targets fake:///service[:port] */
    struct fl_io *io;
    struct {
        struct fl_feed *feed; /* NULL: free */
        char service[64];
    } feeds[FL_FAKE_FEEDS_MAX];
    int watches, unwatches, closes; /* calls so far */
    int refusals;                   /* so many of the next watches fail */
    bool publishes_at_once;         /* from within watch: a set without blocks; names: "a", "b" */
    int cluster;                    /* which one it reads: tells its sets from another's */
    bool in_call;                   /* of ours to a feed: we must not be called */
    struct fl_task close_task;
    void (*done)(void *arg);
    void *done_arg;
};

void fl_fake_init(struct fl_fake *fake, struct fl_io *io);
/* The feed that is open for a service ("names:NS" for names); NULL: none is. */
struct fl_feed *fl_fake_feed(struct fl_fake *fake, const char *service);
/* Publishes the blocks (may be NULL) of a service that exists and has the port "http" 80. Takes the
 * block. */
void fl_fake_publish(struct fl_fake *fake, const char *service, struct fl_block *take_block);
void fl_fake_trouble(struct fl_fake *fake, const char *service, int code);
void fl_fake_name(struct fl_fake *fake, const char *ns, const char *service);

#endif
