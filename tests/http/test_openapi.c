/* openapi.yaml tells the truth: it names exactly the paths, verbs and query keys of the
 * route table. */

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "api.h"
#include "den_check.h"
#include "fs.h"
#include "mem.h"

#define MAX 128

struct operation {
    char verb[8], path[96];
    char query[96]; /* " name name " */
};

static struct operation contract[MAX];
static size_t contract_count;
static char *text;

static bool is_verb(const char *word, size_t length)
{
    static const char *const verbs[] = {"get",    "post",  "put",
                                        "delete", "patch", "options"};
    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
        if (strlen(verbs[i]) == length && strncmp(verbs[i], word, length) == 0)
            return true;
    return false;
}

/* A query parameter written in place, `- {name: x, in: query ...`, or by reference. */
static void note_query(struct operation *op, const char *line, size_t length,
                       const char *next)
{
    char name[48] = "";
    const char *key = memmem(line, length, "name: ", 6);
    const char *end = line + length;
    bool here = memmem(line, length, "in: query", 9) != NULL;
    bool below = next != NULL && strncmp(next + strspn(next, " "), "in: query", 9) == 0;
    if (memmem(line, length, "parameters/Limit", 16) != NULL)
        (void)snprintf(name, sizeof name, "limit");
    else if (memmem(line, length, "parameters/Cursor", 17) != NULL)
        (void)snprintf(name, sizeof name, "cursor");
    else if (key != NULL && key < end && (here || below))
        (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(key + 6, ",\n"), key + 6);
    if (name[0] != '\0') {
        size_t used = strlen(op->query);
        (void)snprintf(op->query + used, sizeof op->query - used, "%s ", name);
    }
}

/* The subset of YAML that the document is written in: two spaces an level, a path a line.
 */
static void read_contract(void)
{
    struct den_err err = DEN_ERR_INIT;
    size_t length;
    must(den_fs_read("openapi.yaml", 1 << 20, &text, &length, &err));
    char path[96] = "";
    bool inside = false;
    for (char *line = text; *line != '\0';) {
        size_t n = strcspn(line, "\n");
        const char *next = line[n] == '\n' ? line + n + 1 : NULL;
        size_t indent = strspn(line, " ");
        if (indent == 0)
            inside = strncmp(line, "paths:", 6) == 0;
        else if (inside && indent == 2)
            (void)snprintf(path, sizeof path, "%.*s", (int)(n - 3), line + 2);
        else if (inside && indent == 4 && is_verb(line + 4, n - 5)) {
            ck_assert_uint_lt(contract_count, MAX);
            struct operation *op = &contract[contract_count++];
            (void)snprintf(op->verb, sizeof op->verb, "%.*s", (int)(n - 5), line + 4);
            for (char *c = op->verb; *c != '\0'; c++)
                *c = (char)toupper((unsigned char)*c);
            (void)snprintf(op->path, sizeof op->path, "%s", path);
            (void)snprintf(op->query, sizeof op->query, " ");
        } else if (inside && indent > 4 && contract_count > 0)
            note_query(&contract[contract_count - 1], line, n, next);
        line += n + (next != NULL);
    }
    ck_assert_uint_gt(contract_count, 20);
}

static const struct operation *in_contract(const struct den_route *route)
{
    for (size_t i = 0; i < contract_count; i++)
        if (strcmp(contract[i].verb, route->method) == 0 &&
            strcmp(contract[i].path, route->pattern) == 0)
            return &contract[i];
    return NULL;
}

static bool has_word(const char *words, const char *word)
{
    size_t n = strlen(word);
    for (const char *at = words; at != NULL && (at = strstr(at, word)) != NULL; at += n)
        if ((at == words || at[-1] == ' ') && (at[n] == ' ' || at[n] == '\0'))
            return true;
    return false;
}

START_TEST(every_route_is_in_the_contract)
{
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++)
        ck_assert_msg(in_contract(r) != NULL, "%s %s is not in openapi.yaml", r->method,
                      r->pattern);
}
END_TEST

START_TEST(everything_in_the_contract_is_a_route)
{
    for (size_t i = 0; i < contract_count; i++) {
        bool found = false;
        for (const struct den_route *r = den_api_routes(); r->method != NULL; r++)
            found = found || in_contract(r) == &contract[i];
        ck_assert_msg(found, "%s %s has no route", contract[i].verb, contract[i].path);
    }
}
END_TEST

START_TEST(query_keys_agree_both_ways)
{
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++) {
        const struct operation *op = in_contract(r);
        ck_assert_ptr_nonnull(op);
        char word[48];
        for (const char *q = r->query != NULL ? r->query : ""; *q != '\0';) {
            size_t n = strcspn(q, " ");
            (void)snprintf(word, sizeof word, "%.*s", (int)n, q);
            ck_assert_msg(has_word(op->query, word), "%s %s: ?%s= is not in openapi.yaml",
                          r->method, r->pattern, word);
            q += n + (q[n] == ' ');
        }
        for (const char *q = op->query + 1; *q != '\0';) {
            size_t n = strcspn(q, " ");
            (void)snprintf(word, sizeof word, "%.*s", (int)n, q);
            ck_assert_msg(r->query != NULL && has_word(r->query, word),
                          "%s %s: ?%s= is not in the route table", r->method, r->pattern,
                          word);
            q += n + (q[n] == ' ');
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("openapi");
    TCase *tc = tcase_create("contract");
    tcase_add_unchecked_fixture(tc, read_contract, NULL);
    tcase_add_test(tc, every_route_is_in_the_contract);
    tcase_add_test(tc, everything_in_the_contract_is_a_route);
    tcase_add_test(tc, query_keys_agree_both_ways);
    suite_add_tcase(suite, tc);
    int status = den_check_main(suite);
    den_free(text);
    return status;
}
