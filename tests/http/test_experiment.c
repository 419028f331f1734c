/* Experiments by the client and over HTTP: from a file with a grid to the report. */

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "mem.h"
#include "program.h"

/* The smallest net that there is, trained for a moment. */
#define TINY                                                                   \
    "\"common\": {\"iterations\": 5, \"crop\": 32, \"batch\": 2, \"ngf\": 4, " \
    "\"validation_fraction\": 0}"
#define GRID                                                                         \
    "{" TINY ", \"rows\": [{\"name\": \"baseline\"}, {\"name\": \"SSIM\", \"set\": " \
    "{\"lambda_ssim\": 10}}], \"samples\": [0, 2], \"seeds\": [1, 2], "              \
    "\"metrics\": [\"psnr\"], \"filters\": [\"median\"]}"

static struct daemon d;
static char folder[64];

static void put_file(const char *name, const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    must(den_fs_write(path, text, strlen(text), &err));
}

static void setup(void)
{
    daemon_start(&d, NULL);
    folder_make(folder);
    struct outcome o = DENOISE(folder, NULL, "simulate", "data", "--scenes=3",
                               "--frames=2", "--size=64x64");
    must_end(&o, 0, "");
    outcome_free(&o);
    put_file("grid.json", GRID);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(folder);
}

START_TEST(a_grid_in_a_file_becomes_tables_and_a_picture)
{
    struct den_err err = DEN_ERR_INIT;
    char id[40], path[128], type[64], *svg = NULL;
    size_t length = 0;
    struct outcome o =
        DENOISE(folder, d.url, "experiment", "grid.json", "--pairs", "data/pairs.csv",
                "--hold-out", "0.3", "--wait", "--picture", "out.svg");
    must_end(&o, 0, "experiment queued");
    ck_assert_msg(strncmp(o.out, "# Experiment job_", 17) == 0 &&
                      strstr(o.out, "8 of 8 cells are done (the job is succeeded)") !=
                          NULL &&
                      strstr(o.out, "\n| baseline | ") != NULL &&
                      strstr(o.out, "\n- SSIM, 2 images: psnr is ") != NULL,
                  "%s", o.out);
    (void)snprintf(id, sizeof id, "%.30s", o.out + 13);
    outcome_free(&o);
    (void)snprintf(path, sizeof path, "%s/out.svg", folder);
    must(den_fs_read(path, 1 << 22, &svg, &length, &err));
    ck_assert(strstr(svg, "<svg xmlns=") != NULL &&
              strstr(svg, "base64,iVBORw0KGgo") != NULL &&
              strcmp(svg + length - 7, "</svg>\n") == 0);
    den_free(svg);
    /* The same over HTTP, in the form that is asked for. */
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/report", id);
    struct answer a = get(d.url, path);
    ck_assert_int_eq(a.status, 200);
    close_to(number_at(a.json, "cells_done"), 8, 0);
    ck_assert_str_eq(text_at(a.json, "grid.rows.1.name"), "SSIM");
    close_to(number_at(a.json, "summary.0.images"), 4, 0);
    close_to(number_at(a.json, "summary.2.metrics.psnr.difference.n"), 2, 0);
    ck_assert(number_at(a.json, "baselines.median.psnr") >
              number_at(a.json, "baselines.noisy.psnr"));
    answer_free(&a);
    a = ask("GET", d.url, path, NULL, NULL, 0, "Accept: text/markdown");
    ck_assert_int_eq(a.status, 200);
    ck_assert_str_eq(answer_header(&a, "Content-Type", type, sizeof type),
                     "text/markdown; charset=utf-8");
    answer_free(&a);
    a = ask("GET", d.url, path, NULL, NULL, 0,
            "Accept: image/avif,image/svg+xml,image/*;q=0.8"); /* an <img> of a browser */
    ck_assert_str_eq(answer_header(&a, "Content-Type", type, sizeof type),
                     "image/svg+xml");
    answer_free(&a);
    o = DENOISE(folder, d.url, "report", id);
    must_end(&o, 0, "");
    ck_assert(strncmp(o.out, "# Experiment job_", 17) == 0);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--picture", "-");
    must_end(&o, 0, "");
    ck_assert(strncmp(o.out, "<?xml", 5) == 0);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--json");
    must_end(&o, 0, "");
    ck_assert_int_eq(o.out[0], '{');
    outcome_free(&o);
}
END_TEST

/* Keys and names of the grids that the client brings along are those of the server. */
START_TEST(the_ready_grids_are_accepted)
{
    static const struct {
        const char *name;
        double cells; /* 8 rows x 3 seeds at all images; 1 x (all, 2, 1) x 3 seeds */
    } cases[] = {{"table1", 8 * 3}, {"samples", 3 * 3}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outcome o =
            DENOISE(folder, NULL, "experiment", "--grid", cases[i].name, "--print");
        must_end(&o, 0, "");
        put_file("ready.json", o.out);
        outcome_free(&o);
        o = DENOISE(folder, d.url, "experiment", "ready.json", "--pairs",
                    "data/pairs.csv", "--hold-out", "0.3", "--dry-run", "--json", "--set",
                    "iterations=100", "crop=64", "validation_fraction=0");
        must_end(&o, 0, "");
        json_t *estimate = json_loads(o.out, 0, NULL);
        close_to(number_at(estimate, "steps"), cases[i].cells * (100 + 2), 0);
        json_decref(estimate);
        outcome_free(&o);
    }
    struct outcome o = DENOISE(folder, NULL, "experiment", "--grid", "all", "--print");
    must_end(&o, 2, "there are: table1 samples");
    outcome_free(&o);
}
END_TEST

START_TEST(what_is_wrong_in_a_grid_is_told_with_its_place)
{
    static const struct {
        const char *grid, *pointer, *words;
        long status;
    } cases[] = {
        {"{\"rows\": [{\"name\": \"a\"}, {\"name\": \"b\", \"set\": {\"lambda_ssm\": "
         "1}}]}",
         "/grid/rows/1/set/lambda_ssm", "rows[1].set.lambda_ssm: there is no such", 422},
        {"{\"rows\": [{\"name\": \"a\", \"set\": {\"crop\": [1]}}]}",
         "/grid/rows/0/set/crop", "not an array", 400},
        {"{\"rows\": [{\"nme\": \"a\"}]}", "/grid/rows/0/nme", "nme", 400},
        {"{\"rows\": [{\"set\": {}}]}", "/grid/rows/0/name", "missing", 400},
        {"{\"rows\": [3]}", "/grid/rows/0", "must be an object", 400},
        {"{\"rows\": {}}", "/grid/rows", "must be an array", 400},
        {"{}", "/grid/rows", "missing", 400},
        {"[]", "/grid", "must be an object", 400},
        {"{\"rows\": [{\"name\": \"a\"}], \"sampels\": [1]}", "/grid/sampels", "sampels",
         400},
        {"{\"rows\": [{\"name\": \"a\"}], \"samples\": [\"few\"]}", "/grid/samples/0",
         "whole number", 422},
        {"{\"rows\": [{\"name\": \"a\"}], \"samples\": [2.5]}", "/grid/samples/0",
         "whole number", 422},
        {"{\"rows\": [{\"name\": \"a\"}], \"seeds\": []}", "/grid/seeds", "empty", 422},
        {"{\"rows\": [{\"name\": \"a\"}], \"metrics\": [\"beauty\"]}", "/grid/metrics/0",
         "no such name", 422},
        {"{\"rows\": [{\"name\": \"a\"}], \"test_scenes\": [\"s\"]}", "/dataset",
         "no data set", 404},
        {"{\"rows\": [{\"name\": \"a\"}], \"common\": {\"epochs\": 1}}",
         "/grid/common/epochs", "equally many steps", 422},
        {"{\"rows\": [{\"name\": \"a\"}], \"test_dataset\": null}", "/grid/test_dataset",
         "null", 400},
    };
    char body[400];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        (void)snprintf(body, sizeof body,
                       "{\"kind\": \"experiment\", \"dataset\": "
                       "\"set_01ARZ3NDEKTSV4RRFFQ69G5FAV\", \"grid\": %s}",
                       cases[i].grid);
        struct answer a = post_json(d.url, "/v1/jobs", body);
        ck_assert_msg(a.status == cases[i].status, "case %zu: %ld %s", i, a.status,
                      a.body);
        ck_assert_msg(strcmp(text_at(a.json, "errors.0.pointer"), cases[i].pointer) ==
                              0 &&
                          strstr(text_at(a.json, "detail"), cases[i].words) != NULL,
                      "case %zu: %s", i, a.body);
        answer_free(&a);
    }
    struct answer a = post_json(d.url, "/v1/jobs",
                                "{\"kind\": \"train\", \"dataset\": "
                                "\"x\", \"grid\": " GRID "}");
    ck_assert_int_eq(a.status, 422);
    ck_assert_str_eq(text_at(a.json, "errors.0.pointer"), "/grid");
    answer_free(&a);
    a = post_json(d.url, "/v1/jobs", "{\"kind\": \"experiment\", \"dataset\": \"x\"}");
    ck_assert_int_eq(a.status, 422);
    ck_assert_msg(strstr(a.body, "needs a grid") != NULL, "%s", a.body);
    answer_free(&a);
}
END_TEST

START_TEST(the_client_says_what_its_command_line_lacks)
{
    static const struct {
        const char *args[6];
        const char *words;
    } cases[] = {
        {{"experiment"}, "either a FILE or --grid"},
        {{"experiment", "grid.json", "--grid", "table1"}, "either a FILE or --grid"},
        {{"experiment", "none.json"}, "none.json"},
        {{"experiment", "bad.json"}, "bad.json, line 1"},
        {{"experiment", "list.json"}, "no JSON object"},
        {{"experiment", "grid.json"}, "no images are named"},
        {{"experiment", "grid.json", "--picture", "a.svg"}, "--picture needs --wait"},
    };
    put_file("bad.json", "{\"rows\": ");
    put_file("list.json", "[1]");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *args[8] = {NULL};
        memcpy(args, cases[i].args, sizeof cases[i].args);
        struct outcome o = run_denoise(folder, d.url, args);
        must_end(&o, 2, cases[i].words);
        outcome_free(&o);
    }
}
END_TEST

START_TEST(early_results_can_be_seen)
{
    char id[40], path[80];
    struct outcome o =
        DENOISE(folder, d.url, "experiment", "grid.json", "--pairs", "data/pairs.csv",
                "--hold-out", "0.3", "--set", "iterations=2000");
    must_end(&o, 0, "experiment queued");
    (void)snprintf(id, sizeof id, "%s", first_line(&o));
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/report", id);
    outcome_free(&o);
    struct answer a = get(d.url, path);
    ck_assert_int_eq(a.status, 200);
    ck_assert(number_at(a.json, "cells_done") < 8);
    close_to(number_at(a.json, "cells_total"), 8, 0);
    answer_free(&a);
    a = ask("GET", d.url, path, NULL, NULL, 0, "Accept: image/svg+xml");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    o = DENOISE(folder, d.url, "cancel", id);
    must_end(&o, 0, "");
    outcome_free(&o);
    json_decref(wait_job(d.url, id, 20));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("experiment");
    TCase *tc = tcase_create("experiment");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_grid_in_a_file_becomes_tables_and_a_picture);
    tcase_add_test(tc, the_ready_grids_are_accepted);
    tcase_add_test(tc, what_is_wrong_in_a_grid_is_told_with_its_place);
    tcase_add_test(tc, the_client_says_what_its_command_line_lacks);
    tcase_add_test(tc, early_results_can_be_seen);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
