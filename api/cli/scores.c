#include "scores.h"

#include <string.h>

#include "json_get.h"
#include "metric.h"
#include "str.h"
#include "table.h"

#define COLUMNS_MAX 32
#define HEAD 48 /* bytes */

/* Shown when nothing else is asked for. */
static const struct {
    const char *name, *head;
} usual[] = {
    {"psnr_matched", ">PSNR' [dB]"},
    {"ssim_matched", ">SSIM'"},
    {"psnr", ">PSNR [dB]"},
    {"ssim", ">SSIM"},
    {"nrmse", ">NRMSE"},
};
#define USUAL (sizeof usual / sizeof usual[0])

struct columns {
    const struct den_metric *metric[COLUMNS_MAX];
    size_t count;
};

/* ---- which ---- */

static void add_column(struct columns *columns, const struct den_metric *metric)
{
    for (size_t i = 0; i < columns->count; i++)
        if (columns->metric[i] == metric)
            return;
    if (columns->count < COLUMNS_MAX)
        columns->metric[columns->count++] = metric;
}

/* The rows of the table of metrics that are the paper's, or the others. */
static void add_all(struct columns *columns, bool paper)
{
    for (const struct den_metric *m = den_metrics; m->name != NULL; m++)
        if (m->paper == paper)
            add_column(columns, m);
}

/* text: "name,name" */
static bool add_named(struct columns *columns, const char *text, struct den_err *err)
{
    char name[HEAD];
    for (const char *at = text;; at++) {
        size_t length = strcspn(at, ",");
        bool fits = den_str_format(name, sizeof name, "%.*s", (int)length, at);
        const struct den_metric *metric = fits ? den_metric_find(name) : NULL;
        if (metric == NULL)
            return den_err_set(
                err, DEN_E_INVALID,
                "there is no metric '%.47s'; `denoise methods --json` lists them", name);
        add_column(columns, metric);
        at += length;
        if (*at == '\0')
            return true;
    }
}

static bool choose(const struct den_args *args, struct columns *ret, struct den_err *err)
{
    struct columns columns = {.count = 0};
    const char *names = den_args_text(args, "metrics");
    bool all = den_args_has(args, "all");
    if (names != NULL && all)
        return den_err_set(err, DEN_E_INVALID, "give either --metrics or --all");
    if (names != NULL && !add_named(&columns, names, err))
        return false;
    if (all)
        add_all(&columns, false);
    if (names == NULL && !all)
        for (size_t i = 0; i < USUAL; i++)
            add_column(&columns, den_metric_find(usual[i].name));
    if (den_args_has(args, "paper-metrics"))
        add_all(&columns, true);
    *ret = columns;
    return true;
}

bool den_scores_check(const struct den_args *args, struct den_err *err)
{
    struct columns columns;
    return choose(args, &columns, err);
}

/* ---- the table ---- */

static const char *usual_head(const struct den_metric *metric)
{
    for (size_t i = 0; i < USUAL; i++)
        if (strcmp(usual[i].name, metric->name) == 0)
            return usual[i].head;
    return NULL;
}

static void make_head(const struct den_metric *metric, char to[HEAD])
{
    const char *head = usual_head(metric);
    if (head != NULL)
        (void)den_str_copy(to, HEAD, head);
    else if (metric->unit[0] != '\0')
        (void)den_str_format(to, HEAD, ">%s [%s]", metric->name, metric->unit);
    else
        (void)den_str_format(to, HEAD, ">%s", metric->name);
}

/* Hundredths of a decibel, four places of the rest; of the paper's NRMSE, which is in
 * units of 4095 grey values, six. */
static int digits_of(const struct den_metric *metric)
{
    if (strcmp(metric->unit, "dB") == 0)
        return 2;
    return metric->paper && metric->better == DEN_BETTER_LOWER ? 6 : 4;
}

static void add_score(struct den_table *table, const json_t *score, int digits)
{
    const json_t *mean = json_object_get(score, "mean"),
                 *sd = json_object_get(score, "sd");
    if (!json_is_number(mean))
        den_table_add(table, "%s", "-");
    else if (!json_is_number(sd)) /* one image has no spread */
        den_table_add(table, "%.*f", digits, json_number_value(mean));
    else
        den_table_add(table, "%.*f +- %.*f", digits, json_number_value(mean), digits,
                      json_number_value(sd));
}

static bool print_table(const json_t *report, const struct columns *columns,
                        bool markdown, struct den_err *err)
{
    char text[COLUMNS_MAX][HEAD];
    const char *heads[COLUMNS_MAX + 3] = {"method"};
    struct den_table table;
    for (size_t i = 0; i < columns->count; i++) {
        make_head(columns->metric[i], text[i]);
        heads[i + 1] = text[i];
    }
    heads[columns->count + 1] = ">n";
    den_table_init(&table, heads);
    table.markdown = markdown;
    const char *method;
    json_t *scores;
    json_object_foreach(json_object_get(report, "mean"), method, scores)
    {
        double most = 0; /* images; a metric may have no value for some of them */
        den_table_add(&table, "%s", method);
        for (size_t i = 0; i < columns->count; i++) {
            const json_t *score = json_object_get(scores, columns->metric[i]->name);
            double n = den_get_number(score, "n");
            add_score(&table, score, digits_of(columns->metric[i]));
            most = n > most ? n : most;
        }
        den_table_add(&table, "%.0f", most);
    }
    bool done = den_table_print(&table, stdout, err);
    den_table_release(&table);
    return done;
}

/* What the columns mean that are not there every time. */
static void explain(const struct columns *columns, bool markdown)
{
    FILE *to = markdown ? stdout : stderr;
    (void)fprintf(to,
                  "%smean +- standard deviation over images; with ': the clean image is "
                  "first fitted to the noisy one in gain and offset\n",
                  markdown ? "\n" : "");
    for (size_t i = 0; i < columns->count; i++)
        if (usual_head(columns->metric[i]) == NULL)
            (void)fprintf(to, markdown ? "\n* `%s`: %s\n" : "%s: %s\n",
                          columns->metric[i]->name, columns->metric[i]->definition);
}

bool den_scores_print(const json_t *report, const struct den_args *args,
                      struct den_err *err)
{
    struct columns columns;
    bool markdown = den_args_has(args, "markdown");
    if (!choose(args, &columns, err) || !print_table(report, &columns, markdown, err))
        return false;
    explain(&columns, markdown);
    return true;
}
