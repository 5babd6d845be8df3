/* service_config_part.c - see service_config_part.h. */
#include "channel/service_config_part.h"

#include <fairlead/call.h>
#include <stdio.h>

#include "base/str.h"

#define PATH_MAX_LEN 160
#define DEPTH_MAX    12 /* of parts: three policies in each other are 10 */

struct fl_part fl_part_member(const struct fl_part *of, const char *name) {
    const json_t *json = json_object_get(of->json, name);
    return (struct fl_part){of, name, 0, json_is_null(json) ? NULL : json, of->err};
}

struct fl_part fl_part_item(const struct fl_part *of, size_t index) {
    return (struct fl_part){of, NULL, index, json_array_get(of->json, index), of->err};
}

/* "methodConfig[2].timeout" */
static void path_of(const struct fl_part *part, char out[PATH_MAX_LEN]) {
    const struct fl_part *parts[DEPTH_MAX];
    size_t depth = 0, at = 0;
    for (; part->of && depth < DEPTH_MAX; part = part->of) parts[depth++] = part;
    out[0] = '\0';
    while (depth-- > 0 && at < PATH_MAX_LEN) {
        const struct fl_part *p = parts[depth];
        int n = p->name ? snprintf(out + at, PATH_MAX_LEN - at, at ? ".%s" : "%s", p->name)
                        : snprintf(out + at, PATH_MAX_LEN - at, "[%zu]", p->index);
        at += (size_t)n;
    }
}

int fl_part_fail(const struct fl_part *part, const char *what) {
    char path[PATH_MAX_LEN];
    path_of(part, path);
    return fl_fail(part->err, FL_ECONFIG, "service config: %s%s%s", path, path[0] ? ": " : "",
                   what);
}

int fl_part_is_object(const struct fl_part *part) {
    return json_is_object(part->json) ? 0 : fl_part_fail(part, "must be an object");
}

int fl_part_is_array(const struct fl_part *part) {
    return json_is_array(part->json) ? 0 : fl_part_fail(part, "must be a list");
}

int fl_part_text(const struct fl_part *part, const char **out) {
    *out = json_string_value(part->json);
    return *out ? 0 : fl_part_fail(part, "must be a text");
}

int fl_part_number(const struct fl_part *part, double *out) {
    if (!json_is_number(part->json)) return fl_part_fail(part, "must be a number");
    *out = json_number_value(part->json);
    return 0;
}

int fl_part_u32(const struct fl_part *part, uint32_t *out) {
    uint64_t value = UINT64_MAX;
    const char *text = json_string_value(part->json);
    double number = json_is_number(part->json) ? json_number_value(part->json) : -1;
    if (text && !fl_str_u64(fl_str_of(text), &value)) value = UINT64_MAX;
    if (number >= 0 && number <= UINT32_MAX && number == (double)(uint32_t)number)
        value = (uint32_t)number;
    if (value > UINT32_MAX) return fl_part_fail(part, "must be a whole number up to 4294967295");
    *out = (uint32_t)value;
    return 0;
}

/* Decimal places beyond the ninth are more than a Duration has. */
static bool nanoseconds(struct fl_str places, uint64_t *out) {
    if (places.n == 0 || places.n > 9 || !fl_str_u64(places, out)) return false;
    for (size_t i = places.n; i < 9; i++) *out *= 10;
    return true;
}

int fl_part_duration(const struct fl_part *part, uint64_t *out_ms) {
    struct fl_str text = fl_str_of(json_string_value(part->json)), whole, places;
    uint64_t seconds, ns = 0;
    if (text.n == 0 || text.p[text.n - 1] != 's')
        return fl_part_fail(part, "must be a time such as \"1.5s\"");
    text.n--;
    bool has_places = fl_str_split(text, '.', &whole, &places);
    if (!fl_str_u64(whole, &seconds) || (has_places && !nanoseconds(places, &ns)) ||
        seconds > UINT32_MAX)
        return fl_part_fail(part, "must be a time such as \"1.5s\"");
    *out_ms = seconds * 1000 + (ns + 999999) / 1000000;
    return 0;
}

/* -1: none. */
static int code_of(const json_t *json) {
    if (json_is_integer(json)) {
        json_int_t value = json_integer_value(json);
        return value >= FL_STATUS_OK && value <= FL_STATUS_UNAUTHENTICATED ? (int)value : -1;
    }
    struct fl_str name = fl_str_of(json_string_value(json));
    for (int code = FL_STATUS_OK; name.p && code <= FL_STATUS_UNAUTHENTICATED; code++) {
        if (fl_str_eq_nocase(name, fl_str_of(fl_status_name((enum fl_status)code)))) return code;
    }
    return -1;
}

int fl_part_codes(const struct fl_part *part, uint32_t *out) {
    int rc = fl_part_is_array(part);
    if (rc != 0) return rc;
    *out = 0;
    for (size_t i = 0; i < json_array_size(part->json); i++) {
        struct fl_part item = fl_part_item(part, i);
        int code = code_of(item.json);
        if (code < 0) return fl_part_fail(&item, "is no status code");
        *out |= UINT32_C(1) << code;
    }
    return 0;
}
