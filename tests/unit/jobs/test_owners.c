/* Nobody sees what is another's: to every question about it the answer is the one to a
 * question about what does not exist. */

#include "owner_case.h"

/* ---- questions: every function of the store that serves people ---- */

/* What one owner has, of each kind; or ids of nothing. */
struct things {
    char image[DEN_ID_SIZE], clean[DEN_ID_SIZE], sha256[DEN_SHA256_SIZE];
    char dataset[DEN_ID_SIZE];
    char job[DEN_ID_SIZE]; /* queued; needs the image and the model */
    char judged[DEN_ID_SIZE], experiment[DEN_ID_SIZE];
    char model[DEN_NAME_SIZE], model_owner[DEN_OWNER_SIZE];
    char upload[DEN_ID_SIZE];
};

/* Everything that came back from the store, as text. */
struct answer {
    char text[600];
};

/* `what`: the id or name that was asked for, which the text must not depend on. */
static void tell(struct answer *to, bool done, const struct den_err *err,
                 const char *what, const char *found, size_t count)
{
    if (done) {
        den_str_format(to->text, sizeof to->text, "done: %s, %zu", found, count);
        return;
    }
    const char *at = strstr(err->text, what);
    size_t before = at != NULL ? (size_t)(at - err->text) : strlen(err->text);
    den_str_format(to->text, sizeof to->text, "%s at '%s': %.*sIT%s",
                   den_code_name(err->code), err->field, (int)before, err->text,
                   at != NULL ? at + strlen(what) : "");
}

#define QUESTION(name) \
    static void name(const char *owner, const struct things *t, struct answer *ret)
/* call: with `error` as the last argument. */
#define TELL(call, what, found, count)                      \
    do {                                                    \
        struct den_err told = DEN_ERR_INIT, *error = &told; \
        bool done = (call);                                 \
        tell(ret, done, error, (what), (found), (count));   \
    } while (0)

QUESTION(image_get)
{
    struct den_image_row row = {.id = ""};
    TELL(kind->image_get(store, owner, t->image, &row, error), t->image, row.name, 0);
}

/* Whoever brings the same bytes gets a row of his own and learns nothing of others. */
QUESTION(image_add)
{
    struct den_image_row row = {.name = "b.tif"}, got = {.id = ""};
    bool fresh = false;
    den_id_new("img_", row.id);
    assign(row.sha256, t->sha256);
    assign(row.info.format, "tiff");
    TELL(kind->image_add(store, owner, &row, &got, &fresh, error), row.id,
         strcmp(got.id, row.id) == 0 ? got.name : "a row of before", fresh);
    struct den_err err = DEN_ERR_INIT;
    if (fresh)
        must(kind->image_delete(store, owner, row.id, &err));
}

QUESTION(image_list)
{
    struct den_image_row rows[8];
    size_t count = 0;
    TELL(kind->image_list(store, owner, "", 8, rows, &count, error), "", "", count);
    (void)t;
}

QUESTION(image_list_behind)
{
    struct den_image_row rows[8];
    size_t count = 0;
    char after[DEN_ID_SIZE];
    den_id_new("img_", after); /* newer than all */
    TELL(kind->image_list(store, owner, after, 8, rows, &count, error), "", "", count);
    (void)t;
}

QUESTION(image_delete)
{
    TELL(kind->image_delete(store, owner, t->image, error), t->image, "", 0);
}

static void add_dataset(const char *owner, const char *noisy, const char *clean,
                        const char *asked, struct answer *ret)
{
    struct den_dataset_row row = {.name = "mine", .kind = "pairs"};
    struct den_dataset_item item = {.noisy = ""};
    struct den_err err = DEN_ERR_INIT;
    den_id_new("set_", row.id);
    assign(item.noisy, noisy);
    assign(item.clean, clean);
    TELL(kind->dataset_add(store, owner, &row, &item, 1, error), asked, "", 0);
    if (kind->dataset_get(store, owner, row.id, &row, NULL))
        must(kind->dataset_delete(store, owner, row.id, &err));
}

QUESTION(dataset_of_noisy)
{
    add_dataset(owner, t->image, "", t->image, ret);
}

QUESTION(dataset_of_clean)
{
    struct den_image_row own = {.sha256 = "0123"}, got;
    struct den_err err = DEN_ERR_INIT;
    bool fresh;
    den_id_new("img_", own.id);
    must(kind->image_add(store, owner, &own, &got, &fresh, &err));
    add_dataset(owner, own.id, t->clean, t->clean, ret);
    must(kind->image_delete(store, owner, own.id, &err));
}

QUESTION(dataset_get)
{
    struct den_dataset_row row = {.id = ""};
    TELL(kind->dataset_get(store, owner, t->dataset, &row, error), t->dataset, row.name,
         0);
}

QUESTION(dataset_items)
{
    struct den_dataset_item *items = NULL;
    size_t count = 0;
    TELL(kind->dataset_items(store, owner, t->dataset, &items, &count, error), t->dataset,
         "", count);
    den_free(items);
}

QUESTION(dataset_list)
{
    struct den_dataset_row rows[8];
    size_t count = 0;
    TELL(kind->dataset_list(store, owner, "", 8, rows, &count, error), "", "", count);
    (void)t;
}

QUESTION(dataset_delete)
{
    TELL(kind->dataset_delete(store, owner, t->dataset, error), t->dataset, "", 0);
}

/* A job that names one thing. */
static void ask_job(const char *owner, const struct den_job_row *row, const char *what,
                    struct answer *ret)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row got;
    TELL(kind->job_add(store, owner, row, 0, error), what, "", 0);
    if (kind->job_cancel(store, owner, row->id, &got, NULL))
        must(kind->job_delete(store, owner, row->id, &err));
}

QUESTION(job_with_image)
{
    struct den_job_row row = new_job("denoise");
    assign(row.image, t->image);
    ask_job(owner, &row, t->image, ret);
}

QUESTION(job_with_dataset)
{
    struct den_job_row row = new_job("train");
    assign(row.dataset, t->dataset);
    ask_job(owner, &row, t->dataset, ret);
}

QUESTION(job_with_model)
{
    struct den_job_row row = new_job("evaluate");
    assign(row.model, t->model);
    assign(row.model_owner, t->model_owner);
    row.version = 1;
    ask_job(owner, &row, t->model, ret);
}

static void ask_experiment(const char *owner, const char *dataset, const char *test,
                           struct answer *ret)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = new_job("experiment"), got;
    assign(row.dataset, dataset);
    TELL(kind->experiment_add(store, owner, &row, "row a\n", test, 0, error),
         dataset[0] != '\0' ? dataset : test, "", 0);
    if (kind->job_cancel(store, owner, row.id, &got, NULL))
        must(kind->job_delete(store, owner, row.id, &err));
}

QUESTION(experiment_on_dataset)
{
    ask_experiment(owner, t->dataset, "", ret);
}

QUESTION(experiment_tested_on_dataset)
{
    ask_experiment(owner, "", t->dataset, ret);
}

QUESTION(job_get)
{
    struct den_job_row row = {.id = ""};
    TELL(kind->job_get(store, owner, t->job, &row, error), t->job, row.kind, 0);
}

QUESTION(job_list)
{
    struct den_job_row rows[8];
    size_t count = 0;
    TELL(kind->job_list(store, owner, NULL, NULL, "", 8, rows, &count, error), "", "",
         count);
    (void)t;
}

QUESTION(job_list_of_state_and_kind)
{
    struct den_job_row rows[8];
    size_t count = 0;
    TELL(kind->job_list(store, owner, "queued", "denoise", "", 8, rows, &count, error),
         "", "", count);
    (void)t;
}

QUESTION(job_position)
{
    size_t position = 0;
    TELL(kind->job_position(store, owner, t->job, &position, error), t->job, "",
         position);
}

QUESTION(job_retry)
{
    struct den_job_row row = {.id = ""};
    TELL(kind->job_retry(store, owner, t->job, &row, error), t->job, row.kind, 0);
}

QUESTION(job_delete)
{
    TELL(kind->job_delete(store, owner, t->job, error), t->job, "", 0);
}

QUESTION(job_cancel)
{
    struct den_job_row row = {.id = ""};
    TELL(kind->job_cancel(store, owner, t->job, &row, error), t->job, row.kind, 0);
}

QUESTION(event_list)
{
    struct den_event_row rows[8];
    size_t count = 0;
    TELL(kind->event_list(store, owner, t->job, 0, 8, rows, &count, error), t->job, "",
         count);
}

QUESTION(score_list)
{
    struct den_score_row *rows = NULL;
    size_t count = 0;
    TELL(kind->score_list(store, owner, t->judged, &rows, &count, error), t->judged, "",
         count);
    den_free(rows);
}

QUESTION(experiment_get)
{
    char *grid = NULL;
    TELL(kind->experiment_get(store, owner, t->experiment, &grid, error), t->experiment,
         grid != NULL ? grid : "", 0);
    den_free(grid);
}

QUESTION(cell_list)
{
    struct den_cell_row *rows = NULL;
    size_t count = 0;
    TELL(kind->cell_list(store, owner, t->experiment, &rows, &count, error),
         t->experiment, "", count);
    den_free(rows);
}

QUESTION(cell_crop)
{
    char *crop = NULL;
    TELL(kind->cell_crop(store, owner, t->experiment, 0, &crop, error), t->experiment,
         crop != NULL ? crop : "", 0);
    den_free(crop);
}

QUESTION(model_get)
{
    struct den_model_row row = {.name = ""};
    TELL(kind->model_get(store, owner, t->model, 0, &row, error), t->model, "", row.seed);
}

QUESTION(model_get_version)
{
    struct den_model_row row = {.name = ""};
    TELL(kind->model_get(store, owner, t->model, 1, &row, error), t->model, "", row.seed);
}

QUESTION(model_own)
{
    struct den_model_row row = {.name = ""};
    TELL(kind->model_own(store, owner, t->model, 1, &row, error), t->model, "", row.seed);
}

QUESTION(model_list)
{
    struct den_model_row rows[8];
    size_t count = 0;
    TELL(kind->model_list(store, owner, NULL, "", 8, rows, &count, error), "", "", count);
    (void)t;
}

QUESTION(model_versions)
{
    struct den_model_row rows[8];
    size_t count = 0;
    TELL(kind->model_list(store, owner, t->model, "", 8, rows, &count, error), t->model,
         "", count);
}

QUESTION(model_delete)
{
    TELL(kind->model_delete(store, owner, t->model, 0, error), t->model, "", 0);
}

QUESTION(model_delete_version)
{
    TELL(kind->model_delete(store, owner, t->model, 1, error), t->model, "", 0);
}

QUESTION(model_share)
{
    struct den_model_row row = {.name = ""};
    TELL(kind->model_share(store, owner, t->model, true, &row, error), t->model, "",
         row.shared);
    (void)kind->model_share(store, owner, t->model, false, &row, NULL);
}

QUESTION(upload_get)
{
    struct den_upload_row row = {.id = ""};
    TELL(kind->upload_get(store, owner, t->upload, &row, error), t->upload, row.name, 0);
}

QUESTION(upload_delete)
{
    TELL(kind->upload_delete(store, owner, t->upload, error), t->upload, "", 0);
}

QUESTION(alias_get)
{
    struct den_alias_row row = {.version = 0};
    TELL(kind->alias_get(store, owner, t->model, "best", &row, error), t->model, "",
         (size_t)row.version);
}

QUESTION(alias_list)
{
    struct den_alias_row rows[DEN_ALIASES];
    size_t count = 0;
    TELL(kind->alias_list(store, owner, t->model, rows, &count, error), t->model, "",
         count);
}

QUESTION(alias_set)
{
    struct den_alias_row row = {.name = "best", .version = 1};
    assign(row.model, t->model);
    TELL(kind->alias_set(store, owner, &row, -1, error), t->model, "",
         (size_t)row.version);
}

QUESTION(alias_rollback)
{
    struct den_alias_row row = {.version = 0};
    TELL(kind->alias_rollback(store, owner, t->model, "best", &row, error), t->model, "",
         (size_t)row.version);
}

QUESTION(alias_delete)
{
    TELL(kind->alias_delete(store, owner, t->model, "best", error), t->model, "", 0);
}

QUESTION(answer_get)
{
    struct den_answer_row row = {.status = 0};
    bool found = false;
    TELL(kind->answer_get(store, owner, t->upload, &row, &found, error), t->upload, "",
         found);
    den_free(row.body);
}

/* clang-format off */
#define ROW(name) {#name, name, false}
#define ALL(name) {#name, name, true} /* not about one thing */
/* clang-format on */
/* Asked by the owner they change nothing either, but for the last three. */
static const struct {
    const char *name;
    void (*ask)(const char *owner, const struct things *t, struct answer *ret);
    bool of_all;
} questions[] = {
    ROW(image_get),
    ROW(image_add),
    ALL(image_list),
    ALL(image_list_behind),
    ROW(image_delete),
    ROW(dataset_of_noisy),
    ROW(dataset_of_clean),
    ROW(dataset_get),
    ROW(dataset_items),
    ALL(dataset_list),
    ROW(dataset_delete),
    ROW(job_with_image),
    ROW(job_with_dataset),
    ROW(job_with_model),
    ROW(experiment_on_dataset),
    ROW(experiment_tested_on_dataset),
    ROW(job_get),
    ALL(job_list),
    ALL(job_list_of_state_and_kind),
    ROW(job_position),
    ROW(job_retry),
    ROW(job_delete),
    ROW(event_list),
    ROW(score_list),
    ROW(experiment_get),
    ROW(cell_list),
    ROW(cell_crop),
    ROW(model_get),
    ROW(model_get_version),
    ROW(model_own),
    ALL(model_list),
    ROW(model_versions),
    ROW(model_delete),
    ROW(model_delete_version),
    ROW(model_share),
    ROW(upload_get),
    ROW(alias_get),
    ROW(alias_list),
    ROW(alias_set),
    ROW(alias_rollback),
    ROW(answer_get),
    ROW(alias_delete),
    ROW(job_cancel),
    ROW(upload_delete),
};
enum { QUESTIONS = sizeof questions / sizeof questions[0], CHANGING = 3 };

/* ---- what there is ---- */

static void add_own_image(const char *owner, const char *sha256, char *ret_id)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row = {.name = "a.tif"}, got;
    bool fresh = false;
    den_id_new("img_", row.id);
    assign(row.info.format, "tiff");
    assign(row.sha256, sha256);
    must(kind->image_add(store, owner, &row, &got, &fresh, &err));
    ck_assert(fresh);
    ck_assert_str_eq(got.owner, owner);
    den_str_copy(ret_id, DEN_ID_SIZE, row.id);
}

static void add_judged(const char *owner, struct things *t)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = run_job(owner, new_job("evaluate"));
    struct den_score_row score = {.metric = "psnr", .value = 20};
    must(kind->job_finish(store, &row, NULL, &score, 1, &err));
    assign(t->judged, row.id);
}

/* To the one experiment that waits, which then waits again. */
static void add_cell(const struct den_cell_row *cell)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_job_row row = {.id = ""};
    const struct den_claim how = {.now = den_moment_now(),
                                  .worker = "w",
                                  .lease_ms = 60000,
                                  .first = DEN_CLASS_EXPERIMENT,
                                  .last = DEN_CLASS_EXPERIMENT};
    bool found = false;
    must(kind->job_claim(store, &how, &row, &found, &err));
    const struct den_lease lease = den_job_lease(&row);
    must(kind->cell_add(store, &lease, cell, "iVBO", NULL, &err));
    must(kind->job_requeue(store, &lease, &err));
}

static void add_things(const char *owner, struct things *t)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_dataset_row set = {.name = "set", .kind = "pairs"};
    struct den_dataset_item item = {.noisy = ""};
    struct den_cell_row cell = {.state = "done"};
    assign(t->sha256, "5f");
    add_own_image(owner, t->sha256, t->image);
    add_own_image(owner, "60", t->clean);
    den_id_new("set_", set.id);
    assign(item.noisy, t->image);
    assign(item.clean, t->clean);
    must(kind->dataset_add(store, owner, &set, &item, 1, &err));
    assign(t->dataset, set.id);
    add_own_model(owner, "cells", 11);
    assign(t->model, "cells");
    assign(t->model_owner, owner);
    struct den_alias_row alias = {.model = "cells", .name = "best", .version = 1};
    must(kind->alias_set(store, owner, &alias, -1, &err));
    add_judged(owner, t);
    struct den_job_row job = new_job("denoise");
    assign(job.image, t->image);
    assign(job.model, t->model);
    assign(job.model_owner, owner);
    job.version = 1;
    must(kind->job_add(store, owner, &job, 0, &err));
    assign(t->job, job.id);
    struct den_job_row grid = new_job("experiment");
    assign(grid.dataset, t->dataset);
    must(kind->experiment_add(store, owner, &grid, "row a\n", t->dataset, 0, &err));
    add_cell(&cell);
    assign(t->experiment, grid.id);
    struct den_upload_row upload = {.name = "u.tif", .length = 9, .expires_ms = 9};
    den_id_new("upl_", upload.id);
    assign(upload.owner, owner);
    must(kind->upload_add(store, &upload, 4, &err));
    assign(t->upload, upload.id);
    char body[] = "{}";
    struct den_answer_row answer = {.status = 201, .body = body};
    must(kind->answer_put(store, owner, upload.id, &answer, &err)); /* the id as a key */
}

/* Ids like others, of nothing. */
static struct things nothing(void)
{
    struct things t = {.sha256 = "77", .model = "tissue", .model_owner = ALICE};
    den_id_new("img_", t.image);
    den_id_new("img_", t.clean);
    den_id_new("set_", t.dataset);
    den_id_new("job_", t.job);
    den_id_new("job_", t.judged);
    den_id_new("job_", t.experiment);
    den_id_new("upl_", t.upload);
    return t;
}

START_TEST(nobody_sees_what_is_anothers)
{
    struct things hers = {.image = ""}, absent = nothing();
    struct answer empty[QUESTIONS], before[QUESTIONS], other, none;
    for (size_t i = 0; i < QUESTIONS; i++) /* while there is nothing at all */
        questions[i].ask(BOB, &absent, &empty[i]);
    add_things(ALICE, &hers);
    for (size_t i = 0; i + CHANGING < QUESTIONS; i++)
        questions[i].ask(ALICE, &hers, &before[i]);
    for (size_t i = 0; i < QUESTIONS; i++) {
        questions[i].ask(BOB, &hers, &other);
        questions[i].ask(BOB, &absent, &none);
        ck_assert_msg(strcmp(other.text, none.text) == 0,
                      "%s: '%s' is not what nothing gives, '%s'", questions[i].name,
                      other.text, none.text);
        ck_assert_msg(strcmp(none.text, empty[i].text) == 0, "%s: '%s' was '%s'",
                      questions[i].name, none.text, empty[i].text);
    }
    /* None of that has changed anything; and she sees it all. */
    for (size_t i = 0; i < QUESTIONS; i++) {
        questions[i].ask(ALICE, &hers, &other);
        ck_assert_msg(i + CHANGING >= QUESTIONS ||
                          strcmp(other.text, before[i].text) == 0,
                      "%s: '%s' was '%s'", questions[i].name, other.text, before[i].text);
        ck_assert_msg(strcmp(other.text, empty[i].text) != 0,
                      "%s: the owner gets '%s', too", questions[i].name, other.text);
    }
}
END_TEST

START_TEST(each_owner_has_images_lists_and_versions_of_his_own)
{
    struct things hers = {.image = ""}, his = {.image = ""}, absent = nothing();
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row images[8];
    struct den_job_row job, jobs[8];
    size_t count = 0;
    struct den_model_row model;
    add_things(ALICE, &hers);
    must(kind->job_cancel(store, ALICE, hers.job, &job, &err));
    must(kind->job_cancel(store, ALICE, hers.experiment, &job, &err));
    add_things(BOB, &his);
    for (size_t i = 0; i < QUESTIONS; i++) { /* his own are there, and hers are not */
        struct answer his_own, none;
        questions[i].ask(BOB, &his, &his_own);
        questions[i].ask(BOB, &absent, &none);
        ck_assert_msg(questions[i].of_all == (strcmp(his_own.text, none.text) == 0),
                      "%s: '%s'", questions[i].name, his_own.text);
    }
    must(kind->image_list(store, BOB, "", 8, images, &count, &err));
    ck_assert_uint_eq(count, 2);
    must(kind->job_list(store, BOB, NULL, NULL, "", 8, jobs, &count, &err));
    ck_assert_uint_eq(count, 4);
    for (size_t i = 0; i < count; i++)
        ck_assert_str_eq(jobs[i].owner, BOB);
    add_own_model(ALICE, "cells", 12);
    must(kind->model_get(store, BOB, "cells", 0, &model, &err));
    ck_assert_int_eq(model.version, 1);
    ck_assert_uint_eq(model.seed, 11);
    must(kind->model_get(store, ALICE, "cells", 0, &model, &err));
    ck_assert_int_eq(model.version, 2);
}
END_TEST

/* One blob may be named by rows of several owners. */
START_TEST(a_blob_stays_as_long_as_anybody_names_it)
{
    struct den_err err = DEN_ERR_INIT;
    char hers[DEN_ID_SIZE], his[DEN_ID_SIZE];
    bool used = false;
    add_own_image(ALICE, "5f", hers);
    add_own_image(BOB, "5f", his);
    must(kind->image_delete(store, ALICE, hers, &err));
    must(kind->blob_used(store, "5f", &used, &err));
    ck_assert(used);
    must(kind->image_delete(store, BOB, his, &err));
    must(kind->blob_used(store, "5f", &used, &err));
    ck_assert(!used);
}
END_TEST

int main(void)
{
    const TTest *const tests[] = {
        nobody_sees_what_is_anothers,
        each_owner_has_images_lists_and_versions_of_his_own,
        a_blob_stays_as_long_as_anybody_names_it,
    };
    return run_on_all_stores(tests, sizeof tests / sizeof tests[0]);
}
