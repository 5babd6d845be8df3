/* texts.c - see texts.h. Lists are short: the list grows by one. */
#include "kube/texts.h"

#include "base/error.h"
#include "kube/secret.h"

int fl_texts_add(struct fl_texts *texts, struct fl_str head, struct fl_str tail) {
    char **list = fl_realloc(texts->list, (texts->count + 2) * sizeof *list);
    if (!list) return FL_ENOMEM;
    texts->list = list;
    list[texts->count] = NULL;
    char *text = fl_alloc(head.n + tail.n + 1);
    if (!text) return FL_ENOMEM;
    if (head.n) memcpy(text, head.p, head.n);
    if (tail.n) memcpy(text + head.n, tail.p, tail.n);
    text[head.n + tail.n] = '\0';
    list[texts->count++] = text;
    list[texts->count] = NULL;
    return FL_OK;
}

int fl_texts_copy(struct fl_texts *out, const struct fl_texts *from) {
    int rc = FL_OK;
    for (size_t i = 0; i < from->count && rc == FL_OK; i++)
        rc = fl_texts_add(out, fl_str_of(from->list[i]), FL_STR_NONE);
    return rc;
}

void fl_texts_deinit(struct fl_texts *texts) {
    for (size_t i = 0; i < texts->count; i++) fl_secret_free(texts->list[i]);
    fl_free(texts->list);
    *texts = (struct fl_texts){0};
}
