/* snapshot_fuzz.c - the snapshot file: its head, and records whose checksum a stranger got right.
 * No crash, no leak, and a set that can be read or an error. */
#include "discovery/snapshot_format.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void look(void *arg, const struct fl_endpoint *endpoint) {
    *(size_t *)arg += strlen(endpoint->address) + strlen(endpoint->pod);
}

static void read_record(const struct fl_snapshot_record *record) {
    struct fl_snapshot_set found;
    struct fl_set *set;
    size_t bytes = 0;
    if (fl_snapshot_decode(record, &found) < 0) return;
    FL_ASSERT(fl_set_new(&found.spec, 1, &set) == 0);
    fl_snapshot_set_deinit(&found);
    fl_set_each(set, look, &bytes);
    struct fl_buf again;
    fl_buf_init(&again, FL_SNAPSHOT_BYTES_MAX);
    FL_ASSERT(fl_snapshot_put(&again, &record->key, record->proof_wall_ms, set) == 0);
    fl_buf_deinit(&again);
    fl_set_unref(set);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct fl_snapshot_record record;
    struct fl_str records, rest = fl_str_n(data, size);
    struct fl_error err;
    int rc = fl_snapshot_open(rest, &records, &err);
    FL_ASSERT(rc == 0 || rc == FL_EPROTO);
    while (fl_snapshot_next(&rest, &record)) read_record(&record);
    return 0;
}
