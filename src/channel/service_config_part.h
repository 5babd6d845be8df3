/* service_config_part.h - reading a JSON document part by part, each of which knows its name in the
 * document: "methodConfig[2].retryPolicy.maxAttempts". For configuration. */
#ifndef FL_CHANNEL_SERVICE_CONFIG_PART_H
#define FL_CHANNEL_SERVICE_CONFIG_PART_H

#include <jansson.h>

#include "base/error.h"

/* On the stack, for as long as its value is read. */
struct fl_part {
    const struct fl_part *of; /* NULL: the document */
    const char *name;         /* NULL: the index below */
    size_t index;
    const json_t *json;   /* NULL: it is not there */
    struct fl_error *err; /* the document's */
};

/* A member; its json is NULL where it is absent or null. */
struct fl_part fl_part_member(const struct fl_part *of, const char *name);
struct fl_part fl_part_item(const struct fl_part *of, size_t index);
/* FL_ECONFIG: "service config: PART: " and the text. */
int fl_part_fail(const struct fl_part *part, const char *what);

/* What is there must be of the kind: FL_ECONFIG. */
FL_MUST int fl_part_is_object(const struct fl_part *part);
FL_MUST int fl_part_is_array(const struct fl_part *part);
/* Required. */
FL_MUST int fl_part_text(const struct fl_part *part, const char **out);
FL_MUST int fl_part_number(const struct fl_part *part, double *out);
/* A whole number, or its text, as protobuf's JSON has it. */
FL_MUST int fl_part_u32(const struct fl_part *part, uint32_t *out);
/* "1.5s", in milliseconds, rounded up. */
FL_MUST int fl_part_duration(const struct fl_part *part, uint64_t *out_ms);
/* A list of status codes by name or number that is not empty, as bits. */
FL_MUST int fl_part_codes(const struct fl_part *part, uint32_t *out);

#endif
