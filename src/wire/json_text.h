/* json_text.h - what a JSON number and a JSON string may look like. Private to json.c. */
#ifndef FL_WIRE_JSON_TEXT_H
#define FL_WIRE_JSON_TEXT_H

#include "base/str.h"

FL_MUST bool fl_json_is_number(struct fl_str text);
FL_MUST bool fl_json_is_utf8(struct fl_str text); /* RFC 3629: no overlong forms, no surrogates */
/* Writes a code point as UTF-8 and returns how many bytes it took. */
size_t fl_json_utf8(uint32_t code_point, char out[4]);

#endif
