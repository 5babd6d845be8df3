/* secret.h - base/secret.h, and what jansson holds. Private to kube/. */
#ifndef FL_KUBE_SECRET_H
#define FL_KUBE_SECRET_H

#include <jansson.h>

#include "base/secret.h"

/* Wipes every text of the tree, then gives up this reference, which must be the only one. NULL is
 * allowed. */
void fl_secret_json_free(json_t *root);

#endif
