/* h1.h - HTTP/1.1 over llhttp: what h1.c (the parser's side: one exchange at a time, keep-alive)
 * and h1_write.c (heads and bodies on their way out) share. */
#ifndef FL_HTTP_H1_H
#define FL_HTTP_H1_H

#include <llhttp.h>

#include "http/inner.h"

/* How the end of the body being sent is told. */
enum fl_h1_body { FL_H1_BODY_NONE, FL_H1_BODY_LENGTH, FL_H1_BODY_CHUNKED, FL_H1_BODY_CLOSE };

struct fl_h1 {
    struct fl_http_conn *conn;
    struct fl_http_stream *stream; /* the exchange; NULL between two */
    llhttp_t parser;
    struct fl_timer head_timer; /* server: a head that began must end */
    struct fl_buf held;         /* server: bytes behind the request being answered */
    struct fl_buf text;         /* a head being written */
    bool held_back;             /* the parser waits for the exchange to end */
    bool paused;                /* the sock is */
    bool in_head;               /* server: of the next request */
    struct fl_str reading;      /* what the parser is given now */
    bool in_name;               /* the last piece belonged to a header's name */
    bool value_begun;           /* of the current header something of the value came */
    bool value_open;            /* up to the end of what was read */
    bool interim;               /* client: a 1xx response is being read */
    bool keep;                  /* another exchange may follow */
    bool eof;                   /* the peer sends no more */
    bool head_request;          /* the exchange's method is HEAD: no body comes or goes */
    bool peer_is_10;            /* server: the request is HTTP/1.0 */
    bool sending;               /* the head of our message was written, its end not yet */
    int refusal;                /* server: status that answers what could not be parsed */
    enum fl_h1_body body;
    uint64_t body_left; /* FL_H1_BODY_LENGTH */
};

/* h1_write.c */
int fl_h1_request(struct fl_http_stream *stream, const struct fl_http_request *head,
                  struct fl_error *err);
int fl_h1_respond(struct fl_http_stream *stream, const struct fl_http_response *head);
/* Body bytes and the end of the message, up to the sock's bound. */
void fl_h1_send_body(struct fl_h1 *h1);
/* Server: the client may send the request's body. */
void fl_h1_continue(struct fl_h1 *h1);
/* A response without a body, then no more: for what is not an exchange. */
void fl_h1_refuse(struct fl_h1 *h1, int status);

#endif
