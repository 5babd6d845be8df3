/* metadata_args.h - `-H name:value`, any number of times, as metadata of a call. */
#ifndef FL_CLI_METADATA_ARGS_H
#define FL_CLI_METADATA_ARGS_H

#include <fairlead/call.h>

#include "base/buf.h"
#include "cli/args.h"

struct fl_metadata_args {
    struct fl_metadata list[FL_WORDS_MAX];
    size_t count;
    struct fl_buf names[FL_WORDS_MAX], values[FL_WORDS_MAX];
};

/* Names become lower case; the value of a name that ends in "-bin" is given as base64. FL_EUSAGE
 * (which one), FL_ENOMEM. To be ended by _deinit, after a failure too. */
FL_MUST int fl_metadata_args_read(const struct fl_words *words, struct fl_metadata_args *out,
                                  struct fl_error *err);
void fl_metadata_args_deinit(struct fl_metadata_args *args);

#endif
