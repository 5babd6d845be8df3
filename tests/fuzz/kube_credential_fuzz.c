/* kube_credential_fuzz.c - the small texts that a client takes from programs, servers and the
 * environment. The first byte says which: an exec plugin's answer, NO_PROXY, a proxy's URL, a time,
 * a gzip body. Read or refused in one line, nothing left behind. */
#include <stdlib.h>
#include <string.h>

#include "kube/exec_credential.h"
#include "kube/no_proxy.h"
#include "kube/proxy.h"
#include "kube/timestamp.h"
#include "wire/gunzip.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int rc, const struct fl_error *err) {
    if (rc < 0 && (rc != err->code || !err->detail[0] || strchr(err->detail, '\n'))) abort();
}

static void answer(struct fl_str text) {
    struct fl_exec_credential c;
    struct fl_error err;
    int rc = fl_exec_credential_parse(text, "client.authentication.k8s.io/v1", &c, &err);
    check(rc, &err);
    if (rc == FL_OK && !c.token && !c.cert_pem.len) abort();
    if ((c.cert_pem.len == 0) != (c.key_pem.len == 0)) abort();
    fl_exec_credential_deinit(&c);
}

/* "host" up to the first line break, the list after it. */
static void no_proxy(struct fl_str text) {
    struct fl_str host, list;
    fl_str_split(text, '\n', &host, &list);
    bool named = fl_no_proxy(list, host, 443);
    struct fl_buf all;
    fl_buf_init(&all, SIZE_MAX);
    if (fl_buf_append(&all, list) == FL_OK && fl_buf_append(&all, FL_STR(", *")) == FL_OK &&
        !fl_no_proxy(fl_buf_str(&all), host, 443))
        abort();
    if (fl_str_eq(host, FL_STR("::1")) && !named) abort();
    fl_buf_deinit(&all);
}

static void proxy(struct fl_str text) {
    struct fl_kube_proxy p = {.port = 0};
    struct fl_error err;
    int rc = fl_kube_proxy_parse(text, &p, &err);
    check(rc, &err);
    if (rc == FL_OK && (!p.host || !p.host[0] || !p.port)) abort();
    fl_kube_proxy_deinit(&p);
}

static void body(struct fl_str bytes) {
    struct fl_gunzip *g;
    struct fl_str half, piece;
    int rc = 0;
    uint64_t total = 0;
    if (fl_gunzip_new(&g) < 0) return;
    for (int i = 0; i < 2 && rc == 0; i++) {
        half = i ? fl_str_from(bytes, bytes.n / 2) : fl_str_n(bytes.p, bytes.n / 2);
        fl_gunzip_feed(g, half);
        while ((rc = fl_gunzip_next(g, &piece, NULL)) > 0) total += piece.n;
    }
    if (total > bytes.n * 1100) abort();
    fl_gunzip_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    int64_t ms;
    if (size == 0) return 0;
    struct fl_str text = fl_str_n(data + 1, size - 1);
    switch (data[0]) {
    case 'e':
        answer(text);
        break;
    case 'n':
        no_proxy(text);
        break;
    case 'p':
        proxy(text);
        break;
    case 't':
        if (fl_rfc3339_parse(text, &ms) && fl_http_date_parse(text, &ms)) abort();
        break;
    default:
        body(text);
    }
    return 0;
}
