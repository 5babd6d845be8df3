/* outbox.c - see outbox.h. The caller bounds what it adds. */
#include "channel/outbox.h"

void fl_outbox_init(struct fl_outbox *outbox) {
    *outbox = (struct fl_outbox){.start = 0};
    fl_buf_init(&outbox->bytes, SIZE_MAX);
}

void fl_outbox_init_fixed(struct fl_outbox *outbox, struct fl_str request) {
    fl_outbox_init(outbox);
    outbox->fixed = request;
    outbox->ended = true;
}

void fl_outbox_deinit(struct fl_outbox *outbox) { fl_buf_deinit(&outbox->bytes); }

int fl_outbox_add(struct fl_outbox *outbox, struct fl_str prefix, struct fl_str message) {
    char *to = fl_buf_reserve(&outbox->bytes, prefix.n + message.n);
    if (!to) return FL_ENOMEM;
    memcpy(to, prefix.p, prefix.n);
    if (message.n > 0) memcpy(to + prefix.n, message.p, message.n);
    fl_buf_commit(&outbox->bytes, prefix.n + message.n);
    return 0;
}

struct fl_str fl_outbox_from(const struct fl_outbox *outbox, uint64_t at) {
    FL_ASSERT(at >= outbox->start);
    struct fl_str all = outbox->fixed.p ? outbox->fixed : fl_buf_str(&outbox->bytes);
    return fl_str_from(all, (size_t)(at - outbox->start));
}

void fl_outbox_drop(struct fl_outbox *outbox, uint64_t until) {
    if (outbox->fixed.p || until <= outbox->start) return;
    fl_buf_consume(&outbox->bytes, (size_t)(until - outbox->start));
    outbox->start = until;
    if (outbox->bytes.len == 0 && outbox->bytes.cap > FL_OUTBOX_REPLAY_MAX)
        fl_buf_release(&outbox->bytes);
}
