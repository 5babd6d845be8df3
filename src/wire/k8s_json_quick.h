/* k8s_json_quick.h - an endpoint as the API server writes it, without the tokenizer. Private to
 * k8s_json.c; see k8s_json_quick.c. */
#ifndef FL_WIRE_K8S_JSON_QUICK_H
#define FL_WIRE_K8S_JSON_QUICK_H

#include "wire/k8s_object.h"

/* A discovery/v1 Endpoint at the beginning of `text`, its opening brace read: the bytes up to and
 * with its closing brace. 0: it is not written in that way, *out and the reader's hints have to be
 * filled in anew by one who reads all that JSON allows. Texts are borrowed. */
size_t fl_k8s_json_quick(struct fl_k8s_reader *reader, struct fl_str text,
                         struct fl_k8s_endpoint *out);

#endif
