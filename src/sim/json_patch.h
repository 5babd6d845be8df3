/* json_patch.h - documents as text, and the three ways in which clients change them. Pure; one
 * thread.
 *
 * Sources: RFC 7386 (merge), RFC 6902 (JSON patch), and for the strategic merge
 * kubernetes/community sig-api-machinery/strategic-merge-patch.md: lists of objects merge by the
 * key that the API's types name. All change the target in place; after an error it is half changed
 * and to be dropped. */
#ifndef FL_SIM_JSON_PATCH_H
#define FL_SIM_JSON_PATCH_H

#include <jansson.h>

#include "base/buf.h"

#define FL_JSON_DEPTH_MAX 64

/* Appends the tree's text. FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_json_print(const json_t *tree, struct fl_buf *out);
FL_MUST int fl_json_merge(json_t *target, const json_t *patch); /* both objects. FL_ENOMEM */
/* What merged into `from` makes `to`; NULL: no memory. */
FL_MUST json_t *fl_json_diff(const json_t *from, const json_t *to);
/* FL_EUSAGE (what is wrong with the patch), FL_ENOT_FOUND (a path or a test that does not hold),
 * FL_ENOMEM. */
FL_MUST int fl_json_patch(json_t *target, const json_t *operations, struct fl_error *err);
FL_MUST int fl_json_strategic(json_t *target, const json_t *patch, struct fl_error *err);

#endif
