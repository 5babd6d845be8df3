/* proxy_fuzz.c - what proxies say: no crash, no answer without an end, and in pieces the same as at
 * once. The first byte says which proxy and what size of pieces. */
#include "loop/proxy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int feed(const struct fl_proxy *proxy, struct fl_str bytes, size_t piece, size_t *used) {
    struct fl_proxy_session *s;
    struct fl_error err;
    int rc = fl_proxy_session_new(proxy, FL_STR("api.test"), 6443, &s, &err);
    FL_ASSERT(rc == 0);
    *used = 0;
    while (rc == 0 && *used < bytes.n) {
        size_t n, left = bytes.n - *used;
        rc = fl_proxy_session_feed(s, fl_str_n(bytes.p + *used, FL_MIN(piece, left)), &n, &err);
        FL_ASSERT(n > 0 && n <= FL_MIN(piece, left));
        FL_ASSERT(rc >= 0 || (err.code == rc && err.detail[0]));
        *used += n;
    }
    FL_ASSERT(*used <= FL_PROXY_HEAD_MAX + 1);
    fl_proxy_session_free(s);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fl_proxy proxy = {.host = FL_STR("proxy.test"), .port = 3128};
    size_t whole_used, used;
    if (size < 2) return 0;
    proxy.kind = data[0] & 1 ? FL_PROXY_SOCKS5 : FL_PROXY_HTTP;
    if (data[0] & 2) proxy.user = proxy.password = FL_STR("me");
    struct fl_str bytes = fl_str_n(data + 1, size - 1);
    int whole = feed(&proxy, bytes, bytes.n, &whole_used);
    int rc = feed(&proxy, bytes, (size_t)(data[0] >> 2) % 8 + 1, &used);
    FL_ASSERT(rc == whole && used == whole_used);
    return 0;
}
