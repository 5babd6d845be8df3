/* texts.h - a NULL-terminated list of texts, as programs take their arguments. Wiped when freed: an
 * environment holds secrets. Private to kube/. */
#ifndef FL_KUBE_TEXTS_H
#define FL_KUBE_TEXTS_H

#include "base/str.h"

struct fl_texts {
    char **list; /* NULL while empty */
    size_t count;
};

/* Appends head, then tail, as one text. FL_ENOMEM: unchanged. */
FL_MUST int fl_texts_add(struct fl_texts *texts, struct fl_str head, struct fl_str tail);
FL_MUST int fl_texts_copy(struct fl_texts *out, const struct fl_texts *from); /* FL_ENOMEM */
void fl_texts_deinit(struct fl_texts *texts);

#endif
