/* retry_after.c - see retry_after.h. */
#include "kube/retry_after.h"

#include <stdio.h>

#include "kube/timestamp.h"

void fl_retry_after_in_seconds(struct fl_http_headers *headers, int64_t wall_ms,
                               struct fl_http_header *list, size_t max,
                               char text[FL_RETRY_AFTER_TEXT_MAX]) {
    static const struct fl_str name = FL_STR("retry-after");
    int64_t then_ms, now_ms;
    struct fl_str value = fl_http_header_get(*headers, name);
    if (headers->count > max || !fl_http_date_parse(value, &then_ms)) return;
    if (!fl_http_date_parse(fl_http_header_get(*headers, FL_STR("date")), &now_ms))
        now_ms = wall_ms;
    int64_t wait_ms = FL_MAX(then_ms - now_ms, (int64_t)0);
    snprintf(text, FL_RETRY_AFTER_TEXT_MAX, "%lld", (long long)((wait_ms + 999) / 1000));
    for (size_t i = 0; i < headers->count; i++) {
        list[i] = headers->list[i];
        if (fl_str_eq(list[i].name, name)) list[i].value = fl_str_of(text);
    }
    headers->list = list;
}
