/* site.h - an HTTP server, of either version, that does what a test tells it to. */
#ifndef FL_TEST_SITE_H
#define FL_TEST_SITE_H

#include "base/list.h"
#include "http/server.h"

enum fl_site_manner {
    FL_SITE_ANSWERS, /* status, "x-site: yes", and "METHOD PATH BODY" as the body */
    FL_SITE_BREAKS,  /* HTTP/2: resets the stream; HTTP/1.1: closes the connection */
    FL_SITE_REFUSES, /* HTTP/2: REFUSED_STREAM */
    FL_SITE_SILENT,  /* never answers */
    FL_SITE_STOPS,   /* says that there is more to come, and then breaks */
};

struct fl_site {
    struct fl_io *io;
    struct fl_http_server *server;
    struct fl_list visits;
    enum fl_site_manner manner;
    unsigned times;    /* that many requests get `manner`, then it answers; 0: all */
    uint32_t delay_ms; /* of an answer */
    int status;        /* 0: 200 */
    size_t padding;    /* bytes more in the body */
    bool closes;       /* the connection, after each answer */
    unsigned requests, open, open_max, conns_max;
    char last_headers[512]; /* "name=value;" */
    bool closed;
};

/* Listens at once; either version is understood. */
void fl_site_start(struct fl_site *site, struct fl_io *io, const char *host, uint16_t port);
/* Every connection and request ends; `closed` is true when it is over. Twice is allowed. */
void fl_site_stop(struct fl_site *site);

#endif
