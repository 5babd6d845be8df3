/* k8s_bed.h - samples of Kubernetes objects, and bodies decoded in any pieces into a text of what
 * was seen. */
#ifndef FL_TEST_K8S_BED_H
#define FL_TEST_K8S_BED_H

#include <stdio.h>

#include "support/alloc.h"
#include "wire/k8s.h"

#define S FL_STR

/* --- what a decoder gave, as text --- */

struct seen {
    struct fl_buf text;
    struct fl_block *held; /* what the decoder may reuse; the last block, if `hold` */
    bool hold;
    int answer; /* of on_object */
    size_t objects;
};

void seen_init(struct seen *seen);
void seen_deinit(struct seen *seen);
extern const struct fl_k8s_decoder_events events; /* arg: struct seen */

/* --- bodies --- */

struct body {
    enum fl_k8s_kind kind;
    enum fl_k8s_body body;
    enum fl_k8s_format format;
    struct fl_str bytes;
};

struct body json_body(enum fl_k8s_kind kind, enum fl_k8s_body body, const char *text);
/* Decodes with a first piece of `first` bytes (0: as the others) and further ones of `piece`. */
int decode_pieces(struct seen *seen, const struct body *body, size_t first, size_t piece,
                  struct fl_error *err);
/* Decodes whole; what is seen does not matter. */
int decode_code(const struct body *body, struct fl_error *err);
/* Decodes whole, byte by byte, and split once at every place; the same must come out. */
void expect_every_split(const struct body *body, const char *expected);

/* --- samples --- */

extern const enum fl_k8s_format formats[2];
#define EACH_FORMAT(format)                                                                        \
    for (size_t format##_i = 0; format##_i < FL_COUNT(formats); format##_i++)                      \
        for (enum fl_k8s_format format = formats[format##_i], *format##_once = &format;            \
             format##_once; format##_once = NULL)

extern const struct fl_k8s_endpoint_spec endpoints[3];
struct fl_k8s_slice_spec slice_spec(void); /* with these endpoints */
#define SLICE_TEXT                                                                                 \
    " ns=default name=echo-x2z9k uid=u-1 rv=1234 service=echo"                                     \
    " port(http,TCP,8080,kubernetes.io/h2c) port(metrics,TCP,9090,)"                               \
    " [10.0.0.1 RS- node-a/zone-1 echo-7d9-aaaaa 11aa]"                                            \
    " [10.0.0.2 -ST node-b/zone-2 echo-7d9-bbbbb 21bb]"                                            \
    " [fd00::1 RS- /  0000]\n"
struct fl_k8s_service_spec service_spec(void);

struct fl_str encoded_slice(struct fl_buf *out, enum fl_k8s_format format,
                            const struct fl_k8s_slice_spec *spec);
/* Appended to *out. */
void put_event(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_event event,
               enum fl_k8s_kind kind, struct fl_str object);
void put_list(struct fl_buf *out, enum fl_k8s_format format, enum fl_k8s_kind kind,
              const struct fl_str *objects, size_t count, struct fl_str version,
              struct fl_str token);

#endif
