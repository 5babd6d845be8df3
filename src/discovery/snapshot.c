/* snapshot.c - the snapshot file: read once, at the first watch, and written again and again.
 *
 * Reading. The file is checked and indexed by key; a record is decoded when its service is watched,
 * and then belongs to that watch, which shows it, marked, until the source answers, be it that
 * there is no such service (C19). Records of another API server are never found, those whose source
 * gave its last proof of life more than 24 hours ago, or in the future, are not used. A set that is
 * shown already stays when it passes that age: nothing better is known. What nobody has asked for
 * within CLAIM_MS is dropped with the file's bytes; until then it is copied into the files that are
 * written, so that a program which subscribes one service after the other does not lose the last.
 *
 * Writing. At most every 5 s, when a set has changed, and every 10 minutes for the proofs of life
 * alone. References to all sets are taken at once, which is quick; they are packed a piece a turn
 * (STEP_BYTES), so that no turn takes long however many endpoints there are, and the bytes are
 * handed to the loop, which replaces the file atomically and durably off its thread. A file that
 * cannot be read, used or written is told once per cause, and everything goes on without. */
#include "discovery/snapshot.h"

#include "base/alloc.h"
#include "base/log.h"
#include "discovery/watch.h"

#define STEP_BYTES  ((size_t)128 * 1024)
#define AHEAD_MS    ((int64_t)60 * 1000) /* a proof so far in the future: a clock was set */
#define NAMES_BYTES ((size_t)4096)

/* A set that is to be written. */
struct item {
    struct fl_provider *provider;
    struct fl_set *set;
};

/* How old sets of one proof are; shared by them. */
struct age {
    struct fl_list link;
    struct fl_freshness *freshness;
    int64_t proof_wall_ms, at_start_ms; /* age when it was read */
};

struct fl_snapshot {
    struct fl_discovery *hub;
    struct fl_io *io;
    /* reading */
    bool was_read;
    uint64_t read_at_ms;
    struct fl_buf file;
    struct fl_map records; /* of the file, that nobody has claimed: key -> their first byte */
    struct fl_list ages;
    /* writing */
    bool heard; /* from a source: there is something to write */
    bool changed, writing;
    bool closing, last_begun; /* the last file was begun by the close */
    uint64_t written_at_ms;
    struct item *items;
    size_t item_count, next_item;
    struct fl_buf out;
    struct fl_task step;
    int told; /* cause that the log was told of */
    void (*done)(void *arg);
    void *arg;
    char path[];
};

static void tell(struct fl_snapshot *s, const char *message, const struct fl_error *why) {
    if (s->told == why->code) return;
    s->told = why->code;
    FL_LOG(s->io, FL_LOG_ERROR, message, FL_LOG_TEXT_OF("path", s->path), FL_LOG_ERROR_OF(why));
}

/* ---- keys ---- */

/* What a provider calls a service, with its source; false: it is not one for the file. */
static bool identify(struct fl_provider *provider, struct fl_str service, struct fl_buf *source,
                     struct fl_buf *name) {
    fl_buf_init(source, NAMES_BYTES);
    fl_buf_init(name, NAMES_BYTES);
    return provider->ops->identify && provider->ops->identify(provider, service, source, name) == 0;
}

/* "scheme NUL source NUL name" */
static int append_key(struct fl_buf *out, const struct fl_snapshot_key *key) {
    const struct fl_str parts[] = {key->scheme, fl_str_n("", 1), key->source, fl_str_n("", 1),
                                   key->name};
    int rc = 0;
    for (size_t i = 0; i < FL_COUNT(parts) && rc == 0; i++) rc = fl_buf_append(out, parts[i]);
    return rc;
}

/* ---- reading ---- */

static void forget_file(struct fl_snapshot *s) {
    fl_map_deinit(&s->records);
    fl_map_init(&s->records, 0);
    fl_buf_deinit(&s->file);
    fl_buf_init(&s->file, FL_SNAPSHOT_BYTES_MAX);
}

static int index_records(struct fl_snapshot *s, struct fl_str records, struct fl_error *err) {
    struct fl_snapshot_record record;
    struct fl_buf key;
    int rc = 0;
    fl_buf_init(&key, 2 * NAMES_BYTES);
    while (rc == 0 && fl_snapshot_next(&records, &record)) {
        fl_buf_truncate(&key, 0);
        rc = append_key(&key, &record.key);
        if (rc == 0)
            rc = fl_map_set(&s->records, fl_buf_str(&key), (void *)(uintptr_t)record.whole.p, NULL);
    }
    fl_buf_deinit(&key);
    if (rc == FL_ENOMEM) return fl_fail_nomem(err);
    if (rc < 0 || records.n) return fl_fail(err, FL_EPROTO, "snapshot file: malformed record");
    return 0;
}

/* A file that is not there is none that was written yet. */
static void read_file(struct fl_snapshot *s) {
    struct fl_error err;
    struct fl_str records;
    s->was_read = true;
    s->read_at_ms = fl_io_now_ms(s->io);
    fl_map_deinit(&s->records);
    fl_map_init(&s->records, fl_random_u64(&s->io->jitter));
    int rc = fl_io_file_read(s->io, s->path, &s->file, &err);
    if (rc == FL_ESYS) {
        FL_LOG(s->io, FL_LOG_INFO, "no snapshot file to start from",
               FL_LOG_TEXT_OF("path", s->path), FL_LOG_ERROR_OF(&err));
        return;
    }
    if (rc == 0) rc = fl_snapshot_open(fl_buf_str(&s->file), &records, &err);
    if (rc == 0) rc = index_records(s, records, &err);
    if (rc == 0) return;
    tell(s, "snapshot file is not used", &err);
    forget_file(s);
}

/* The record of that key, taken out of the index. */
static bool claim(struct fl_snapshot *s, const struct fl_snapshot_key *key,
                  struct fl_snapshot_record *out) {
    struct fl_buf text;
    fl_buf_init(&text, 2 * NAMES_BYTES);
    const char *at =
        append_key(&text, key) == 0 ? fl_map_remove(&s->records, fl_buf_str(&text)) : NULL;
    fl_buf_deinit(&text);
    if (!at) return false;
    struct fl_str file = fl_buf_str(&s->file);
    struct fl_str rest = fl_str_from(file, (size_t)(at - file.p));
    return fl_snapshot_next(&rest, out);
}

/* The file has services of this scheme, but all of another source. */
static void tell_foreign(struct fl_snapshot *s, const struct fl_snapshot_key *key) {
    struct fl_error err;
    struct fl_str text;
    void *at;
    size_t cursor = 0;
    if (fl_map_count(&s->records) == 0) return;
    while (fl_map_next(&s->records, &cursor, &text, &at)) {
        struct fl_str scheme, rest, source;
        fl_str_split(text, '\0', &scheme, &rest);
        fl_str_split(rest, '\0', &source, &rest);
        if (!fl_str_eq(scheme, key->scheme) || fl_str_eq(source, key->source)) return;
    }
    fl_fail(&err, FL_ECONFIG, "no service of %.*s stands in it", FL_STR_ARG(key->source));
    tell(s, "snapshot file is of another cluster and not used", &err);
    forget_file(s);
}

/* The age that sets of this proof share. */
static struct age *age_of(struct fl_snapshot *s, int64_t proof_wall_ms) {
    FL_LIST_EACH (&s->ages, link, next) {
        struct age *age = FL_CONTAINER(link, struct age, link);
        if (age->proof_wall_ms == proof_wall_ms) return age;
    }
    struct age *age = FL_NEW(struct age);
    if (!age || fl_freshness_new(&age->freshness) < 0) {
        fl_free(age);
        return NULL;
    }
    age->proof_wall_ms = proof_wall_ms;
    age->at_start_ms = FL_MAX(fl_io_wall_ms(s->io) - proof_wall_ms, 0) -
                       (int64_t)(fl_io_now_ms(s->io) - s->read_at_ms);
    fl_freshness_tell(age->freshness, (uint64_t)FL_MAX(age->at_start_ms, 0), proof_wall_ms);
    fl_list_push(&s->ages, &age->link);
    return age;
}

static void age_free(struct age *age) {
    fl_list_remove(&age->link);
    fl_freshness_unref(age->freshness);
    fl_free(age);
}

static void tick_ages(struct fl_snapshot *s) {
    int64_t since_ms = (int64_t)(fl_io_now_ms(s->io) - s->read_at_ms);
    FL_LIST_EACH (&s->ages, link, next) {
        struct age *age = FL_CONTAINER(link, struct age, link);
        if (fl_freshness_is_shared(age->freshness))
            fl_freshness_tell(age->freshness, (uint64_t)FL_MAX(age->at_start_ms + since_ms, 0),
                              age->proof_wall_ms);
        else
            age_free(age);
    }
}

static bool is_young(struct fl_snapshot *s, int64_t proof_wall_ms) {
    int64_t wall_ms = fl_io_wall_ms(s->io);
    return proof_wall_ms > 0 && proof_wall_ms <= wall_ms + AHEAD_MS &&
           proof_wall_ms >= wall_ms - FL_SNAPSHOT_AGE_MS;
}

static bool find(struct fl_snapshot *s, const struct fl_snapshot_key *key,
                 struct fl_snapshot_set *out) {
    struct fl_snapshot_record record;
    struct age *age;
    if (!claim(s, key, &record)) {
        tell_foreign(s, key);
        return false;
    }
    if (!is_young(s, record.proof_wall_ms) || !(age = age_of(s, record.proof_wall_ms)))
        return false;
    int rc = fl_snapshot_decode(&record, out);
    if (rc == 0) {
        out->spec.freshness = age->freshness;
        return true;
    }
    struct fl_error err;
    fl_fail(&err, rc, "record of %.*s", FL_STR_ARG(key->name));
    tell(s, "snapshot file is not used", &err);
    return false;
}

bool fl_snapshot_find(struct fl_snapshot *s, struct fl_provider *provider, struct fl_str service,
                      struct fl_snapshot_set *out) {
    struct fl_buf source, name;
    bool found = false;
    if (!provider->ops->identify) return false;
    if (!s->was_read) read_file(s);
    if (fl_map_count(&s->records) == 0) return false;
    if (identify(provider, service, &source, &name)) {
        const struct fl_snapshot_key key = {fl_str_of(provider->scheme), fl_buf_str(&source),
                                            fl_buf_str(&name)};
        found = find(s, &key, out);
    }
    fl_buf_deinit(&source);
    fl_buf_deinit(&name);
    return found;
}

/* ---- writing ---- */

static void forget_items(struct fl_snapshot *s) {
    for (size_t i = 0; i < s->item_count; i++) fl_set_unref(s->items[i].set);
    fl_free(s->items);
    s->items = NULL;
    s->item_count = s->next_item = 0;
}

static void snapshot_free(struct fl_snapshot *s) {
    if (!s) return;
    forget_items(s);
    forget_file(s);
    fl_map_deinit(&s->records);
    FL_LIST_EACH (&s->ages, link, next) age_free(FL_CONTAINER(link, struct age, link));
    fl_buf_deinit(&s->out);
    fl_free(s);
}

static void finish_close(struct fl_snapshot *s) {
    void (*done)(void *) = s->done;
    void *arg = s->arg;
    snapshot_free(s);
    done(arg);
}

static void on_written(void *arg, const struct fl_error *why) {
    struct fl_snapshot *s = arg;
    s->writing = false;
    if (why->code != FL_OK) {
        tell(s, "snapshot file cannot be written", why);
        s->changed = true;
    } else if (s->told == FL_ESYS || s->told == FL_EFULL) {
        s->told = FL_OK;
        FL_LOG(s->io, FL_LOG_INFO, "snapshot file is written again",
               FL_LOG_TEXT_OF("path", s->path));
    }
    if (s->closing) fl_io_defer(s->io, &s->step);
}

static void give_up(struct fl_snapshot *s, int rc) {
    struct fl_error err;
    fl_fail(&err, rc, "%s", rc == FL_EFULL ? "more than 64 MiB" : "");
    forget_items(s);
    fl_buf_deinit(&s->out);
    fl_buf_init(&s->out, FL_SNAPSHOT_BYTES_MAX);
    on_written(s, &err);
}

/* What is worth a line in the file: something that was heard, by a provider that can be asked for
 * its source. */
static struct fl_set *set_of(const struct fl_watch *watch) {
    struct fl_set *set = watch->news ? fl_news_set(watch->news) : NULL;
    bool known = set && fl_set_state(set) != FL_SET_UNKNOWN;
    return known && watch->feed.provider->ops->identify ? set : NULL;
}

static int take_items(struct fl_snapshot *s) {
    size_t count = 0;
    FL_LIST_EACH (&s->hub->loop_data.watches, link, next)
        count += set_of(FL_CONTAINER(link, struct fl_watch, link)) != NULL;
    if (count == 0) return FL_EEMPTY;
    s->items = fl_calloc(count, sizeof(*s->items));
    if (!s->items) return FL_ENOMEM;
    FL_LIST_EACH (&s->hub->loop_data.watches, link, next) {
        struct fl_watch *watch = FL_CONTAINER(link, struct fl_watch, link);
        struct fl_set *set = set_of(watch);
        if (set) s->items[s->item_count++] = (struct item){watch->feed.provider, fl_set_ref(set)};
    }
    return fl_snapshot_begin(&s->out);
}

/* The proof in whole seconds, so that sets which were proved together share an age. */
static int pack_item(struct fl_snapshot *s, const struct item *item) {
    struct fl_buf source, name;
    int rc = 0;
    if (identify(item->provider, fl_str_of(fl_set_service(item->set)), &source, &name)) {
        const struct fl_snapshot_key key = {fl_str_of(item->provider->scheme), fl_buf_str(&source),
                                            fl_buf_str(&name)};
        int64_t proof_ms = fl_set_proof_wall_ms(item->set, fl_io_wall_ms(s->io));
        rc = fl_snapshot_put(&s->out, &key, proof_ms - proof_ms % 1000, item->set);
    }
    fl_buf_deinit(&source);
    fl_buf_deinit(&name);
    return rc;
}

static int pack_some(struct fl_snapshot *s, size_t bytes) {
    size_t start = s->out.len;
    int rc = 0;
    while (rc == 0 && s->next_item < s->item_count && s->out.len - start < bytes)
        rc = pack_item(s, &s->items[s->next_item++]);
    return rc;
}

static int pack_unclaimed(struct fl_snapshot *s) {
    struct fl_str key, file = fl_buf_str(&s->file);
    struct fl_snapshot_record record;
    size_t cursor = 0;
    void *at;
    int rc = 0;
    while (rc == 0 && fl_map_next(&s->records, &cursor, &key, &at)) {
        struct fl_str rest = fl_str_from(file, (size_t)((const char *)at - file.p));
        if (fl_snapshot_next(&rest, &record)) rc = fl_snapshot_put_record(&s->out, &record);
    }
    return rc;
}

static int hand_over(struct fl_snapshot *s) {
    int rc = pack_unclaimed(s);
    if (rc < 0) return rc;
    forget_items(s);
    fl_snapshot_seal(&s->out);
    struct fl_buf out = s->out;
    fl_buf_init(&s->out, FL_SNAPSHOT_BYTES_MAX);
    return fl_io_take_file_write(s->io, s->path, &out, on_written, s, NULL);
}

static void pack(struct fl_snapshot *s) {
    int rc = pack_some(s, s->closing ? SIZE_MAX : STEP_BYTES);
    if (rc == 0 && s->next_item < s->item_count)
        fl_io_post(s->io, &s->step);
    else if (rc < 0 || (rc = hand_over(s)) < 0)
        give_up(s, rc);
}

static void begin(struct fl_snapshot *s) {
    int rc = take_items(s);
    s->written_at_ms = fl_io_now_ms(s->io);
    s->changed = false;
    if (rc == FL_EEMPTY) return;
    s->writing = true;
    if (rc < 0)
        give_up(s, rc);
    else
        pack(s);
}

static void run_step(struct fl_task *task) {
    struct fl_snapshot *s = FL_CONTAINER(task, struct fl_snapshot, step);
    if (s->items) pack(s);
    if (!s->closing || s->writing) return;
    if (s->heard && !s->last_begun) {
        s->last_begun = true;
        begin(s);
    }
    if (!s->writing) finish_close(s);
}

void fl_snapshot_changed(struct fl_snapshot *s) { s->changed = s->heard = true; }

void fl_snapshot_tick(struct fl_snapshot *s) {
    uint64_t now_ms = fl_io_now_ms(s->io), since_ms = now_ms - s->written_at_ms;
    /* What was too large a moment ago is not packed in vain every few seconds. */
    bool soon = s->changed && s->told != FL_EFULL;
    bool due = since_ms >= (soon ? FL_SNAPSHOT_EVERY_MS : FL_SNAPSHOT_PROOF_MS);
    tick_ages(s);
    if (s->heard && due && !s->writing) begin(s);
    if (s->was_read && now_ms - s->read_at_ms >= FL_SNAPSHOT_CLAIM_MS && !s->items) forget_file(s);
}

/* ---- life ---- */

int fl_snapshot_new(struct fl_discovery *hub, const char *path, struct fl_snapshot **out) {
    size_t n = strlen(path);
    struct fl_snapshot *s = *out = fl_calloc(1, sizeof(*s) + n + 1);
    if (!s) return FL_ENOMEM;
    memcpy(s->path, path, n);
    s->hub = hub;
    s->io = hub->io;
    fl_map_init(&s->records, 0);
    fl_list_init(&s->ages);
    fl_buf_init(&s->file, FL_SNAPSHOT_BYTES_MAX);
    fl_buf_init(&s->out, FL_SNAPSHOT_BYTES_MAX);
    fl_task_init(&s->step, run_step);
    return 0;
}

void fl_snapshot_close(struct fl_snapshot *s, void (*done)(void *arg), void *arg) {
    s->done = done;
    s->arg = arg;
    s->closing = true;
    fl_io_defer(s->io, &s->step);
}
