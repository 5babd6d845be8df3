/* json_fuzz.c - the JSON tokenizer: the same tokens must come whatever the chunking. The first byte
 * of the input is the size of the pieces, the second says what is skipped or taken raw. */
#include "base/def.h"
#include "base/hash.h"
#include "wire/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define TEXT_MAX ((size_t)1 << 16)

struct outcome {
    uint64_t tokens; /* hash over all of them */
    bool bad;
};

static void choose(struct fl_json *json, enum fl_json_token token, unsigned choice) {
    if (token == FL_JSON_KEY && fl_json_text(json).n % 4 == (choice & 3)) {
        if (choice & 4)
            fl_json_skip(json);
        else
            fl_json_raw(json);
    }
    if (token == FL_JSON_ARRAY_BEGIN && (choice & 24) == 24) fl_json_skip(json);
    if (token == FL_JSON_OBJECT_BEGIN && (choice & 24) == 16) fl_json_raw(json);
}

static struct outcome run(struct fl_str text, size_t piece, unsigned choice) {
    struct outcome out = {0};
    struct fl_json *json;
    if (fl_json_new(TEXT_MAX, &json)) return out;
    while (text.n && !out.bad) {
        struct fl_str chunk = fl_str_n(text.p, FL_MIN(piece, text.n));
        enum fl_json_token token;
        text = fl_str_from(text, chunk.n);
        fl_json_feed(json, chunk);
        while ((token = fl_json_next(json)) != FL_JSON_MORE && token != FL_JSON_BAD) {
            bool has_text = token == FL_JSON_KEY || token == FL_JSON_STRING ||
                            token == FL_JSON_NUMBER || token == FL_JSON_RAW;
            out.tokens = fl_hash(has_text ? fl_json_text(json) : FL_STR_NONE, out.tokens + token);
            choose(json, token, choice);
        }
        out.bad = token == FL_JSON_BAD;
    }
    fl_json_free(json);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2) return 0;
    struct fl_str text = fl_str_n(data + 2, size - 2);
    struct outcome whole = run(text, SIZE_MAX, data[1]);
    struct outcome pieces = run(text, (size_t)data[0] % 80 + 1, data[1]);
    FL_ASSERT(whole.bad == pieces.bad && whole.tokens == pieces.tokens);
    return 0;
}
