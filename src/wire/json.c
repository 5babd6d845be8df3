/* json.c - an incremental pull tokenizer for JSON. One thread; see json.h.
 *
 * Two small machines. `expect` is the grammar: what may come next between tokens; the open objects
 * and arrays are bits of one word, whence the bound of the depth. `lex` says which token a chunk
 * ended in the middle of; its beginning then lies decoded in `scratch`, so every byte is looked at
 * once whatever the chunking (W17). A token that lies whole in the chunk never touches scratch. */
#include "wire/json.h"

#include "base/alloc.h"
#include "wire/json_scan.h"
#include "wire/json_text.h"

enum expect {
    EXPECT_VALUE,
    EXPECT_FIRST_VALUE, /* or ']' */
    EXPECT_KEY,
    EXPECT_FIRST_KEY, /* or '}' */
    EXPECT_COLON,
    EXPECT_NEXT, /* ',' or the end of what is open */
};

enum lex {
    LEX_NONE,
    LEX_STRING,
    LEX_ESCAPE, /* after a backslash */
    LEX_HEX,    /* after "\u" and `hex_count` digits */
    LEX_WORD,   /* number, true, false, null */
    LEX_SKIP,   /* a value passed over: before it, colon included */
    LEX_SKIP_NEST,
    LEX_SKIP_STRING,
    LEX_SKIP_ESCAPE,
    LEX_SKIP_WORD,
    LEX_BAD, /* for good */
};

struct fl_json {
    const char *p, *end; /* what is left of the chunk */
    const char *chunk;
    uint64_t chunk_offset; /* of `chunk` in the text */
    uint64_t open;         /* bit n: the container at depth n + 1 is an object */
    unsigned depth;
    enum expect expect;
    enum lex lex;
    enum { AFTER_OTHER, AFTER_KEY, AFTER_BEGIN } skippable; /* the last token */
    bool is_key;                                            /* of the string in progress */
    bool high;    /* the string in progress has bytes that are no ASCII */
    uint32_t hex; /* of the escape in progress */
    unsigned hex_count;
    uint32_t surrogate;  /* a high one that waits for its low one; 0: none */
    unsigned skip_depth; /* the skip ends when this depth is reached again */
    const char *raw;     /* where in the chunk the raw value goes on; NULL: not wanted */
    bool raw_wanted;
    struct fl_str text;
    struct fl_buf scratch;
    const char *error; /* NULL: none */
    int error_code;
};

int fl_json_new(size_t text_max, struct fl_json **out) {
    *out = FL_NEW(struct fl_json);
    if (!*out) return FL_ENOMEM;
    fl_buf_init(&(*out)->scratch, text_max);
    return 0;
}

void fl_json_free(struct fl_json *json) {
    if (!json) return;
    fl_buf_deinit(&json->scratch);
    fl_free(json);
}

void fl_json_reset(struct fl_json *json) {
    struct fl_buf scratch = json->scratch;
    fl_buf_truncate(&scratch, 0);
    *json = (struct fl_json){.scratch = scratch};
}

void fl_json_feed(struct fl_json *json, struct fl_str chunk) {
    FL_ASSERT(json->p == json->end || json->error);
    json->chunk_offset += (uint64_t)(json->end - json->chunk);
    json->chunk = json->p = chunk.n ? chunk.p : "";
    json->end = json->p + chunk.n;
    if (json->raw) json->raw = json->p;
}

struct fl_str fl_json_text(const struct fl_json *json) {
    return json->text;
}
unsigned fl_json_depth(const struct fl_json *json) { return json->depth; }
const char *fl_json_error(const struct fl_json *json) { return json->error; }
int fl_json_error_code(const struct fl_json *json) { return json->error_code; }

uint64_t fl_json_offset(const struct fl_json *json) {
    return json->chunk_offset + (uint64_t)(json->p - json->chunk);
}

static bool is_space(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

static enum fl_json_token bad(struct fl_json *json, int code, const char *what) {
    json->error = what;
    json->error_code = code;
    json->lex = LEX_BAD;
    return FL_JSON_BAD;
}

static enum fl_json_token syntax(struct fl_json *json, const char *what) {
    return bad(json, FL_EPROTO, what);
}

static bool in_object(const struct fl_json *json) {
    return json->depth && (json->open >> (json->depth - 1) & 1);
}

static void value_done(struct fl_json *json) {
    json->expect = json->depth ? EXPECT_NEXT : EXPECT_VALUE;
}

/* The same after a value that is one token; takes the comma, which is likely there, along. */
static inline void scalar_done(struct fl_json *json) {
    value_done(json);
    if (json->p < json->end && *json->p == ',' && json->depth) {
        json->p++;
        json->expect = in_object(json) ? EXPECT_KEY : EXPECT_VALUE;
    }
}

/* After a key; likewise with the colon. */
static inline void key_done(struct fl_json *json) {
    bool colon = json->p < json->end && *json->p == ':';
    json->p += colon;
    json->expect = colon ? EXPECT_VALUE : EXPECT_COLON;
    json->skippable = AFTER_KEY;
}

static bool push(struct fl_json *json, bool object) {
    if (json->depth == FL_JSON_DEPTH_MAX) {
        syntax(json, "nested too deeply");
        return false;
    }
    uint64_t bit = UINT64_C(1) << json->depth++;
    json->open = object ? json->open | bit : json->open & ~bit;
    return true;
}

static bool pop(struct fl_json *json, char bracket) {
    if (json->depth == 0 || in_object(json) != (bracket == '}')) {
        syntax(json, "bracket that does not match");
        return false;
    }
    json->depth--;
    return true;
}

/* --- scratch --- */

#define SCRATCH_KEPT ((size_t)1024 * 1024)

/* Forgets the last token's text; what an unusually long one took is given back. */
static void empty_scratch(struct fl_json *json) {
    fl_buf_truncate(&json->scratch, 0);
    if (json->scratch.cap > SCRATCH_KEPT) fl_buf_release(&json->scratch);
}

static bool keep(struct fl_json *json, struct fl_str bytes) {
    int rc = fl_buf_append(&json->scratch, bytes);
    if (rc == FL_EFULL)
        bad(json, FL_ETOO_LARGE, "token too long");
    else if (rc)
        bad(json, FL_ENOMEM, "out of memory");
    return rc == 0;
}

/* Ends the token whose last piece is `bytes`: borrowed if that is all of it. */
static bool take_text(struct fl_json *json, struct fl_str bytes) {
    if (json->scratch.len) {
        if (!keep(json, bytes)) return false;
        bytes = fl_buf_str(&json->scratch);
    } else if (bytes.n > json->scratch.max) {
        bad(json, FL_ETOO_LARGE, "token too long");
        return false;
    }
    json->text = bytes;
    json->lex = LEX_NONE;
    return true;
}

/* The chunk ended within a token whose last piece is `bytes`. */
static enum fl_json_token suspend(struct fl_json *json, enum lex lex, struct fl_str bytes) {
    json->p = json->end;
    json->lex = lex;
    return keep(json, bytes) ? FL_JSON_MORE : FL_JSON_BAD;
}

/* --- strings --- */

static enum fl_json_token string_expected(struct fl_json *json, bool is_key) {
    if (is_key)
        key_done(json);
    else
        scalar_done(json);
    return is_key ? FL_JSON_KEY : FL_JSON_STRING;
}

static enum fl_json_token string_done(struct fl_json *json, struct fl_str piece) {
    if (!take_text(json, piece)) return FL_JSON_BAD;
    if (json->high && !fl_json_is_utf8(json->text)) return syntax(json, "string that is not UTF-8");
    return string_expected(json, json->is_key);
}

static bool keep_code_point(struct fl_json *json, uint32_t code_point) {
    char utf8[4];
    return keep(json, fl_str_n(utf8, fl_json_utf8(code_point, utf8)));
}

#define REPLACEMENT 0xfffd

/* A high surrogate that found no low one stands for nothing. */
static bool drop_surrogate(struct fl_json *json) {
    bool lone = json->surrogate != 0;
    json->surrogate = 0;
    return !lone || keep_code_point(json, REPLACEMENT);
}

/* A whole \uXXXX. */
static bool take_unit(struct fl_json *json, uint32_t unit) {
    uint32_t high = json->surrogate;
    bool is_low = unit >= 0xdc00 && unit <= 0xdfff;
    if (high && is_low) {
        json->surrogate = 0;
        return keep_code_point(json, 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00));
    }
    if (!drop_surrogate(json)) return false;
    if (unit >= 0xd800 && unit <= 0xdbff) {
        json->surrogate = unit;
        return true;
    }
    return keep_code_point(json, is_low ? REPLACEMENT : unit);
}

static bool take_hex(struct fl_json *json, char c) {
    unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                     : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                     : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                            : 16;
    if (digit > 15) {
        syntax(json, "escape that is not hexadecimal");
        return false;
    }
    json->hex = json->hex << 4 | digit;
    if (++json->hex_count < 4) return true;
    json->lex = LEX_STRING;
    return take_unit(json, json->hex);
}

static bool take_escape(struct fl_json *json, char c) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    if (c == 'u') {
        json->lex = LEX_HEX;
        json->hex = json->hex_count = 0;
        return true;
    }
    const char *at = c ? strchr(from, c) : NULL;
    if (!at) {
        syntax(json, "unknown escape");
        return false;
    }
    json->lex = LEX_STRING;
    return drop_surrogate(json) && keep(json, fl_str_n(&to[at - from], 1));
}

/* Goes on with a string that has an escape in it or began in an earlier chunk. */
static enum fl_json_token resume_string(struct fl_json *json) {
    while (json->p < json->end) {
        if (json->lex != LEX_STRING) {
            char c = *json->p++;
            if (!(json->lex == LEX_HEX ? take_hex(json, c) : take_escape(json, c)))
                return FL_JSON_BAD;
            continue;
        }
        if (json->surrogate && *json->p != '\\' && !drop_surrogate(json)) return FL_JSON_BAD;
        const char *stop = fl_json_scan_string(json->p, json->end, &json->high);
        struct fl_str piece = fl_str_n(json->p, (size_t)(stop - json->p));
        if (stop == json->end) return suspend(json, LEX_STRING, piece);
        json->p = stop + 1;
        if (*stop == '"') return string_done(json, piece);
        if (*stop != '\\') return syntax(json, "control character in a string");
        if (!keep(json, piece)) return FL_JSON_BAD;
        json->lex = LEX_ESCAPE;
    }
    return FL_JSON_MORE;
}

/* At the opening quote. Most strings are ASCII, have no escape and end in the chunk. */
static inline enum fl_json_token begin_string(struct fl_json *json, bool is_key) {
    const char *from = json->p + 1;
    bool high = false;
    const char *stop = fl_json_scan_string(from, json->end, &high);
    if (stop < json->end && *stop == '"' && !high && (size_t)(stop - from) <= json->scratch.max) {
        json->text = fl_str_n(from, (size_t)(stop - from));
        json->p = stop + 1;
        return string_expected(json, is_key);
    }
    json->p = from;
    json->is_key = is_key;
    json->high = false;
    json->lex = LEX_STRING;
    return resume_string(json);
}

/* --- numbers and names --- */

/* Bytes of numbers and names. */
static const bool word_bytes[256] = {
    ['0' ... '9'] = true, ['a' ... 'z'] = true, ['-'] = true,
    ['+'] = true,         ['.'] = true,         ['E'] = true,
};

static bool is_word(char c) { return word_bytes[(unsigned char)c]; }

static enum fl_json_token word_done(struct fl_json *json, struct fl_str piece) {
    if (!take_text(json, piece)) return FL_JSON_BAD;
    scalar_done(json);
    struct fl_str word = json->text;
    if (fl_str_eq(word, FL_STR("true"))) return FL_JSON_TRUE;
    if (fl_str_eq(word, FL_STR("false"))) return FL_JSON_FALSE;
    if (fl_str_eq(word, FL_STR("null"))) return FL_JSON_NULL;
    return fl_json_is_number(word) ? FL_JSON_NUMBER : syntax(json, "neither a value nor a number");
}

/* Whether the chunk goes on with `name` and something that ends it. */
static inline bool take_name(struct fl_json *json, const char *name, size_t n) {
    if ((size_t)(json->end - json->p) <= n || memcmp(json->p, name, n) != 0 || is_word(json->p[n]))
        return false;
    json->p += n;
    scalar_done(json);
    return true;
}

static enum fl_json_token take_word(struct fl_json *json) {
    const char *from = json->p, *p = from;
    while (p < json->end && is_word(*p)) p++;
    struct fl_str piece = fl_str_n(from, (size_t)(p - from));
    if (p == json->end) return suspend(json, LEX_WORD, piece);
    json->p = p;
    return word_done(json, piece);
}

/* --- values passed over --- */

void fl_json_skip(struct fl_json *json) {
    if (json->error) return;
    bool began = json->skippable == AFTER_BEGIN;
    FL_ASSERT(json->skippable != AFTER_OTHER);
    json->lex = began ? LEX_SKIP_NEST : LEX_SKIP;
    json->skip_depth = began ? json->depth - 1 : json->depth;
    json->skippable = AFTER_OTHER;
    empty_scratch(json);
}

void fl_json_raw(struct fl_json *json) {
    json->raw = json->skippable == AFTER_BEGIN ? json->p - 1 : NULL;
    json->raw_wanted = true;
    fl_json_skip(json);
}

struct fl_str fl_json_rest(const struct fl_json *json) {
    return fl_str_n(json->p, (size_t)(json->end - json->p));
}

void fl_json_pass(struct fl_json *json, size_t n) {
    FL_ASSERT(json->skippable == AFTER_BEGIN && n <= (size_t)(json->end - json->p));
    json->p += n;
    json->depth--;
    json->skippable = AFTER_OTHER;
    value_done(json);
}

/* At the first byte of the value, or before the colon. */
static bool skip_begin(struct fl_json *json, char c) {
    if (is_space(c)) return true;
    if (json->expect == EXPECT_COLON) {
        json->expect = EXPECT_VALUE;
        if (c != ':') syntax(json, "expected a colon");
        return c == ':';
    }
    if (json->raw_wanted) json->raw = json->p - 1;
    json->lex = c == '"' ? LEX_SKIP_STRING : LEX_SKIP_WORD;
    if (c == '{' || c == '[') {
        json->lex = LEX_SKIP_NEST;
        return push(json, c == '{');
    }
    if (c != '"' && !is_word(c)) syntax(json, "expected a value");
    return c == '"' || is_word(c);
}

static inline bool skip_bracket(struct fl_json *json, char c) {
    if (c == '{' || c == '[') return push(json, c == '{');
    if (!pop(json, c)) return false;
    if (json->depth == json->skip_depth) json->lex = LEX_NONE;
    return true;
}

/* Follows the brackets at `p`, whose places `marks` are. Gives the place after the one that ends
 * the skip, or NULL: none does, or one is wrong. Works on copies, which may stay in registers. */
static const char *skip_brackets(struct fl_json *json, const char *p, uint64_t marks) {
    unsigned depth = json->depth, skip_depth = json->skip_depth;
    uint64_t open = json->open;
    const char *done = NULL, *wrong = NULL;
    for (; marks && !done && !wrong; marks &= marks - 1) {
        unsigned at = (unsigned)__builtin_ctzll(marks);
        bool begins = (p[at] & 0x1f) == ('{' & 0x1f); /* "{[", not "}]" */
        bool object = p[at] & 0x20;                   /* "{}", not "[]" */
        if (begins && depth < FL_JSON_DEPTH_MAX) {
            uint64_t bit = UINT64_C(1) << depth++;
            open = object ? open | bit : open & ~bit;
        } else if (begins) {
            wrong = "nested too deeply";
        } else if (object != (open >> (depth - 1) & 1)) {
            wrong = "bracket that does not match";
        } else if (--depth == skip_depth) {
            done = p + at + 1;
        }
    }
    json->depth = depth;
    json->open = open;
    if (wrong) syntax(json, wrong);
    return done;
}

/* Passes over whole blocks without backslashes, in or outside of strings, until the skip is done.
 * Brackets are looked at where they are no part of a string. */
static bool skip_blocks(struct fl_json *json) {
    uint64_t inside = json->lex == LEX_SKIP_STRING ? UINT64_MAX : 0;
    const char *p = json->p, *end = json->end;
    for (; end - p >= FL_JSON_BLOCK; p += FL_JSON_BLOCK) {
        struct fl_json_marks marks = fl_json_scan_block(p);
        if (marks.backslashes) break;
        uint64_t strings = fl_json_between(marks.quotes) ^ inside;
        const char *done = skip_brackets(json, p, marks.brackets & ~strings);
        if (done) {
            json->p = done;
            json->lex = LEX_NONE;
            return true;
        }
        if (json->error) {
            json->p = p;
            return false;
        }
        inside = strings >> 63 ? UINT64_MAX : 0;
    }
    json->p = p;
    json->lex = inside ? LEX_SKIP_STRING : LEX_SKIP_NEST;
    return true;
}

/* The same, byte by byte: to the end of the skip, of a block, or to the beginning of a string. */
static bool skip_nest(struct fl_json *json) {
    const char *stop = json->p + FL_MIN(json->end - json->p, FL_JSON_BLOCK);
    while (json->p < stop && json->lex == LEX_SKIP_NEST) {
        char c = *json->p++;
        if (c == '"')
            json->lex = LEX_SKIP_STRING;
        else if (((c | 0x20) == '{' || (c | 0x20) == '}') && !skip_bracket(json, c))
            return false;
    }
    return true;
}

static void skip_string(struct fl_json *json) {
    json->p = fl_json_scan_quote(json->p, json->end);
    if (json->p == json->end) return;
    if (*json->p++ == '\\')
        json->lex = LEX_SKIP_ESCAPE;
    else
        json->lex = json->depth == json->skip_depth ? LEX_NONE : LEX_SKIP_NEST;
}

static bool skip_step(struct fl_json *json) {
    switch (json->lex) {
    case LEX_SKIP:
        json->p++;
        return skip_begin(json, json->p[-1]);
    case LEX_SKIP_NEST:
        if (!skip_blocks(json)) return false;
        return json->lex != LEX_SKIP_NEST || skip_nest(json);
    case LEX_SKIP_STRING:
        skip_string(json);
        return true;
    case LEX_SKIP_ESCAPE:
        json->p++;
        json->lex = LEX_SKIP_STRING;
        return true;
    default:
        if (is_word(*json->p))
            json->p++;
        else
            json->lex = LEX_NONE;
        return true;
    }
}

static enum fl_json_token resume_skip(struct fl_json *json) {
    while (json->p < json->end && json->lex != LEX_NONE)
        if (!skip_step(json)) return FL_JSON_BAD;
    struct fl_str piece = FL_STR_NONE;
    if (json->raw) piece = fl_str_n(json->raw, (size_t)(json->p - json->raw));
    if (json->lex != LEX_NONE) {
        if (json->raw) json->raw = json->end;
        return suspend(json, json->lex, piece);
    }
    value_done(json);
    if (!json->raw_wanted) return fl_json_next(json);
    json->raw_wanted = false;
    json->raw = NULL;
    return take_text(json, piece) ? FL_JSON_RAW : FL_JSON_BAD;
}

/* --- grammar --- */

static enum fl_json_token resume(struct fl_json *json) {
    switch (json->lex) {
    case LEX_STRING:
    case LEX_ESCAPE:
    case LEX_HEX:
        return resume_string(json);
    case LEX_BAD:
        return FL_JSON_BAD;
    case LEX_WORD:
        return json->p < json->end ? take_word(json) : FL_JSON_MORE;
    default:
        return resume_skip(json);
    }
}

static enum fl_json_token open_container(struct fl_json *json, bool object) {
    json->p++;
    if (!push(json, object)) return FL_JSON_BAD;
    json->skippable = AFTER_BEGIN;
    json->expect = object ? EXPECT_FIRST_KEY : EXPECT_FIRST_VALUE;
    return object ? FL_JSON_OBJECT_BEGIN : FL_JSON_ARRAY_BEGIN;
}

static enum fl_json_token close_container(struct fl_json *json, char c) {
    if (c != '}' && c != ']') return syntax(json, "expected a comma or the end");
    json->p++;
    if (!pop(json, c)) return FL_JSON_BAD;
    value_done(json);
    return c == '}' ? FL_JSON_OBJECT_END : FL_JSON_ARRAY_END;
}

static enum fl_json_token take_value(struct fl_json *json, char c) {
    if (c == '"') return begin_string(json, false);
    if (c == '{' || c == '[') return open_container(json, c == '{');
    if (c == 't' && take_name(json, "true", 4)) return FL_JSON_TRUE;
    if (c == 'f' && take_name(json, "false", 5)) return FL_JSON_FALSE;
    return is_word(c) ? take_word(json) : syntax(json, "expected a value");
}

static enum fl_json_token take_key(struct fl_json *json, char c) {
    return c == '"' ? begin_string(json, true) : syntax(json, "expected a key");
}

/* The token that begins with c, or FL_JSON_MORE if c was but the mark between two. */
static enum fl_json_token take(struct fl_json *json, char c) {
    switch (json->expect) {
    case EXPECT_COLON:
        if (c != ':') return syntax(json, "expected a colon");
        json->p++;
        json->expect = EXPECT_VALUE;
        return FL_JSON_MORE;
    case EXPECT_NEXT:
        if (c != ',') return close_container(json, c);
        json->p++;
        json->expect = in_object(json) ? EXPECT_KEY : EXPECT_VALUE;
        return FL_JSON_MORE;
    case EXPECT_FIRST_KEY:
        return c == '}' ? close_container(json, c) : take_key(json, c);
    case EXPECT_KEY:
        return take_key(json, c);
    case EXPECT_FIRST_VALUE:
        return c == ']' ? close_container(json, c) : take_value(json, c);
    default:
        return take_value(json, c);
    }
}

enum fl_json_token fl_json_next(struct fl_json *json) {
    if (json->lex != LEX_NONE) return resume(json);
    json->skippable = AFTER_OTHER;
    if (json->scratch.len) empty_scratch(json);
    while (json->p < json->end) {
        char c = *json->p;
        if (is_space(c)) {
            json->p++;
            continue;
        }
        enum fl_json_token token = take(json, c);
        if (token != FL_JSON_MORE || json->lex != LEX_NONE) return token;
    }
    return FL_JSON_MORE;
}
