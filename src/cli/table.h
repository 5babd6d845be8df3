/* table.h - rows of text in columns as wide as their widest cell. */
#ifndef FL_CLI_TABLE_H
#define FL_CLI_TABLE_H

#include <stdio.h>

#include "base/buf.h"

#define FL_TABLE_COLUMNS_MAX 16

struct fl_table {
    size_t columns;
    struct fl_buf cells; /* terminated texts, row by row */
    size_t widths[FL_TABLE_COLUMNS_MAX];
    size_t cell_count;
};

/* `columns`, at most FL_TABLE_COLUMNS_MAX. */
void fl_table_init(struct fl_table *table, size_t columns);
void fl_table_deinit(struct fl_table *table);
/* The next cell, copied and escaped, or as many as there are columns. FL_ENOMEM, FL_EFULL. */
FL_MUST int fl_table_cell(struct fl_table *table, const char *text);
FL_MUST int fl_table_row(struct fl_table *table, const char *const *cells);
/* Prints whole rows, the first one bold on a terminal. */
void fl_table_print(const struct fl_table *table, FILE *out);

#endif
