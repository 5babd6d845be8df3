/* journal.c - see journal.h. Any thread. */
#include "manager/journal.h"

#include <stdio.h>

#define TEXT_MAX 1024

enum tag { TAG_NONE, TAG_SERVICE, TAG_WATCHER };

struct entry {
    enum tag tag;
    enum fl_log_level line_level, level;
    const char *line, *message;
};

static const struct entry entries[] = {
#define FL_X(event, tag, line_level, level, line, message)                                         \
    [FL_JOURNAL_##event] = {TAG_##tag, FL_LOG_##line_level, FL_LOG_##level, line, message},
    FL_JOURNAL_MAP(FL_X)
#undef FL_X
};

struct text {
    char bytes[TEXT_MAX];
    size_t len;
};

/* What does not fit is cut. */
static void put(struct text *text, struct fl_str s) {
    size_t n = FL_MIN(s.n, sizeof(text->bytes) - 1 - text->len);
    if (n) memcpy(text->bytes + text->len, s.p, n);
    text->len += n;
    text->bytes[text->len] = '\0';
}

static void put_field(struct text *text, struct fl_str key, const struct fl_log_field *fields,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        char number[24];
        if (!fl_str_eq(key, fl_str_of(fields[i].key))) continue;
        snprintf(number, sizeof(number), "%lld", (long long)fields[i].number);
        put(text, fields[i].kind == FL_LOG_FIELD_INT ? fl_str_of(number) : fields[i].text);
        return;
    }
    FL_ASSERT(!"a line names a field that was not given");
}

static void put_filled_in(struct text *text, const char *line, const struct fl_log_field *fields,
                          size_t count) {
    struct fl_str rest = fl_str_of(line), piece, key;
    while (fl_str_split(rest, '{', &piece, &rest)) {
        put(text, piece);
        fl_str_split(rest, '}', &key, &rest);
        put_field(text, key, fields, count);
    }
    put(text, piece);
}

static void write_line(const struct fl_journal *journal, const struct entry *entry,
                       const char *service, const struct fl_log_field *fields, size_t count) {
    static const char *const words[] = {[FL_LOG_DEBUG] = "",
                                        [FL_LOG_INFO] = "",
                                        [FL_LOG_WARN] = "WARNING: ",
                                        [FL_LOG_ERROR] = "ERROR: "};
    struct text text = {.len = 0};
    if (!fl_log_on(entry->line_level)) return;
    put(&text, FL_STR("[K8s Discovery] "));
    if (entry->tag == TAG_WATCHER) put(&text, FL_STR("[Watcher] "));
    if (entry->tag == TAG_SERVICE) {
        put(&text, FL_STR("["));
        put(&text, fl_str_of(service));
        put(&text, FL_STR("] "));
    }
    put(&text, fl_str_of(words[entry->line_level]));
    put_filled_in(&text, entry->line, fields, count);
    fl_log_write_text(fl_io_wall_ms(journal->io), entry->line_level, text.bytes);
}

static void write_fields(const struct fl_journal *journal, const struct entry *entry,
                         const char *service, const struct fl_log_field *fields, size_t count) {
    struct fl_log_field all[8];
    size_t n = 0;
    if (!fl_log_on(entry->level)) return;
    FL_ASSERT(count < FL_COUNT(all));
    if (service) all[n++] = FL_LOG_TEXT_OF("service", service);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(fields[i].key, "name") != 0) all[n++] = fields[i]; /* that is the service */
    }
    fl_log_write(fl_io_wall_ms(journal->io), entry->level, entry->message, all, n);
}

void fl_journal_write(const struct fl_journal *journal, enum fl_journal_event event,
                      const char *service, const struct fl_log_field *fields, size_t count) {
    if (journal->style == FL_LOG_STYLE_K8S_DISCOVERY)
        write_line(journal, &entries[event], service, fields, count);
    else
        write_fields(journal, &entries[event], service, fields, count);
}

const char *fl_journal_state(const struct fl_journal *journal, int state) {
    static const char *const names[] = {
        [FL_CHANNEL_IDLE] = "Idle",         [FL_CHANNEL_CONNECTING] = "Connecting",
        [FL_CHANNEL_READY] = "Ready",       [FL_CHANNEL_TRANSIENT_FAILURE] = "TransientFailure",
        [FL_CHANNEL_SHUTDOWN] = "Shutdown",
    };
    if (journal->style == FL_LOG_STYLE_K8S_DISCOVERY) return names[state];
    return fl_channel_state_name((enum fl_channel_state)state);
}
