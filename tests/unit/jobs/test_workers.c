/* Workers and their jobs: trainings give way and go on to the same bytes, jobs have an
 * end, a failure that passes is got over. */

#include <sys/stat.h>
#include <unistd.h>

#include "job_case.h"

#define STEPS "400"

static void reopen_with(struct den_service_config config)
{
    close_all();
    open_with(config);
}

static void weights_of(const char *job, char *sha256)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = wait_for(job, DEN_JOB_SUCCEEDED);
    struct den_model_row model;
    must(kind->model_own(store, DEN_OWNER_LOCAL, row.model, row.version, &model, &err));
    memcpy(sha256, model.sha256, DEN_SHA256_SIZE);
}

static uint64_t iterations(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_stats stats;
    must(den_service_stats(service, &stats, &err));
    return stats.iterations_done;
}

static void wait_for_iterations(uint64_t more)
{
    uint64_t from = iterations();
    double until = den_monotonic_s() + WAIT_S;
    while (iterations() < from + more && den_monotonic_s() < until)
        usleep(1000);
    ck_assert_uint_ge(iterations(), from + more);
}

static struct den_job_request median_request(const char *image, const char *radius)
{
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, image);
    set(&request, "radius", radius);
    return request;
}

/* With everything that is random in a training: crops, augmentation, dropout. */
static struct den_job_request training(void)
{
    struct den_job_request request = train_request(add_pairs("p").id, STEPS);
    set(&request, "checkpoint", "last");
    return request;
}

START_TEST(the_only_worker_does_images_between_two_batches_of_a_training)
{
    struct den_service_config config = usual_config();
    config.workers = 1;
    reopen_with(config);
    char alone[DEN_SHA256_SIZE], disturbed[DEN_SHA256_SIZE];
    struct den_job_request request = training();
    struct den_job_request image =
        median_request(add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 64, 2)).id, "2");
    weights_of(submit(&request).id, alone);
    struct den_job_row job = submit(&request);
    wait_for(job.id, DEN_JOB_RUNNING);
    for (int i = 0; i < 6; i++) {
        wait_for_iterations(5);
        ck_assert_str_ne(wait_for(submit(&image).id, DEN_JOB_SUCCEEDED).id, "");
        ck_assert_int_eq(get_job(job.id).state, DEN_JOB_RUNNING);
    }
    weights_of(job.id, disturbed);
    ck_assert_str_eq(disturbed, alone);
    ck_assert_int_eq(get_job(job.id).attempts, 1);
    ck_assert(!has_event(job.id, "log", "resumed", false)); /* it never left memory */
}
END_TEST

START_TEST(a_training_makes_room_for_an_image_that_needs_its_memory)
{
    struct den_service_config config = usual_config();
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate of_training, of_image;
    char alone[DEN_SHA256_SIZE], disturbed[DEN_SHA256_SIZE];
    struct den_job_request request = training();
    struct den_job_request image = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 1)).id, "2");
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, true, &row, &of_training,
                            &err));
    must(den_service_submit(service, DEN_OWNER_LOCAL, &image, true, &row, &of_image,
                            &err));
    config.workers = 1;
    config.memory_limit = of_training.bytes + of_image.bytes / 2;
    if (config.memory_limit < of_image.bytes)
        config.memory_limit = of_image.bytes;
    reopen_with(config);
    weights_of(submit(&request).id, alone);
    struct den_job_row job = submit(&request);
    wait_for(job.id, DEN_JOB_RUNNING);
    wait_for_iterations(5);
    struct den_job_row first = submit(&image);
    wait_for(first.id, DEN_JOB_SUCCEEDED);
    weights_of(job.id, disturbed);
    ck_assert_str_eq(disturbed, alone);
    ck_assert(has_event(job.id, "log", "makes room", false));
    ck_assert(has_event(job.id, "log", "resumed at step", false));
    ck_assert_int_eq(get_job(job.id).attempts, 1); /* it gave way, it did not fail */
}
END_TEST

/* More than either takes alone, less than both. */
static size_t room_for_one(const struct den_job_request *a,
                           const struct den_job_request *b)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row;
    struct den_job_estimate of_a, of_b;
    must(den_service_submit(service, DEN_OWNER_LOCAL, a, true, &row, &of_a, &err));
    must(den_service_submit(service, DEN_OWNER_LOCAL, b, true, &row, &of_b, &err));
    return of_a.bytes > of_b.bytes ? of_a.bytes : of_b.bytes;
}

START_TEST(a_training_makes_room_for_an_image_on_another_worker)
{
    struct den_service_config config = usual_config();
    struct den_err err = DEN_ERR_INIT;
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_request image = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 1)).id, "2");
    config.training_yields = _i == 0;
    config.memory_limit = room_for_one(&request, &image);
    reopen_with(config);
    struct den_job_row job = submit(&request);
    wait_for(job.id, DEN_JOB_RUNNING);
    for (int round = 0; round < 3; round++) {
        wait_for_iterations(5);
        wait_for(submit(&image).id, DEN_JOB_SUCCEEDED);
        ck_assert(has_event(job.id, "log", "makes room", false));
    }
    wait_for(job.id, DEN_JOB_RUNNING); /* and goes on by itself */
    ck_assert_int_eq(get_job(job.id).attempts, 1);
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &job, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
}
END_TEST

/* The second worker trains, the first has an image for some time. */
static uint64_t iterations_beside_an_image(bool yields)
{
    struct den_service_config config = usual_config();
    config.training_yields = yields;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "100000");
    struct den_job_request image = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 12)).id, "5");
    struct den_job_row job = submit(&request), stack;
    wait_for(job.id, DEN_JOB_RUNNING);
    wait_for_iterations(5);
    stack = submit(&image);
    wait_for(stack.id, DEN_JOB_RUNNING);
    usleep(30000); /* the batch at hand comes to its end */
    uint64_t before = iterations();
    if (yields)
        usleep(150000);
    else
        wait_for_iterations(3); /* a busy machine takes its time */
    ck_assert_int_eq(get_job(stack.id).state, DEN_JOB_RUNNING); /* still at it */
    uint64_t during = iterations() - before;
    struct den_err err = DEN_ERR_INIT;
    must(den_service_cancel(service, DEN_OWNER_LOCAL, stack.id, &stack, &err));
    wait_for(stack.id, DEN_JOB_CANCELLED);
    wait_for_iterations(5); /* it goes on by itself */
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &job, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
    return during;
}

START_TEST(a_training_waits_while_another_worker_has_an_image)
{
    need_slow();
    uint64_t yielding = iterations_beside_an_image(true);
    uint64_t selfish = iterations_beside_an_image(false);
    ck_assert_uint_le(yielding, 1);
    ck_assert_uint_gt(selfish, 2);
}
END_TEST

START_TEST(a_training_that_waits_for_one_image_does_the_next)
{
    need_slow();
    struct den_service_config config = usual_config();
    struct den_err err = DEN_ERR_INIT;
    config.training_yields = true;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "100000");
    struct den_job_request stack = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 40)).id, "5");
    struct den_job_request image = median_request(add_frame(3, 0).id, "2");
    struct den_job_row job = submit(&request), first, second;
    wait_for(job.id, DEN_JOB_RUNNING);
    wait_for_iterations(5);
    first = submit(&stack);
    wait_for(first.id, DEN_JOB_RUNNING);
    usleep(50000); /* the training waits by now */
    second = wait_for(submit(&image).id, DEN_JOB_SUCCEEDED);
    ck_assert_int_eq(get_job(first.id).state, DEN_JOB_RUNNING);
    ck_assert_str_eq(second.worker, get_job(job.id).worker);
    must(den_service_cancel(service, DEN_OWNER_LOCAL, first.id, &first, &err));
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &job, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
}
END_TEST

START_TEST(a_job_that_takes_too_long_ends_with_both_numbers)
{
    struct den_service_config config = usual_config();
    config.job_s = 1;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_FAILED);
    ck_assert_str_eq(job.error_code, "unprocessable");
    ck_assert_ptr_nonnull(strstr(job.error_text, "at work for 1 seconds"));
    ck_assert_ptr_nonnull(strstr(job.error_text, "may be for 1"));
    ck_assert_int_eq(job.attempts, 1); /* it is not tried again */
}
END_TEST

/* A file where the folder for results should be. */
static void break_results(bool broken)
{
    char path[PATH_MAX], aside[PATH_MAX];
    den_str_format(path, sizeof path, "%s/tmp", folder);
    den_str_format(aside, sizeof aside, "%s/aside", folder);
    if (!broken)
        ck_assert_int_eq(unlink(path), 0);
    ck_assert_int_eq(broken ? rename(path, aside) : rename(aside, path), 0);
    if (broken)
        ck_assert_int_eq(mknod(path, S_IFREG | 0600, 0), 0);
}

START_TEST(a_failure_that_passes_is_got_over)
{
    struct den_service_config config = usual_config();
    config.retry_s = 2; /* the job is looked at, and its folder mended, in between */
    reopen_with(config);
    struct den_job_request request = median_request(add_frame(3, 0).id, "2");
    break_results(true);
    struct den_job_row job = submit(&request);
    ck_assert(has_event(job.id, "log", "attempt 1 of 3 failed", true));
    job = get_job(job.id);
    ck_assert_int_eq(job.state, DEN_JOB_QUEUED);
    ck_assert_int_gt(job.retry_ms, 0);
    break_results(false);
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    ck_assert_int_ge(job.attempts, 2);
    ck_assert_str_eq(job.error_text, "");
}
END_TEST

START_TEST(a_failure_that_stays_ends_the_job_with_its_reason)
{
    struct den_service_config config = usual_config();
    config.retry_s = 0.01;
    reopen_with(config);
    struct den_job_request request = median_request(add_frame(3, 0).id, "2");
    break_results(true);
    struct den_job_row job = wait_for(submit(&request).id, DEN_JOB_FAILED);
    ck_assert_int_eq(job.attempts, 3);
    ck_assert_str_eq(job.error_code, "io");
    ck_assert_ptr_nonnull(strstr(job.error_text, "tried 3 times"));
    break_results(false);
}
END_TEST

static double seconds_used(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_quota_usage usage;
    must(den_quota_usage(service, DEN_OWNER_LOCAL, &usage, &err));
    return usage.compute_s;
}

START_TEST(an_attempt_that_failed_was_at_work_as_well)
{
    struct den_service_config config = usual_config();
    config.retry_s = 1000;
    reopen_with(config);
    struct den_job_request request = median_request(add_frame(3, 0).id, "5");
    break_results(true);
    double since = den_monotonic_s();
    struct den_job_row job = submit(&request);
    ck_assert(has_event(job.id, "log", "attempt 1 of 3 failed", true));
    ck_assert_int_eq(get_job(job.id).state, DEN_JOB_QUEUED);
    ck_assert_double_gt(seconds_used(), 0);
    ck_assert_double_le(seconds_used(), den_monotonic_s() - since);
    break_results(false);
}
END_TEST

static void sleep_for(double seconds)
{
    double until = den_monotonic_s() + seconds;
    while (den_monotonic_s() < until)
        usleep(10000);
}

/* The only worker is at work all the time: at a training, at an image for which that
 * pauses, and at the training again, until the server stops and it is put back. */
START_TEST(a_training_that_is_put_back_does_not_count_its_pauses)
{
    struct den_service_config config = usual_config();
    const double gaps_s = 0.5;
    config.workers = 1;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_request image = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 6)).id, "5");
    struct den_job_row job = submit(&request);
    wait_for(job.id, DEN_JOB_RUNNING);
    double since = den_monotonic_s();
    sleep_for(0.5);
    struct den_job_row second = wait_for(submit(&image).id, DEN_JOB_SUCCEEDED);
    sleep_for(0.5);
    ck_assert_double_ge(second.seconds, gaps_s); /* else nothing is shown */
    close_all();
    double took = den_monotonic_s() - since;
    config.with_workers = false;
    open_with(config);
    job = get_job(job.id);
    ck_assert_int_eq(job.state, DEN_JOB_QUEUED);
    ck_assert_double_eq(job.seconds, 0);
    ck_assert_double_ge(seconds_used(), took - gaps_s);
    ck_assert_double_le(seconds_used(), took + 0.1); /* it began before it was seen to */
}
END_TEST

/* Nothing of the kind has ended since the start, and nothing ends here. */
START_TEST(a_training_at_work_tells_how_long_the_next_one_will_take)
{
    struct den_service_config config = usual_config();
    struct den_err err = DEN_ERR_INIT;
    struct den_outlook first = {.eta_s = -1}, second = {.eta_s = -1};
    config.workers = 1;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_row running = submit(&request), waiting = submit(&request);
    wait_for_iterations(2);
    for (int i = 0; i < 600 && second.eta_s < 0; i++) {
        usleep(50000);
        must(den_service_outlook(service, &waiting, &second, &err));
    }
    running = get_job(running.id);
    must(den_service_outlook(service, &running, &first, &err));
    ck_assert_uint_eq(second.position, 1);
    ck_assert_double_gt(first.eta_s, 0);
    ck_assert_double_gt(second.eta_s, first.eta_s);
    must(den_service_cancel(service, DEN_OWNER_LOCAL, waiting.id, &waiting, &err));
    must(den_service_cancel(service, DEN_OWNER_LOCAL, running.id, &running, &err));
    wait_for(running.id, DEN_JOB_CANCELLED);
}
END_TEST

/* A worker is free, and the owner has enough at work. */
START_TEST(who_waits_for_a_quota_is_promised_no_time)
{
    struct den_service_config config = usual_config();
    struct den_err err = DEN_ERR_INIT;
    struct den_outlook outlook;
    config.workers = 2;
    config.training_yields = false;
    config.quotas.running_jobs = 1;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    struct den_job_request image = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 1)).id, "2");
    wait_for(submit(&image).id, DEN_JOB_SUCCEEDED); /* its speed is known */
    struct den_job_row running = submit(&request);
    wait_for_iterations(1);
    struct den_job_row held = submit(&image);
    must(den_service_outlook(service, &held, &outlook, &err));
    ck_assert_uint_eq(outlook.position, 1);
    sleep_for(0.2); /* the queue is looked at again */
    must(den_service_outlook(service, &held, &outlook, &err));
    ck_assert_int_eq(get_job(held.id).state, DEN_JOB_QUEUED);
    ck_assert(outlook.eta_s < 0);
    must(den_service_cancel(service, DEN_OWNER_LOCAL, held.id, &held, &err));
    must(den_service_cancel(service, DEN_OWNER_LOCAL, running.id, &running, &err));
    wait_for(running.id, DEN_JOB_CANCELLED);
}
END_TEST

START_TEST(a_wait_for_memory_is_no_work)
{
    struct den_service_config config = usual_config();
    struct den_err err = DEN_ERR_INIT;
    struct den_job_request request = train_request(add_pairs("p").id, "1000000");
    config.workers = 3; /* two of them train */
    config.memory_limit = room_for_one(&request, &request);
    reopen_with(config);
    struct den_job_row job = submit(&request);
    wait_for_iterations(1);
    struct den_job_row second = submit(&request);
    ck_assert(has_event(second.id, "log", "waiting for memory", true));
    sleep_for(1);
    must(den_service_cancel(service, DEN_OWNER_LOCAL, second.id, &second, &err));
    second = wait_for(second.id, DEN_JOB_CANCELLED);
    ck_assert_double_lt(second.seconds, 0.5);
    ck_assert_double_lt(seconds_used(), 0.5); /* nothing else has ended */
    must(den_service_cancel(service, DEN_OWNER_LOCAL, job.id, &job, &err));
    wait_for(job.id, DEN_JOB_CANCELLED);
}
END_TEST

START_TEST(jobs_for_a_model_go_to_the_worker_that_has_it)
{
    struct den_service_config config = usual_config();
    char first[DEN_WORKER_SIZE] = "";
    config.workers = 4;
    reopen_with(config);
    struct den_job_request request = train_request(add_pairs("p").id, "3");
    struct den_job_row made = wait_for(submit(&request).id, DEN_JOB_SUCCEEDED);
    struct den_job_request denoise = {.kind = "denoise"};
    assign(denoise.model, made.model);
    assign(denoise.image, add_frame(3, 0).id);
    for (int i = 0; i < 12; i++) {
        struct den_job_row job = wait_for(submit(&denoise).id, DEN_JOB_SUCCEEDED);
        if (i == 0)
            assign(first, job.worker);
        ck_assert_str_eq(job.worker, first);
        usleep(5000); /* it is free again */
    }
}
END_TEST

/* The queue is looked at now and then only, and less often when that takes longer. */
static void wait_until_foreseen(const char *id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_outlook outlook = {.eta_s = -1};
    double until = wait_end();
    while (outlook.eta_s < 0 && den_monotonic_s() < until) {
        struct den_job_row job = get_job(id);
        usleep(2000);
        must(den_service_outlook(service, &job, &outlook, &err));
    }
    ck_assert(outlook.eta_s >= 0);
}

START_TEST(how_long_it_takes_is_known_by_earlier_jobs)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_outlook outlook;
    enum { WAITING = 8 };
    struct den_job_row jobs[WAITING];
    struct den_service_config config = usual_config();
    config.workers = 1;
    reopen_with(config);
    struct den_job_request image = median_request(
        add_scene("s.tif", 7, 0, info_of("tiff", DEN_U16, 512, 4)).id, "5");
    struct den_job_row job = submit(&image);
    must(den_service_outlook(service, &job, &outlook, &err));
    ck_assert(outlook.eta_s < 0); /* nothing is known yet */
    job = wait_for(job.id, DEN_JOB_SUCCEEDED);
    must(den_service_outlook(service, &job, &outlook, &err));
    ck_assert(outlook.eta_s < 0);
    ck_assert_uint_eq(outlook.position, 0);
    double each = job.seconds, last = 0;
    for (int i = 0; i < WAITING; i++)
        jobs[i] = submit(&image);
    wait_for(jobs[0].id, DEN_JOB_RUNNING);
    wait_until_foreseen(jobs[WAITING - 1].id);
    for (int i = 1; i < WAITING; i++) {
        job = get_job(jobs[i].id);
        if (job.state != DEN_JOB_QUEUED)
            continue;
        must(den_service_outlook(service, &job, &outlook, &err));
        if (get_job(job.id).state != DEN_JOB_QUEUED) /* it began just now */
            continue;
        ck_assert_uint_gt(outlook.position, 0);
        ck_assert(outlook.eta_s > last);
        ck_assert(outlook.eta_s < 4 * each * (double)(i + 1)); /* a busy machine */
        last = outlook.eta_s;
    }
    ck_assert(last > each);
    for (int i = 0; i < WAITING; i++)
        must(den_service_cancel(service, DEN_OWNER_LOCAL, jobs[i].id, &job, &err));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("workers");
    TCase *tcase = tcase_create("workers");
    tcase_set_timeout(tcase, 3 * WAIT_S);
    tcase_add_checked_fixture(tcase, setup, teardown);
    tcase_add_test(tcase, the_only_worker_does_images_between_two_batches_of_a_training);
    tcase_add_test(tcase, a_training_makes_room_for_an_image_that_needs_its_memory);
    tcase_add_loop_test(tcase, a_training_makes_room_for_an_image_on_another_worker, 0,
                        2);
    tcase_add_test(tcase, a_training_waits_while_another_worker_has_an_image);
    tcase_add_test(tcase, a_training_that_waits_for_one_image_does_the_next);
    tcase_add_test(tcase, a_job_that_takes_too_long_ends_with_both_numbers);
    tcase_add_test(tcase, a_failure_that_passes_is_got_over);
    tcase_add_test(tcase, a_failure_that_stays_ends_the_job_with_its_reason);
    tcase_add_test(tcase, an_attempt_that_failed_was_at_work_as_well);
    tcase_add_test(tcase, a_training_that_is_put_back_does_not_count_its_pauses);
    tcase_add_test(tcase, a_wait_for_memory_is_no_work);
    tcase_add_test(tcase, jobs_for_a_model_go_to_the_worker_that_has_it);
    tcase_add_test(tcase, how_long_it_takes_is_known_by_earlier_jobs);
    tcase_add_test(tcase, who_waits_for_a_quota_is_promised_no_time);
    tcase_add_test(tcase, a_training_at_work_tells_how_long_the_next_one_will_take);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
