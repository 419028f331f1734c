/* One row in the audit table for each change, over every route that changes anything. */

#include <sqlite3.h>
#include <string.h>

#include "api.h"
#include "fs.h"
#include "mem.h"
#include "program.h"
#include "story.h"
#include "str.h"

#define COUNT(table) (int)(sizeof(table) / sizeof((table)[0]))

static struct story story;
static char job[32], dataset[32], image[32], token[32], part_of[32];
static struct den_buf file; /* a TIFF that is not there yet */

/* $x in a text is replaced by what x is by now. */
static const struct {
    const char *name;
    const char *value;
} places[] = {
    {"$job", job},
    {"$set", dataset},
    {"$image", image},
    {"$tok", token},
    {"$upload", part_of},
    {"$noisy", story.noisy[0]},
    {"$train", story.training},
};

static void fill(const char *text, char *to, size_t size)
{
    size_t used = 0;
    to[0] = '\0';
    while (*text != '\0') {
        size_t length = strcspn(text, "$");
        (void)den_str_format(to + used, size - used, "%.*s", (int)length, text);
        used = strlen(to);
        text += length;
        for (int i = 0; *text == '$' && i < COUNT(places); i++)
            if (den_str_starts(text, places[i].name)) {
                (void)den_str_format(to + used, size - used, "%s", places[i].value);
                used = strlen(to);
                text += strlen(places[i].name);
            }
    }
}

enum body { NO_BODY, JSON, TIFF, ALL_PARTS };

/* In the order of a story.  action NULL: nothing was changed, and no row is there. */
static const struct {
    const char *method, *pattern, *path;
    enum body body;
    const char *json;
    long status;
    char *id; /* where the id of what was made goes */
    const char *action, *object, *result;
} steps[] = {
    {"POST", "/v1/images", "/v1/images?name=a.tif", TIFF, NULL, 201, image,
     "image.create", "$image", "done"},
    {"POST", "/v1/images", "/v1/images?name=a.tif", TIFF, NULL, 200, NULL, NULL, NULL,
     NULL},
    {"POST", "/v1/datasets", "/v1/datasets", JSON,
     "{\"name\":\"n\",\"kind\":\"repeats\",\"images\":[\"$image\",\"$noisy\"]}", 201,
     dataset, "dataset.create", "$set", "done"},
    {"POST", "/v1/datasets", "/v1/datasets", JSON, "{\"name\":\"n\"}", 400, NULL, NULL,
     NULL, NULL},
    {"DELETE", "/v1/images/{id}", "/v1/images/$image", NO_BODY, NULL, 409, NULL, NULL,
     NULL, NULL},
    {"DELETE", "/v1/datasets/{id}", "/v1/datasets/$set", NO_BODY, NULL, 204, NULL,
     "dataset.delete", "$set", "done"},
    {"DELETE", "/v1/datasets/{id}", "/v1/datasets/$set", NO_BODY, NULL, 404, NULL, NULL,
     NULL, NULL},
    {"DELETE", "/v1/images/{id}", "/v1/images/$image", NO_BODY, NULL, 204, NULL,
     "image.delete", "$image", "done"},
    {"POST", "/v1/uploads", "/v1/uploads", NO_BODY, NULL, 201, part_of, "upload.create",
     "$upload", "done"},
    {"PATCH", "/v1/uploads/{id}", "/v1/uploads/$upload", ALL_PARTS, NULL, 204, NULL,
     "image.create", NULL, "done"},
    {"DELETE", "/v1/uploads/{id}", "/v1/uploads/$upload", NO_BODY, NULL, 204, NULL,
     "upload.delete", "$upload", "done"},
    /* runs until it is cancelled */
    {"POST", "/v1/jobs", "/v1/jobs", JSON,
     "{\"kind\":\"train\",\"dataset\":\"$train\",\"model\":\"long\",\"config\":{" TINY
     ",\"iterations\":100000}}",
     202, job, "job.create", "$job", "queued"},
    {"POST", "/v1/jobs", "/v1/jobs?dry_run=true", JSON,
     "{\"kind\":\"denoise\",\"image\":\"$noisy\",\"method\":\"median\"}", 200, NULL, NULL,
     NULL, NULL},
    {"DELETE", "/v1/jobs/{id}", "/v1/jobs/$job", NO_BODY, NULL, 409, NULL, NULL, NULL,
     NULL},
    {"POST", "/v1/jobs/{id}/cancel", "/v1/jobs/$job/cancel", NO_BODY, NULL, 200, NULL,
     "job.cancel", "$job", NULL},
    {"POST", "/v1/jobs/{id}/cancel", "/v1/jobs/$job/cancel", NO_BODY, NULL, 200, NULL,
     NULL, NULL, NULL},
    {"POST", "/v1/jobs/{id}/retry", "/v1/jobs/$job/retry", NO_BODY, NULL, 200, NULL,
     "job.retry", "$job", "queued"},
    {"POST", "/v1/jobs/{id}/cancel", "/v1/jobs/$job/cancel", NO_BODY, NULL, 200, NULL,
     "job.cancel", "$job", NULL},
    {"DELETE", "/v1/jobs/{id}", "/v1/jobs/$job", NO_BODY, NULL, 204, NULL, "job.delete",
     "$job", "done"},
    {"PUT", "/v1/models/{name}/shared", "/v1/models/m/shared", JSON, "{\"shared\":true}",
     200, NULL, "model.share", "m", "done"},
    {"PUT", "/v1/models/{name}/shared", "/v1/models/m/shared", JSON, "{\"shared\":false}",
     200, NULL, "model.unshare", "m", "done"},
    {"PUT", "/v1/models/{name}/aliases/{alias}", "/v1/models/m/aliases/champion", JSON,
     "{\"version\":1}", 200, NULL, "alias.set", "m@champion", "done"},
    {"PUT", "/v1/models/{name}/aliases/{alias}", "/v1/models/m/aliases/champion", JSON,
     "{\"version\":1}", 200, NULL, NULL, NULL, NULL},
    {"PUT", "/v1/models/{name}/aliases/{alias}", "/v1/models/m/aliases/champion", JSON,
     "{\"version\":2}", 200, NULL, "alias.set", "m@champion", "done"},
    {"POST", "/v1/models/{name}/aliases/{alias}/rollback",
     "/v1/models/m/aliases/champion/rollback", NO_BODY, NULL, 200, NULL, "alias.rollback",
     "m@champion", "done"},
    {"DELETE", "/v1/models/{name}/versions/{version}", "/v1/models/m/versions/1", NO_BODY,
     NULL, 409, NULL, NULL, NULL, NULL},
    {"DELETE", "/v1/models/{name}/aliases/{alias}", "/v1/models/m/aliases/champion",
     NO_BODY, NULL, 204, NULL, "alias.delete", "m@champion", "done"},
    {"DELETE", "/v1/models/{name}/versions/{version}", "/v1/models/m/versions/1", NO_BODY,
     NULL, 204, NULL, "model.delete", "m@1", "done"},
    {"DELETE", "/v1/models/{name}", "/v1/models/m", NO_BODY, NULL, 204, NULL,
     "model.delete", "m", "done"},
    {"POST", "/v1/tokens", "/v1/tokens", JSON,
     "{\"name\":\"n\",\"owner\":\"o\",\"scopes\":[\"read\"]}", 201, token, "token.create",
     "$tok", "done"},
    {"DELETE", "/v1/tokens/{id}", "/v1/tokens/$tok", NO_BODY, NULL, 204, NULL,
     "token.revoke", "$tok", "done"},
};

/* A new route that changes something needs a step. */
START_TEST(every_changing_route_has_a_step)
{
    for (const struct den_route *r = den_api_routes(); r->method != NULL; r++) {
        bool reads = strcmp(r->method, "GET") == 0 || strcmp(r->method, "HEAD") == 0 ||
                     strcmp(r->method, "OPTIONS") == 0;
        bool found = reads;
        for (int i = 0; i < COUNT(steps); i++)
            found = found || (strcmp(steps[i].method, r->method) == 0 &&
                              strcmp(steps[i].pattern, r->pattern) == 0 &&
                              steps[i].action != NULL);
        ck_assert_msg(found, "%s %s has no step", r->method, r->pattern);
    }
}
END_TEST

static void setup(void)
{
    char path[128];
    struct den_err err = DEN_ERR_INIT;
    story_start(&story, NULL);
    story_train_with(&story, "m", "\"config\":{" TINY ",\"iterations\":5}");
    story_train_with(&story, "m", "\"config\":{" TINY ",\"iterations\":6}");
    scene_write(story.files, 99, 64, 1);
    (void)snprintf(path, sizeof path, "%s/noisy99_0.tif", story.files);
    den_buf_init(&file, 1 << 20);
    must(den_fs_read(path, 1 << 20, &file.data, &file.length, &err));
}

static void teardown(void)
{
    den_free(file.data);
    story_end(&story);
}

static struct answer send_step(int i, const char *request)
{
    char path[160], json[400], headers[300];
    const char *type = NULL;
    const void *body = NULL;
    size_t length = 0;
    fill(steps[i].path, path, sizeof path);
    (void)snprintf(headers, sizeof headers, "X-Request-Id: %s", request);
    if (steps[i].body == JSON) {
        fill(steps[i].json, json, sizeof json);
        type = "application/json";
        body = json;
        length = strlen(json);
    } else if (steps[i].body != NO_BODY) {
        type = steps[i].body == TIFF ? "image/tiff" : "application/offset+octet-stream";
        body = file.data;
        length = file.length;
    }
    if (strstr(steps[i].pattern, "uploads") != NULL)
        (void)snprintf(headers, sizeof headers,
                       "X-Request-Id: %s\r\nTus-Resumable: 1.0.0\r\nUpload-%s: %zu",
                       request, body == NULL ? "Length" : "Offset",
                       body == NULL ? file.length : (size_t)0);
    return ask(steps[i].method, story.daemon.url, path, type, body, length, headers);
}

/* Rows of a request; the newest goes to *ret_row (a new reference). */
static size_t rows_of_request(const char *request, json_t **ret_row)
{
    struct answer a = get(story.daemon.url, "/v1/audit?limit=30");
    const json_t *rows = json_object_get(a.json, "audit");
    size_t count = 0, i;
    json_t *row;
    *ret_row = NULL;
    json_array_foreach(rows, i, row)
    {
        if (strcmp(text_at(row, "request_id"), request) != 0)
            continue;
        count++;
        if (*ret_row == NULL)
            *ret_row = json_incref(row);
    }
    answer_free(&a);
    return count;
}

static size_t count_all(const char *action)
{
    struct answer a = get(story.daemon.url, "/v1/audit?limit=500");
    size_t count = 0, i;
    json_t *row;
    json_array_foreach(json_object_get(a.json, "audit"), i, row)
    {
        count += action == NULL || strcmp(text_at(row, "action"), action) == 0;
    }
    answer_free(&a);
    return count;
}

static int verify(char *line, size_t size)
{
    char program[256];
    const char *const argv[] = {built("denoised", program, sizeof program),
                                "audit",
                                "verify",
                                "--state",
                                story.daemon.state,
                                NULL};
    struct outcome o = run_program(NULL, NULL, argv);
    int status = o.status;
    ck_assert(den_str_copy(line, size, first_line(&o)));
    outcome_free(&o);
    return status;
}

static void run_sql(const char *sql, int want)
{
    sqlite3 *db = NULL;
    char path[96];
    (void)snprintf(path, sizeof path, "%s/denoised.db", story.daemon.state);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, sql, NULL, NULL, NULL), want);
    sqlite3_close(db);
}

/* A job that is cancelled while it waits has no end of a worker's. */
static void wait_until_it_runs(const char *id)
{
    char path[64];
    bool runs = false;
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    for (int i = 0; i < 3000 && !runs; i++) {
        struct answer a = get(story.daemon.url, path);
        runs = strcmp(text_at(a.json, "state"), "running") == 0;
        answer_free(&a);
        (void)usleep(10000);
    }
    ck_assert_msg(runs, "%s never ran", id);
}

START_TEST(each_change_is_one_row_and_the_rows_are_a_chain)
{
    char request[32], want[160], line[300];
    size_t changes = 0;
    for (int i = 0; i < COUNT(steps); i++) {
        json_t *row = NULL;
        (void)snprintf(request, sizeof request, "step-%d", i);
        if (strcmp(steps[i].method, "DELETE") == 0 && steps[i].status == 204 &&
            strstr(steps[i].pattern, "jobs") != NULL)
            json_decref(wait_job(story.daemon.url, job, 60));
        if (strstr(steps[i].path, "retry") != NULL)
            json_decref(wait_job(story.daemon.url, job, 60));
        if (strstr(steps[i].path, "/cancel") != NULL && steps[i].action != NULL)
            wait_until_it_runs(job);
        struct answer a = send_step(i, request);
        ck_assert_msg(a.status == steps[i].status, "%s %s: %ld %s", steps[i].method,
                      steps[i].path, a.status, a.body);
        if (steps[i].id != NULL)
            (void)snprintf(steps[i].id, 32, "%s", text_at(a.json, "id"));
        answer_free(&a);
        size_t rows = rows_of_request(request, &row);
        ck_assert_msg(rows == (steps[i].action != NULL), "%s %s: %zu rows",
                      steps[i].method, steps[i].path, rows);
        changes += rows;
        if (row == NULL)
            continue;
        ck_assert_str_eq(text_at(row, "action"), steps[i].action);
        ck_assert_str_eq(text_at(row, "owner"), "local");
        if (steps[i].object != NULL) {
            fill(steps[i].object, want, sizeof want);
            ck_assert_str_eq(text_at(row, "object"), want);
        }
        if (steps[i].result != NULL)
            ck_assert_str_eq(text_at(row, "result"), steps[i].result);
        json_decref(row);
    }
    /* two trainings, and the one that was cancelled twice */
    ck_assert_uint_eq(count_all("job.end"), 4);
    size_t all = count_all(NULL);
    ck_assert_int_eq(verify(line, sizeof line), 0); /* by the daemon */
    (void)snprintf(want, sizeof want, "audit: %zu rows, each follows", all);
    ck_assert_msg(den_str_starts(line, want), "%s", line);
    ck_assert_int_eq(daemon_stop(&story.daemon), 0);
    ck_assert_int_eq(verify(line, sizeof line), 0); /* and without it */
    run_sql("UPDATE audit SET owner = 'x' WHERE seq = 5", SQLITE_CONSTRAINT);
    run_sql("DROP TRIGGER audit_stays; UPDATE audit SET owner = 'x' WHERE seq = 5",
            SQLITE_OK);
    ck_assert_int_eq(verify(line, sizeof line), 1);
    ck_assert_msg(strstr(line, "row 5 is not as it was written") != NULL, "%s", line);
    printf("%d requests to %s, %zu changes, 1 row each; %zu rows in the chain\n",
           COUNT(steps), "every changing route", changes, all);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("audit");
    TCase *table = tcase_create("table"), *tc = tcase_create("audit");
    tcase_add_test(table, every_changing_route_has_a_step);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 240);
    tcase_add_test(tc, each_change_is_one_row_and_the_rows_are_a_chain);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
