#include "exposition.h"

#include <check.h>
#include <ctype.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "str.h"

enum { SERIES = 4096, METRICS = 256, TEXT = 256 };

struct sample {
    char series[TEXT], name[TEXT], labels[TEXT]; /* labels: between the braces */
    double value;
};

struct metric {
    char name[TEXT], type[16];
    bool has_help, ended;
    size_t samples;
};

struct checker {
    struct sample *samples;
    size_t count;
    struct metric *metrics;
    size_t metric_count;
    struct metric *at; /* whose lines come now */
    char *to;
    size_t size;
};

static bool fault(struct checker *c, const char *what, const char *where)
{
    (void)snprintf(c->to, c->size, "%s: %.120s", what, where);
    return false;
}

static bool good_name(const char *name)
{
    if (name[0] == '\0' || isdigit((unsigned char)name[0]))
        return false;
    for (; *name != '\0'; name++)
        if (!isalnum((unsigned char)*name) && *name != '_')
            return false;
    return true;
}

/* The metric of that name, made when it is new; all of a metric stands together. */
static bool turn_to(struct checker *c, const char *name)
{
    if (c->at != NULL && strcmp(c->at->name, name) == 0)
        return true;
    if (c->at != NULL)
        c->at->ended = true;
    for (size_t i = 0; i < c->metric_count; i++)
        if (strcmp(c->metrics[i].name, name) == 0)
            return fault(c, "the metric stands in two places", name);
    if (c->metric_count == METRICS)
        return fault(c, "too many metrics", name);
    c->at = &c->metrics[c->metric_count++];
    return den_str_copy(c->at->name, TEXT, name);
}

static bool check_comment(struct checker *c, const char *line)
{
    static const char *const types[] = {"counter", "gauge", "histogram"};
    bool help = den_str_starts(line, "# HELP ");
    if (!help && !den_str_starts(line, "# TYPE "))
        return fault(c, "a comment that is neither HELP nor TYPE", line);
    char name[TEXT];
    const char *rest = line + strlen("# HELP ");
    size_t length = strcspn(rest, " ");
    (void)snprintf(name, sizeof name, "%.*s", (int)length, rest);
    rest += length;
    if (!good_name(name) || rest[0] != ' ' || rest[1] == '\0')
        return fault(c, "HELP or TYPE without a name or a text", line);
    if (!turn_to(c, name))
        return false;
    if (c->at->samples > 0)
        return fault(c, "HELP or TYPE behind a sample", line);
    if (help ? c->at->has_help : c->at->type[0] != '\0')
        return fault(c, "HELP or TYPE twice", line);
    if (help)
        return c->at->has_help = true;
    for (size_t i = 0; i < 3; i++)
        if (strcmp(rest + 1, types[i]) == 0)
            return den_str_copy(c->at->type, sizeof c->at->type, types[i]);
    return fault(c, "a type that is none", line);
}

/* `name="value"` separated by commas; no escapes, for we write none. */
static bool check_labels(struct checker *c, const char *labels)
{
    const char *at = labels;
    char name[TEXT];
    for (;;) {
        size_t length = strcspn(at, "=");
        (void)snprintf(name, sizeof name, "%.*s", (int)length, at);
        at += length;
        if (!good_name(name) || at[0] != '=' || at[1] != '"')
            return fault(c, "a label that is none", labels);
        at += 2 + strcspn(at + 2, "\"\\\n");
        if (*at != '"')
            return fault(c, "the value of a label does not end", labels);
        if (*++at == '\0')
            return true;
        if (*at++ != ',')
            return fault(c, "labels are not separated by commas", labels);
    }
}

/* The name without what a histogram puts behind it. */
static void family(const struct checker *c, const char *name, char *to)
{
    static const char *const ends[] = {"_bucket", "_sum", "_count"};
    (void)den_str_copy(to, TEXT, name);
    if (c->at == NULL || strcmp(c->at->type, "histogram") != 0)
        return;
    for (size_t i = 0; i < 3; i++)
        if (den_str_ends(name, ends[i]) &&
            strlen(name) - strlen(ends[i]) == strlen(c->at->name))
            to[strlen(c->at->name)] = '\0';
}

static bool read_value(const char *text, double *ret)
{
    *ret = strcmp(text, "NaN") == 0 ? (double)NAN : (double)INFINITY;
    return strcmp(text, "NaN") == 0 || strcmp(text, "+Inf") == 0 ||
           den_parse_double(text, -1e300, 1e300, ret, NULL);
}

static bool check_sample(struct checker *c, const char *line)
{
    char metric[TEXT];
    struct sample *s = &c->samples[c->count];
    const char *space = strrchr(line, ' '), *brace = strchr(line, '{');
    if (c->count == SERIES)
        return fault(c, "too many series", line);
    if (space == NULL || space - line >= TEXT || !read_value(space + 1, &s->value))
        return fault(c, "a sample without a value", line);
    (void)snprintf(s->series, TEXT, "%.*s", (int)(space - line), line);
    size_t length = brace != NULL ? (size_t)(brace - line) : (size_t)(space - line);
    (void)snprintf(s->name, TEXT, "%.*s", (int)length, line);
    s->labels[0] = '\0';
    if (brace != NULL && space[-1] != '}')
        return fault(c, "labels without an end", line);
    if (brace != NULL)
        (void)snprintf(s->labels, TEXT, "%.*s", (int)(space - brace - 2), brace + 1);
    if (!good_name(s->name) || (brace != NULL && !check_labels(c, s->labels)))
        return s->name[0] != '\0' && good_name(s->name)
                   ? false
                   : fault(c, "a sample without a name", line);
    family(c, s->name, metric);
    if (!turn_to(c, metric))
        return false;
    if (c->at->type[0] == '\0' || !c->at->has_help)
        return fault(c, "a sample before its HELP and TYPE", line);
    bool total = den_str_ends(c->at->name, "_total");
    if (total != (strcmp(c->at->type, "counter") == 0))
        return fault(c, "_total and counter do not go together", line);
    if (total && !(s->value >= 0))
        return fault(c, "a counter below zero", line);
    for (size_t i = 0; i < c->count; i++)
        if (strcmp(c->samples[i].series, s->series) == 0)
            return fault(c, "a series twice", line);
    c->at->samples++;
    c->count++;
    return true;
}

/* Buckets of a series stand together, ascend, and end with +Inf, which is the count. */
static bool check_histograms(struct checker *c)
{
    double last_bound = -INFINITY, last_count = 0;
    for (size_t i = 0; i < c->count; i++) {
        struct sample *s = &c->samples[i];
        char *le = strstr(s->labels, "le=\"");
        if (!den_str_ends(s->name, "_bucket"))
            continue;
        if (le == NULL || strchr(le + 4, '"') == NULL)
            return fault(c, "a bucket without a bound", s->series);
        char bound_text[TEXT];
        double bound = 0;
        (void)den_str_copy(bound_text, sizeof bound_text, le + 4);
        bound_text[strcspn(bound_text, "\"")] = '\0';
        if (!read_value(bound_text, &bound))
            return fault(c, "a bound that is no number", s->series);
        if (bound <= last_bound || s->value < last_count)
            return fault(c, "buckets that do not ascend", s->series);
        last_bound = bound;
        last_count = s->value;
        if (!isinf(bound))
            continue;
        last_bound = -INFINITY;
        last_count = 0;
        if (i + 2 >= c->count || !den_str_ends(c->samples[i + 1].name, "_sum") ||
            !den_str_ends(c->samples[i + 2].name, "_count") ||
            c->samples[i + 2].value < s->value || c->samples[i + 2].value > s->value)
            return fault(c, "a histogram whose count is not its last bucket", s->series);
    }
    return isinf(last_bound) || fault(c, "buckets without +Inf", "at the end");
}

/* How many values each label of each metric has. */
static bool check_bounds(struct checker *c)
{
    for (size_t i = 0; i < c->count; i++) {
        size_t equal = 0;
        for (size_t j = 0; j < c->count; j++)
            equal += strcmp(c->samples[i].name, c->samples[j].name) == 0;
        if (den_str_ends(c->samples[i].name, "_bucket"))
            equal /= 10; /* each with at least so many bounds */
        if (equal > EXPOSITION_VALUES)
            return fault(c, "a metric with too many series", c->samples[i].name);
    }
    for (size_t i = 0; i < c->metric_count; i++)
        if (c->metrics[i].samples == 0)
            return fault(c, "a metric without samples", c->metrics[i].name);
    return true;
}

const char *exposition_fault(const char *text, size_t *ret_series, char *to, size_t size)
{
    struct checker c = {.to = to, .size = size};
    c.samples = calloc(SERIES + 1, sizeof *c.samples);
    c.metrics = calloc(METRICS, sizeof *c.metrics);
    char *copy = strdup(text), *rest = copy, *line;
    ck_assert(c.samples != NULL && c.metrics != NULL && copy != NULL);
    size_t length = strlen(text);
    bool good = length > 0 && text[length - 1] == '\n';
    if (!good)
        (void)fault(&c, "the last line does not end", "");
    while (good && (line = strsep(&rest, "\n")) != NULL) {
        if (line[0] == '\0' && rest == NULL)
            break;
        good = line[0] == '#' ? check_comment(&c, line) : check_sample(&c, line);
    }
    good = good && check_histograms(&c) && check_bounds(&c);
    *ret_series = c.count;
    free(c.samples);
    free(c.metrics);
    free(copy);
    return good ? NULL : to;
}

double exposition_value(const char *text, const char *series)
{
    size_t length = strlen(series);
    for (const char *at = text; at != NULL && *at != '\0';) {
        if (strncmp(at, series, length) == 0 && at[length] == ' ') {
            char number[64];
            double value = 0;
            (void)den_str_copy(number, sizeof number, at + length + 1);
            number[strcspn(number, "\n")] = '\0';
            return read_value(number, &value) ? value : (double)NAN;
        }
        at = strchr(at, '\n');
        at += at != NULL;
    }
    return (double)NAN;
}
