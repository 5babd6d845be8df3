/* discovery_snapshot_test.c - the snapshot file: its bytes, and a hub that starts from it. */
#include "support/alloc.h"

#include <stdio.h>

#include <fairlead/log.h>

#include "base/hash.h"
#include "base/random.h"
#include "discovery/discovery.h"
#include "discovery/snapshot.h"
#include "sim/world.h"
#include "support/fake_provider.h"
#include "support/sets.h"

#define FILE_PATH "/var/lib/app/snapshot"
#define DAY_MS    ((uint64_t)24 * 60 * 60 * 1000)

/* ---- the bytes ---- */

static const struct fl_snapshot_key key = {FL_STR("fake"), FL_STR("fake-0"), FL_STR("ns/echo")};

static struct fl_set *sample(void) {
    return fl_test_set(
        "http:80 dns:53/UDP",
        fl_test_block("http:8080 dns:5353/UDP+app",
                      "10.0.0.1 rs uid=1 pod=echo-1 node=n-1 zone=z-a for-zone=z-a, 10.0.0.2 - "
                      "pod=echo-2 node=n-2 zone=z-a, 10.0.0.3 st pod=other node=n-2"),
        fl_test_block("http:8080", "fd00::1 rs uid=2 for-node=n-1 for-node=n-2"),
        fl_test_block("", "db.example.org rs"), fl_test_block("http:1", ""), NULL);
}

static struct fl_buf file_of(struct fl_set *const *sets, size_t count) {
    struct fl_buf file;
    fl_buf_init(&file, FL_SNAPSHOT_BYTES_MAX);
    assert_int_equal(fl_snapshot_begin(&file), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(fl_snapshot_put(&file, &key, 1234567, sets[i]), 0);
    fl_snapshot_seal(&file);
    return file;
}

static struct fl_set *decoded(const struct fl_snapshot_record *record) {
    struct fl_snapshot_set found;
    struct fl_set *set;
    assert_int_equal(fl_snapshot_decode(record, &found), 0);
    assert_int_equal(fl_set_new(&found.spec, 1, &set), 0);
    fl_snapshot_set_deinit(&found);
    return set;
}

static void test_a_set_comes_back_as_it_was(void **state) {
    FL_UNUSED(state);
    struct fl_set_spec absent = {.service = key.name, .state = FL_SET_ABSENT};
    struct fl_set_spec external = {.service = key.name,
                                   .state = FL_SET_SOME,
                                   .external_name = FL_STR("a.example.org"),
                                   .truncated = true};
    struct fl_set *sets[3] = {sample(), NULL, NULL};
    assert_int_equal(fl_set_new(&absent, 1, &sets[1]), 0);
    assert_int_equal(fl_set_new(&external, 1, &sets[2]), 0);
    struct fl_buf file = file_of(sets, 3);
    struct fl_str records;
    struct fl_snapshot_record record;
    assert_int_equal(fl_snapshot_open(fl_buf_str(&file), &records, NULL), 0);
    for (size_t i = 0; i < 3; i++) {
        assert_true(fl_snapshot_next(&records, &record));
        assert_true(fl_str_eq(record.key.source, key.source));
        assert_int_equal(record.proof_wall_ms, 1234567);
        struct fl_set *set = decoded(&record);
        char before[FL_TEST_TEXT_MAX];
        fl_str_copy(before, sizeof(before), fl_str_of(fl_test_text(sets[i])));
        assert_string_equal(fl_test_text(set), before);
        assert_string_equal(fl_test_diff(sets[i], set), "");
        assert_int_equal(fl_set_state(set), fl_set_state(sets[i]));
        assert_int_equal(fl_set_is_truncated(set), fl_set_is_truncated(sets[i]));
        assert_true(fl_set_is_snapshot(set));
        assert_int_equal(fl_set_ports(set, NULL), fl_set_ports(sets[i], NULL));
        if (i == 2) assert_string_equal(fl_set_external_name(set), "a.example.org");
        fl_set_unref(set);
        fl_set_unref(sets[i]);
    }
    assert_false(fl_snapshot_next(&records, &record));
    assert_int_equal(records.n, 0);
    fl_buf_deinit(&file);
}

/* Every byte matters, and every length is needed. */
static void test_C19_accidents_are_found(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = sample();
    struct fl_buf file = file_of(&set, 1);
    struct fl_str records, bytes = fl_buf_str(&file);
    for (size_t i = 0; i < bytes.n; i++) {
        struct fl_error err;
        if (i >= 12 && i < 16) continue; /* reserved */
        file.data[i] ^= 0x10;
        assert_int_equal(fl_snapshot_open(bytes, &records, &err), FL_EPROTO);
        assert_true(err.detail[0] != '\0');
        file.data[i] ^= 0x10;
        assert_int_equal(fl_snapshot_open(fl_str_n(bytes.p, i), &records, NULL), FL_EPROTO);
    }
    fl_set_unref(set);
    fl_buf_deinit(&file);
}

/* A stranger who knows the checksum: an error or a set, nothing else. */
static void test_malice_is_survived(void **state) {
    FL_UNUSED(state);
    struct fl_random random = {7};
    struct fl_set *set = sample();
    struct fl_buf file = file_of(&set, 1);
    struct fl_str records;
    struct fl_snapshot_record record;
    assert_int_equal(fl_snapshot_open(fl_buf_str(&file), &records, NULL), 0);
    for (unsigned round = 0; round < 20000; round++) {
        char copy[4096];
        struct fl_snapshot_set found;
        struct fl_str rest = fl_str_n(copy, records.n);
        assert_true(records.n < sizeof(copy));
        memcpy(copy, records.p, records.n);
        for (unsigned i = 0; i <= round % 4; i++)
            copy[fl_random_below(&random, records.n)] = (char)fl_random_u64(&random);
        while (fl_snapshot_next(&rest, &record)) {
            if (fl_snapshot_decode(&record, &found) < 0) continue;
            struct fl_set *made;
            assert_int_equal(fl_set_new(&found.spec, 1, &made), 0);
            fl_test_text(made);
            fl_set_unref(made);
            fl_snapshot_set_deinit(&found);
        }
    }
    fl_set_unref(set);
    fl_buf_deinit(&file);
}

static void test_each_failed_allocation_of_a_record(void **state) {
    FL_UNUSED(state);
    struct fl_set *set = sample();
    FL_TEST_EACH_FAILURE(n) {
        struct fl_buf file;
        fl_buf_init(&file, FL_SNAPSHOT_BYTES_MAX);
        int rc = fl_snapshot_begin(&file);
        if (rc == 0) rc = fl_snapshot_put(&file, &key, 1, set);
        struct fl_str rest = fl_str_from(fl_buf_str(&file), 32);
        struct fl_snapshot_record record;
        struct fl_snapshot_set found;
        if (rc == 0 && fl_snapshot_next(&rest, &record)) {
            rc = fl_snapshot_decode(&record, &found);
            if (rc == 0) fl_snapshot_set_deinit(&found);
        }
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_buf_deinit(&file);
    }
    fl_set_unref(set);
}

/* ---- a hub ---- */

struct bed {
    struct fl_world *world;
    struct fl_io *io;
    struct fl_fake fake;
    struct fl_discovery *hub;
    unsigned lines; /* of the log that speak of the snapshot file */
    bool closed;
};

struct sub {
    struct fl_subscription *handle;
    struct fl_set *set;
    unsigned snapshots, lives; /* sets of either kind */
    int trouble;
};

static void on_line(void *arg, const char *line, size_t len) {
    struct bed *bed = arg;
    bed->lines += memmem(line, len, "snapshot file", 13) != NULL &&
                  memmem(line, len, "level=error", 11) != NULL;
}

static void on_set(void *arg, struct fl_set *set, struct fl_set *previous,
                   const struct fl_error *trouble) {
    struct sub *sub = arg;
    FL_UNUSED(previous);
    fl_set_unref(sub->set);
    sub->set = fl_set_ref(set);
    sub->trouble = trouble ? trouble->code : FL_OK;
    *(fl_set_is_snapshot(set) ? &sub->snapshots : &sub->lives) += 1;
}

static void on_closed(void *arg) { *(bool *)arg = true; }

static void run(struct bed *bed, uint64_t ms) { fl_world_run_ms(bed->world, ms); }

static void hub_open(struct bed *bed) {
    bed->closed = false;
    assert_int_equal(fl_discovery_open(bed->io, &bed->hub, NULL), 0);
    int cluster = bed->fake.cluster;
    fl_fake_init(&bed->fake, bed->io);
    bed->fake.cluster = cluster;
    assert_int_equal(fl_discovery_take_provider(bed->hub, &bed->fake.provider), 0);
    assert_int_equal(fl_discovery_keep_snapshot(bed->hub, FILE_PATH, NULL), 0);
}

static void hub_close(struct bed *bed) {
    fl_discovery_close(bed->hub, on_closed, &bed->closed);
    run(bed, 1000);
    assert_true(bed->closed);
}

static void setup(struct bed *bed) {
    static const struct fl_world_options options = {.seed = 1};
    *bed = (struct bed){0};
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_ERROR, .write = on_line, .arg = bed});
    assert_int_equal(fl_world_new(&options, &bed->world), 0);
    bed->io = fl_world_io(bed->world);
    hub_open(bed);
}

static void teardown(struct bed *bed) {
    hub_close(bed);
    fl_world_free(bed->world);
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
}

static void subscribe(struct bed *bed, struct sub *sub, const char *target) {
    *sub = (struct sub){0};
    assert_int_equal(
        fl_discovery_subscribe_on(bed->hub, bed->io, target, on_set, sub, &sub->handle, NULL), 0);
    run(bed, 1);
}

static void end(struct bed *bed, struct sub *sub) {
    fl_subscription_close(sub->handle, NULL, NULL);
    run(bed, 1);
    fl_set_unref(sub->set);
    sub->set = NULL;
}

static bool written(struct bed *bed) {
    struct fl_str text;
    return fl_world_peek_file(bed->world, FILE_PATH, &text);
}

/* A program has followed x and y, and has ended; the next one begins. */
static void setup_second_life(struct bed *bed) {
    struct sub x, y;
    setup(bed);
    subscribe(bed, &x, "fake:///x");
    subscribe(bed, &y, "fake:///y");
    fl_fake_publish(&bed->fake, "x", fl_test_block("http:8080", "10.0.0.1 rs, 10.0.0.2 rs"));
    fl_fake_publish(&bed->fake, "y", fl_test_block("http:8080", "10.0.0.9 rs"));
    run(bed, 1);
    end(bed, &x);
    end(bed, &y);
    hub_close(bed);
    assert_true(written(bed));
    hub_open(bed);
}

static void test_C19_a_snapshot_is_marked_and_yields_to_the_first_answer(void **state) {
    struct bed bed;
    struct sub x, y, z;
    FL_UNUSED(state);
    setup_second_life(&bed);
    run(&bed, 60000);
    subscribe(&bed, &x, "fake:///x:http");
    subscribe(&bed, &y, "fake:///y");
    subscribe(&bed, &z, "fake:///z");
    assert_int_equal(x.snapshots, 1);
    assert_string_equal(fl_test_text(x.set), "10.0.0.1:8080 http rs; 10.0.0.2:8080 http rs");
    assert_in_range(fl_set_stale_ms(x.set), 60000, 64000);
    assert_null(z.set);
    run(&bed, 10000);
    assert_in_range(fl_set_stale_ms(x.set), 69000, 74000);
    fl_fake_trouble(&bed.fake, "x", FL_EREFUSED);
    run(&bed, 1);
    assert_int_equal(x.trouble, FL_EREFUSED);
    assert_true(fl_set_is_snapshot(x.set));

    /* The same, live; and a service that is gone now. */
    fl_fake_publish(&bed.fake, "x", fl_test_block("http:8080", "10.0.0.1 rs, 10.0.0.2 rs"));
    struct fl_set_spec absent = {.service = FL_STR("y"), .state = FL_SET_ABSENT};
    fl_feed_publish(fl_fake_feed(&bed.fake, "y"), &absent);
    run(&bed, 1);
    assert_int_equal(x.lives, 1);
    assert_false(fl_set_is_snapshot(x.set));
    assert_int_equal(fl_set_stale_ms(x.set), 0);
    assert_int_equal(fl_set_state(y.set), FL_SET_ABSENT);
    assert_false(fl_set_is_snapshot(y.set));
    end(&bed, &x);
    end(&bed, &y);
    end(&bed, &z);
    assert_int_equal(bed.lines, 0);
    teardown(&bed);
}

static void test_C19_a_snapshot_ages_out(void **state) {
    struct bed bed;
    struct sub x;
    FL_UNUSED(state);
    setup_second_life(&bed);
    run(&bed, DAY_MS + 10000);
    subscribe(&bed, &x, "fake:///x");
    run(&bed, 5000);
    assert_null(x.set);
    end(&bed, &x);
    teardown(&bed);
}

static void test_C19_another_clusters_snapshot_is_not_used(void **state) {
    struct bed bed;
    struct sub x, y;
    FL_UNUSED(state);
    setup_second_life(&bed);
    bed.fake.cluster = 1;
    subscribe(&bed, &x, "fake:///x");
    subscribe(&bed, &y, "fake:///y");
    assert_null(x.set);
    assert_null(y.set);
    assert_int_equal(bed.lines, 1);
    end(&bed, &x);
    end(&bed, &y);
    teardown(&bed);
}

static void test_C19_a_broken_file_is_told_once_and_replaced(void **state) {
    FL_UNUSED(state);
    for (int kind = 0; kind < 3; kind++) {
        struct bed bed;
        struct sub x, y;
        struct fl_str text;
        setup_second_life(&bed);
        assert_true(fl_world_peek_file(bed.world, FILE_PATH, &text));
        char broken[4096];
        assert_true(text.n < sizeof(broken));
        memcpy(broken, text.p, text.n);
        broken[text.n / 2] ^= 1;
        struct fl_str bytes = kind == 0   ? fl_str_n(broken, text.n)
                              : kind == 1 ? fl_str_n(text.p, 0)
                                          : fl_str_n(broken, text.n / 2);
        assert_int_equal(fl_world_file(bed.world, FILE_PATH, bytes), 0);
        subscribe(&bed, &x, "fake:///x");
        subscribe(&bed, &y, "fake:///y");
        run(&bed, 20000);
        assert_null(x.set);
        assert_null(y.set);
        assert_int_equal(bed.lines, 1);
        fl_fake_publish(&bed.fake, "x", fl_test_block("http:8080", "10.0.0.3 rs"));
        run(&bed, 10000);
        end(&bed, &x);
        end(&bed, &y);
        hub_close(&bed);
        hub_open(&bed);
        subscribe(&bed, &x, "fake:///x");
        assert_string_equal(fl_test_text(x.set), "10.0.0.3:8080 http rs");
        end(&bed, &x);
        teardown(&bed);
    }
}

static void test_an_unwritable_file_is_told_once(void **state) {
    struct bed bed;
    struct sub x;
    FL_UNUSED(state);
    setup(&bed);
    assert_int_equal(fl_world_file_fault(bed.world, FILE_PATH, FL_WORLD_FILE_TORN), 0);
    subscribe(&bed, &x, "fake:///x");
    fl_fake_publish(&bed.fake, "x", fl_test_block("http:8080", "10.0.0.1 rs"));
    run(&bed, 60000);
    assert_false(written(&bed));
    assert_int_equal(bed.lines, 1);
    assert_int_equal(fl_set_state(x.set), FL_SET_SOME);
    assert_int_equal(fl_world_file_fault(bed.world, FILE_PATH, FL_WORLD_FILE_OK), 0);
    run(&bed, 10000);
    assert_true(written(&bed));
    end(&bed, &x);
    teardown(&bed);
}

/* At most every five seconds, and not without a change but for the proofs. */
static void test_writes_are_few(void **state) {
    struct bed bed;
    struct sub x;
    FL_UNUSED(state);
    setup(&bed);
    subscribe(&bed, &x, "fake:///x");
    unsigned writes = 0;
    char last[4096] = "";
    for (unsigned second = 0; second < 60; second++) {
        struct fl_str text;
        char endpoint[32];
        snprintf(endpoint, sizeof(endpoint), "10.0.0.%u rs", second + 1);
        fl_fake_publish(&bed.fake, "x", fl_test_block("http:8080", endpoint));
        run(&bed, 1000);
        if (!fl_world_peek_file(bed.world, FILE_PATH, &text)) continue;
        assert_true(text.n < sizeof(last));
        writes += memcmp(last, text.p, text.n) != 0;
        memcpy(last, text.p, text.n);
    }
    assert_in_range(writes, 8, 13);
    run(&bed, 10000);
    struct fl_str text;
    assert_true(fl_world_peek_file(bed.world, FILE_PATH, &text));
    memcpy(last, text.p, text.n);
    run(&bed, 9 * 60 * 1000);
    assert_true(fl_world_peek_file(bed.world, FILE_PATH, &text));
    assert_memory_equal(last, text.p, text.n);
    run(&bed, 2 * 60 * 1000);
    assert_true(fl_world_peek_file(bed.world, FILE_PATH, &text));
    assert_memory_not_equal(last, text.p, text.n);
    end(&bed, &x);
    teardown(&bed);
}

/* What is asked for later than the first write is still there, for a minute. */
static void test_services_that_are_not_asked_for_yet_stay_in_the_file(void **state) {
    struct bed bed;
    struct sub x, y;
    FL_UNUSED(state);
    setup_second_life(&bed);
    subscribe(&bed, &x, "fake:///x");
    fl_fake_publish(&bed.fake, "x", fl_test_block("http:8080", "10.0.0.3 rs"));
    run(&bed, 20000);
    end(&bed, &x);
    hub_close(&bed);
    hub_open(&bed);
    subscribe(&bed, &x, "fake:///x");
    subscribe(&bed, &y, "fake:///y");
    assert_string_equal(fl_test_text(x.set), "10.0.0.3:8080 http rs");
    assert_string_equal(fl_test_text(y.set), "10.0.0.9:8080 http rs");
    end(&bed, &x);
    end(&bed, &y);
    teardown(&bed);
}

static void test_each_failed_allocation_of_two_lives(void **state) {
    bool failed = true;
    FL_UNUSED(state);
    for (size_t n = 1; failed; n++) {
        struct bed bed;
        struct sub x = {0}, y;
        setup_second_life(&bed);
        fl_test_alloc_fail_at(n);
        int rc =
            fl_discovery_subscribe_on(bed.hub, bed.io, "fake:///x", on_set, &x, &x.handle, NULL);
        if (rc == 0) {
            run(&bed, 1000);
            struct fl_feed *feed = fl_fake_feed(&bed.fake, "x");
            const struct fl_set_spec empty = {.service = FL_STR("x"), .state = FL_SET_SOME};
            if (feed) fl_feed_publish(feed, &empty);
            run(&bed, 20000);
            end(&bed, &x);
        }
        failed = fl_test_alloc_did_fail();
        fl_test_alloc_fail_at(0);
        subscribe(&bed, &y, "fake:///y");
        run(&bed, 20000);
        end(&bed, &y);
        teardown(&bed);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_set_comes_back_as_it_was),
        cmocka_unit_test(test_C19_accidents_are_found),
        cmocka_unit_test(test_malice_is_survived),
        cmocka_unit_test(test_each_failed_allocation_of_a_record),
        cmocka_unit_test(test_C19_a_snapshot_is_marked_and_yields_to_the_first_answer),
        cmocka_unit_test(test_C19_a_snapshot_ages_out),
        cmocka_unit_test(test_C19_another_clusters_snapshot_is_not_used),
        cmocka_unit_test(test_C19_a_broken_file_is_told_once_and_replaced),
        cmocka_unit_test(test_an_unwritable_file_is_told_once),
        cmocka_unit_test(test_writes_are_few),
        cmocka_unit_test(test_services_that_are_not_asked_for_yet_stay_in_the_file),
        cmocka_unit_test(test_each_failed_allocation_of_two_lives),
    };
    fl_log_configure(&(struct fl_log_options){.level = FL_LOG_OFF});
    return fl_test_run(tests, FL_COUNT(tests));
}
