/* The daemon dies at every edge between two states on disk: nothing that was acknowledged
 * is lost, every job ends once, and with the same bytes as without a kill. */

#include <signal.h>
#include <string.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "faults.h"
#include "folder.h"
#include "fs.h"
#include "program.h"
#include "scene.h"

enum {
    SCENES = 2,
    PARTS = 2,
    SIDE = 64,
    DENOISE = 0,
    TRAIN = 1,
    JOBS = 2,
    POINTS_MAX = 128
};

#define TRAINING                                                           \
    "{\"kind\":\"train\",\"dataset\":\"%s\",\"model\":\"m\",\"seed\":3,"   \
    "\"config\":{\"downs\":5,\"ngf\":4,\"ndf\":4,\"crop\":32,\"batch\":2," \
    "\"iterations\":200,\"checkpoint\":\"last\"}}"

static const char *const args[] = {"--checkpoint_seconds", "0.1", "--threads", "1", NULL};
static char files[64];

/* What was acknowledged. */
struct story {
    struct daemon daemon;
    char images[2 * SCENES][32], dataset[32], jobs[JOBS][32];
    char upload[80]; /* path of one that comes in parts */
    size_t kept;     /* bytes of it */
    size_t acked;
};

static struct bytes {
    char *data;
    size_t length;
} wanted_result;
static char wanted_model[80];

/* ---- before the kill: an answer of 0 is its end ---- */

static bool try_upload(struct story *s, const char *file, char *id)
{
    struct den_err err = DEN_ERR_INIT;
    const char *fault;
    char *data = NULL, path[64];
    size_t length = 0;
    must(den_fs_read(file, 1 << 20, &data, &length, &err));
    (void)snprintf(path, sizeof path, "/v1/images?name=a.tif");
    struct answer a = try_ask("POST", s->daemon.url, path, "application/octet-stream",
                              data, length, NULL, &fault);
    den_free(data);
    bool done = a.status == 201;
    ck_assert_msg(done || a.status == 0, "%ld %s", a.status, a.body);
    (void)snprintf(id, 32, "%s", text_at(a.json, "id"));
    s->acked += done;
    answer_free(&a);
    return done;
}

/* A part of an upload from `from` on; the header Location into place[80]. */
static bool try_part(struct story *s, const char *data, size_t from, size_t to,
                     char *place)
{
    const char *fault;
    char header[64];
    (void)snprintf(header, sizeof header, "Upload-Offset: %zu", from);
    struct answer a =
        try_ask("PATCH", s->daemon.url, s->upload, "application/offset+octet-stream",
                data + from, to - from, header, &fault);
    bool done = a.status == 204;
    ck_assert_msg(done || a.status == 0, "%ld %s", a.status, a.body);
    answer_header(&a, "Location", place, 80);
    s->acked += done;
    answer_free(&a);
    if (done)
        s->kept = to;
    return done;
}

static bool try_upload_in_parts(struct story *s, const char *file, char *id)
{
    struct den_err err = DEN_ERR_INIT;
    const char *fault;
    char *data = NULL, header[64], place[80] = "";
    size_t length = 0;
    must(den_fs_read(file, 1 << 20, &data, &length, &err));
    (void)snprintf(header, sizeof header, "Upload-Length: %zu", length);
    struct answer a =
        try_ask("POST", s->daemon.url, "/v1/uploads", NULL, NULL, 0, header, &fault);
    bool done = a.status == 201;
    ck_assert_msg(done || a.status == 0, "%ld %s", a.status, a.body);
    answer_header(&a, "Location", s->upload, sizeof s->upload);
    s->acked += done;
    answer_free(&a);
    done = done && try_part(s, data, 0, length / 2, place) &&
           try_part(s, data, length / 2, length, place);
    if (done)
        (void)snprintf(id, 32, "%s", strrchr(place, '/') + 1);
    den_free(data);
    return done;
}

static bool try_post(struct story *s, const char *path, const char *body, char *id)
{
    const char *fault;
    struct answer a = try_ask("POST", s->daemon.url, path, "application/json", body,
                              strlen(body), NULL, &fault);
    bool done = a.status == 201 || a.status == 202;
    ck_assert_msg(done || a.status == 0, "%ld %s", a.status, a.body);
    (void)snprintf(id, 32, "%s", text_at(a.json, "id"));
    s->acked += done;
    answer_free(&a);
    return done;
}

static bool try_wait(struct story *s, const char *id)
{
    char path[64];
    const char *fault;
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    for (;;) {
        struct answer a =
            try_ask("GET", s->daemon.url, path, NULL, NULL, 0, NULL, &fault);
        bool gone = a.status == 0, ended = json_is_string(at(a.json, "finished_at"));
        answer_free(&a);
        if (gone || ended)
            return ended;
        (void)usleep(10000);
    }
}

static bool try_data(struct story *s)
{
    char path[128], body[512];
    for (size_t i = 0; i < SCENES; i++) {
        (void)snprintf(path, sizeof path, "%s/clean%zu.tif", files, i + 1);
        if (!(i == 0 ? try_upload : try_upload_in_parts)(s, path, s->images[2 * i]))
            return false;
        (void)snprintf(path, sizeof path, "%s/noisy%zu_0.tif", files, i + 1);
        if (!try_upload(s, path, s->images[2 * i + 1]))
            return false;
    }
    (void)snprintf(body, sizeof body,
                   "{\"name\":\"d\",\"kind\":\"pairs\",\"pairs\":[{\"clean\":\"%s\","
                   "\"noisy\":\"%s\"},"
                   "{\"clean\":\"%s\",\"noisy\":\"%s\"}]}",
                   s->images[0], s->images[1], s->images[2], s->images[3]);
    return try_post(s, "/v1/datasets", body, s->dataset);
}

static void try_all(struct story *s, bool stop_in_training)
{
    char body[512];
    if (!try_data(s))
        return;
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   s->images[1]);
    if (!try_post(s, "/v1/jobs", body, s->jobs[DENOISE]) ||
        !try_wait(s, s->jobs[DENOISE]))
        return;
    (void)snprintf(body, sizeof body, TRAINING, s->dataset);
    if (!try_post(s, "/v1/jobs", body, s->jobs[TRAIN]))
        return;
    if (stop_in_training) {
        (void)usleep(150000);
        (void)kill(s->daemon.pid, SIGTERM);
        return;
    }
    (void)try_wait(s, s->jobs[TRAIN]);
}

/* ---- after it ---- */

static struct bytes result_of(const struct story *s)
{
    char path[80];
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", s->jobs[DENOISE]);
    struct answer a = get(s->daemon.url, path);
    ck_assert_int_eq(a.status, 200);
    struct bytes bytes = {malloc(a.length), a.length};
    memcpy(bytes.data, a.body, a.length);
    /* The file names the job that made it, and that has another id each time. */
    char *id =
        memmem(bytes.data, bytes.length, s->jobs[DENOISE], strlen(s->jobs[DENOISE]));
    ck_assert_ptr_nonnull(id);
    memset(id, '0', strlen(s->jobs[DENOISE]));
    answer_free(&a);
    return bytes;
}

static void model_of(const struct story *s, char *to, size_t size)
{
    struct answer a = get(s->daemon.url, "/v1/models/m/versions/1");
    ck_assert_int_eq(a.status, 200);
    (void)snprintf(to, size, "%s", text_at(a.json, "sha256"));
    answer_free(&a);
    a = get(s->daemon.url, "/v1/models/m/versions/2");
    ck_assert_msg(a.status == 404, "the training was done twice");
    answer_free(&a);
}

static void images_are_there(const struct story *s)
{
    for (int i = 0; i < 2 * SCENES; i++) {
        char path[80];
        (void)snprintf(path, sizeof path, "/v1/images/%s/content", s->images[i]);
        if (s->images[i][0] == '\0')
            continue;
        struct answer a = get(s->daemon.url, path);
        ck_assert_msg(a.status == 200, "%s is lost", s->images[i]);
        answer_free(&a);
    }
}

static void upload_is_there(const struct story *s)
{
    if (s->upload[0] == '\0')
        return;
    struct answer a = get(s->daemon.url, s->upload);
    ck_assert_msg(a.status == 200 && number_at(a.json, "offset") >= (double)s->kept,
                  "%ld %s of %zu bytes", a.status, a.body, s->kept);
    answer_free(&a);
}

static void jobs_end_well(const struct story *s)
{
    for (int i = 0; i < JOBS; i++) {
        if (s->jobs[i][0] == '\0')
            continue;
        json_decref(wait_success(s->daemon.url, s->jobs[i], 240));
    }
    if (s->jobs[DENOISE][0] != '\0') {
        struct bytes got = result_of(s);
        ck_assert_uint_eq(got.length, wanted_result.length);
        ck_assert_mem_eq(got.data, wanted_result.data, got.length);
        free(got.data);
    }
    if (s->jobs[TRAIN][0] != '\0') {
        char sha256[80];
        model_of(s, sha256, sizeof sha256);
        ck_assert_str_eq(sha256, wanted_model);
    }
}

static void state_is_in_order(const struct story *s)
{
    char program[256];
    struct outcome o =
        run_program(NULL, NULL,
                    (const char *const[]){built("denoised", program, sizeof program),
                                          "check", "--state", s->daemon.state, NULL});
    ck_assert_msg(o.status == 0 &&
                      strstr(o.out, ", 0 of them without a row; 0 wrong") != NULL,
                  "%d: %s%s", o.status, o.out, o.err);
    outcome_free(&o);
}

/* ---- one kill ---- */

/* false: the story came to its end before the point. */
static bool kill_at(const char *point, int nth, size_t *acked)
{
    struct story s = {0};
    char rule[80];
    (void)snprintf(rule, sizeof rule, "%s:%d", point, nth);
    (void)setenv("DEN_FAIL", rule, 1);
    (void)snprintf(s.daemon.state, sizeof s.daemon.state, "%.40s/state", files);
    (void)snprintf(s.daemon.log, sizeof s.daemon.log, "%.40s/log", files);
    int status = daemon_try(&s.daemon, args);
    (void)unsetenv("DEN_FAIL");
    if (status == 0) {
        try_all(&s, strcmp(point, "job_requeued") == 0);
        (void)usleep(50000); /* what comes after the last answer */
        status = daemon_stop(&s.daemon);
    }
    bool died = status == 128 + SIGKILL;
    ck_assert_msg(died || status == 0, "%s: ended with %d", rule, status);
    daemon_restart(&s.daemon, args);
    images_are_there(&s);
    upload_is_there(&s);
    jobs_end_well(&s);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    state_is_in_order(&s);
    daemon_remove(&s.daemon);
    *acked += s.acked;
    return died;
}

static void setup(void)
{
    struct story s = {0};
    folder_make(files);
    for (unsigned i = 1; i <= SCENES; i++)
        scene_write(files, i, SIDE, 1);
    (void)setenv("DENOISED_TEST_DAEMON", "faults/denoised", 1);
    daemon_start(&s.daemon, args);
    try_all(&s, false);
    ck_assert_uint_eq(s.acked, 2 * SCENES + PARTS + 1 + JOBS);
    wanted_result = result_of(&s);
    model_of(&s, wanted_model, sizeof wanted_model);
    daemon_remove(&s.daemon);
}

static void teardown(void)
{
    free(wanted_result.data);
    folder_remove(files);
}

static bool is_commit(const char *point)
{
    return strncmp(point, "commit_", 7) == 0;
}

/* Every point for the first time that it comes by; in the full form for the second and
 * third time as well. */
START_TEST(a_kill_at_any_point_loses_nothing)
{
    size_t points = 0, kills = 0, acked = 0;
    int times = test_full() ? 3 : 1;
    for (size_t i = 0; fault_points[i] != NULL; i++) {
        if (is_commit(fault_points[i]))
            continue;
        points++;
        for (int nth = 1; nth <= times; nth++) {
            bool died = kill_at(fault_points[i], nth, &acked);
            ck_assert_msg(died || nth > 1, "%s was never reached", fault_points[i]);
            kills += died;
        }
    }
    printf("%zu failpoints, %zu kills, %zu acknowledged, 0 lost, 0 done twice\n", points,
           kills, acked);
    ck_assert_uint_ge(points, 10);
}
END_TEST

/* The first ones are at the start, before anybody is served. */
START_TEST(a_kill_at_any_commit_loses_nothing)
{
    size_t kills = 0, acked = 0;
    int last = test_full() ? 24 : 15, step = test_full() ? 1 : 7;
    for (int nth = 1; nth <= last; nth += step)
        for (int after = 0; after < 2; after++)
            kills += kill_at(after ? "commit_after" : "commit_before", nth, &acked);
    printf("%zu kills around commits, %zu acknowledged, 0 lost, 0 done twice\n", kills,
           acked);
    ck_assert_uint_ge(kills, 6);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("failpoints");
    TCase *tc = tcase_create("failpoints");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 1800 : 300);
    tcase_add_test(tc, a_kill_at_any_point_loses_nothing);
    tcase_add_test(tc, a_kill_at_any_commit_loses_nothing);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
