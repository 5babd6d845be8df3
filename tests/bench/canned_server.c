/* canned_server.c - an API server that knows one answer to each question: bytes that a real one
 * gave.
 *
 *     canned_server FOLDER CERT KEY [--json]
 *
 * FOLDER holds RESOURCE.KIND.FORMAT for the resources endpointslices and services, the formats pb
 * and json, and the kinds list (the whole list), page0, page1, … (its pages of 500; the tokens that
 * lead from one to the next stand in RESOURCE.tokens.FORMAT, a line each), initial (a streaming
 * list up to its last bookmark), events (what follows on the watch when told to) and expired (an
 * ERROR event, code 410). With --json it answers in JSON whatever is asked for.
 *
 * It speaks HTTP/2 and HTTP/1.1 over TLS, as ALPN has it. Files are mapped and copied once, into
 * the record that is encrypted: it has to be faster than any client. A query with end=1 is answered
 * with everything, the events too, and an end: for programs that only read. What is asked for one
 * service alone stays open without a byte: what it knows is all of them.
 *
 * Prints its port. Then each line of standard input is a command, answered by a line:
 *     events   sends the events on every watch of endpointslices
 *     pace N   sends the same, N a second (over HTTP/2, in protobuf)
 *     expire   ends these watches with the ERROR event
 *     state    {"lists": of endpointslices begun, "watches": open, "queued": bytes, "paced":
 * events} */
#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define CONNS_MAX    16
#define SEGMENTS_MAX 4
#define PLAIN_MAX    ((size_t)64 * 1024) /* taken from streams at once */
#define HEAD_MAX     16384

struct bytes {
    const char *p;
    size_t n;
};

/* A response: what is still to be sent, and whether it ends then. */
struct stream {
    struct stream *next;
    struct conn *conn;
    int32_t id; /* HTTP/2 */
    struct bytes segments[SEGMENTS_MAX];
    size_t count;
    bool ends, watch, slices, chunked, begun, json;
    char path[2048], accept[512];
};

struct conn {
    int fd;
    SSL *ssl;
    BIO *out; /* ciphertext on its way */
    size_t sent;
    nghttp2_session *h2; /* NULL: HTTP/1.1 */
    bool ready, dead;
    struct stream *streams;
    char head[HEAD_MAX];
    size_t head_len;
    size_t plain_len;
    char plain[PLAIN_MAX + 65536];
};

/* Events that are sent at a rate. */
struct pace {
    uint64_t per_s, began_us, sent; /* per_s 0: none */
    struct bytes left;
};

static struct conn *conns[CONNS_MAX];
static struct pace pace;
static const char *folder;
static bool only_json;
static unsigned long lists;

static void die(const char *what) {
    fprintf(stderr, "canned_server: %s: %s\n", what, strerror(errno));
    ERR_print_errors_fp(stderr);
    exit(1);
}

/* ---- answers ---- */

/* Mapped once, kept; no bytes if there is no such file. */
static struct bytes file_bytes(const char *resource, const char *kind, bool json) {
    static struct {
        char name[128];
        struct bytes bytes;
    } files[256];
    static size_t count;
    char name[128], path[4096];
    struct stat info;
    snprintf(name, sizeof(name), "%s.%s.%s", resource, kind, json ? "json" : "pb");
    for (size_t i = 0; i < count; i++)
        if (strcmp(files[i].name, name) == 0) return files[i].bytes;
    if (count == sizeof(files) / sizeof(files[0])) die("too many files");
    snprintf(path, sizeof(path), "%s/%s", folder, name);
    snprintf(files[count].name, sizeof(name), "%s", name);
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &info) < 0 || info.st_size == 0) return files[count++].bytes;
    void *p = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    if (p == MAP_FAILED) die(path);
    close(fd);
    files[count].bytes = (struct bytes){p, (size_t)info.st_size};
    return files[count++].bytes;
}

static const char *resource_of(const struct stream *s) {
    return s->slices ? "endpointslices" : "services";
}

static void add(struct stream *s, const char *kind) {
    struct bytes bytes = file_bytes(resource_of(s), kind, s->json);
    if (bytes.n && s->count < SEGMENTS_MAX) s->segments[s->count++] = bytes;
}

/* The page that a continue token leads to; 0 without one. */
static unsigned page_of(const struct stream *s) {
    const char *token = strstr(s->path, "continue="), *line;
    if (!token) return 0;
    token += strlen("continue=");
    size_t n = strcspn(token, "&%");
    if (n == 0) return 0;
    struct bytes all = file_bytes(resource_of(s), "tokens", s->json);
    unsigned page = 1;
    for (line = all.p; line < all.p + all.n; page++) {
        const char *end = memchr(line, '\n', (size_t)(all.p + all.n - line));
        if (!end) break;
        if ((size_t)(end - line) >= n && memcmp(line, token, n) == 0) return page;
        line = end + 1;
    }
    die("unknown continue token");
    return 0;
}

static void fill_watch(struct stream *s) {
    s->watch = true;
    if (strstr(s->path, "sendInitialEvents=true")) {
        add(s, "initial");
        lists += s->slices;
    }
    if (strstr(s->path, "end=1")) {
        add(s, "events");
        s->ends = true;
    }
}

static void fill_list(struct stream *s) {
    char kind[16] = "list";
    unsigned page = page_of(s);
    if (strstr(s->path, "limit=")) snprintf(kind, sizeof(kind), "page%u", page);
    lists += s->slices && page == 0;
    s->ends = true;
    add(s, kind);
    if (!s->count && page == 0) add(s, "list"); /* as servers may that ignore the limit */
}

/* Status and segments of what `path` asks for. */
static int fill(struct stream *s) {
    const char *query = strchr(s->path, '?');
    s->slices = strstr(s->path, "/endpointslices") != NULL;
    s->json = only_json || !strstr(s->accept, "protobuf");
    s->ends = true;
    if (!s->slices && !strstr(s->path, "/services")) return 404;
    if (strstr(s->accept, "as=PartialObjectMetadata")) return 406;
    s->ends = false;
    if (query && strstr(query, "Selector=")) return 200; /* the server has nothing of it */
    if (query && strstr(query, "watch="))
        fill_watch(s);
    else
        fill_list(s);
    return 200;
}

static size_t queued(const struct stream *s) {
    size_t n = 0;
    for (size_t i = 0; i < s->count; i++) n += s->segments[i].n;
    return n;
}

static void consume(struct stream *s, size_t n) {
    s->segments[0].p += n;
    s->segments[0].n -= n;
    if (s->segments[0].n) return;
    s->count--;
    memmove(s->segments, s->segments + 1, s->count * sizeof(s->segments[0]));
}

static const char *type_of(const struct stream *s) {
    if (s->json) return "application/json";
    return s->watch ? "application/vnd.kubernetes.protobuf;stream=watch"
                    : "application/vnd.kubernetes.protobuf";
}

static struct stream *stream_new(struct conn *c, int32_t id) {
    struct stream *s = calloc(1, sizeof(*s));
    if (!s) die("memory");
    s->conn = c;
    s->id = id;
    s->next = c->streams;
    c->streams = s;
    return s;
}

static void stream_free(struct stream *s) {
    struct stream **at = &s->conn->streams;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    free(s);
}

static void put(struct conn *c, const void *p, size_t n) {
    if (n > sizeof(c->plain) - c->plain_len) die("plain buffer too small");
    memcpy(c->plain + c->plain_len, p, n);
    c->plain_len += n;
}

/* ---- HTTP/2 ---- */

static ssize_t on_send(nghttp2_session *session, const uint8_t *data, size_t n, int flags,
                       void *arg) {
    struct conn *c = arg;
    (void)session, (void)flags;
    if (c->plain_len >= PLAIN_MAX) return NGHTTP2_ERR_WOULDBLOCK;
    put(c, data, n);
    return (ssize_t)n;
}

static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                        size_t n, nghttp2_data_source *source, void *arg) {
    struct conn *c = arg;
    struct stream *s = source->ptr;
    (void)session, (void)frame;
    if (c->plain_len >= PLAIN_MAX) return NGHTTP2_ERR_WOULDBLOCK;
    put(c, head, 9);
    put(c, s->segments[0].p, n);
    if (n) consume(s, n);
    return 0;
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *out, size_t n,
                       uint32_t *flags, nghttp2_data_source *source, void *arg) {
    struct stream *s = source->ptr;
    (void)session, (void)id, (void)out, (void)arg;
    size_t take = s->count == 0 ? 0 : s->segments[0].n < n ? s->segments[0].n : n;
    if (take == 0 && !s->ends) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (s->ends && take == queued(s)) *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)take;
}

/* As Go's server: as much as the client takes in one frame. */
static ssize_t on_frame_size(nghttp2_session *session, uint8_t type, int32_t id, int32_t conn_room,
                             int32_t stream_room, uint32_t frame_max, void *arg) {
    (void)session, (void)type, (void)id, (void)arg;
    ssize_t n = conn_room < stream_room ? conn_room : stream_room;
    if (n > (ssize_t)frame_max) n = (ssize_t)frame_max;
    return n > 65000 ? 65000 : n;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t len, uint8_t flags, void *arg) {
    struct conn *c = arg;
    (void)flags;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) {
        s = stream_new(c, frame->hd.stream_id);
        nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, s);
    }
    if (name_len == 5 && memcmp(name, ":path", 5) == 0)
        snprintf(s->path, sizeof(s->path), "%.*s", (int)len, (const char *)value);
    if (name_len == 6 && memcmp(name, "accept", 6) == 0)
        snprintf(s->accept, sizeof(s->accept), "%.*s", (int)len, (const char *)value);
    return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *arg) {
    (void)arg;
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    struct stream *s = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!s) return 0;
    char status[4];
    snprintf(status, sizeof(status), "%d", fill(s));
    const char *type = type_of(s);
    nghttp2_nv head[] = {
        {(uint8_t *)":status", (uint8_t *)status, 7, 3, 0},
        {(uint8_t *)"content-type", (uint8_t *)(uintptr_t)type, 12, strlen(type), 0}};
    nghttp2_data_provider body = {.source.ptr = s, .read_callback = on_read};
    return nghttp2_submit_response(session, s->id, head, 2, &body);
}

static int on_close(nghttp2_session *session, int32_t id, uint32_t code, void *arg) {
    struct stream *s = nghttp2_session_get_stream_user_data(session, id);
    (void)code, (void)arg;
    if (s) stream_free(s);
    return 0;
}

static void start_h2(struct conn *c) {
    nghttp2_session_callbacks *callbacks;
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 250}};
    if (nghttp2_session_callbacks_new(&callbacks) != 0) die("nghttp2");
    nghttp2_session_callbacks_set_send_callback(callbacks, on_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
    nghttp2_session_callbacks_set_data_source_read_length_callback(callbacks, on_frame_size);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    if (nghttp2_session_server_new(&c->h2, callbacks, c) != 0) die("nghttp2");
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->h2, 0, settings, 1);
}

/* ---- HTTP/1.1 ---- */

static void copy_header(const char *head, const char *name, char *out, size_t size) {
    const char *at = strcasestr(head, name);
    if (at) snprintf(out, size, "%.*s", (int)strcspn(at + strlen(name), "\r"), at + strlen(name));
}

static void take_h1(struct conn *c) {
    char *end = memmem(c->head, c->head_len, "\r\n\r\n", 4), text[256];
    if (!end || c->streams) return;
    end[2] = '\0';
    struct stream *s = stream_new(c, 0);
    const char *path = strchr(c->head, ' ');
    if (path) snprintf(s->path, sizeof(s->path), "%.*s", (int)strcspn(path + 1, " "), path + 1);
    copy_header(c->head, "\r\naccept: ", s->accept, sizeof(s->accept));
    c->head_len -= (size_t)(end + 4 - c->head);
    memmove(c->head, end + 4, c->head_len);
    int status = fill(s), n;
    s->chunked = !s->ends;
    n = snprintf(text, sizeof(text), "HTTP/1.1 %d -\r\nContent-Type: %s\r\n", status, type_of(s));
    put(c, text, (size_t)n);
    if (s->chunked)
        n = snprintf(text, sizeof(text), "Transfer-Encoding: chunked\r\n\r\n");
    else
        n = snprintf(text, sizeof(text), "Content-Length: %zu\r\n\r\n", queued(s));
    put(c, text, (size_t)n);
}

static void pump_h1(struct conn *c) {
    struct stream *s = c->streams;
    char text[32];
    while (s && c->plain_len < PLAIN_MAX && s->count) {
        size_t n = s->segments[0].n < 32768 ? s->segments[0].n : 32768;
        if (s->chunked) put(c, text, (size_t)snprintf(text, sizeof(text), "%zx\r\n", n));
        put(c, s->segments[0].p, n);
        if (s->chunked) put(c, "\r\n", 2);
        consume(s, n);
    }
    if (!s || s->count || !s->ends) return;
    if (s->chunked) put(c, "0\r\n\r\n", 5);
    stream_free(s);
    take_h1(c);
}

/* ---- connections ---- */

static void conn_free(size_t i) {
    struct conn *c = conns[i];
    if (c->h2) nghttp2_session_del(c->h2);
    while (c->streams) stream_free(c->streams);
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
    conns[i] = NULL;
}

static void take_bytes(struct conn *c, const char *p, size_t n) {
    if (c->h2) {
        if (nghttp2_session_mem_recv(c->h2, (const uint8_t *)p, n) < 0) c->dead = true;
        return;
    }
    if (n > HEAD_MAX - c->head_len) die("request head too large");
    memcpy(c->head + c->head_len, p, n);
    c->head_len += n;
    take_h1(c);
}

static void agree(struct conn *c) {
    const unsigned char *name;
    unsigned len;
    SSL_get0_alpn_selected(c->ssl, &name, &len);
    if (len == 2) start_h2(c);
    c->ready = true;
}

static void receive(struct conn *c) {
    char in[65536];
    for (;;) {
        int n = c->ready ? SSL_read(c->ssl, in, sizeof(in)) : SSL_accept(c->ssl);
        if (n > 0 && c->ready)
            take_bytes(c, in, (size_t)n);
        else if (n > 0)
            agree(c);
        else if (SSL_get_error(c->ssl, n) == SSL_ERROR_WANT_READ)
            return;
        else
            break;
    }
    c->dead = true;
}

/* Sends what is encrypted; true if all of it went. */
static bool flush(struct conn *c) {
    char *p;
    size_t n = (size_t)BIO_get_mem_data(c->out, &p);
    while (c->sent < n) {
        ssize_t sent = send(c->fd, p + c->sent, n - c->sent, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) c->dead = true;
        if (sent < 0) return false;
        c->sent += (size_t)sent;
    }
    c->sent = 0;
    (void)BIO_reset(c->out);
    return true;
}

static void transmit(struct conn *c) {
    while (!c->dead && flush(c) && c->ready) {
        if (c->h2) {
            if (nghttp2_session_send(c->h2) != 0) c->dead = true;
        } else {
            pump_h1(c);
        }
        if (c->plain_len == 0) return;
        if (SSL_write(c->ssl, c->plain, (int)c->plain_len) <= 0) c->dead = true;
        c->plain_len = 0;
    }
    if (c->dead) ERR_clear_error();
}

static bool wants_out(struct conn *c) {
    char *p;
    return BIO_get_mem_data(c->out, &p) > 0;
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_len,
                       const unsigned char *in, unsigned in_len, void *arg) {
    static const unsigned char known[] = "\x02h2\x08http/1.1";
    (void)ssl, (void)arg;
    unsigned char *chosen;
    int rc = SSL_select_next_proto(&chosen, out_len, known, sizeof(known) - 1, in, in_len);
    *out = chosen;
    return rc == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

static SSL_CTX *make_tls(const char *cert, const char *key) {
    SSL_CTX *tls = SSL_CTX_new(TLS_server_method());
    if (!tls || SSL_CTX_use_certificate_chain_file(tls, cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, key, SSL_FILETYPE_PEM) != 1)
        die("TLS");
    /* What Go's server picks where the processor has AES. */
    SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384");
    SSL_CTX_set_options(tls, SSL_OP_CIPHER_SERVER_PREFERENCE);
    SSL_CTX_set_alpn_select_cb(tls, choose_alpn, NULL);
    return tls;
}

static void accept_one(int listener, SSL_CTX *tls) {
    size_t i = 0;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), size = 4 << 20;
    if (fd < 0) return;
    while (i < CONNS_MAX && conns[i]) i++;
    if (i == CONNS_MAX) die("too many connections");
    struct conn *c = conns[i] = calloc(1, sizeof(*c));
    if (!c) die("memory");
    setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    c->fd = fd;
    c->ssl = SSL_new(tls);
    c->out = BIO_new(BIO_s_mem());
    SSL_set_bio(c->ssl, BIO_new_socket(fd, BIO_NOCLOSE), c->out);
    SSL_set_accept_state(c->ssl);
}

/* ---- commands ---- */

static void tell_state(void) {
    unsigned long watches = 0, bytes = 0;
    for (size_t i = 0; i < CONNS_MAX; i++)
        for (struct stream *s = conns[i] ? conns[i]->streams : NULL; s; s = s->next) {
            watches += s->watch && s->slices && !s->ends;
            bytes += queued(s);
        }
    printf("{\"lists\": %lu, \"watches\": %lu, \"queued\": %lu, \"paced\": %" PRIu64 "}\n", lists,
           watches, bytes, pace.sent);
}

static void add_to_watches(const char *kind, bool end) {
    for (size_t i = 0; i < CONNS_MAX; i++)
        for (struct stream *s = conns[i] ? conns[i]->streams : NULL; s; s = s->next) {
            if (!s->watch || !s->slices || s->ends) continue;
            add(s, kind);
            s->ends = end;
            if (conns[i]->h2) nghttp2_session_resume_data(conns[i]->h2, s->id);
        }
}

static uint64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

static void start_pace(const char *per_s) {
    pace = (struct pace){.per_s = strtoull(per_s, NULL, 10),
                         .began_us = now_us(),
                         .left = file_bytes("endpointslices", "events", false)};
}

/* The events' bytes follow each other in the file, so they grow what is on its way. */
static void extend(struct stream *s, const char *p, size_t n) {
    struct bytes *last = s->count ? &s->segments[s->count - 1] : NULL;
    if (last && last->p + last->n == p)
        last->n += n;
    else if (s->count < SEGMENTS_MAX)
        s->segments[s->count++] = (struct bytes){p, n};
    else
        die("too many segments");
}

static void send_paced(size_t n) {
    for (size_t i = 0; i < CONNS_MAX; i++)
        for (struct stream *s = conns[i] && conns[i]->h2 ? conns[i]->streams : NULL; s;
             s = s->next) {
            if (!s->watch || !s->slices || s->ends) continue;
            extend(s, pace.left.p, n);
            nghttp2_session_resume_data(conns[i]->h2, s->id);
        }
    pace.left.p += n;
    pace.left.n -= n;
    pace.sent++;
}

/* What is due; false: nothing more is to come. */
static bool keep_pace(void) {
    uint64_t due = pace.per_s * (now_us() - pace.began_us) / 1000000;
    while (pace.sent < due && pace.left.n > 4) {
        uint32_t n;
        memcpy(&n, pace.left.p, sizeof(n));
        send_paced(4 + ntohl(n));
    }
    return pace.left.n > 0;
}

static void take_commands(void) {
    static char text[256];
    static size_t len;
    ssize_t n = read(0, text + len, sizeof(text) - 1 - len);
    if (n <= 0) exit(0);
    len += (size_t)n;
    text[len] = '\0';
    for (char *end; (end = strchr(text, '\n')) != NULL;) {
        *end = '\0';
        if (strcmp(text, "events") == 0) add_to_watches("events", false);
        if (strncmp(text, "pace ", 5) == 0) start_pace(text + 5);
        if (strcmp(text, "expire") == 0) add_to_watches("expired", true);
        tell_state();
        fflush(stdout);
        len -= (size_t)(end + 1 - text);
        memmove(text, end + 1, len + 1);
    }
}

static int listen_somewhere(void) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(at);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 16) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        die("listen");
    printf("%u\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void turn(int listener, SSL_CTX *tls) {
    struct pollfd polls[CONNS_MAX + 2] = {{.fd = listener, .events = POLLIN},
                                          {.fd = 0, .events = POLLIN}};
    for (size_t i = 0; i < CONNS_MAX; i++) {
        short out = conns[i] && wants_out(conns[i]) ? POLLOUT : 0;
        polls[i + 2] = (struct pollfd){.fd = conns[i] ? conns[i]->fd : -1, .events = POLLIN | out};
    }
    bool pacing = keep_pace();
    if (poll(polls, CONNS_MAX + 2, pacing ? 1 : -1) < 0 && errno != EINTR) die("poll");
    for (size_t i = 0; i < CONNS_MAX; i++)
        if (conns[i] && polls[i + 2].revents & ~POLLOUT) receive(conns[i]);
    if (polls[1].revents) take_commands();
    if (polls[0].revents) accept_one(listener, tls);
    for (size_t i = 0; i < CONNS_MAX; i++) {
        if (!conns[i]) continue;
        transmit(conns[i]);
        if (conns[i]->dead) conn_free(i);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) {
        fprintf(stderr, "usage: canned_server FOLDER CERT KEY [--json]\n");
        return 2;
    }
    folder = argv[1];
    only_json = argc > 4 && strcmp(argv[4], "--json") == 0;
    signal(SIGPIPE, SIG_IGN);
    SSL_CTX *tls = make_tls(argv[2], argv[3]);
    int listener = listen_somewhere();
    for (;;) turn(listener, tls);
}
