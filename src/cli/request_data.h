/* request_data.h - what `-d` says: JSON values, one behind the other. */
#ifndef FL_CLI_REQUEST_DATA_H
#define FL_CLI_REQUEST_DATA_H

#include "base/buf.h"

struct fl_request_data {
    struct fl_buf text;
    struct fl_str *values; /* each a whole JSON value as written; borrowed from text */
    size_t count;
};

/* Reads `from`: JSON itself, "@FILE", or "-" for standard input. FL_EUSAGE (what cannot be read;
 * line and column of what is no JSON), FL_ENOMEM. */
FL_MUST int fl_request_data_read(const char *from, struct fl_request_data *out,
                                 struct fl_error *err);
/* After a failure too. */
void fl_request_data_deinit(struct fl_request_data *data);
/* "line 3, column 7" of a value, for people. */
void fl_request_data_place(const struct fl_request_data *data, size_t index, char out[48]);

/* Appends a whole file, or standard input for "-". FL_EUSAGE: path and why. */
FL_MUST int fl_read_file(const char *path, struct fl_buf *out, struct fl_error *err);

#endif
