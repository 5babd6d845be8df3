/* holder.c - see holder.h. */
#include "holder.h"

#include "discovery/set.h"
#include "house.h"
#include "manager/conn.h"

#define METHOD       "/grpc.examples.echo.Echo/UnaryEcho"
#define PAUSE_MS_MAX 400
#define ASK_MS_MAX   3000
#define CALL_MS      5000
#define PATIENT_MS   10000
#define TWICE_CALL   20 /* planted: after how many */

static struct verdict *verdict_of(const struct holder *holder) { return holder->house->in.verdict; }

static bool chance(struct holder *holder, unsigned percent) {
    return plan_chance(&holder->house->random, percent);
}

static enum plant plant_of(const struct holder *holder) { return holder->house->in.plant; }

/* --- judging what is given --- */

struct search {
    const struct fl_set *set;
    const struct fl_handle *handle;
    bool found;
};

static void compare(void *arg, const struct fl_endpoint *endpoint) {
    struct search *search = arg;
    search->found |= oracle_is_at(endpoint, fl_handle_peer(search->handle)) &&
                     memcmp(endpoint->uid, fl_handle_uid(search->handle), 16) == 0 &&
                     fl_set_usable(search->set, endpoint);
}

static void judge_handle(const struct holder *holder, const struct fl_set *set,
                         const struct fl_handle *handle) {
    struct search search = {set, handle, false};
    enum fl_channel_state state = fl_handle_state(handle);
    fl_set_each(set, compare, &search);
    if (!search.found)
        verdict_broken(verdict_of(holder), BREACH_HANDLE,
                       "a handle of %s was given, whom the set does not have so",
                       fl_handle_peer(handle));
    if (state == FL_CHANNEL_SHUTDOWN || state == FL_CHANNEL_TRANSIENT_FAILURE)
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "a handle of %s was given in state %s",
                       fl_handle_peer(handle), fl_channel_state_name(state));
}

static bool is_same_pod(const struct fl_handle *a, const struct fl_handle *b) {
    return strcmp(fl_handle_peer(a), fl_handle_peer(b)) == 0 &&
           memcmp(fl_handle_uid(a), fl_handle_uid(b), 16) == 0;
}

static bool is_same(const struct holder *holder, const struct fl_handle *a,
                    const struct fl_handle *b) {
    return a == b && plant_of(holder) != PLANT_TWO_HANDLES;
}

/* Of one conn: who was there before and has not left is the same object. */
static void judge_kept(const struct holder *holder, const struct fl_handles *before,
                       const struct fl_handles *now) {
    for (size_t i = 0; i < before->count; i++) {
        if (fl_handle_state(before->list[i]) == FL_CHANNEL_SHUTDOWN) continue;
        for (size_t j = 0; j < now->count; j++)
            if (!is_same(holder, before->list[i], now->list[j]) &&
                is_same_pod(before->list[i], now->list[j]))
                verdict_broken(verdict_of(holder), BREACH_HANDLE, "%s has two handles at once",
                               fl_handle_peer(now->list[j]));
    }
}

static void judge_given(const struct holder *holder, const struct fl_conns *conns) {
    const struct house *house = holder->house;
    const struct oracle *oracle = house->in.oracle;
    const struct fl_set *set = conns->conn->loop_data.set;
    for (size_t i = 0; i < conns->handles.count; i++)
        judge_handle(holder, set, conns->handles.list[i]);
    if (plant_of(holder) == PLANT_OLD_HANDLE && holder->old_handle)
        judge_handle(holder, set, holder->old_handle);
    if (holder->conns.conn == conns->conn)
        judge_kept(holder, &holder->conns.handles, &conns->handles);
    size_t count = conns->handles.count - (plant_of(holder) == PLANT_FEW_HANDLES);
    if (house->peace && !oracle->violence && count != oracle_usable(oracle))
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "%zu handles in peace, of %zu endpoints",
                       count, oracle_usable(oracle));
}

/* Why there may be nothing: what is always so, or what a fault can make of it for a while. */
static void judge_refusal(const struct holder *holder, const struct house_name *name,
                          const struct fl_error *why) {
    static const int wanted[] = {
        [HOUSE_SERVICE] = FL_OK, [HOUSE_NO_PORT] = FL_EPORT, [HOUSE_NO_SERVICE] = FL_EABSENT};
    static const int possible[] = {FL_EABSENT,       FL_EUNKNOWN,        FL_EPORT,
                                   FL_ENO_PORTS,     FL_EPORTS_EXCLUDED, FL_EFORBIDDEN,
                                   FL_EUNAUTHORIZED, FL_ESHUTDOWN,       FL_EUSAGE};
    bool can_be = why->code == wanted[name->kind];
    for (size_t i = 0; i < FL_COUNT(possible) && !holder->house->peace; i++)
        can_be |= why->code == possible[i];
    if (!can_be)
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "%s: %s (%s)", name->name, why->detail,
                       fl_error_name(why->code));
}

void holder_judge_pick(const struct holder_call *call, uint64_t version, const char *peer) {
    const struct holder *holder = call->holder;
    const struct fl_handle *handle = call->handle;
    if (!handle) return;
    if (strcmp(peer, fl_handle_peer(handle)) != 0)
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "a call by a handle of %s went to %s",
                       fl_handle_peer(handle), peer);
    if (fl_handle_state(handle) == FL_CHANNEL_SHUTDOWN)
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "a call went to %s, whose handle is gone",
                       peer);
    if (!oracle_has(holder->house->in.oracle, version, peer, fl_handle_uid(handle)))
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "a call went to another pod at %s", peer);
}

/* --- calls --- */

/* Asked before each attempt: so it is known whose attempt the next pick is. */
static int on_attempt(void *arg, const char *method, fl_credentials_give *give, void *to,
                      struct fl_error *err) {
    struct holder_call *call = arg;
    FL_UNUSED(method);
    FL_UNUSED(give);
    FL_UNUSED(to);
    FL_UNUSED(err);
    call->holder->house->sending = call;
    return 0;
}

/* Which port is meant, if not by its name, only the Service says, which may be heard of late. */
static bool is_without_port(const struct holder_call *call) {
    return !strstr(call->conn->name, ":grpc") &&
           !oracle_knows_ports(call->holder->house->in.oracle);
}

static void on_result(void *arg, const struct fl_call_result *result) {
    struct holder_call *call = arg;
    struct holder *holder = call->holder;
    struct house *house = holder->house;
    story_tell(house->in.story, "holder", "%u: %s %s%s %s", holder->number,
               fl_status_name(result->status), call->handle ? "by handle " : "", result->peer,
               result->message);
    if (call->gone && (result->status == FL_STATUS_OK || result->attempts > 0))
        verdict_broken(verdict_of(holder), BREACH_HANDLE,
                       "a call by a handle of %s, which is gone, made %u attempts and ended %s",
                       fl_handle_peer(call->handle), result->attempts,
                       fl_status_name(result->status));
    call->judged.excused = is_without_port(call);
    oracle_call_ended(house->in.oracle, &call->judged, result);
    if (plant_of(holder) == PLANT_TWICE && house->in.oracle->ended > TWICE_CALL)
        oracle_call_ended(house->in.oracle, &call->judged, result);
    if (house->sending == call) house->sending = NULL;
    call->handle = fl_handle_unref(call->handle);
    call->conn = fl_conn_unref(call->conn);
}

static struct holder_call *free_call(struct holder *holder) {
    for (size_t i = 0; i < HOLDER_CALLS_MAX; i++)
        if (!holder->calls[i].judged.active) return &holder->calls[i];
    return NULL;
}

/* `handle`: NULL: the channel chooses. */
static void call(struct holder *holder, struct fl_conn *conn, struct fl_handle *handle) {
    struct holder_call *call = free_call(holder);
    bool patient = chance(holder, 30) || holder->house->peace;
    if (!call || !holder->house->in.oracle) return;
    const struct fl_call_options options = {
        .timeout_ms = patient ? PATIENT_MS : CALL_MS,
        .wait_for_ready = patient ? FL_WAIT_YES : FL_WAIT_NO,
        .credentials = on_attempt,
        .credentials_arg = call,
        .endpoint = plant_of(holder) == PLANT_OTHER_POD ? NULL : handle};
    *call = (struct holder_call){.holder = holder, .conn = fl_conn_ref(conn)};
    oracle_call_started(holder->house->in.oracle, &call->judged);
    if (handle) {
        call->handle = fl_handle_ref(handle);
        call->gone = fl_handle_state(handle) == FL_CHANNEL_SHUTDOWN;
        call->judged.uid = fl_handle_uid(handle);
        call->judged.hopeless = call->gone;
    }
    int rc =
        fl_call_unary(fl_conn_channel(conn), METHOD, "", 0, &options, on_result, call, NULL, NULL);
    FL_ASSERT(rc == 0);
}

static void call_somebody(struct holder *holder) {
    struct fl_random *random = &holder->house->random;
    const struct fl_handles *handles = &holder->conns.handles;
    if (holder->old_handle && chance(holder, 30))
        call(holder, holder->old_conn, holder->old_handle);
    else if (handles->count > 0 && chance(holder, 70))
        call(holder, holder->conns.conn, handles->list[fl_random_below(random, handles->count)]);
    else if (holder->conn && holder->conn_name->kind == HOUSE_SERVICE)
        call(holder, holder->conn, NULL);
}

/* --- letting go --- */

static void let_go_of_old(struct holder *holder) {
    if (plant_of(holder) == PLANT_LOSE_HANDLE && holder->old_handle) house_lose(holder->old_handle);
    holder->old_handle = fl_handle_unref(holder->old_handle);
    holder->old_conn = fl_conn_unref(holder->old_conn);
}

static void let_go_of_one(struct holder *holder) {
    switch (fl_random_below(&holder->house->random, 3)) {
    case 0:
        fl_conns_deinit(&holder->conns);
        break;
    case 1:
        holder->conn = fl_conn_unref(holder->conn);
        break;
    default:
        let_go_of_old(holder);
    }
}

void holder_let_go(struct holder *holder) {
    fl_conns_deinit(&holder->conns);
    holder->conn = fl_conn_unref(holder->conn);
    let_go_of_old(holder);
}

/* One of the handles outlives the answer that it came with. */
static void keep_one(struct holder *holder) {
    const struct fl_handles *handles = &holder->conns.handles;
    if (handles->count == 0) return;
    size_t i = fl_random_below(&holder->house->random, handles->count);
    let_go_of_old(holder);
    holder->old_handle = fl_handle_ref(handles->list[i]);
    holder->old_conn = fl_conn_ref(holder->conns.conn);
}

/* --- asking --- */

static void ask_conns(struct holder *holder);

/* In a callback of the manager. */
static void react(struct holder *holder) {
    if (holder->house->renew_soon) house_renew(holder->house);
    if (holder->house->active && chance(holder, 10)) ask_conns(holder);
}

/* What comes at the end, or to somebody who has lost interest, is let go of at once. */
static bool keeps(struct holder *holder) { return chance(holder, 85) && holder->house->mgr; }

static void on_conns(void *arg, const struct fl_error *why, struct fl_conns *conns) {
    struct holder *holder = arg;
    struct house *house = holder->house;
    const struct house_name *name = holder->conns_of;
    holder->conns_of = NULL;
    if (!name) {
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "a request was answered twice");
        return;
    }
    story_tell(house->in.story, "holder", "%u: %s: %zu handles %s", holder->number, name->name,
               conns ? conns->handles.count : 0, why ? why->detail : "");
    if (why) {
        judge_refusal(holder, name, why);
    } else {
        judge_given(holder, conns);
        house->given += conns->handles.count;
        house_look_at(house, conns->conn);
        if (keeps(holder)) {
            struct fl_conns before = holder->conns;
            holder->conns = *conns;
            *conns = before;
        }
        fl_conns_deinit(conns);
    }
    react(holder);
}

static void on_conn(void *arg, const struct fl_error *why, struct fl_conn *conn) {
    struct holder *holder = arg;
    const struct house_name *name = holder->conn_of;
    holder->conn_of = NULL;
    if (!name) {
        verdict_broken(verdict_of(holder), BREACH_HANDLE, "a request was answered twice");
        return;
    }
    story_tell(holder->house->in.story, "holder", "%u: %s: %s", holder->number, name->name,
               why ? why->detail : fl_channel_state_name(fl_channel_state(fl_conn_channel(conn))));
    if (why) {
        judge_refusal(holder, name, why);
    } else {
        house_look_at(holder->house, conn);
        if (keeps(holder)) {
            struct fl_conn *before = holder->conn;
            holder->conn = conn;
            holder->conn_name = name;
            conn = before;
        }
        fl_conn_unref(conn);
    }
    react(holder);
}

static const struct house_name *some_name(struct holder *holder) {
    const struct house_world *in = &holder->house->in;
    /* The first is what most ask for. */
    size_t i = chance(holder, 50) ? 0 : fl_random_below(&holder->house->random, in->name_count);
    return &in->names[i];
}

/* In peace nobody is in a hurry. */
static uint32_t patience(struct holder *holder) {
    if (holder->house->peace) return ASK_MS_MAX;
    return (uint32_t)plan_draw(&holder->house->random, 1, ASK_MS_MAX);
}

static void ask_conns(struct holder *holder) {
    if (holder->conns_of || !holder->house->mgr) return;
    holder->conns_of = some_name(holder);
    int rc = fl_connmgr_get_conns_async(holder->house->mgr, holder->conns_of->name,
                                        patience(holder), on_conns, holder, NULL);
    FL_ASSERT(rc == 0);
}

static void ask_conn(struct holder *holder) {
    if (holder->conn_of || !holder->house->mgr) return;
    holder->conn_of = some_name(holder);
    int rc = fl_connmgr_get_conn_async(holder->house->mgr, holder->conn_of->name, patience(holder),
                                       on_conn, holder, NULL);
    FL_ASSERT(rc == 0);
}

/* --- life --- */

static void pause_a_moment(struct holder *holder) {
    struct fl_io *io = holder->house->in.io;
    fl_io_timer_set(io, &holder->timer,
                    fl_io_now_ms(io) + fl_random_below(&holder->house->random, PAUSE_MS_MAX));
}

static void run(struct fl_timer *timer) {
    struct holder *holder = FL_CONTAINER(timer, struct holder, timer);
    switch (fl_random_below(&holder->house->random, 8)) {
    case 0:
    case 1:
        ask_conns(holder);
        break;
    case 2:
        ask_conn(holder);
        break;
    case 3:
        let_go_of_one(holder);
        break;
    case 4:
        keep_one(holder);
        break;
    default:
        call_somebody(holder);
    }
    pause_a_moment(holder);
}

void holder_go_on(struct holder *holder, bool active) {
    if (active)
        pause_a_moment(holder);
    else
        fl_io_timer_clear(holder->house->in.io, &holder->timer);
}

static bool has_call(const struct holder *holder) {
    for (size_t i = 0; i < HOLDER_CALLS_MAX; i++)
        if (holder->calls[i].judged.active) return true;
    return false;
}

bool holder_is_quiet(const struct holder *holder) {
    return !holder->conns_of && !holder->conn_of && !has_call(holder);
}

void holder_init(struct holder *holder, struct house *house, unsigned number) {
    *holder = (struct holder){.house = house, .number = number};
    int rc = fl_io_timer_init(house->in.io, &holder->timer, run);
    FL_ASSERT(rc == 0);
}

void holder_deinit(struct holder *holder) {
    fl_io_timer_deinit(holder->house->in.io, &holder->timer);
}
