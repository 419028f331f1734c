#include "manual.h"

#include <string.h>

#include "cli.h"

/* Text between macros: what begins a request, an escape or a hyphen is meant as it is. */
static void text(FILE *to, const char *from)
{
    bool at_start = true;
    for (; *from != '\0'; from++) {
        if (at_start && (*from == '.' || *from == '\''))
            (void)fputs("\\&", to);
        if (*from == '\\')
            (void)fputs("\\e", to);
        else if (*from == '-')
            (void)fputs("\\-", to);
        else
            (void)fputc(*from, to);
        at_start = *from == '\n';
    }
}

static void options(FILE *to, const struct den_option *o)
{
    for (; o != NULL && o->name != NULL; o++) {
        (void)fputs(".TP\n", to);
        if (o->letter != 0)
            (void)fprintf(to, "\\fB\\-%c\\fR, ", o->letter);
        (void)fputs("\\fB\\-\\-", to);
        text(to, o->name);
        (void)fputs("\\fR", to);
        if (o->value != NULL) {
            (void)fputs(" \\fI", to);
            text(to, o->value);
            (void)fprintf(to, "\\fR%s", o->kind == DEN_OPTION_LIST ? "..." : "");
        }
        (void)fputc('\n', to);
        text(to, o->doc);
        (void)fputs(".\n", to);
    }
}

/* Lines that are indented are examples: kept as they are. */
static void more(FILE *to, const char *from)
{
    bool example = false, first = true;
    while (*from != '\0') {
        char line[256];
        size_t length = strcspn(from, "\n");
        bool indented = from[0] == ' ';
        if (first || indented != example)
            (void)fprintf(to, "%s%s", example ? ".fi\n" : "",
                          indented ? ".PP\n.nf\n" : ".PP\n");
        example = indented;
        first = false;
        (void)snprintf(line, sizeof line, "%.*s\n", (int)length, from);
        text(to, line);
        from += length + (from[length] == '\n');
    }
    if (example)
        (void)fputs(".fi\n", to);
}

static void command(FILE *to, const struct den_command *c)
{
    (void)fputs(".SS \"denoise ", to);
    text(to, c->name);
    (void)fputs("\"\n.B denoise ", to);
    text(to, c->name);
    (void)fputc('\n', to);
    text(to, c->synopsis);
    (void)fputs("\n.PP\n", to);
    text(to, c->doc);
    (void)fputs(".\n", to);
    if (c->more != NULL)
        more(to, c->more);
    options(to, c->options);
}

void den_manual(FILE *to)
{
    (void)fputs(".SH OPTIONS OF EVERY COMMAND\n", to);
    options(to, den_global_options);
    (void)fputs(".SH COMMANDS\n", to);
    for (size_t i = 0; den_commands[i] != NULL; i++)
        command(to, den_commands[i]);
}
