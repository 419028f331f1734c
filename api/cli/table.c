#include "table.h"

#include <assert.h>
#include <stdarg.h>
#include <string.h>

#include "mem.h"
#include "str.h"

#define CELL_MAX 256

void den_table_init(struct den_table *table, const char *const *heads)
{
    *table = (struct den_table){.heads = heads};
    while (heads[table->columns] != NULL)
        table->columns++;
}

void den_table_release(struct den_table *table)
{
    for (size_t i = 0; i < table->count; i++)
        den_free(table->cells[i]);
    den_free(table->cells);
    *table = (struct den_table){0};
}

/* What a server sends must not steer the terminal. */
static void tame(char *text)
{
    if (den_utf8_printable(text))
        return;
    for (; *text != '\0'; text++)
        if (*text < ' ' || *text > '~')
            *text = '?';
}

static bool make_room(struct den_table *table)
{
    if (table->count < table->capacity)
        return true;
    size_t capacity = table->capacity > 0 ? 2 * table->capacity : 64;
    char **cells = den_realloc(table->cells, capacity, sizeof *cells);
    if (cells == NULL)
        return false;
    table->cells = cells;
    table->capacity = capacity;
    return true;
}

void den_table_add(struct den_table *table, const char *format, ...)
{
    char text[CELL_MAX];
    va_list list;
    va_start(list, format);
    (void)vsnprintf(text, sizeof text, format, list);
    va_end(list);
    den_utf8_trim(text);
    tame(text);
    char *copy = make_room(table) ? den_strdup(text) : NULL;
    if (copy != NULL)
        table->cells[table->count++] = copy;
    else
        table->failed = true;
}

/* Characters, not bytes: bytes that continue one are not counted. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++)
        n += ((unsigned char)*text & 0xc0) != 0x80;
    return n;
}

static const char *title(const struct den_table *table, size_t column)
{
    const char *head = table->heads[column];
    return head + (head[0] == '>');
}

static size_t column_width(const struct den_table *table, size_t column)
{
    size_t widest = width_of(title(table, column));
    for (size_t i = column; i < table->count; i += table->columns)
        if (width_of(table->cells[i]) > widest)
            widest = width_of(table->cells[i]);
    return widest;
}

static void print_cell(const struct den_table *table, FILE *to, size_t column,
                       const char *text)
{
    int pad = (int)(column_width(table, column) - width_of(text));
    bool right = table->heads[column][0] == '>';
    bool last = column + 1 == table->columns;
    (void)fprintf(to, "%s%*s%s%*s%s", column > 0 ? "  " : "", right ? pad : 0, "", text,
                  right || last ? 0 : pad, "", last ? "\n" : "");
}

/* A bar within a cell would end it. */
static void print_escaped(FILE *to, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '|' || *text == '\\')
            (void)fputc('\\', to);
        (void)fputc(*text, to);
    }
}

static void print_markdown(const struct den_table *table, FILE *to)
{
    for (size_t c = 0; c < table->columns; c++) {
        (void)fputs(c > 0 ? " | " : "| ", to);
        print_escaped(to, title(table, c));
    }
    (void)fputs(" |\n", to);
    for (size_t c = 0; c < table->columns; c++)
        (void)fputs(table->heads[c][0] == '>' ? "|---:" : "|---", to);
    (void)fputs("|\n", to);
    for (size_t i = 0; i < table->count; i++) {
        (void)fputs(i % table->columns > 0 ? " | " : "| ", to);
        print_escaped(to, table->cells[i]);
        if ((i + 1) % table->columns == 0)
            (void)fputs(" |\n", to);
    }
}

bool den_table_print(const struct den_table *table, FILE *to, struct den_err *err)
{
    if (table->failed)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a table");
    assert(table->columns > 0);
    if (table->markdown) {
        print_markdown(table, to);
        return true;
    }
    for (size_t c = 0; c < table->columns; c++)
        print_cell(table, to, c, title(table, c));
    for (size_t i = 0; i < table->count; i++)
        print_cell(table, to, i % table->columns, table->cells[i]);
    return true;
}
