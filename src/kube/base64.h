/* base64.h - RFC 4648 section 4. Private to kube/. */
#ifndef FL_KUBE_BASE64_H
#define FL_KUBE_BASE64_H

#include "base/buf.h"

/* Appends the decoded bytes; blanks and line breaks are passed over, padding is required. FL_EPROTO
 * (not base64), FL_EFULL, FL_ENOMEM; `out` may hold a part then. */
FL_MUST int fl_base64_decode(struct fl_buf *out, struct fl_str text);
/* Appends the text of the bytes, without line breaks. FL_EFULL, FL_ENOMEM: nothing. */
FL_MUST int fl_base64_encode(struct fl_buf *out, struct fl_str bytes);

#endif
