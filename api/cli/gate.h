#ifndef DEN_GATE_H
#define DEN_GATE_H

/* A candidate and the champion, judged on the same images; what comes out is told as
 * text, Markdown, JSON and JUnit XML. */

#include "cli.h"
#include "gate_rule.h"

struct den_gate_model {
    char name[160];  /* "nuclei@3" */
    int64_t version; /* 0 = there is none */
    char sha256[72], dataset[64];
    json_t *report; /* of its evaluation, or NULL */
};

struct den_gate {
    const char *model, *alias, *golden;
    uint64_t seed;
    struct den_gate_model candidate, champion;
    struct den_gate_rule rules[DEN_GATE_RULES];
    struct den_gate_verdict verdicts[DEN_GATE_RULES];
    size_t count, failed; /* rules; those that do not hold */
    size_t images;
    bool promoted;
    double seconds; /* it took */
};
void den_gate_release(struct den_gate *gate);

/* Evaluates both on the data set `golden`; an evaluation that was made before is taken
 * from the server.  Fills the reports. */
bool den_gate_evaluate(struct den_cli *cli, struct den_gate *gate,
                       struct den_err *err) DEN_CHECKED;
/* Fills the verdicts from the reports. */
bool den_gate_decide(struct den_gate *gate, struct den_err *err) DEN_CHECKED;
/* The value of image i of a report for a model, method or "noisy"; NaN = none. */
double den_gate_value(const json_t *report, size_t i, const char *method,
                      const char *metric);

void den_gate_print(const struct den_gate *gate, FILE *to);
void den_gate_print_markdown(const struct den_gate *gate, FILE *to);
json_t *den_gate_json(const struct den_gate *gate);
/* As CI systems read it: a test suite with a case for each rule. */
bool den_gate_write_junit(const struct den_gate *gate, const char *path,
                          struct den_err *err) DEN_CHECKED;

#endif
