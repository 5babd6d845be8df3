/* table.c - rows of text in columns. Widths count bytes: names in a cluster are ASCII. */
#include "cli/table.h"

#include "base/escape.h"
#include "cli/terminal.h"

#define TABLE_BYTES_MAX ((size_t)1 << 30)
#define COLUMN_GAP      2

void fl_table_init(struct fl_table *table, size_t columns) {
    FL_ASSERT(columns <= FL_TABLE_COLUMNS_MAX);
    *table = (struct fl_table){.columns = columns};
    fl_buf_init(&table->cells, TABLE_BYTES_MAX);
}

void fl_table_deinit(struct fl_table *table) { fl_buf_deinit(&table->cells); }

int fl_table_cell(struct fl_table *table, const char *text) {
    size_t before = table->cells.len, column = table->cell_count % table->columns;
    struct fl_str rest = fl_str_of(text);
    while (rest.n) {
        char piece[FL_ESCAPED_MAX];
        size_t n = fl_escape_next(&rest, FL_ESCAPE_LINE, piece);
        int rc = fl_buf_append(&table->cells, fl_str_n(piece, n));
        if (rc) return rc;
    }
    table->widths[column] = FL_MAX(table->widths[column], table->cells.len - before);
    table->cell_count++;
    return fl_buf_byte(&table->cells, '\0');
}

int fl_table_row(struct fl_table *table, const char *const *cells) {
    for (size_t i = 0; i < table->columns; i++) {
        int rc = fl_table_cell(table, cells[i]);
        if (rc) return rc;
    }
    return FL_OK;
}

void fl_table_print(const struct fl_table *table, FILE *out) {
    const char *text = fl_buf_str(&table->cells).p;
    size_t rows = text ? table->cell_count / table->columns : 0;
    for (size_t row = 0; row < rows; row++) {
        if (row == 0) fputs(fl_colour(out, FL_BOLD), out);
        int blanks = 0; /* written before the next text only: no line ends with some */
        for (size_t column = 0; column < table->columns; column++) {
            size_t length = strlen(text);
            if (length) {
                fprintf(out, "%*s%s", blanks, "", text);
                blanks = 0;
            }
            blanks += (int)(table->widths[column] - length) + COLUMN_GAP;
            text += length + 1;
        }
        if (row == 0) fputs(fl_colour(out, FL_PLAIN), out);
        fputc('\n', out);
    }
}
