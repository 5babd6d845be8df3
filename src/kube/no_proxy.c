/* no_proxy.c - see no_proxy.h. Items that are malformed match nothing, as in Go. */
#include "kube/no_proxy.h"

#include <stdio.h>

#include "base/address.h"

struct peer {
    struct fl_str host;
    struct fl_address address;
    bool is_address;
    char port[8];
};

static bool address_of(struct fl_str text, struct fl_address *out) {
    return fl_address_parse(text, out) && out->kind != FL_ADDRESS_NAME;
}

static bool is_mapped(const struct fl_address *a) {
    static const uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    return a->kind == FL_ADDRESS_V6 && memcmp(a->ip, prefix, sizeof(prefix)) == 0;
}

/* ::ffff:1.2.3.4 is 1.2.3.4. */
static void unmap(struct fl_address *a) {
    if (!is_mapped(a)) return;
    memmove(a->ip, a->ip + 12, 4);
    a->kind = FL_ADDRESS_V4;
}

static bool is_loopback(const struct fl_address *a) {
    static const uint8_t v6[16] = {[15] = 1};
    if (a->kind == FL_ADDRESS_V4) return a->ip[0] == 127;
    return memcmp(a->ip, v6, sizeof(v6)) == 0;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits) {
    unsigned bytes = bits / 8, rest = bits % 8;
    if (memcmp(a, b, bytes) != 0) return false;
    return rest == 0 || (a[bytes] ^ b[bytes]) >> (8 - rest) == 0;
}

/* True if the item is a CIDR, whether it matches or not. */
static bool match_cidr(struct fl_str item, const struct peer *peer, bool *matches) {
    struct fl_str head, tail;
    struct fl_address net;
    uint64_t bits;
    if (!fl_str_split(item, '/', &head, &tail) || !address_of(head, &net) ||
        !fl_str_u64(tail, &bits) || bits > (net.kind == FL_ADDRESS_V4 ? 32 : 128))
        return false;
    if (is_mapped(&net) && bits >= 96) {
        unmap(&net);
        bits -= 96;
    }
    *matches = peer->is_address && peer->address.kind == net.kind &&
               same_bits(peer->address.ip, net.ip, (unsigned)bits);
    return true;
}

/* "host:port" and "[host]:port"; what is neither is a host, with all its colons. */
static void split_port(struct fl_str item, struct fl_str *host, struct fl_str *port) {
    struct fl_str head, tail;
    *host = item;
    *port = FL_STR_NONE;
    if (item.p[0] == '[') {
        if (!fl_str_split(fl_str_from(item, 1), ']', &head, &tail)) return;
        if (tail.n == 0 || tail.p[0] != ':' || memchr(tail.p + 1, ':', tail.n - 1)) return;
        *host = head;
        *port = fl_str_from(tail, 1);
    } else if (fl_str_split(item, ':', &head, &tail) && !(tail.n && memchr(tail.p, ':', tail.n))) {
        *host = head;
        *port = tail;
    }
}

static bool ends_with_nocase(struct fl_str s, struct fl_str suffix) {
    return s.n >= suffix.n && fl_str_eq_nocase(fl_str_from(s, s.n - suffix.n), suffix);
}

static bool match_domain(struct fl_str domain, const struct peer *peer) {
    if (peer->is_address) return false;
    if (fl_str_starts(domain, FL_STR("*."))) domain = fl_str_from(domain, 1);
    if (domain.p[0] == '.') return ends_with_nocase(peer->host, domain);
    if (fl_str_eq_nocase(peer->host, domain)) return true;
    return ends_with_nocase(peer->host, domain) && peer->host.n > domain.n &&
           peer->host.p[peer->host.n - domain.n - 1] == '.';
}

static bool match(struct fl_str item, const struct peer *peer) {
    struct fl_str host, port;
    struct fl_address address;
    bool matches;
    if (fl_str_eq(item, FL_STR("*"))) return true;
    if (match_cidr(item, peer, &matches)) return matches;
    split_port(item, &host, &port);
    if (host.n == 0 || (port.n && !fl_str_eq(port, fl_str_of(peer->port)))) return false;
    if (!address_of(host, &address)) return match_domain(host, peer);
    unmap(&address);
    return peer->is_address && fl_address_cmp(&address, &peer->address) == 0;
}

/* Is it localhost or a loopback address? */
static bool is_on_this_host(struct fl_str host) {
    struct fl_address address;
    if (fl_str_eq_nocase(host, FL_STR("localhost"))) return true;
    if (!address_of(host, &address)) return false;
    unmap(&address);
    return is_loopback(&address);
}

bool fl_no_proxy(struct fl_str list, struct fl_str host, uint16_t port) {
    struct peer peer = {.host = host};
    struct fl_str item, rest = list;
    if (is_on_this_host(host)) return true;
    peer.is_address = address_of(host, &peer.address);
    if (peer.is_address) unmap(&peer.address);
    snprintf(peer.port, sizeof(peer.port), "%u", port);
    while (rest.n) {
        fl_str_split(rest, ',', &item, &rest);
        item = fl_str_trim(item);
        if (item.n && match(item, &peer)) return true;
    }
    return false;
}
