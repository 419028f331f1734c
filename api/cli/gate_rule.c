#include "gate_rule.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

#include "bootstrap.h"
#include "mem.h"
#include "str.h"

/* ---- the grammar --------------------------------------------------------------------
 */

static const char *skip_space(const char *at)
{
    return at + strspn(at, " \t");
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_';
}

static const char *take_metric(const char *at, struct den_gate_rule *rule)
{
    char name[48];
    size_t length = 0;
    while (is_word(at[length]))
        length++;
    if (!den_str_format(name, sizeof name, "%.*s", (int)length, at))
        return NULL;
    rule->metric = den_metric_find(name);
    return rule->metric != NULL ? skip_space(at + length) : NULL;
}

static const char *take_operator(const char *at, struct den_gate_rule *rule)
{
    if (at[0] != '>' && at[0] != '<')
        return NULL;
    rule->least = at[0] == '>';
    rule->strict = at[1] != '=';
    return skip_space(at + 1 + !rule->strict);
}

/* "+ 0.1" and "-0.1" alike: white space between the sign and the number counts nothing.
 */
static bool take_number(const char *at, bool sign_needed, double *ret)
{
    char text[40];
    bool negative = at[0] == '-', sign = negative || at[0] == '+';
    size_t length;
    if (sign_needed && !sign)
        return false;
    at = skip_space(at + sign);
    length = strlen(at);
    while (length > 0 && (at[length - 1] == ' ' || at[length - 1] == '\t'))
        length--;
    if (!isdigit((unsigned char)at[0]) ||
        !den_str_format(text, sizeof text, "%.*s", (int)length, at) ||
        !den_parse_double(text, 0, 1e12, ret, NULL))
        return false;
    *ret = negative ? -*ret : *ret;
    return true;
}

static bool take_right_side(const char *at, struct den_gate_rule *rule)
{
    static const char champion[] = "champion";
    size_t length = sizeof champion - 1;
    rule->champion = strncmp(at, champion, length) == 0 && !is_word(at[length]);
    if (!rule->champion)
        return take_number(at, false, &rule->number);
    at = skip_space(at + length);
    return *at == '\0' || take_number(at, true, &rule->number);
}

bool den_gate_rule_read(const char *text, struct den_gate_rule *ret, struct den_err *err)
{
    struct den_gate_rule rule = {.number = 0};
    const char *at = skip_space(text);
    bool fits = den_str_copy(rule.text, sizeof rule.text, text);
    if (fits && den_utf8_printable(text) && (at = take_metric(at, &rule)) == NULL)
        return den_err_set(err, DEN_E_INVALID,
                           "--if '%.60s' does not begin with a metric; `denoise methods "
                           "--json` lists them",
                           text);
    if (!fits || !den_utf8_printable(text) || (at = take_operator(at, &rule)) == NULL ||
        !take_right_side(at, &rule))
        return den_err_set(err, DEN_E_INVALID,
                           "--if '%.60s' is not of the form 'psnr >= 30' or 'psnr >= "
                           "champion + 0.1'",
                           text);
    if (rule.metric->better == (rule.least ? DEN_BETTER_LOWER : DEN_BETTER_HIGHER))
        return den_err_set(err, DEN_E_INVALID,
                           "--if '%.60s': %s is better when it is %s; write %s", text,
                           rule.metric->name, rule.least ? "lower" : "higher",
                           rule.least ? "<=" : ">=");
    *ret = rule;
    return true;
}

/* ---- the verdict --------------------------------------------------------------------
 */

static bool compare(const struct den_gate_rule *rule, double value, double with)
{
    if (rule->least)
        return rule->strict ? value > with : value >= with;
    return rule->strict ? value < with : value <= with;
}

static double mean_of(size_t n, const double *values)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += values[i];
    return n > 0 ? sum / (double)n : (double)NAN;
}

/* Images whose values are finite, for both; champion may be NULL. */
static size_t take_finite(size_t n, const double *candidate, const double *champion,
                          double *ret_candidate, double *ret_champion, double *ret_delta)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        double other = champion != NULL ? champion[i] : 0;
        if (!isfinite(candidate[i]) || !isfinite(other))
            continue;
        ret_candidate[kept] = candidate[i];
        ret_champion[kept] = other;
        ret_delta[kept++] = candidate[i] - other;
    }
    return kept;
}

bool den_gate_judge(const struct den_gate_rule *rule, size_t n, const double *candidate,
                    const double *champion, uint64_t seed, struct den_gate_verdict *ret,
                    struct den_err *err)
{
    struct den_gate_verdict v = {.champion = (double)NAN, .difference = (double)NAN};
    double *room = den_new(3 * n + 1, sizeof *room, err);
    bool done = room != NULL;
    v.low = v.high = (double)NAN;
    if (!done)
        return false;
    v.n = take_finite(n, candidate, champion, room, room + n, room + 2 * n);
    v.left_out = n - v.n;
    v.candidate = mean_of(v.n, room);
    if (champion != NULL && v.n > 0) {
        v.champion = mean_of(v.n, room + n);
        v.difference = mean_of(v.n, room + 2 * n);
        done = den_bootstrap_mean(v.n, room + 2 * n, seed, &v.low, &v.high, err);
    }
    if (rule->champion && champion == NULL)
        v.holds = true;
    else if (v.n > 0)
        v.holds = compare(rule,
                          !rule->champion ? v.candidate
                          : rule->least   ? v.low
                                          : v.high,
                          rule->number);
    den_free(room);
    if (done)
        *ret = v;
    return done;
}
