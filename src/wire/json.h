/* json.h - an incremental pull tokenizer for JSON.
 *
 * Fed in any chunking; gives tokens as they become whole; never recurses, depth and token length
 * are bounded. Strings are given decoded (UTF-8); those without escapes that lie within one chunk
 * are borrowed from it, others from the tokenizer's scratch. Source: RFC 8259. */
#ifndef FL_WIRE_JSON_H
#define FL_WIRE_JSON_H

#include "base/buf.h"

#define FL_JSON_DEPTH_MAX 64

enum fl_json_token {
    FL_JSON_MORE, /* feed more */
    FL_JSON_OBJECT_BEGIN,
    FL_JSON_OBJECT_END,
    FL_JSON_ARRAY_BEGIN,
    FL_JSON_ARRAY_END,
    FL_JSON_KEY,
    FL_JSON_STRING,
    FL_JSON_NUMBER, /* text as written */
    FL_JSON_TRUE,
    FL_JSON_FALSE,
    FL_JSON_NULL,
    FL_JSON_BAD, /* error() says what; stays */
};

struct fl_json;

FL_MUST int fl_json_new(size_t text_max, struct fl_json **out); /* FL_ENOMEM */
void fl_json_free(struct fl_json *json);
void fl_json_reset(struct fl_json *json); /* for another text */
/* Gives the next chunk, which must stay in place until FL_JSON_MORE came. */
void fl_json_feed(struct fl_json *json, struct fl_str chunk);
enum fl_json_token fl_json_next(struct fl_json *json);
struct fl_str fl_json_text(const struct fl_json *json); /* of KEY, STRING, NUMBER; until next */
unsigned fl_json_depth(const struct fl_json *json);     /* open objects and arrays */
uint64_t fl_json_offset(const struct fl_json *json);    /* bytes of the text read so far */
/* After a KEY or at a BEGIN token: passes over the whole value without decoding it, across chunks;
 * the next token is what follows it. */
void fl_json_skip(struct fl_json *json);
const char *fl_json_error(const struct fl_json *json);

#endif
