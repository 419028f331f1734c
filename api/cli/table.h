#ifndef DEN_TABLE_H
#define DEN_TABLE_H

/* Text in aligned columns. */

#include <stdio.h>

#include "err.h"

struct den_table {
    const char *const *heads; /* ends with NULL; a leading ">" aligns to the right */
    size_t columns;
    char **cells; /* row by row, owned */
    size_t count, capacity;
    bool failed;   /* a cell could not be kept */
    bool markdown; /* print it as a table of GitHub's Markdown */
};

void den_table_init(struct den_table *table, const char *const *heads);
/* The next cell, from left to right and from top to bottom. */
void den_table_add(struct den_table *table, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
bool den_table_print(const struct den_table *table, FILE *to,
                     struct den_err *err) DEN_CHECKED;
void den_table_release(struct den_table *table);

#endif
