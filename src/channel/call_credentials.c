/* call_credentials.c - see call_credentials.h. What they give is a secret: its memory is wiped. */
#include "channel/call_credentials.h"

#include "base/alloc.h"
#include "channel/call.h"
#include "channel/metadata.h"

struct asking {
    struct fl_given *given;
    size_t count, bytes;
    int rc; /* of the first that could not be taken */
    struct fl_error *err;
};

static int take(struct asking *asking, const struct fl_metadata *entry) {
    const struct fl_metadata_list one = {entry, 1};
    int rc = fl_metadata_check(&one, asking->err);
    if (rc != 0) return rc;
    size_t n = fl_metadata_wire_bytes(&one, false);
    asking->bytes += n;
    if (asking->bytes > FL_METADATA_BYTES_MAX)
        return fl_fail(asking->err, FL_ETOO_LARGE, "metadata of more than %zu bytes",
                       FL_METADATA_BYTES_MAX);
    struct fl_given *given = fl_alloc(sizeof(*given) + n);
    if (!given) return fl_fail_nomem(asking->err);
    fl_metadata_encode(&one, false, &given->header, given->bytes);
    given->size = n;
    given->next = asking->given;
    asking->given = given;
    asking->count++;
    return 0;
}

static void give(void *to, const struct fl_metadata *entry) {
    struct asking *asking = to;
    if (asking->rc == 0) asking->rc = take(asking, entry);
}

int fl_call_credentials_ask(const struct fl_call *call, struct fl_given **out, size_t *count,
                            struct fl_error *err) {
    struct asking asking = {.err = err};
    struct fl_error said = {FL_OK, ""};
    int rc = call->credentials(call->credentials_arg, call->path.p, give, &asking, &said);
    if (rc == 0 && asking.rc == 0) {
        *out = asking.given;
        *count = asking.count;
        return 0;
    }
    fl_call_credentials_forget(asking.given);
    if (rc == 0 && asking.rc == FL_ENOMEM) return FL_ENOMEM;
    struct fl_error detail = rc != 0 ? said : *err;
    return fl_fail(err, FL_EUNAUTHORIZED, "no credentials for this call: %s", detail.detail);
}

void fl_call_credentials_forget(struct fl_given *given) {
    for (struct fl_given *next; given; given = next) {
        next = given->next;
        explicit_bzero(given->bytes, given->size);
        fl_free(given);
    }
}
