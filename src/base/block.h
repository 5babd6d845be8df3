/* block.h - one unit that a source delivers (for Kubernetes an EndpointSlice), packed.
 *
 * A block is immutable, reference-counted from any thread, and one allocation. It is the store's
 * record and what endpoint sets point to. Endpoints lie in parallel arrays: address (4 or 16 bytes,
 * or a place in the names), identity (16), node and zone (interned ids), flags, the pod's name as a
 * suffix to the prefix that the block shares, and a keyed hash of the bytes the endpoint was
 * decoded from, by which an update recognises unchanged endpoints without decoding them. */
#ifndef FL_BASE_BLOCK_H
#define FL_BASE_BLOCK_H

#include "base/address.h"
#include "base/error.h"

struct fl_block;
struct fl_block_builder;

enum { /* fl_block_endpoint.flags */
       FL_ENDPOINT_READY = 1 << 0,
       FL_ENDPOINT_SERVING = 1 << 1,
       FL_ENDPOINT_TERMINATING = 1 << 2,
};

/* One port of a block. Strings are borrowed from the block, terminated (or from the caller, when
 * building). */
struct fl_block_port {
    struct fl_str name, protocol, app_protocol;
    uint16_t port; /* 0: not given */
};

/* The zones and the nodes whose clients should prefer an endpoint. Strings are terminated. */
#define FL_BLOCK_HINTS_MAX 8
struct fl_block_hints {
    struct fl_str zones[FL_BLOCK_HINTS_MAX], nodes[FL_BLOCK_HINTS_MAX];
    uint8_t zone_count, node_count;
};

/* One endpoint, unpacked. Strings are borrowed as above, node and zone terminated; pod = pod_prefix
 * + pod_suffix, of which the second may lie in `suffix_text`: copies borrow from the first. */
#define FL_BLOCK_SUFFIX_MAX ((size_t)5)
struct fl_block_endpoint {
    struct fl_address address;
    uint8_t uid[16];
    struct fl_str node, zone;
    struct fl_str pod_prefix, pod_suffix; /* building: the whole name in pod_suffix */
    unsigned flags;
    uint64_t hash;
    const struct fl_block_hints *hints; /* building only; NULL: none */
    char suffix_text[FL_BLOCK_SUFFIX_MAX];
};

struct fl_block *fl_block_ref(struct fl_block *block);
struct fl_block *fl_block_unref(struct fl_block *block); /* returns NULL; NULL is allowed */
size_t fl_block_count(const struct fl_block *block);
size_t fl_block_port_count(const struct fl_block *block);
void fl_block_port_at(const struct fl_block *block, size_t i, struct fl_block_port *out);
void fl_block_endpoint_at(const struct fl_block *block, size_t i, struct fl_block_endpoint *out);
/* Without unpacking the rest. */
unsigned fl_block_flags_at(const struct fl_block *block, size_t i);
void fl_block_address_at(const struct fl_block *block, size_t i, struct fl_address *out);
void fl_block_hints_at(const struct fl_block *block, size_t i, struct fl_block_hints *out);
/* A short hash of the address, by which most can be told apart without reading them, and the first
 * endpoint from `from` on for whose hash the bit is set; the count, if there is none. */
#define FL_BLOCK_SHORT_HASHES 8192u
unsigned fl_block_short_hash_at(const struct fl_block *block, size_t i);
size_t fl_block_find(const struct fl_block *block, size_t from,
                     const uint64_t bits[FL_BLOCK_SHORT_HASHES / 64]);
/* Of each endpoint. Where they are equal and not 0, everything else but the ports is too. */
const uint64_t *fl_block_hashes(const struct fl_block *block);
bool fl_block_has_ports_of(const struct fl_block *block, const struct fl_block *other);
size_t fl_block_bytes(const struct fl_block *block); /* memory it takes */
/* Hex form of a uid as Kubernetes writes it (8-4-4-4-12); false and zeros if it is none. */
bool fl_uid_parse(struct fl_str text, uint8_t out[16]);

/* Building. One builder is made once and used again for every block; its scratch memory stays with
 * it and is bounded. Endpoints beyond `endpoints_max`, names beyond 512 bytes and ports beyond
 * 20,000 fail with FL_ETOO_LARGE, more nodes and zones than may be interned with FL_EFULL, and
 * change nothing. One thread at a time.
 *
 * With `previous` (may be NULL; must live until the finish) an endpoint whose hash stands in it can
 * be taken over whole by fl_block_builder_reuse instead of being decoded and added. */
FL_MUST int fl_block_builder_new(size_t endpoints_max, struct fl_block_builder **out);
void fl_block_builder_free(struct fl_block_builder *builder);
void fl_block_builder_start(struct fl_block_builder *builder, const struct fl_block *previous);
FL_MUST int fl_block_builder_port(struct fl_block_builder *builder,
                                  const struct fl_block_port *port);
/* Copies what it needs; hash 0: came from no bytes, is never taken over. */
FL_MUST int fl_block_builder_add(struct fl_block_builder *builder,
                                 const struct fl_block_endpoint *endpoint);
/* True: `previous` holds an endpoint of this hash and it was added; looks first where the last one
 * was found. False also without memory: then one adds it, and learns the error. */
FL_MUST bool fl_block_builder_reuse(struct fl_block_builder *builder, uint64_t hash);
/* Packs what was added; *out has one reference. FL_ENOMEM, FL_ETOO_LARGE (4 GiB). */
FL_MUST int fl_block_builder_finish(struct fl_block_builder *builder, struct fl_block **out);

#endif
