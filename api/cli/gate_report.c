#include <math.h>
#include <string.h>

#include "gate.h"
#include "json_get.h"
#include "str.h"
#include "table.h"

static int digits_of(const struct den_gate_rule *rule)
{
    return strcmp(rule->metric->unit, "dB") == 0 ? 3 : 5;
}

static void add_number(struct den_table *table, double value, int digits)
{
    if (isfinite(value))
        den_table_add(table, "%.*f", digits, value);
    else
        den_table_add(table, "%s", "-");
}

static void add_difference(struct den_table *table, const struct den_gate_verdict *v,
                           int digits)
{
    if (isfinite(v->difference))
        den_table_add(table, "%+.*f [%+.*f, %+.*f]", digits, v->difference, digits,
                      v->low, digits, v->high);
    else
        den_table_add(table, "%s", "-");
}

static void print_rules(const struct den_gate *gate, FILE *to, bool markdown)
{
    static const char *const heads[] = {
        "rule",    ">candidate", ">champion", ">difference [95 % interval]",
        ">images", "verdict",    NULL};
    struct den_table table;
    struct den_err err = DEN_ERR_INIT;
    den_table_init(&table, heads);
    table.markdown = markdown;
    for (size_t r = 0; r < gate->count; r++) {
        const struct den_gate_verdict *v = &gate->verdicts[r];
        int digits = digits_of(&gate->rules[r]);
        den_table_add(&table, "%s", gate->rules[r].text);
        add_number(&table, v->candidate, digits);
        add_number(&table, v->champion, digits);
        add_difference(&table, v, digits);
        den_table_add(&table, "%zu", v->n);
        den_table_add(&table, "%s",
                      !v->holds ? "does NOT hold"
                      : gate->rules[r].champion && gate->champion.version == 0
                          ? "holds (no champion yet)"
                          : "holds");
    }
    if (!den_table_print(&table, to, &err))
        (void)fprintf(to, "%s\n", err.text);
    den_table_release(&table);
}

static void print_outcome(const struct den_gate *gate, FILE *to)
{
    if (!gate->promoted) {
        (void)fprintf(to, "%s is not promoted; nothing was changed.\n",
                      gate->candidate.name);
        return;
    }
    (void)fprintf(to, "%s is now %s@%s", gate->candidate.name, gate->model, gate->alias);
    if (gate->champion.version > 0)
        (void)fprintf(to, "; before it was %s, to which `denoise rollback %s` goes back",
                      gate->champion.name, gate->model);
    (void)fputs(".\n", to);
}

/* What the columns mean, in one place for people and for pull requests. */
static void print_method(const struct den_gate *gate, FILE *to)
{
    (void)fprintf(
        to,
        "Means over the same %zu images of data set %s. Of a rule about the "
        "champion, the end of the 95 %% interval of the mean difference decides "
        "that speaks against the candidate (percentile bootstrap, 10,000 "
        "samples, seed %llu).%s\n",
        gate->images, gate->golden, (unsigned long long)gate->seed,
        gate->images < 8 ? " Few images: such an interval is too narrow." : "");
}

static void print_left_out(const struct den_gate *gate, FILE *to)
{
    for (size_t r = 0; r < gate->count; r++)
        if (gate->verdicts[r].left_out > 0)
            (void)fprintf(to, "%s: %zu images without a finite value were left out.\n",
                          gate->rules[r].metric->name, gate->verdicts[r].left_out);
}

void den_gate_print(const struct den_gate *gate, FILE *to)
{
    print_rules(gate, to, false);
    print_left_out(gate, to);
    print_method(gate, to);
    print_outcome(gate, to);
}

/* ---- Markdown -----------------------------------------------------------------------
 */

/* The candidate beside what one would do without it. */
static void print_baselines(const struct den_gate *gate, FILE *to)
{
    const char *heads[DEN_GATE_RULES + 2] = {"method"};
    char text[DEN_GATE_RULES][64];
    const char *const champion = gate->champion.name;
    struct den_table table;
    struct den_err err = DEN_ERR_INIT;
    const char *method;
    json_t *scores;
    for (size_t r = 0; r < gate->count; r++) {
        (void)den_str_format(text[r], sizeof text[r], ">%s", gate->rules[r].metric->name);
        heads[r + 1] = text[r];
    }
    den_table_init(&table, heads);
    table.markdown = true;
    const json_t *reports[] = {gate->candidate.report, gate->champion.report};
    for (size_t k = 0; k < 2; k++)
        json_object_foreach(json_object_get(reports[k], "mean"), method, scores)
        {
            if (k == 1 && strcmp(method, champion) != 0)
                continue;
            den_table_add(&table, "%s", method);
            for (size_t r = 0; r < gate->count; r++) {
                const json_t *score =
                    json_object_get(scores, gate->rules[r].metric->name);
                const json_t *mean = json_object_get(score, "mean");
                add_number(&table,
                           json_is_number(mean) ? json_number_value(mean) : (double)NAN,
                           digits_of(&gate->rules[r]));
            }
        }
    if (!den_table_print(&table, to, &err))
        (void)fprintf(to, "%s\n", err.text);
    den_table_release(&table);
}

static void print_images(const struct den_gate *gate, const struct den_gate_rule *rule,
                         FILE *to)
{
    static const char *const heads[] = {"image",     ">page",       ">candidate",
                                        ">champion", ">difference", NULL};
    struct den_table table;
    struct den_err err = DEN_ERR_INIT;
    int digits = digits_of(rule);
    den_table_init(&table, heads);
    table.markdown = true;
    for (size_t i = 0; i < gate->images; i++) {
        const json_t *image =
            json_array_get(json_object_get(gate->candidate.report, "images"), i);
        const char *metric = rule->metric->name;
        double a =
            den_gate_value(gate->candidate.report, i, gate->candidate.name, metric);
        double b = den_gate_value(gate->champion.report, i, gate->champion.name, metric);
        den_table_add(&table, "%s", den_get_text(image, "name"));
        den_table_add(&table, "%.0f", den_get_number(image, "page"));
        add_number(&table, a, digits);
        add_number(&table, b, digits);
        add_number(&table, a - b, digits);
    }
    (void)fprintf(to, "\n<details><summary>%s of each image</summary>\n\n",
                  rule->metric->name);
    if (!den_table_print(&table, to, &err))
        (void)fprintf(to, "%s\n", err.text);
    (void)fputs("\n</details>\n", to);
    den_table_release(&table);
}

static bool is_first_of_metric(const struct den_gate *gate, size_t r)
{
    for (size_t k = 0; k < r; k++)
        if (gate->rules[k].metric == gate->rules[r].metric)
            return false;
    return true;
}

void den_gate_print_markdown(const struct den_gate *gate, FILE *to)
{
    (void)fprintf(to, "## %s: %s\n\n", gate->candidate.name,
                  gate->failed > 0 ? "refused"
                  : gate->promoted ? "promoted"
                                   : "good enough");
    print_outcome(gate, to);
    (void)fputc('\n', to);
    if (gate->count == 0)
        return;
    print_rules(gate, to, true);
    (void)fputc('\n', to);
    print_method(gate, to);
    print_left_out(gate, to);
    (void)fputc('\n', to);
    print_baselines(gate, to);
    for (size_t r = 0; r < gate->count; r++)
        if (is_first_of_metric(gate, r))
            print_images(gate, &gate->rules[r], to);
}

/* ---- JSON ---------------------------------------------------------------------------
 */

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *rule_json(const struct den_gate_rule *rule,
                         const struct den_gate_verdict *v)
{
    return json_pack("{ss ss sb sI sI so so so so so}", "rule", rule->text, "metric",
                     rule->metric->name, "holds", (int)v->holds, "images",
                     (json_int_t)v->n, "left_out", (json_int_t)v->left_out, "candidate",
                     number(v->candidate), "champion", number(v->champion), "difference",
                     number(v->difference), "low", number(v->low), "high",
                     number(v->high));
}

json_t *den_gate_json(const struct den_gate *gate)
{
    json_t *rules = json_array();
    for (size_t r = 0; r < gate->count; r++)
        (void)json_array_append_new(rules,
                                    rule_json(&gate->rules[r], &gate->verdicts[r]));
    return json_pack("{ss ss ss* ss ss* sI sI so}", "state",
                     gate->promoted     ? "promoted"
                     : gate->failed > 0 ? "refused"
                                        : "good",
                     "candidate", gate->candidate.name, "champion",
                     gate->champion.version > 0 ? gate->champion.name : NULL, "alias",
                     gate->alias, "dataset", gate->golden, "images",
                     (json_int_t)gate->images, "seed", (json_int_t)gate->seed, "rules",
                     rules);
}
