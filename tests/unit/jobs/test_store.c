/* What the store keeps: images, data sets, events, scores, models, ids. */

#include <math.h>
#include <pthread.h>

#include "store_case.h"

/* ---- images ---- */

START_TEST(an_image_comes_back_as_it_went_in)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = add_image(1), got;
    reopen();
    must(kind->image_get(store, DEN_OWNER_LOCAL, row.id, &got, &err));
    ck_assert_str_eq(got.id, row.id);
    ck_assert_str_eq(got.sha256, row.sha256);
    ck_assert_str_eq(got.name, row.name);
    ck_assert_str_eq(got.info.format, "tiff");
    ck_assert_uint_eq(got.info.width, 64);
    ck_assert_uint_eq(got.info.height, 48);
    ck_assert_uint_eq(got.info.pages, 3);
    ck_assert_int_eq(got.info.dtype, DEN_U16);
    ck_assert(got.info.pixel_size_um == 0.25);
    ck_assert_uint_eq(got.bytes, 4711);
    ck_assert_int_eq(got.created_ms, 1700000000000);
}
END_TEST

/* The second name is missing and the last one is as long as a name may be. */
static struct den_axes some_axes(void)
{
    struct den_axes axes = {
        .source = "ome", .t = 2, .z = 3, .c = 4, .order = "CZT", .z_step_um = 0.3};
    assign(axes.channel_names[0], "DAPI \xc2\xb5");
    assign(axes.channel_names[2], "GFP, bright");
    memset(axes.channel_names[3], 'x', DEN_AXIS_NAME_SIZE - 1);
    return axes;
}

static void same_axes(const struct den_axes *a, const struct den_axes *b)
{
    ck_assert_str_eq(a->source, b->source);
    ck_assert_str_eq(a->order, b->order);
    ck_assert_uint_eq(a->t, b->t);
    ck_assert_uint_eq(a->z, b->z);
    ck_assert_uint_eq(a->c, b->c);
    ck_assert(a->z_step_um == b->z_step_um);
    for (size_t i = 0; i < DEN_AXIS_NAMES; i++)
        ck_assert_str_eq(a->channel_names[i], b->channel_names[i]);
}

START_TEST(an_image_keeps_its_bits_and_axes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = {.id = "img_a", .sha256 = "a", .name = "a"}, got;
    bool fresh = false;
    row.info = (struct den_image_info){.format = "tiff",
                                       .width = 5,
                                       .height = 6,
                                       .pages = 24,
                                       .channels = 4,
                                       .alpha = true,
                                       .dtype = DEN_I16,
                                       .bits = 12,
                                       .axes = some_axes()};
    must(kind->image_add(store, DEN_OWNER_LOCAL, &row, &got, &fresh, &err));
    reopen();
    must(kind->image_get(store, DEN_OWNER_LOCAL, "img_a", &got, &err));
    ck_assert_uint_eq(got.info.bits, 12);
    ck_assert_uint_eq(got.info.channels, 4);
    ck_assert(got.info.alpha);
    ck_assert_int_eq(got.info.dtype, DEN_I16);
    same_axes(&got.info.axes, &row.info.axes);
}
END_TEST

START_TEST(a_name_that_is_no_text_is_left_out_and_moves_no_other)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = {.id = "img_a", .sha256 = "a", .name = "a"}, got;
    bool fresh = false;
    row.info.axes = some_axes();
    assign(row.info.axes.channel_names[1], "two\nlines");
    must(kind->image_add(store, DEN_OWNER_LOCAL, &row, &got, &fresh, &err));
    must(kind->image_get(store, DEN_OWNER_LOCAL, "img_a", &got, &err));
    row.info.axes.channel_names[1][0] = '\0';
    same_axes(&got.info.axes, &row.info.axes);
}
END_TEST

START_TEST(the_axes_of_an_older_image_are_learnt_when_it_comes_again)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = {.id = "img_a", .sha256 = "a", .name = "a"}, got;
    bool fresh = false;
    must(kind->image_add(store, DEN_OWNER_LOCAL, &row, &got, &fresh, &err));
    row.info.axes = some_axes();
    must(kind->image_add(store, DEN_OWNER_LOCAL, &row, &got, &fresh, &err));
    ck_assert(!fresh);
    same_axes(&got.info.axes, &row.info.axes);
    must(kind->image_get(store, DEN_OWNER_LOCAL, "img_a", &got, &err));
    same_axes(&got.info.axes, &row.info.axes);
}
END_TEST

START_TEST(the_same_bytes_are_one_image)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = add_image(1), again = row, got;
    bool fresh = true;
    den_id_new("img_", again.id);
    must(kind->image_add(store, DEN_OWNER_LOCAL, &again, &got, &fresh, &err));
    ck_assert(!fresh);
    ck_assert_str_eq(got.id, row.id);
}
END_TEST

START_TEST(lists_go_newest_first_and_page_by_cursor)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row rows[5], got[8];
    for (unsigned i = 0; i < 5; i++)
        rows[i] = add_image(i);
    size_t count = 99;
    must(kind->image_list(store, DEN_OWNER_LOCAL, "", 2, got, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(got[0].id, rows[4].id);
    ck_assert_str_eq(got[1].id, rows[3].id);
    must(kind->image_list(store, DEN_OWNER_LOCAL, got[1].id, 8, got, &count, &err));
    ck_assert_uint_eq(count, 3);
    ck_assert_str_eq(got[2].id, rows[0].id);
    must(kind->image_list(store, DEN_OWNER_LOCAL, rows[0].id, 8, got, &count, &err));
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(an_image_in_use_cannot_be_deleted)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row noisy = add_image(1), clean = add_image(2);
    struct den_dataset_row set = add_pair(noisy.id, clean.id);
    must_fail(kind->image_delete(store, DEN_OWNER_LOCAL, noisy.id, &err), DEN_E_CONFLICT,
              "data set");
    must_fail(kind->image_delete(store, DEN_OWNER_LOCAL, clean.id, &err), DEN_E_CONFLICT,
              "data set");
    must(kind->dataset_delete(store, DEN_OWNER_LOCAL, set.id, &err));
    struct den_job_row job = new_job("denoise");
    assign(job.image, noisy.id);
    must(kind->job_add(store, DEN_OWNER_LOCAL, &job, 0, &err));
    must_fail(kind->image_delete(store, DEN_OWNER_LOCAL, noisy.id, &err), DEN_E_CONFLICT,
              "job");
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, job.id, &job, &err));
    must(kind->image_delete(store, DEN_OWNER_LOCAL, noisy.id, &err));
    must_fail(kind->image_get(store, DEN_OWNER_LOCAL, noisy.id, &noisy, &err),
              DEN_E_NOT_FOUND, noisy.id);
    must_fail(kind->image_delete(store, DEN_OWNER_LOCAL, noisy.id, &err), DEN_E_NOT_FOUND,
              noisy.id);
}
END_TEST

START_TEST(text_that_looks_like_sql_is_text)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = add_image(1), got;
    bool fresh;
    den_id_new("img_", row.id);
    den_str_format(row.sha256, sizeof row.sha256, "%064x", 77u);
    assign(row.name, "'); DROP TABLE images; --");
    must(kind->image_add(store, DEN_OWNER_LOCAL, &row, &got, &fresh, &err));
    must(kind->image_get(store, DEN_OWNER_LOCAL, row.id, &got, &err));
    ck_assert_str_eq(got.name, row.name);
    must_fail(kind->image_get(store, DEN_OWNER_LOCAL, "' OR ''='", &got, &err),
              DEN_E_NOT_FOUND, "no image");
}
END_TEST

/* ---- data sets ---- */

START_TEST(a_data_set_keeps_its_items_in_order)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row row = {.name = "r", .kind = "repeats", .samples = 9}, got;
    struct den_dataset_item items[3] = {{.clean = ""}}, *back = NULL;
    size_t count = 0;
    for (unsigned i = 0; i < 3; i++)
        assign(items[2 - i].noisy, add_image(i).id);
    den_id_new("set_", row.id);
    must(kind->dataset_add(store, DEN_OWNER_LOCAL, &row, items, 3, &err));
    must(kind->dataset_get(store, DEN_OWNER_LOCAL, row.id, &got, &err));
    ck_assert_str_eq(got.kind, "repeats");
    ck_assert_uint_eq(got.samples, 9);
    must(kind->dataset_items(store, DEN_OWNER_LOCAL, row.id, &back, &count, &err));
    ck_assert_uint_eq(count, 3);
    for (unsigned i = 0; i < 3; i++) {
        ck_assert_str_eq(back[i].noisy, items[i].noisy);
        ck_assert_str_eq(back[i].clean, "");
    }
    den_free(back);
    must_fail(kind->dataset_items(store, DEN_OWNER_LOCAL, "set_x", &back, &count, &err),
              DEN_E_NOT_FOUND, "set_x");
}
END_TEST

START_TEST(a_data_set_with_an_unknown_image_leaves_nothing)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row row = {.name = "r", .kind = "pairs"}, got;
    struct den_dataset_item items[2] = {{.clean = ""}};
    assign(items[0].noisy, add_image(1).id);
    assign(items[1].noisy, "img_nowhere");
    den_id_new("set_", row.id);
    must_fail(kind->dataset_add(store, DEN_OWNER_LOCAL, &row, items, 2, &err),
              DEN_E_NOT_FOUND, "img_nowhere");
    must_fail(kind->dataset_get(store, DEN_OWNER_LOCAL, row.id, &got, &err),
              DEN_E_NOT_FOUND, row.id);
}
END_TEST

START_TEST(a_data_set_in_use_cannot_be_deleted)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set = add_pair(add_image(1).id, add_image(2).id);
    struct den_job_row job = new_job("train");
    assign(job.dataset, set.id);
    must(kind->job_add(store, DEN_OWNER_LOCAL, &job, 0, &err));
    must_fail(kind->dataset_delete(store, DEN_OWNER_LOCAL, set.id, &err), DEN_E_CONFLICT,
              "job");
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, job.id, &job, &err));
    must(kind->dataset_delete(store, DEN_OWNER_LOCAL, set.id, &err));
    struct den_job_row late = new_job("train");
    assign(late.dataset, set.id);
    must_fail(kind->job_add(store, DEN_OWNER_LOCAL, &late, 0, &err), DEN_E_NOT_FOUND,
              set.id);
}
END_TEST

/* ---- events, scores, models, blobs ---- */

START_TEST(events_are_numbered_from_one_and_old_progress_goes)
{
    struct den_err err = DEN_ERR_INIT;
    add_job("train");
    add_job("train");
    struct den_job_row a = claim(EVERY_CLASS), b = claim(EVERY_CLASS);
    const struct den_lease of_a = den_job_lease(&a), of_b = den_job_lease(&b);
    static const char *const types[] = {"state", "progress", "metric", "progress", "log"};
    struct den_event_row got[8];
    size_t count = 0;
    for (unsigned i = 0; i < 5; i++) {
        struct den_event_row row = {.step = i, .value = 0.5, .text = "a \"word\""};
        assign(row.type, types[i]);
        assign(row.name, "loss_l1");
        must(kind->event_add(store, &of_a, &row, 1, &err));
        ck_assert_uint_eq(row.seq, i + 3); /* after queued and running */
    }
    struct den_event_row other[2] = {{.type = "log"}, {.type = "log"}};
    must(kind->event_add(store, &of_b, other, 2, &err));
    ck_assert_uint_eq(other[0].seq, 3);
    ck_assert_uint_eq(other[1].seq, 4);
    must(kind->event_list(store, DEN_OWNER_LOCAL, a.id, 1, 8, got, &count, &err));
    ck_assert_uint_eq(count, 5); /* the first progress was replaced */
    static const uint64_t seqs[] = {2, 3, 5, 6, 7};
    for (size_t i = 0; i < 5; i++)
        ck_assert_uint_eq(got[i].seq, seqs[i]);
    ck_assert_str_eq(got[2].name, "loss_l1");
    ck_assert(got[2].value == 0.5);
    ck_assert_str_eq(got[4].text, "a \"word\"");
    must(kind->event_list(store, DEN_OWNER_LOCAL, a.id, 5, 1, got, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_uint_eq(got[0].seq, 6);
    must(
        kind->event_list(store, DEN_OWNER_LOCAL, a.id, UINT64_MAX, 8, got, &count, &err));
    ck_assert_uint_eq(count, 0);
}
END_TEST

START_TEST(a_score_may_be_infinite_and_keeps_all_its_digits)
{
    struct den_err err = DEN_ERR_INIT;
    add_job("evaluate");
    struct den_job_row row = claim(EVERY_CLASS);
    struct den_score_row scores[2] = {
        {.name = "a.tif", .page = 7, .method = "noisy", .metric = "psnr", .value = 1e-17},
        {.method = "nuclei@3", .metric = "psnr", .value = (double)INFINITY}};
    struct den_score_row *got = NULL;
    size_t count = 0;
    row.state = DEN_JOB_SUCCEEDED;
    must(kind->job_finish(store, &row, NULL, scores, 2, &err));
    must(kind->score_list(store, DEN_OWNER_LOCAL, row.id, &got, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(got[0].name, "a.tif");
    ck_assert_uint_eq(got[0].page, 7);
    ck_assert(got[0].value == 1e-17);
    ck_assert_str_eq(got[1].method, "nuclei@3");
    ck_assert(isinf(got[1].value) && got[1].value > 0);
    den_free(got);
}
END_TEST

static int64_t add_model(const char *name, unsigned number)
{
    struct den_err err = DEN_ERR_INIT;
    add_job("train");
    struct den_job_row row = claim(EVERY_CLASS);
    struct den_model_row model = {.steps = 20, .shift = 100.5, .scale = 3};
    model.created_ms = 1000 + (int64_t)number;
    assign(model.name, name);
    assign(model.job, row.id);
    den_str_format(model.sha256, sizeof model.sha256, "%064x", number);
    row.state = DEN_JOB_SUCCEEDED;
    must(kind->job_finish(store, &row, &model, NULL, 0, &err));
    ck_assert_int_eq(get_job(row.id).version, model.version);
    ck_assert_int_eq(row.version, model.version);
    return model.version;
}

static size_t audited(const char *action, const char *object)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_audit_row rows[32];
    size_t count = 0, same = 0;
    must(kind->audit_list(store, false, 0, 32, rows, &count, &err));
    for (size_t i = 0; i < count; i++)
        same += strcmp(rows[i].action, action) == 0 &&
                strcmp(rows[i].object, object) == 0 &&
                strcmp(rows[i].owner, DEN_AUDIT_SYSTEM) == 0;
    return same;
}

START_TEST(what_the_daemon_adds_and_expires_is_in_the_audit_table)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_upload_row old = {.owner = DEN_OWNER_LOCAL, .name = "a", .length = 9};
    struct den_upload_row fresh = old;
    bool live = true;
    add_model("nuclei", 1);
    add_model("nuclei", 2);
    ck_assert_uint_eq(audited("model.create", "nuclei@1"), 1);
    ck_assert_uint_eq(audited("model.create", "nuclei@2"), 1);
    den_id_new("upl_", old.id);
    den_id_new("upl_", fresh.id);
    old.expires_ms = 999;
    fresh.expires_ms = 1000;
    must(kind->upload_add(store, &old, 9, &err));
    must(kind->upload_add(store, &fresh, 9, &err));
    must(kind->upload_expire(store, 1000, &err));
    must(kind->upload_live(store, old.id, &live, &err));
    ck_assert(!live);
    must(kind->upload_live(store, fresh.id, &live, &err));
    ck_assert(live);
    ck_assert_uint_eq(audited("upload.expire", old.id), 1);
    ck_assert_uint_eq(audited("upload.expire", fresh.id), 0);
}
END_TEST

START_TEST(versions_count_up_and_are_never_given_twice)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row got;
    ck_assert_int_eq(add_model("nuclei", 1), 1);
    ck_assert_int_eq(add_model("nuclei", 2), 2);
    ck_assert_int_eq(add_model("actin", 3), 1);
    must(kind->model_get(store, DEN_OWNER_LOCAL, "nuclei", 0, &got, &err));
    ck_assert_int_eq(got.version, 2);
    ck_assert(got.shift == 100.5 && got.scale == 3);
    ck_assert_uint_eq(got.steps, 20);
    must(kind->model_delete(store, DEN_OWNER_LOCAL, "nuclei", 2, &err));
    must(kind->model_get(store, DEN_OWNER_LOCAL, "nuclei", 0, &got, &err));
    ck_assert_int_eq(got.version, 1);
    ck_assert_int_eq(add_model("nuclei", 4), 3);
    must(kind->model_delete(store, DEN_OWNER_LOCAL, "nuclei", 0, &err));
    must_fail(kind->model_get(store, DEN_OWNER_LOCAL, "nuclei", 0, &got, &err),
              DEN_E_NOT_FOUND, "nuclei");
    must_fail(kind->model_delete(store, DEN_OWNER_LOCAL, "nuclei", 3, &err),
              DEN_E_NOT_FOUND, "version 3");
    ck_assert_int_eq(add_model("nuclei", 5), 4);
}
END_TEST

START_TEST(models_list_by_newest_version_and_versions_by_number)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_model_row got[8];
    size_t count = 0;
    static const char *const names[] = {"a", "b", "c", "a"};
    for (unsigned i = 0; i < 4; i++)
        add_model(names[i], i);
    must(kind->model_list(store, DEN_OWNER_LOCAL, NULL, "", 2, got, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_str_eq(got[0].name, "a");
    ck_assert_int_eq(got[0].version, 2);
    ck_assert_str_eq(got[1].name, "c");
    must(kind->model_list(store, DEN_OWNER_LOCAL, NULL, "c", 2, got, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_str_eq(got[0].name, "b");
    must(kind->model_list(store, DEN_OWNER_LOCAL, "a", "", 8, got, &count, &err));
    ck_assert_uint_eq(count, 2);
    ck_assert_int_eq(got[0].version, 2);
    must(kind->model_list(store, DEN_OWNER_LOCAL, "a", "2", 8, got, &count, &err));
    ck_assert_uint_eq(count, 1);
    ck_assert_int_eq(got[0].version, 1);
}
END_TEST

START_TEST(a_model_that_a_job_needs_stays)
{
    struct den_err err = DEN_ERR_INIT;
    add_model("nuclei", 1);
    struct den_job_row job = new_job("evaluate");
    assign(job.model, "nuclei");
    assign(job.model_owner, DEN_OWNER_LOCAL);
    job.version = 1;
    must(kind->job_add(store, DEN_OWNER_LOCAL, &job, 0, &err));
    must_fail(kind->model_delete(store, DEN_OWNER_LOCAL, "nuclei", 1, &err),
              DEN_E_CONFLICT, job.id);
    must_fail(kind->model_delete(store, DEN_OWNER_LOCAL, "nuclei", 0, &err),
              DEN_E_CONFLICT, job.id);
    must(kind->job_cancel(store, DEN_OWNER_LOCAL, job.id, &job, &err));
    must(kind->model_delete(store, DEN_OWNER_LOCAL, "nuclei", 1, &err));
    struct den_job_row late = new_job("evaluate");
    assign(late.model, "nuclei");
    late.version = 1;
    must_fail(kind->job_add(store, DEN_OWNER_LOCAL, &late, 0, &err), DEN_E_NOT_FOUND,
              "nuclei");
}
END_TEST

START_TEST(a_blob_is_used_by_images_models_and_results)
{
    struct den_err err = DEN_ERR_INIT;
    char sha[4][DEN_SHA256_SIZE];
    for (unsigned i = 0; i < 4; i++)
        den_str_format(sha[i], sizeof sha[i], "%064x", i);
    add_image(0);
    add_model("nuclei", 1);
    add_job("denoise");
    struct den_job_row row = claim(EVERY_CLASS);
    assign(row.result_sha256, sha[2]);
    finish(&row, DEN_JOB_SUCCEEDED);
    for (unsigned i = 0; i < 4; i++) {
        bool used = i == 3;
        must(kind->blob_used(store, sha[i], &used, &err));
        ck_assert_int_eq(used, i < 3);
    }
}
END_TEST

START_TEST(a_second_process_cannot_open_the_same_database)
{
    struct den_err err = DEN_ERR_INIT;
    must(kind->ping(store, &err));
    struct den_store *second = NULL;
    if (strcmp(kind->name, "sqlite") != 0)
        return;
    ck_assert(!kind->open(location, &second, &err));
    ck_assert_int_eq(err.code, DEN_E_CONFLICT);
    ck_assert_ptr_null(second);
}
END_TEST

START_TEST(a_damaged_database_is_refused)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_store *other = NULL;
    char path[128];
    den_str_format(path, sizeof path, "%s/garbage", folder);
    char garbage[8192];
    memset(garbage, 'x', sizeof garbage);
    must(den_fs_write(path, garbage, sizeof garbage, &err));
    must_fail(kind->open(path, &other, &err), DEN_E_IO, "damaged");
}
END_TEST

static void *ids(void *context)
{
    char(*to)[DEN_ID_SIZE] = context;
    for (int i = 0; i < 1000; i++)
        den_id_new("job_", to[i]);
    return NULL;
}

START_TEST(ids_ascend_and_are_valid)
{
    static char made[2][1000][DEN_ID_SIZE];
    pthread_t thread;
    pthread_create(&thread, NULL, ids, made[1]);
    ids(made[0]);
    pthread_join(thread, NULL);
    for (int t = 0; t < 2; t++)
        for (int i = 0; i < 1000; i++) {
            ck_assert(den_id_valid(made[t][i], "job_"));
            ck_assert(i == 0 || strcmp(made[t][i - 1], made[t][i]) < 0);
        }
    static const char *const bad[] = {
        "",
        "job_",
        "img_01ARZ3NDEKTSV4RRFFQ69G5FAV",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FA",
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAVX",
        "job_81ARZ3NDEKTSV4RRFFQ69G5FAV", /* more than 128 bits */
        "job_01ARZ3NDEKTSV4RRFFQ69G5FAU", /* U is not in the alphabet */
        "job_01arz3ndektsv4rrffq69g5fav",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_msg(!den_id_valid(bad[i], "job_"), "%s", bad[i]);
    ck_assert(den_id_valid("job_01ARZ3NDEKTSV4RRFFQ69G5FAV", "job_"));
    enum den_job_state state;
    for (unsigned i = 0; i < DEN_JOB_STATES; i++) {
        ck_assert(den_job_state_find(den_job_state_name((enum den_job_state)i), &state));
        ck_assert_uint_eq(state, i);
    }
    ck_assert(!den_job_state_find("done", &state));
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        an_image_comes_back_as_it_went_in,
        an_image_keeps_its_bits_and_axes,
        a_name_that_is_no_text_is_left_out_and_moves_no_other,
        the_axes_of_an_older_image_are_learnt_when_it_comes_again,
        the_same_bytes_are_one_image,
        lists_go_newest_first_and_page_by_cursor,
        an_image_in_use_cannot_be_deleted,
        text_that_looks_like_sql_is_text,
        a_data_set_keeps_its_items_in_order,
        a_data_set_with_an_unknown_image_leaves_nothing,
        a_data_set_in_use_cannot_be_deleted,
        events_are_numbered_from_one_and_old_progress_goes,
        a_score_may_be_infinite_and_keeps_all_its_digits,
        versions_count_up_and_are_never_given_twice,
        what_the_daemon_adds_and_expires_is_in_the_audit_table,
        models_list_by_newest_version_and_versions_by_number,
        a_model_that_a_job_needs_stays,
        a_blob_is_used_by_images_models_and_results,
        a_second_process_cannot_open_the_same_database,
        a_damaged_database_is_refused,
        ids_ascend_and_are_valid,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
