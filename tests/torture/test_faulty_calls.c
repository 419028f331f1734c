/* The n-th call to the system fails, for every n: in opening a state folder, taking an
 * upload, submitting and cancelling a job.  Then the answer is an error and nothing is
 * half there, or it is good and what was promised is there; no memory leaks. */

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "den_check.h"
#include "faults.h"
#include "fs.h"
#include "image.h"
#include "log.h"
#include "mem.h"
#include "service.h"
#include "str.h"

static char folder[64];
static unsigned number; /* of images: each is another */

struct facts {
    char image[DEN_ID_SIZE], job[DEN_ID_SIZE], sha256[DEN_SHA256_SIZE];
    bool cancelled;
};

static bool open_state(struct den_service **ret, struct den_err *err)
{
    const struct den_service_config config = {
        .state = folder, .threads = 1, .max_attempts = 3};
    return den_service_open(&config, ret, err);
}

static void make_file(struct den_service *service, char *path, size_t size)
{
    enum { SIDE = 8 };
    struct den_err err = DEN_ERR_INIT;
    float pixels[SIDE * SIDE];
    number++;
    for (unsigned i = 0; i < SIDE * SIDE; i++)
        pixels[i] = (float)(number >> (i % 16) & 1U) * 99;
    struct den_image image = {.info = {.format = "png",
                                       .width = SIDE,
                                       .height = SIDE,
                                       .pages = 1,
                                       .channels = 1,
                                       .dtype = DEN_U8},
                              .pixels = pixels};
    den_blobs_temporary(den_service_blobs(service), path, size);
    must(den_image_save(path, &image, &err));
}

/* ---- what is done while calls fail ---- */

static bool do_open(struct den_service *service, struct facts *facts, struct den_err *err)
{
    struct den_service *again = NULL;
    (void)facts;
    (void)service;
    if (!open_state(&again, err))
        return false;
    den_service_close(again);
    return true;
}

static char prepared[4096]; /* the file, made before calls fail */

static bool do_upload(struct den_service *service, struct facts *facts,
                      struct den_err *err)
{
    struct den_image_row row;
    bool fresh;
    if (!den_service_add_image(service, DEN_OWNER_LOCAL, prepared, "a.png", NULL, &row,
                               &fresh, err))
        return false;
    memcpy(facts->image, row.id, sizeof facts->image);
    memcpy(facts->sha256, row.sha256, sizeof facts->sha256);
    return true;
}

static bool do_submit(struct den_service *service, struct facts *facts,
                      struct den_err *err)
{
    struct den_job_row row;
    struct den_job_estimate estimate;
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    memcpy(request.image, facts->image, sizeof request.image);
    if (!den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &row, &estimate,
                            err))
        return false;
    memcpy(facts->job, row.id, sizeof facts->job);
    return true;
}

static bool do_cancel(struct den_service *service, struct facts *facts,
                      struct den_err *err)
{
    struct den_job_row row;
    facts->cancelled =
        den_service_cancel(service, DEN_OWNER_LOCAL, facts->job, &row, err);
    return facts->cancelled;
}

static const struct {
    const char *name;
    bool (*act)(struct den_service *, struct facts *, struct den_err *);
    bool needs_open, needs_image, needs_job, allocates;
} acts[] = {
    {"opening", do_open, false, false, false, true},
    {"an upload", do_upload, true, false, false, true},
    {"a submission", do_submit, true, true, false, false},
    {"a cancellation", do_cancel, true, true, true, false},
};
enum { ACTS = sizeof acts / sizeof acts[0] };

/* ---- one call ---- */

static void promised_is_there(const struct facts *facts)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *service = NULL;
    struct den_store *store = NULL;
    struct den_image_row image;
    struct den_job_row job;
    bool same = false;
    must(open_state(&service, &err));
    const struct den_store_kind *kind = den_service_store(service, &store);
    if (facts->image[0] != '\0') {
        must(kind->image_get(store, DEN_OWNER_LOCAL, facts->image, &image, &err));
        must(den_blobs_same(den_service_blobs(service), facts->sha256, &same, &err));
        ck_assert(same);
    }
    if (facts->job[0] != '\0') {
        must(kind->job_get(store, DEN_OWNER_LOCAL, facts->job, &job, &err));
        ck_assert(!facts->cancelled || job.state == DEN_JOB_CANCELLED);
    }
    den_service_close(service);
}

struct tally {
    size_t runs, refused, fired;
};

/* Prepares, lets `rule` (or the n-th allocation) fail during the act, and looks. */
static void run(int act, const char *rule, size_t allocation, struct tally *tally)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *service = NULL;
    struct facts facts = {0};
    char within[80];
    size_t live = den_mem_live();
    if (acts[act].needs_open) {
        must(open_state(&service, &err));
        make_file(service, prepared, sizeof prepared);
    }
    if (acts[act].needs_image)
        must(do_upload(service, &facts, &err));
    if (acts[act].needs_job)
        must(do_submit(service, &facts, &err));
    (void)snprintf(within, sizeof within, "%s/", folder);
    /* SQLite syncs the state folder itself once more, after it was done at the start. */
    fault_arm(rule, strncmp(rule, "fsync", 5) == 0 ? within : folder);
    den_mem_fail_at(allocation);
    bool done = acts[act].act(service, &facts, &err);
    den_mem_fail_at(0);
    bool fired = fault_fired();
    fault_arm(NULL, NULL);
    ck_assert_msg(done == (err.code == DEN_OK) && done == (err.text[0] == '\0'),
                  "%s, %s: %d and '%s'", acts[act].name, rule, done, err.text);
    ck_assert_msg(!(done && fired && strncmp(rule, "fsync", 5) == 0),
                  "%s was acknowledged after %s", acts[act].name, rule);
    den_service_close(service);
    promised_is_there(&facts);
    ck_assert_msg(den_mem_live() == live, "%s, %s: memory leaks", acts[act].name, rule);
    tally->runs++;
    tally->refused += !done;
    tally->fired += fired;
}

static size_t count_calls(int act, const char *call)
{
    char rule[40];
    struct tally tally = {0};
    (void)snprintf(rule, sizeof rule, "%s:0:0", call);
    run(act, rule, 0, &tally);
    return fault_count();
}

static int errno_of(const char *call)
{
    return strcmp(call, "open") == 0                                      ? EMFILE
           : strcmp(call, "write") == 0 || strcmp(call, "fallocate") == 0 ? ENOSPC
                                                                          : EIO;
}

static void setup(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *service = NULL;
    den_log_set_level(DEN_ERROR);
    (void)snprintf(folder, sizeof folder, "/tmp/denoised-faulty-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    must(open_state(&service, &err));
    den_service_close(service);
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
}

/* The short form tries one in ten, but of few calls all. */
static size_t step_of(size_t calls)
{
    return test_full() || calls <= 6 ? 1 : calls / 6 + 1;
}

START_TEST(a_call_that_fails_is_told_or_without_harm)
{
    int act = _i;
    struct tally tally = {0};
    for (size_t i = 0; fault_calls[i] != NULL; i++) {
        size_t calls = count_calls(act, fault_calls[i]);
        for (size_t n = 1; n <= calls; n += step_of(calls)) {
            char rule[40];
            (void)snprintf(rule, sizeof rule, "%s:%zu:%d", fault_calls[i], n,
                           errno_of(fault_calls[i]));
            run(act, rule, 0, &tally);
        }
    }
    printf("%s: %zu runs with a failing call, %zu failed, %zu refused, 0 false "
           "acknowledgements\n",
           acts[act].name, tally.runs, tally.fired, tally.refused);
    ck_assert_uint_gt(tally.fired, 0);
}
END_TEST

START_TEST(memory_that_is_not_there_is_told)
{
    int act = _i;
    struct tally tally = {0};
    size_t last = test_full() ? 400 : 40, step = test_full() ? 1 : 5;
    for (size_t n = 1; n <= last; n += step)
        run(act, "write:0:0", n, &tally);
    printf("%s: %zu runs with a failing allocation, %zu refused, no leak\n",
           acts[act].name, tally.runs, tally.refused);
    ck_assert_int_eq(tally.refused > 0, acts[act].allocates);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("faulty calls");
    TCase *tc = tcase_create("faulty calls");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, test_full() ? 1800 : 120);
    tcase_add_loop_test(tc, a_call_that_fails_is_told_or_without_harm, 0, ACTS);
    tcase_add_loop_test(tc, memory_that_is_not_there_is_told, 0, ACTS);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
