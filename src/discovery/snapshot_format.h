/* snapshot_format.h - the bytes of the snapshot file. Pure; any thread. See snapshot_format.c. */
#ifndef FL_DISCOVERY_SNAPSHOT_FORMAT_H
#define FL_DISCOVERY_SNAPSHOT_FORMAT_H

#include "discovery/set.h"

#define FL_SNAPSHOT_BYTES_MAX     ((size_t)64 * 1024 * 1024) /* of the file */
#define FL_SNAPSHOT_ENDPOINTS_MAX ((size_t)1000000)          /* of one service */

/* Whose set it is. */
struct fl_snapshot_key {
    struct fl_str scheme; /* of the provider */
    struct fl_str source; /* where the provider has it from: the API server's URL */
    struct fl_str name;   /* "namespace/name" */
};

/* One service in the file; borrowed from it. */
struct fl_snapshot_record {
    struct fl_snapshot_key key;
    int64_t proof_wall_ms; /* when the source last proved that it is alive; 0: never */
    struct fl_str body;
    struct fl_str whole; /* all of it, to be put into another file */
};

/* ---- writing: begin, the records, seal. FL_EFULL (the bytes do not fit), FL_ENOMEM. ---- */

FL_MUST int fl_snapshot_begin(struct fl_buf *out);
/* `set` is a whole one and neither UNKNOWN nor of the file's making alone. */
FL_MUST int fl_snapshot_put(struct fl_buf *out, const struct fl_snapshot_key *key,
                            int64_t proof_wall_ms, const struct fl_set *set);
FL_MUST int fl_snapshot_put_record(struct fl_buf *out, const struct fl_snapshot_record *record);
void fl_snapshot_seal(struct fl_buf *out);

/* ---- reading: every byte is a stranger's ---- */

/* *records are the bytes behind the head. FL_EPROTO (what is wrong with the file). */
FL_MUST int fl_snapshot_open(struct fl_str file, struct fl_str *records, struct fl_error *err);
/* Takes the next record off the front; false at the end and, with *records not empty, at malformed
 * bytes. */
bool fl_snapshot_next(struct fl_str *records, struct fl_snapshot_record *out);

/* What a record says, as a provider would publish it; `spec` points into the rest. */
struct fl_snapshot_set {
    struct fl_set_spec spec;
    struct fl_block **blocks;
    struct fl_set_port *ports;
};
/* FL_EPROTO, FL_ENOMEM, FL_ETOO_LARGE, FL_EFULL: *out is empty then. */
FL_MUST int fl_snapshot_decode(const struct fl_snapshot_record *record,
                               struct fl_snapshot_set *out);
void fl_snapshot_set_deinit(struct fl_snapshot_set *set);

#endif
