/* metadata_args.c - `-H name:value`. What metadata may be is checked when a call is started. */
#include "cli/metadata_args.h"

#include "wire/grpc.h"

#define NAME_MAX_BYTES  ((size_t)1024)
#define VALUE_MAX_BYTES ((size_t)64 * 1024)

/* FL_EPROTO: not base64. */
static int decode(struct fl_str text, struct fl_buf *out) {
    size_t n;
    char *room = fl_buf_reserve(out, fl_grpc_bin_decoded_max(text.n));
    if (!room) return FL_EFULL;
    if (!fl_grpc_bin_decode(text, room, &n)) return FL_EPROTO;
    fl_buf_commit(out, n);
    return FL_OK;
}

static int read_one(struct fl_str word, struct fl_buf *name, struct fl_buf *value,
                    struct fl_error *err) {
    struct fl_str head, tail;
    if (!fl_str_split(word, ':', &head, &tail) || head.n == 0)
        return fl_fail(err, FL_EUSAGE, "-H %.*s: want NAME:VALUE", FL_STR_ARG(word));
    int rc = FL_OK;
    for (size_t i = 0; i < head.n && !rc; i++) {
        char c = head.p[i];
        rc = fl_buf_byte(name, c >= 'A' && c <= 'Z' ? (char)(c + 'a' - 'A') : c);
    }
    if (!rc) rc = fl_buf_byte(name, '\0');
    if (rc) return fl_fail(err, FL_EUSAGE, "-H: a name of %zu bytes", head.n);
    tail = fl_str_trim(tail);
    if (fl_str_ends(fl_str_of(fl_buf_str(name).p), FL_STR("-bin")))
        rc = decode(tail, value);
    else
        rc = fl_buf_append(value, tail);
    if (rc == FL_EPROTO)
        return fl_fail(err, FL_EUSAGE, "-H %.*s: the value is not base64", FL_STR_ARG(head));
    if (rc)
        return fl_fail(err, FL_EUSAGE, "-H %.*s: a value of %zu bytes", FL_STR_ARG(head), tail.n);
    return FL_OK;
}

int fl_metadata_args_read(const struct fl_words *words, struct fl_metadata_args *out,
                          struct fl_error *err) {
    out->count = 0;
    for (size_t i = 0; i < words->count; i++) {
        struct fl_buf *name = &out->names[i], *value = &out->values[i];
        fl_buf_init(name, NAME_MAX_BYTES);
        fl_buf_init(value, VALUE_MAX_BYTES);
        out->count++;
        int rc = read_one(fl_str_of(words->list[i]), name, value, err);
        if (rc) return rc;
        out->list[i] = (struct fl_metadata){fl_buf_str(name).p,
                                            value->len ? fl_buf_str(value).p : "", value->len};
    }
    return FL_OK;
}

void fl_metadata_args_deinit(struct fl_metadata_args *args) {
    for (size_t i = 0; i < args->count; i++) {
        fl_buf_deinit(&args->names[i]);
        fl_buf_deinit(&args->values[i]);
    }
    args->count = 0;
}
