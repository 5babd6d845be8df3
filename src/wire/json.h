/* json.h - an incremental pull tokenizer for JSON.
 *
 * Fed in any chunking; gives tokens as they become whole; never recurses, depth and token length
 * are bounded. Strings are given decoded (UTF-8; a lone surrogate becomes U+FFFD); those without
 * escapes that lie within one chunk are borrowed from it, others from the tokenizer's scratch.
 * After a whole value the next one may follow, as in a stream of lines: fl_json_depth is 0 between
 * them. A number outside of objects and arrays ends only with the byte after it. One thread.
 * Source: RFC 8259. */
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
    FL_JSON_RAW, /* asked for by fl_json_raw: a whole value as written */
    FL_JSON_BAD, /* error() says what; stays */
};

struct fl_json;

/* Tokens longer than text_max are FL_JSON_BAD. */
FL_MUST int fl_json_new(size_t text_max, struct fl_json **out); /* FL_ENOMEM */
void fl_json_free(struct fl_json *json);
void fl_json_reset(struct fl_json *json); /* for another text */
/* Gives the next chunk, which must stay in place until FL_JSON_MORE came. */
void fl_json_feed(struct fl_json *json, struct fl_str chunk);
enum fl_json_token fl_json_next(struct fl_json *json);
struct fl_str
fl_json_text(const struct fl_json *json);            /* of KEY, STRING, NUMBER, RAW; until next */
unsigned fl_json_depth(const struct fl_json *json);  /* open objects and arrays */
uint64_t fl_json_offset(const struct fl_json *json); /* bytes of the text read so far */
/* After a KEY or at a BEGIN token: passes over the whole value without decoding it, across chunks;
 * the next token is what follows it. Only its strings and brackets are looked at. */
void fl_json_skip(struct fl_json *json);
/* As fl_json_skip, but the next token is FL_JSON_RAW with the value's text, at most text_max. */
void fl_json_raw(struct fl_json *json);
/* After a BEGIN token: what the chunk still holds. */
struct fl_str fl_json_rest(const struct fl_json *json);
/* After a BEGIN token: the caller has read the whole value, which is the first `n` bytes of the
 * rest. */
void fl_json_pass(struct fl_json *json, size_t n);
/* After FL_JSON_BAD: what was wrong; FL_EPROTO, FL_ETOO_LARGE or FL_ENOMEM. */
const char *fl_json_error(const struct fl_json *json);
int fl_json_error_code(const struct fl_json *json);

#endif
