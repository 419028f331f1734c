/* A store that cannot write for a while (a full disk) costs no job and no file. */

#include <sys/stat.h>
#include <unistd.h>

#include "job_case.h"
#include "service_private.h"

/* The store of the service, but for changes that fail the first times. */
static struct den_store_kind failing;
static atomic_int requeues_to_fail, agains_to_fail, finishes_to_fail;
static struct den_model_row to_delete; /* goes before the next try to finish */

static bool fails(atomic_int *count, struct den_err *err)
{
    if (atomic_load(count) == 0)
        return false;
    atomic_fetch_sub(count, 1);
    den_err_set(err, DEN_E_DISK_FULL, "the disk of the server is full");
    return true;
}

static bool try_requeue(struct den_store *s, const struct den_lease *lease,
                        struct den_err *err)
{
    return !fails(&requeues_to_fail, err) && kind->job_requeue(s, lease, err);
}

static bool try_again(struct den_store *s, const struct den_lease *lease, int64_t wait_ms,
                      const struct den_moment *now, const char *why, struct den_err *err)
{
    return !fails(&agains_to_fail, err) &&
           kind->job_again(s, lease, wait_ms, now, why, err);
}

static bool try_finish(struct den_store *s, struct den_job_row *row,
                       struct den_model_row *model, const struct den_score_row *scores,
                       size_t score_count, struct den_err *err)
{
    if (fails(&finishes_to_fail, err))
        return false;
    if (to_delete.name[0] != '\0' &&
        !den_service_delete_model(service, DEN_OWNER_LOCAL, to_delete.name,
                                  to_delete.version, err))
        return false;
    to_delete.name[0] = '\0';
    return kind->job_finish(s, row, model, scores, score_count, err);
}

/* Workers look at service->kind at each of their calls; none has a job yet. */
static void open_failing(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    config.retry_s = 0.1;
    must(den_service_open(&config, &service, &err));
    kind = den_service_store(service, &store);
    failing = *kind;
    failing.job_requeue = try_requeue;
    failing.job_again = try_again;
    failing.job_finish = try_finish;
    service->kind = &failing;
    must(den_service_start(service, &err));
}

static void begin(void)
{
    assign(folder, "/tmp/denoised_service_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
    open_failing();
}

static struct den_job_request median(void)
{
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, add_frame(3, 0).id);
    set(&request, "radius", "2");
    return request;
}

START_TEST(a_training_that_cannot_be_put_back_goes_on_after_the_next_start)
{
    struct den_job_request request = train_request(add_pairs("p").id, "300");
    struct den_job_row job = submit(&request);
    wait_for(job.id, DEN_JOB_RUNNING);
    atomic_store(&requeues_to_fail, 1000);
    close_all();
    atomic_store(&requeues_to_fail, 0);
    open_failing();
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(job.attempts, 2);
}
END_TEST

/* Its folder for results is a file at first, which is a failure that may pass. */
START_TEST(a_job_that_is_to_be_tried_again_waits_for_the_store)
{
    struct den_job_request request = median();
    char path[PATH_MAX];
    struct den_job_row job;
    den_str_format(path, sizeof path, "%s/tmp", folder);
    ck_assert_int_eq(rmdir(path), 0);
    ck_assert_int_eq(mknod(path, S_IFREG | 0600, 0), 0);
    atomic_store(&agains_to_fail, 2);
    job = submit(&request);
    ck_assert(has_event(job.id, "log", "attempt 1 of 3 failed", true));
    ck_assert_int_eq(atomic_load(&agains_to_fail), 0);
    ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(mkdir(path, 0700), 0);
    wait_for(job.id, DEN_JOB_SUCCEEDED);
}
END_TEST

static struct den_model_row model_of(const struct den_job_row *job)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row model;
    must(kind->model_own(store, DEN_OWNER_LOCAL, job->model, job->version, &model, &err));
    return model;
}

/* The same training makes the same weights, which are one file. */
START_TEST(the_bytes_of_a_deleted_model_stay_for_one_that_is_not_stored_yet)
{
    struct den_job_request request = train_request(add_pairs("p").id, "3");
    char path[PATH_MAX];
    set(&request, "checkpoint", "last");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    const struct den_model_row first = model_of(&job);
    atomic_store(&finishes_to_fail, 1);
    to_delete = first;
    job = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    ck_assert_str_eq(to_delete.name, ""); /* it was deleted in between */
    const struct den_model_row second = model_of(&job);
    ck_assert_str_eq(first.sha256, second.sha256);
    den_blobs_path(den_service_blobs(service), second.sha256, path, sizeof path);
    ck_assert(den_fs_exists(path));
}
END_TEST

START_TEST(the_folder_of_a_job_that_was_cancelled_while_it_waited_goes)
{
    struct den_err err = DEN_ERR_INIT;
    char path[DEN_STATE_PATH + 64];
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_row job = submit(&request);
    job = wait_for(job.id, DEN_JOB_RUNNING);
    const struct den_lease lease = den_job_lease(&job);
    den_service_work_path(service, &lease, path, sizeof path);
    must(den_fs_mkdirs(path, 0700, &err));
    must(den_service_sweep_work(service, &err));
    ck_assert(den_fs_exists(path)); /* it is at work */
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &job, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
    must(den_fs_mkdirs(path, 0700, &err));
    must(den_service_sweep_work(service, &err));
    ck_assert(!den_fs_exists(path));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("store_fails");
    TCase *tcase = tcase_create("store_fails");
    tcase_set_timeout(tcase, 3 * WAIT_S);
    tcase_add_checked_fixture(tcase, begin, teardown);
    tcase_add_test(tcase,
                   a_training_that_cannot_be_put_back_goes_on_after_the_next_start);
    tcase_add_test(tcase, a_job_that_is_to_be_tried_again_waits_for_the_store);
    tcase_add_test(tcase,
                   the_bytes_of_a_deleted_model_stay_for_one_that_is_not_stored_yet);
    tcase_add_test(tcase, the_folder_of_a_job_that_was_cancelled_while_it_waited_goes);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
