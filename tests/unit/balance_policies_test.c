/* Policies and options, each against what its document promises. Pure. */
#include "support/alloc.h"

#include <string.h>

#include "balance/balance.h"
#include "balance/pick_first.h"
#include "base/hash.h"

#define ITEMS_MAX 1000

struct item {
    struct fl_pick pick;
    bool full;
    unsigned picked;
};

struct fixture {
    struct fl_balance_options options;
    struct fl_random random;
    struct fl_balancer balancer;
    struct item items[ITEMS_MAX];
    unsigned looked_at; /* since the last pick */
};

static struct fixture f;

static bool may(const struct fl_pick *pick) {
    f.looked_at++;
    return !FL_CONTAINER(pick, const struct item, pick)->full;
}

static void set_up(const struct fl_balance_options *options, size_t in) {
    memset(&f, 0, sizeof(f));
    f.random.state = 42;
    assert_int_equal(fl_balance_options_copy(&f.options, options, NULL), 0);
    fl_balancer_init(&f.balancer, &f.options, &f.random);
    assert_int_equal(fl_balancer_reserve(&f.balancer, ITEMS_MAX), 0);
    for (size_t i = 0; i < ITEMS_MAX; i++)
        f.items[i].pick = (struct fl_pick){
            .order = i, .key = fl_hash(fl_str_n((const char *)&i, sizeof(i)), 0), .weight = 100};
    for (size_t i = 0; i < in; i++) fl_balancer_add(&f.balancer, &f.items[i].pick);
}

static void tear_down(void) {
    fl_balancer_deinit(&f.balancer);
    fl_balance_options_deinit(&f.options);
}

static struct item *next_of(const struct fl_pick_context *context) {
    f.looked_at = 0;
    struct fl_pick *pick = fl_balancer_next(&f.balancer, context, may);
    if (!pick) return NULL;
    struct item *item = FL_CONTAINER(pick, struct item, pick);
    item->picked++;
    return item;
}

static struct item *next(void) { return next_of(&(struct fl_pick_context){.hashed = false}); }

static struct item *hashed(uint64_t hash) {
    return next_of(&(struct fl_pick_context){.hashed = true, .hash = hash});
}

static void weigh(size_t i, uint32_t weight) {
    fl_balancer_weigh(&f.balancer, &f.items[i].pick, weight);
}

static void forget_picks(void) {
    for (size_t i = 0; i < ITEMS_MAX; i++) f.items[i].picked = 0;
}

/* --- options --- */

static int copied(struct fl_balance_options options, struct fl_balance_options *out) {
    struct fl_error err;
    int rc = fl_balance_options_copy(out, &options, &err);
    fl_balance_options_deinit(out);
    return rc;
}

static void test_options(void **state) {
    FL_UNUSED(state);
    struct fl_balance_options out;
    assert_int_equal(fl_balance_options_copy(&out, NULL, NULL), 0);
    assert_int_equal(out.policy, FL_BALANCE_ROUND_ROBIN);
    assert_int_equal(out.choices, 2);
    assert_int_equal(copied((struct fl_balance_options){.choices = 11}, &out), 0);
    assert_int_equal(out.choices, 10);
    assert_int_equal(copied((struct fl_balance_options){.choices = 1}, &out), FL_EUSAGE);
    struct fl_balance_options unknown = {.policy = (enum fl_balance_policy)99};
    assert_int_equal(copied(unknown, &out), FL_EUSAGE);
    assert_int_equal(copied((struct fl_balance_options){.hash_header = "x-user-id"}, &out), 0);
    static const char *const wrong[] = {"", "X-User", "user-bin", "a b", ":path"};
    for (size_t i = 0; i < FL_COUNT(wrong); i++)
        assert_int_equal(copied((struct fl_balance_options){.hash_header = wrong[i]}, &out),
                         FL_EUSAGE);
    assert_int_equal(copied((struct fl_balance_options){.ring_min = 9, .ring_max = 8}, &out),
                     FL_EUSAGE);
    assert_int_equal(copied((struct fl_balance_options){.ring_max = 10000}, &out), 0);
    assert_int_equal(out.ring_min, 1024);
    assert_int_equal(out.ring_max, 4096);
    assert_int_equal(copied((struct fl_balance_options){.ring_max = 100}, &out), 0);
    assert_int_equal(out.ring_min, 100);
}

static void test_options_without_memory(void **state) {
    FL_UNUSED(state);
    struct fl_balance_options given = {.hash_header = "user"}, out;
    FL_TEST_EACH_FAILURE(n) {
        int rc = fl_balance_options_copy(&out, &given, NULL);
        assert_true(rc == 0 || rc == FL_ENOMEM);
        fl_balance_options_deinit(&out);
    }
}

static void test_rounds_without_memory(void **state) {
    FL_UNUSED(state);
    for (int policy = FL_BALANCE_ROUND_ROBIN; policy <= FL_BALANCE_RENDEZVOUS; policy++) {
        FL_TEST_EACH_FAILURE(n) {
            struct fl_balance_options options = {.policy = (enum fl_balance_policy)policy,
                                                 .ring_max = 10};
            struct fl_balancer balancer;
            fl_balancer_init(&balancer, &options, NULL);
            int rc = fl_balancer_reserve(&balancer, 10);
            if (rc == 0) rc = fl_balancer_reserve(&balancer, 100);
            assert_true(rc == 0 || rc == FL_ENOMEM);
            fl_balancer_deinit(&balancer);
        }
    }
}

/* --- weighted_round_robin --- */

static uint32_t any_weight(void *arg, const struct fl_endpoint *endpoint) {
    FL_UNUSED(arg);
    FL_UNUSED(endpoint);
    return 0;
}

static const struct fl_balance_options weighted = {.weight = any_weight};

static void test_C5_equal_weights_are_a_round(void **state) {
    FL_UNUSED(state);
    set_up(&weighted, 50);
    for (unsigned round = 1; round <= 100; round++) {
        for (int i = 0; i < 50; i++) next();
        for (size_t i = 0; i < 50; i++) assert_int_equal(f.items[i].picked, round);
    }
    tear_down();
}

static void test_turns_follow_weights(void **state) {
    FL_UNUSED(state);
    set_up(&weighted, 4);
    static const uint32_t weights[] = {50, 100, 200, 650};
    for (size_t i = 0; i < 4; i++) weigh(i, weights[i]);
    for (int i = 0; i < 10000; i++) next();
    for (size_t i = 0; i < 4; i++)
        assert_in_range(f.items[i].picked, weights[i] * 10 - 2, weights[i] * 10 + 2);
    weigh(3, 1);
    forget_picks();
    for (int i = 0; i < 35100; i++) next();
    assert_in_range(f.items[3].picked, 98, 102);
    assert_in_range(f.items[1].picked, 9998, 10002);
    tear_down();
}

/* Who had to wait long by its old weight does not once it weighs more. */
static void test_weight_takes_effect_at_once(void **state) {
    FL_UNUSED(state);
    set_up(&weighted, 10);
    weigh(0, 1);
    for (int i = 0; i < 10000 && f.items[0].picked == 0; i++) next();
    forget_picks();
    weigh(0, 100);
    for (int i = 0; i < 11; i++) next();
    assert_int_equal(f.items[0].picked, 1);
    tear_down();
}

static void test_C6_new_one_within_one_weighted_round(void **state) {
    FL_UNUSED(state);
    for (size_t before = 0; before < 40; before++) {
        set_up(&weighted, 20);
        for (size_t i = 0; i < before; i++) next();
        fl_balancer_add(&f.balancer, &f.items[20].pick);
        for (int i = 0; i < 21; i++) next();
        assert_int_equal(f.items[20].picked, 1);
        tear_down();
    }
}

static void test_weighted_turns_survive_comings_and_goings(void **state) {
    FL_UNUSED(state);
    set_up(&weighted, 0);
    struct fl_random random = {7};
    for (int step = 0; step < 20000; step++) {
        struct item *item = &f.items[fl_random_below(&random, 20)];
        weigh((size_t)(item - f.items), 1 + (uint32_t)fl_random_below(&random, 300));
        if (item->pick.in)
            fl_balancer_remove(&f.balancer, &item->pick);
        else
            fl_balancer_add(&f.balancer, &item->pick);
        struct item *picked = next();
        assert_int_equal(picked != NULL, f.balancer.near.count > 0);
        if (picked) assert_true(picked->pick.in);
    }
    tear_down();
}

static void test_weighted_turns_find_the_one_with_room(void **state) {
    FL_UNUSED(state);
    set_up(&weighted, 10);
    weigh(0, 10000);
    weigh(9, 1);
    for (size_t i = 0; i < 9; i++) f.items[i].full = true;
    for (int i = 0; i < 100; i++) assert_ptr_equal(next(), &f.items[9]);
    f.items[9].full = true;
    assert_null(next());
    tear_down();
}

/* --- ring_hash and rendezvous --- */

#define KEYS 20000

static uint64_t hash_of(uint64_t key) {
    return fl_hash(fl_str_n((const char *)&key, sizeof(key)), 0);
}

static struct item *owners[KEYS];

static void remember_owners(void) {
    for (uint64_t key = 0; key < KEYS; key++) owners[key] = hashed(hash_of(key));
}

/* How many keys have another owner, of those that need not have one. */
static unsigned moved_needlessly(const struct item *left) {
    unsigned moved = 0;
    for (uint64_t key = 0; key < KEYS; key++)
        moved += owners[key] != left && hashed(hash_of(key)) != owners[key];
    return moved;
}

static unsigned share_of(const struct item *item) {
    unsigned share = 0;
    for (uint64_t key = 0; key < KEYS; key++) share += owners[key] == item;
    return share;
}

static const struct fl_balance_options ring = {.policy = FL_BALANCE_RING_HASH};
static const struct fl_balance_options rendezvous = {.policy = FL_BALANCE_RENDEZVOUS};

static void leave_and_come_back(const struct fl_balance_options *options, size_t count) {
    set_up(options, count);
    remember_owners();
    struct item *left = &f.items[count / 2];
    fl_balancer_remove(&f.balancer, &left->pick);
    assert_int_equal(moved_needlessly(left), 0);
    for (uint64_t key = 0; key < KEYS; key++) assert_ptr_not_equal(hashed(hash_of(key)), left);
    fl_balancer_add(&f.balancer, &left->pick);
    assert_int_equal(moved_needlessly(NULL), 0); /* as if it had never been away */
    tear_down();
}

/* Only what belonged to the one that left moves: 1/N. */
static void test_hashes_stay_when_another_leaves(void **state) {
    FL_UNUSED(state);
    static const size_t counts[] = {3, 10, 100, 999};
    for (size_t i = 0; i < FL_COUNT(counts); i++) {
        leave_and_come_back(&ring, counts[i]);
        leave_and_come_back(&rendezvous, counts[i]);
    }
}

/* Where the number of places on the ring changes, at powers of two, about a half does. */
static void test_ring_moves_a_half_where_its_places_double(void **state) {
    FL_UNUSED(state);
    set_up(&ring, 64);
    remember_owners();
    fl_balancer_remove(&f.balancer, &f.items[10].pick); /* 63: twice the places */
    assert_in_range(moved_needlessly(&f.items[10]), 1, KEYS * 55 / 100);
    tear_down();
}

static void shares_are_even(const struct fl_balance_options *options, size_t count, unsigned off) {
    set_up(options, count);
    remember_owners();
    for (size_t i = 0; i < count; i++)
        assert_in_range(share_of(&f.items[i]), KEYS / count * (100 - off) / 100,
                        KEYS / count * (100 + off) / 100);
    tear_down();
}

static void test_hashed_shares_are_even(void **state) {
    FL_UNUSED(state);
    shares_are_even(&ring, 10, 25);
    shares_are_even(&rendezvous, 10, 10);
    shares_are_even(&rendezvous, 100, 40);
}

static void test_hashed_shares_follow_weights(void **state) {
    FL_UNUSED(state);
    const struct fl_balance_options *const both[] = {&ring, &rendezvous};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        set_up(both[i], 10);
        weigh(3, 1000); /* of 1810 */
        weigh(5, 10);
        remember_owners();
        assert_in_range(share_of(&f.items[3]), KEYS * 48 / 100, KEYS * 62 / 100);
        assert_in_range(share_of(&f.items[5]), 1, KEYS / 50);
        tear_down();
    }
}

static void test_rendezvous_moves_only_what_a_weight_gives(void **state) {
    FL_UNUSED(state);
    set_up(&rendezvous, 10);
    remember_owners();
    weigh(4, 50);
    for (uint64_t key = 0; key < KEYS; key++) {
        struct item *now = hashed(hash_of(key));
        assert_true(now == owners[key] || owners[key] == &f.items[4]);
    }
    weigh(4, 100);
    assert_int_equal(moved_needlessly(NULL), 0);
    tear_down();
}

static void test_hashed_picks_look_at_one(void **state) {
    FL_UNUSED(state);
    const struct fl_balance_options *const both[] = {&ring, &rendezvous};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        set_up(both[i], ITEMS_MAX);
        for (uint64_t key = 0; key < 1000; key++) {
            hashed(hash_of(key));
            assert_int_equal(f.looked_at, 1);
        }
        tear_down();
    }
}

static void test_hashed_calls_pass_over_those_without_room(void **state) {
    FL_UNUSED(state);
    const struct fl_balance_options *const both[] = {&ring, &rendezvous};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        set_up(both[i], 10);
        struct item *first = hashed(77);
        first->full = true;
        struct item *second = hashed(77);
        assert_non_null(second);
        assert_ptr_not_equal(first, second);
        assert_ptr_equal(hashed(77), second); /* always the same one */
        for (size_t n = 0; n < 10; n++) f.items[n].full = true;
        assert_null(hashed(77));
        tear_down();
        set_up(both[i], 0);
        assert_null(hashed(77));
        tear_down();
    }
}

static void test_without_a_hash_calls_are_spread(void **state) {
    FL_UNUSED(state);
    const struct fl_balance_options *const both[] = {&ring, &rendezvous};
    for (size_t i = 0; i < FL_COUNT(both); i++) {
        set_up(both[i], 5);
        for (int n = 0; n < 5000; n++) next();
        for (size_t n = 0; n < 5; n++) assert_in_range(f.items[n].picked, 700, 1300);
        tear_down();
    }
}

static void test_ring_is_between_its_bounds(void **state) {
    FL_UNUSED(state);
    static const size_t counts[] = {1, 2, 3, 63, 64, 65, 500, 1000};
    for (size_t i = 0; i < FL_COUNT(counts); i++) {
        set_up(&ring, counts[i]);
        hashed(1);
        assert_in_range(f.balancer.near.as.ring.count, 1024, 4096);
        tear_down();
    }
    set_up(&(struct fl_balance_options){.policy = FL_BALANCE_RING_HASH, .ring_max = 10}, ITEMS_MAX);
    for (size_t i = 0; i < ITEMS_MAX; i++) weigh(i, 10000);
    assert_non_null(hashed(1));
    assert_int_equal(f.balancer.near.as.ring.count, ITEMS_MAX); /* one each */
    tear_down();
}

/* --- least_request --- */

static const struct fl_balance_options least_request = {.policy = FL_BALANCE_LEAST_REQUEST};

static void test_least_request_prefers_the_idle(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 2);
    f.items[0].pick.active = 3;
    for (int i = 0; i < 10000; i++) next();
    /* Only a draw of the busy one twice gives it the call: 1 in 4. */
    assert_in_range(f.items[0].picked, 2300, 2700);
    tear_down();
}

/* Calls that stay: nobody gets far more than another. */
static void test_least_request_evens_out(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 100);
    for (int i = 0; i < 10000; i++) next()->pick.active++;
    for (size_t i = 0; i < 100; i++) assert_in_range(f.items[i].pick.active, 95, 105);
    tear_down();
}

static void test_least_request_lets_the_heavy_be_busier(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 20);
    weigh(0, 300);
    for (int i = 0; i < 2200; i++) next()->pick.active++;
    assert_in_range(f.items[0].pick.active, 150, 310);
    for (size_t i = 1; i < 20; i++) assert_in_range(f.items[i].pick.active, 90, 115);
    tear_down();
}

static void test_least_request_looks_at_few(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, ITEMS_MAX);
    for (int i = 0; i < 1000; i++) {
        next();
        assert_true(f.looked_at <= 2);
    }
    tear_down();
}

static void test_least_request_finds_the_one_with_room(void **state) {
    FL_UNUSED(state);
    set_up(&least_request, 50);
    for (size_t i = 0; i < 50; i++) f.items[i].full = i != 17;
    for (int i = 0; i < 100; i++) assert_ptr_equal(next(), &f.items[17]);
    f.items[17].full = true;
    assert_null(next());
    tear_down();
    set_up(&least_request, 0);
    assert_null(next());
    tear_down();
}

/* --- pick_first --- */

static void test_pick_first_stays_with_the_oldest(void **state) {
    FL_UNUSED(state);
    set_up(&(struct fl_balance_options){.policy = FL_BALANCE_PICK_FIRST}, 0);
    assert_null(next());
    fl_balancer_add(&f.balancer, &f.items[5].pick);
    fl_balancer_add(&f.balancer, &f.items[3].pick);
    for (int i = 0; i < 10; i++) assert_ptr_equal(next(), &f.items[3]);
    f.items[3].full = true;
    assert_null(next()); /* waits, rather than to spread */
    tear_down();
}

static void chosen_are(const struct fl_candidate *list, size_t count, const char *expected) {
    char got[8] = "";
    for (size_t i = 0; i < count; i++) got[i] = list[i].chosen ? 'x' : '-';
    assert_string_equal(got, expected);
}

static void test_pick_first_tries_one_after_the_other(void **state) {
    FL_UNUSED(state);
    struct fl_candidate list[3] = {{.sub = NULL}};
    static const char *const steps[] = {"x--", "xx-", "xxx", "xxx"};
    for (size_t step = 0; step < FL_COUNT(steps); step++) {
        fl_pick_first_choose(list, 3);
        chosen_are(list, 3, steps[step]);
        for (size_t i = 0; i < 3; i++) list[i].wanted = list[i].chosen;
        fl_pick_first_choose(list, 3);
        chosen_are(list, 3, steps[step]); /* nothing happened */
        if (step < 3) list[step].failed = true;
    }
}

static void test_pick_first_keeps_the_connected_one(void **state) {
    FL_UNUSED(state);
    struct fl_candidate list[3] = {
        {.wanted = true, .failed = true}, {.wanted = true, .ready = true}, {.wanted = true}};
    fl_pick_first_choose(list, 3);
    chosen_are(list, 3, "-x-");
    /* Its connection ended: it is tried anew before the others are. */
    struct fl_candidate lost[3] = {{.failed = true}, {.wanted = true}, {.wanted = false}};
    fl_pick_first_choose(lost, 3);
    chosen_are(lost, 3, "-x-");
    lost[1].failed = true;
    fl_pick_first_choose(lost, 3);
    chosen_are(lost, 3, "xx-");
    fl_pick_first_choose(lost, 0);
    /* Another one is connected for calls of its own: that changes nothing, while there is one. */
    struct fl_candidate two[3] = {
        {.ready = true}, {.wanted = true, .ready = true}, {.ready = false}};
    fl_pick_first_choose(two, 3);
    chosen_are(two, 3, "-x-");
    two[1].ready = false;
    fl_pick_first_choose(two, 3);
    chosen_are(two, 3, "x--");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_options_without_memory),
        cmocka_unit_test(test_rounds_without_memory),
        cmocka_unit_test(test_C5_equal_weights_are_a_round),
        cmocka_unit_test(test_turns_follow_weights),
        cmocka_unit_test(test_weight_takes_effect_at_once),
        cmocka_unit_test(test_C6_new_one_within_one_weighted_round),
        cmocka_unit_test(test_weighted_turns_survive_comings_and_goings),
        cmocka_unit_test(test_weighted_turns_find_the_one_with_room),
        cmocka_unit_test(test_hashes_stay_when_another_leaves),
        cmocka_unit_test(test_ring_moves_a_half_where_its_places_double),
        cmocka_unit_test(test_hashed_shares_are_even),
        cmocka_unit_test(test_hashed_shares_follow_weights),
        cmocka_unit_test(test_rendezvous_moves_only_what_a_weight_gives),
        cmocka_unit_test(test_hashed_picks_look_at_one),
        cmocka_unit_test(test_hashed_calls_pass_over_those_without_room),
        cmocka_unit_test(test_without_a_hash_calls_are_spread),
        cmocka_unit_test(test_ring_is_between_its_bounds),
        cmocka_unit_test(test_least_request_prefers_the_idle),
        cmocka_unit_test(test_least_request_evens_out),
        cmocka_unit_test(test_least_request_lets_the_heavy_be_busier),
        cmocka_unit_test(test_least_request_looks_at_few),
        cmocka_unit_test(test_least_request_finds_the_one_with_room),
        cmocka_unit_test(test_pick_first_stays_with_the_oldest),
        cmocka_unit_test(test_pick_first_tries_one_after_the_other),
        cmocka_unit_test(test_pick_first_keeps_the_connected_one),
    };
    return fl_test_run(tests, FL_COUNT(tests));
}
