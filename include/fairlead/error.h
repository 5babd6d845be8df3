/* error.h - the one list of causes.
 *
 * The same code stands in the error a function returns, in the log line, in the metric label and in
 * what the command line prints. FL_ERR_MAP makes the enum, the names, the reactions and the texts.
 */
#ifndef FAIRLEAD_ERROR_H
#define FAIRLEAD_ERROR_H

#include <fairlead/def.h>

FL_C_BEGIN

/* X(NAME, REACTION, "text"). New causes go to the end of their group; codes are not a stable ABI
 * across major versions, names are. */
#define FL_ERR_MAP(X)                                                                              \
    /* this process */                                                                             \
    X(NOMEM, FATAL, "out of memory")                                                               \
    X(USAGE, FIX, "wrong use of a function or of the command line")                                \
    X(CONFIG, FIX, "configuration cannot be used")                                                 \
    X(SYS, RETRY, "the operating system refused")                                                  \
    X(FULL, RETRY, "a bound was reached")                                                          \
    X(CANCELLED, NONE, "cancelled by the caller")                                                  \
    X(SHUTDOWN, NONE, "closed by this side")                                                       \
    X(DEADLINE, RETRY, "deadline exceeded")                                                        \
    /* the way to the peer */                                                                      \
    X(RESOLVE, RETRY, "name could not be resolved")                                                \
    X(REFUSED, RETRY, "connection refused")                                                        \
    X(UNREACHABLE, RETRY, "peer cannot be reached")                                                \
    X(RESET, RETRY, "connection reset by the peer")                                                \
    X(CLOSED, RETRY, "connection closed by the peer")                                              \
    X(TIMEOUT, RETRY, "peer did not answer in time")                                               \
    X(TLS, FIX, "TLS handshake failed")                                                            \
    X(CERT, FIX, "peer's certificate is not trusted")                                              \
    /* what the peer said */                                                                       \
    X(PROTO, CLOSE, "peer broke the protocol")                                                     \
    X(TOO_LARGE, CLOSE, "peer sent more than the bound")                                           \
    X(GOAWAY, RETRY, "peer is going away and did not process this")                                \
    X(STREAM_REFUSED, RETRY, "peer refused the stream unprocessed")                                \
    X(STREAM_RESET, RETRY, "peer reset the stream")                                                \
    X(UNAUTHORIZED, FIX, "credentials were not accepted (401)")                                    \
    X(FORBIDDEN, FIX, "not permitted (403)")                                                       \
    X(NOT_FOUND, FIX, "not found (404)")                                                           \
    X(GONE, RELIST, "resource version expired (410)")                                              \
    X(THROTTLED, RETRY, "asked to slow down (429)")                                                \
    X(SERVER, RETRY, "server error (5xx)")                                                         \
    X(HTTP, CLOSE, "unexpected HTTP status")                                                       \
    X(AHEAD, RETRY, "server has not reached the resource version")                                 \
    /* what discovery knows */                                                                     \
    X(UNKNOWN, RETRY, "endpoints are not known yet")                                               \
    X(ABSENT, RETRY, "service does not exist")                                                     \
    X(EMPTY, RETRY, "service has no endpoint that may take calls")                                 \
    X(PORT, FIX, "service does not have that port")                                                \
    X(LEFT, RETRY, "endpoint left the service")                                                    \
    X(NO_PORTS, FIX, "service has no ports defined")                                               \
    X(PORTS_EXCLUDED, FIX, "all ports of the service are excluded")                                \
    X(UNHEALTHY, RETRY, "endpoint is not healthy by its health check")

enum fl_error_ordinal {
    FL_ORDINAL_OK,
#define FL_X(name, reaction, text) FL_ORDINAL_##name,
    FL_ERR_MAP(FL_X)
#undef FL_X
        FL_ORDINAL_COUNT
};

/* 0 or a negative code. */
enum fl_error_code {
    FL_OK = 0,
#define FL_X(name, reaction, text) FL_E##name = -(int)FL_ORDINAL_##name,
    FL_ERR_MAP(FL_X)
#undef FL_X
};

/* What the caller of a failed function should do. */
enum fl_reaction {
    FL_REACT_NONE,   /* nothing: it was asked for */
    FL_REACT_RETRY,  /* try again later, with backoff */
    FL_REACT_RELIST, /* read the whole state anew */
    FL_REACT_CLOSE,  /* give this connection up; another may do */
    FL_REACT_FIX,    /* a person must change something */
    FL_REACT_FATAL,  /* this process is in trouble */
};

#define FL_ERROR_DETAIL_MAX 256

/* A failure: the cause and one line for people. `detail` is always terminated, has no line break
 * and holds no secret; bytes that a peer sent appear escaped. */
struct fl_error {
    int code;
    char detail[FL_ERROR_DETAIL_MAX];
};

/* "GONE" for FL_EGONE, "OK" for 0, "?" for what is no code. Static storage; any thread. */
FL_API const char *fl_error_name(int code);

/* The text of the list for `code`. Static storage; any thread. */
FL_API const char *fl_error_text(int code);

/* What the caller should do about `code`; FL_REACT_NONE for 0. Any thread. */
FL_API enum fl_reaction fl_error_reaction(int code);

FL_C_END

#endif
