/* The main job by the client alone: simulate, train, evaluate, denoise, look. */

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "front.h"
#include "fs.h"
#include "mem.h"
#include "program.h"

/* The smallest net that there is, trained for a moment. */
#define TINY "--set", "downs=5", "ngf=4", "ndf=4", "crop=32", "batch=2"

static struct daemon d;
static char folder[64];

static void setup(void)
{
    daemon_start(&d, NULL);
    folder_make(folder);
    struct outcome o = DENOISE(folder, NULL, "simulate", "data", "--scenes=4",
                               "--frames=2", "--size=64x48");
    must_end(&o, 0, "");
    outcome_free(&o);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(folder);
}

static void read_in_folder(const char *name, char **ret, size_t *ret_length)
{
    struct den_err err = DEN_ERR_INIT;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    must(den_fs_read(path, 1 << 24, ret, ret_length, &err));
}

static void train(const char *name)
{
    char want[40];
    struct outcome o =
        DENOISE(folder, d.url, "train", "--name", name, "--pairs", "data/pairs.csv",
                "--hold-out", "0.25", TINY, "iterations=20", "--seed", "3", "--wait");
    must_end(&o, 0, "6 noisy images, 3 scenes (9 files");
    (void)snprintf(want, sizeof want, "%s@1\n", name);
    ck_assert_str_eq(o.out, want);
    outcome_free(&o);
}

START_TEST(a_model_is_trained_judged_and_used_by_the_client)
{
    train("cells");
    struct outcome o = DENOISE(folder, d.url, "evaluate", "--model", "cells", "--pairs",
                               "data/pairs.csv", "--held-out", "0.25", "--wait");
    must_end(&o, 0, "2 noisy images");
    static const char *const rows[] = {"method ",   "\nnoisy ",   "\ngaussian ",
                                       "\nmedian ", "\ncells@1 ", "PSNR' [dB]",
                                       "NRMSE"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        ck_assert_msg(strstr(o.out, rows[i]) != NULL, "no '%s' in %s", rows[i], o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "submit", "data/scene04/frame_01.tif",
                "data/scene04/frame_02.tif", "-m", "cells@1", "-o", "results/new");
    must_end(&o, 0, "denoise");
    ck_assert_str_eq(o.out, "results/new/frame_01_denoised.tif\n"
                            "results/new/frame_02_denoised.tif\n");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "preview", "data/scene04/frame_01.tif",
                "results/new/frame_01_denoised.tif", "data/scene04/clean.tif", "-o",
                "compare.png");
    must_end(&o, 0, "");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "models");
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, "\ncells        1  cgan") != NULL, "%s", o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "models", "cells", "--json");
    json_t *models = json_loads(o.out, 0, NULL);
    ck_assert_str_eq(text_at(models, "models.0.name"), "cells");
    close_to(number_at(models, "models.0.seed"), 3, 0);
    close_to(number_at(models, "models.0.config.iterations"), 20, 0);
    json_decref(models);
    outcome_free(&o);
}
END_TEST

static void put_text(const char *name, const char *text)
{
    struct den_err err = DEN_ERR_INIT;
    char path[256];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    must(den_fs_write(path, text, strlen(text), &err));
}

/* On a terminal of 80 columns, as most are: the last validation is not cut off. */
START_TEST(a_narrow_terminal_shows_what_there_is_to_know)
{
    static const char command[] =
        "stty cols 80; denoise train --name cells --pairs data/pairs.csv "
        "--set downs=5 ngf=4 ndf=4 crop=32 batch=2 iterations=40 --wait";
    char path[512], program[256], *real, line[1024];
    if (!program_exists("script")) {
        printf("skipped: %s (no script)\n", __func__);
        return;
    }
    real = realpath(built("denoise", program, sizeof program), NULL);
    ck_assert_ptr_nonnull(real);
    *strrchr(real, '/') = '\0';
    (void)snprintf(path, sizeof path, "PATH=%s:%s", real, getenv("PATH"));
    (void)snprintf(line, sizeof line, "TERM=xterm %s script -qec '%s' /dev/null", path,
                   command);
    struct outcome o =
        run_program(folder, d.url, (const char *const[]){"sh", "-c", line, NULL});
    must_end(&o, 0, "");
    const char *bar = strstr(o.out, "  validation_psnr ");
    ck_assert_msg(bar != NULL, "%.2000s", o.out);
    size_t digits = strspn(bar + strlen("  validation_psnr "), "-0123456789.");
    ck_assert_msg(digits >= 4 && strstr(o.out, "[####") != NULL, "%.200s", bar);
    ck_assert_msg(strstr(o.out, " kB") != NULL, "%.200s", o.out);
    outcome_free(&o);
    free(real);
}
END_TEST

/* data has scene01 to scene04, each with frame_01.tif, frame_02.tif and clean.tif. */
static const struct {
    const char *words[4];
    size_t results;
    const char *one; /* of them */
} folders[] = {
    {{"data", "--recursive"}, 12, "out/scene03/frame_02_denoised.tif\n"},
    {{"data/scene02"}, 3, "out/clean_denoised.tif\n"},
    {{"data/scene02/", "data/scene0[13]", "-r"}, 9, "out/frame_01_denoised.tif\n"},
    {{"data/*/frame_01.tif"}, 4, "out/frame_01_denoised.tif\n"},
    {{"data/scene02/*.tif", "new.tif"}, 4, "out/new_denoised.tif\n"},
};

START_TEST(folders_and_patterns_name_their_images)
{
    const char *args[16] = {"submit", "--method=median", "-o", "out", "--force"};
    struct outcome o = DENOISE(folder, NULL, "simulate", "d", "--scenes=1", "--frames=1",
                               "--size=16x16");
    outcome_free(&o);
    char from[256], to[256];
    (void)snprintf(from, sizeof from, "%s/d/scene01/frame_01.tif", folder);
    (void)snprintf(to, sizeof to, "%s/new.tif", folder);
    ck_assert_int_eq(rename(from, to), 0);
    (void)snprintf(to, sizeof to, "%s/data/scene02/old_denoised.tif", folder);
    put_text("data/scene02/old_denoised.tif", "a result, no image to be denoised");
    bool pattern = strstr(folders[_i].words[0], "/*.tif") != NULL;
    for (size_t i = 0; folders[_i].words[i] != NULL; i++)
        args[5 + i] = folders[_i].words[i];
    if (pattern) /* takes what it says */
        ck_assert_int_eq(unlink(to), 0);
    o = run_denoise(folder, d.url, args);
    must_end(&o, 0, "");
    size_t n = 0;
    for (const char *at = o.out; (at = strchr(at, '\n')) != NULL; at++)
        n++;
    ck_assert_msg(n == folders[_i].results && strstr(o.out, folders[_i].one) != NULL,
                  "%s", o.out);
    outcome_free(&o);
}
END_TEST

/* The server keeps alike bytes once, under the name that they had first. */
START_TEST(a_result_is_called_as_the_file_that_was_given)
{
    static const char *const copies[] = {"mine.TIF", "mine.png", "mine"};
    char *bytes, path[256];
    size_t length;
    struct den_err err = DEN_ERR_INIT;
    struct outcome o =
        DENOISE(folder, d.url, "submit", "data/scene01/frame_01.tif", "--method=median");
    must_end(&o, 0, "");
    outcome_free(&o);
    read_in_folder("data/scene01/frame_01.tif", &bytes, &length);
    for (size_t i = 0; i < sizeof copies / sizeof *copies; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", folder, copies[i]);
        must(den_fs_write(path, bytes, length, &err));
    }
    den_free(bytes);
    o = DENOISE(folder, d.url, "submit", copies[0], copies[1], copies[2],
                "--method=median", "-o", "out");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "out/mine_denoised.TIF\nout/mine.png_denoised.tif\n"
                            "out/mine_denoised.tif\n");
    outcome_free(&o);
}
END_TEST

START_TEST(no_result_replaces_another_of_the_same_run)
{
    struct outcome o = DENOISE(folder, d.url, "submit", "data/scene0[12]/frame_01.tif",
                               "--method=median", "-o", "out", "--force");
    must_end(&o, 0, "data/scene02/frame_01.tif becomes out/frame_01_denoised_2.tif");
    ck_assert_str_eq(o.out, "out/frame_01_denoised.tif\nout/frame_01_denoised_2.tif\n");
    outcome_free(&o);
    o = DENOISE(folder, NULL, "verify", "data/scene01/frame_01.tif",
                "out/frame_01_denoised.tif");
    must_end(&o, 0, "");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "submit", "data/scene01/frame_01.tif", "--method=median",
                "-o", "out");
    must_end(&o, 2, "out/frame_01_denoised.tif exists already; --force replaces it");
    outcome_free(&o);
}
END_TEST

START_TEST(one_bad_image_does_not_keep_the_rest_from_being_done)
{
    put_text("data/scene02/bad.tif", "no image");
    struct outcome o = DENOISE(folder, d.url, "submit", "data/scene02", "nowhere.tif",
                               "--method=median", "-o", "out");
    must_end(&o, 5, "nowhere.tif: it cannot be read");
    ck_assert_msg(strstr(o.err, "data/scene02/bad.tif: ") != NULL, "%s", o.err);
    ck_assert_str_eq(o.out, "out/clean_denoised.tif\nout/frame_01_denoised.tif\n"
                            "out/frame_02_denoised.tif\n");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "submit", "data", "-r", "--model", "nix");
    must_end(&o, 5, "there is no model 'nix'");
    ck_assert_msg(strstr(strstr(o.err, "nix") + 1, "nix") == NULL, "%s",
                  o.err); /* once */
    outcome_free(&o);
}
END_TEST

START_TEST(the_scores_are_those_that_were_asked_for)
{
    static const struct {
        const char *option, *there, *absent;
    } rows[] = {
        {"--all", "frc_high", "nrmse_paper"},
        {"--paper-metrics", "NRMSE", "frc_high"},
        {"--paper-metrics", "psnr_u16wrap [dB]", "nrmse_affine"},
        {"--metrics=gradient_energy,psnr", "gradient_energy", "SSIM"},
        {"--metrics=ssim_cols", "ssim_cols", "PSNR"},
    };
    struct outcome o = DENOISE(folder, d.url, "evaluate", "--method", "median", "--pairs",
                               "data/pairs.csv", "--wait", "--metrics=frc_high");
    must_end(&o, 0, "frc_high: Fourier ring correlation");
    ck_assert_msg(strncmp(o.out, "method ", 7) == 0 &&
                      strstr(o.out, "frc_high") != NULL && strstr(o.out, "PSNR") == NULL,
                  "%s", o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "status", "--json");
    json_t *jobs = json_loads(o.out, 0, NULL);
    char id[40];
    (void)snprintf(id, sizeof id, "%s", text_at(jobs, "jobs.0.id"));
    json_decref(jobs);
    outcome_free(&o);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        o = DENOISE(folder, d.url, "report", id, rows[i].option);
        must_end(&o, 0, "");
        ck_assert_msg(strstr(o.out, rows[i].there) != NULL &&
                          strstr(o.out, rows[i].absent) == NULL,
                      "%s: %s", rows[i].option, o.out);
        outcome_free(&o);
    }
    o = DENOISE(folder, d.url, "report", id, "--metrics=frc_high", "--markdown");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.err, "");
    ck_assert_msg(strstr(o.out, "\n|---|---:|---:|\n| noisy | ") != NULL, "%s", o.out);
    ck_assert_msg(strstr(o.out, "\n* `frc_high`: Fourier") != NULL, "%s", o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--metrics=psnr,,ssim");
    must_end(&o, 2, "there is no metric ''; `denoise methods --json` lists them");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "evaluate", "--method", "median", "--pairs",
                "data/pairs.csv", "--metrics", "sharpness");
    must_end(&o, 2, "there is no metric 'sharpness'");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--all", "--metrics=psnr");
    must_end(&o, 2, "give either --metrics or --all");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--json");
    json_t *report = json_loads(o.out, 0, NULL);
    ck_assert_uint_eq(json_object_size(json_object_get(report, "definitions")), 15);
    ck_assert(json_is_true(at(report, "definitions.ssim_cols.paper")));
    ck_assert(json_is_null(at(report, "definitions.gradient_energy.higher_is_better")));
    ck_assert(json_is_true(at(report, "definitions.frc_high.higher_is_better")));
    close_to(number_at(report, "mean.median.nrmse_paper.n"), 8, 0);
    json_decref(report);
    outcome_free(&o);
}
END_TEST

START_TEST(a_model_is_tuned_from_another)
{
    train("cells");
    struct outcome o =
        DENOISE(folder, d.url, "train", "--name", "mine", "--base", "cells", "--pairs",
                "data/pairs.csv", "--set", "iterations=5", "batch=2", "crop=32",
                "freeze_encoder=true", "--wait");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "mine@1\n");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "models", "mine", "--json");
    json_t *models = json_loads(o.out, 0, NULL);
    ck_assert_str_eq(text_at(models, "models.0.base_model"), "cells@1");
    ck_assert_ptr_null(at(models, "models.0.config.base_model"));
    close_to(number_at(models, "models.0.config.ngf"), 4, 0);
    char id[40];
    (void)snprintf(id, sizeof id, "%s", text_at(models, "models.0.job"));
    json_decref(models);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--json");
    json_t *report = json_loads(o.out, 0, NULL);
    const json_t *first = json_array_get(at(report, "history.validation_psnr"), 0);
    close_to(json_number_value(json_array_get(first, 0)), 0, 0); /* what the base had */
    json_decref(report);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "models", "cells", "--json");
    models = json_loads(o.out, 0, NULL);
    ck_assert(json_is_null(at(models, "models.0.base_model")));
    json_decref(models);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "train", "--name", "mine", "--base", "cells@1", "--pairs",
                "data/pairs.csv", "--set", "crop=32", "--dry-run", "--json");
    must_end(&o, 0, "");
    json_t *estimate = json_loads(o.out, 0, NULL);
    ck_assert_str_eq(text_at(estimate, "base_model"), "cells@1");
    json_decref(estimate);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "train", "--name", "mine", "--base", "cells", "--pairs",
                "data/pairs.csv", "--set", "ngf=8");
    must_end(&o, 5, "ngf is 8, but the base model cells@1 has 4; leave it out");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "train", "--name", "mine", "--base", "others", "--pairs",
                "data/pairs.csv");
    must_end(&o, 5, "there is no model 'others'");
    outcome_free(&o);
}
END_TEST

/* Submits with a filter and waits; the id of the job. */
static void filter_job(char *id)
{
    struct outcome o = DENOISE(folder, d.url, "submit", "data/scene01/frame_01.tif",
                               "--method", "median", "--radius", "1", "--wait");
    must_end(&o, 0, "denoise");
    (void)snprintf(id, 40, "%s", first_line(&o));
    ck_assert_msg(strncmp(id, "job_", 4) == 0, "%s", id);
    outcome_free(&o);
}

START_TEST(a_result_is_fetched_to_where_it_is_wanted)
{
    char id[40], path[64], *file = NULL;
    size_t length = 0;
    filter_job(id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", id);
    struct answer a = get(d.url, path);
    struct outcome o = DENOISE(folder, d.url, "fetch", id);
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "frame_01_denoised.tif\n");
    read_in_folder("frame_01_denoised.tif", &file, &length);
    ck_assert_uint_eq(length, a.length);
    ck_assert_mem_eq(file, a.body, length);
    den_free(file);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id);
    must_end(&o, 2, "frame_01_denoised.tif exists already; --force replaces it");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id, "--force", "-o", "data");
    must_end(&o, 0, "");
    ck_assert_str_eq(o.out, "data/frame_01_denoised.tif\n");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id, "-o", "-");
    must_end(&o, 0, "");
    ck_assert_uint_eq(o.out_length, a.length);
    ck_assert_mem_eq(o.out, a.body, a.length);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id, "-o", "no/such/folder.tif");
    must_end(&o, 2, "no/such/folder.tif cannot be written");
    outcome_free(&o);
    answer_free(&a);
}
END_TEST

START_TEST(a_filter_gets_its_options)
{
    char id[40], path[64];
    filter_job(id);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s", id);
    struct answer a = get(d.url, path);
    ck_assert_str_eq(text_at(a.json, "method"), "median");
    close_to(number_at(a.json, "config.radius"), 1, 0);
    answer_free(&a);
    struct outcome o = DENOISE(folder, d.url, "submit", "data/scene01/frame_01.tif",
                               "--method", "gaussian", "--sigma", "0.7", "--dry-run");
    must_end(&o, 0, "");
    ck_assert_msg(strncmp(o.out, "denoise: ", 9) == 0, "%s", o.out);
    outcome_free(&o);
    a = get(d.url, "/v1/jobs");
    ck_assert_uint_eq(json_array_size(at(a.json, "jobs")), 1); /* dry: no second one */
    answer_free(&a);
}
END_TEST

START_TEST(a_cancelled_job_gives_exit_status_1)
{
    struct outcome o = DENOISE(folder, d.url, "train", "--name", "long", "--pairs",
                               "data/pairs.csv", TINY, "iterations=1000000");
    must_end(&o, 0, "train");
    char id[40];
    (void)snprintf(id, sizeof id, "%s", first_line(&o));
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id);
    must_end(&o, 2, "; `denoise wait job_");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "status");
    must_end(&o, 0, "");
    ck_assert_ptr_nonnull(strstr(o.out, id));
    outcome_free(&o);
    o = DENOISE(folder, d.url, "cancel", id);
    must_end(&o, 0, "");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "wait", id);
    must_end(&o, 1, " is cancelled");
    ck_assert_ptr_nonnull(strstr(o.out, " cancelled\n"));
    outcome_free(&o);
    o = DENOISE(folder, d.url, "status", id);
    must_end(&o, 0, "");
    ck_assert_ptr_nonnull(strstr(o.out, "state      cancelled\n"));
    ck_assert_ptr_nonnull(strstr(o.out, "iterations = 1000000\n"));
    outcome_free(&o);
    o = DENOISE(folder, d.url, "status", "--kind", "train", "--state", "running");
    must_end(&o, 0, "");
    ck_assert_ptr_null(strstr(o.out, id));
    outcome_free(&o);
}
END_TEST

START_TEST(reports_are_printed_for_each_kind_of_job)
{
    char id[40];
    filter_job(id);
    struct outcome o = DENOISE(folder, d.url, "report", id);
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, "1 tiles, 0 clipped pixels\n") != NULL, "%s", o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id, "-o", "median.tif");
    must_end(&o, 0, "");
    outcome_free(&o);
    train("cells");
    o = DENOISE(folder, d.url, "status", "--json");
    json_t *jobs = json_loads(o.out, 0, NULL);
    (void)snprintf(id, sizeof id, "%s", text_at(jobs, "jobs.0.id"));
    json_decref(jobs);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id);
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, "train of cells@1, ") != NULL, "%s", o.out);
    ck_assert_msg(strstr(o.out, "\nloss_l1 ") != NULL, "%s", o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "report", id, "--markdown");
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, "# train of cells@1\n\nJob `job_") == o.out, "%s", o.out);
    ck_assert_msg(strstr(o.out, "\n| curve | points |") != NULL, "%s", o.out);
    ck_assert_msg(strstr(o.out, "\n|---|---:|---:|---:|---:|\n| ") != NULL, "%s", o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "fetch", id);
    must_end(&o, 2, "is a train job and has no image");
    outcome_free(&o);
}
END_TEST

START_TEST(frames_of_one_scene_train_without_a_clean_image)
{
    struct outcome o = DENOISE(folder, d.url, "train", "--name", "repeats", "--repeats",
                               "data/scene01/frame_01.tif", "data/scene01/frame_02.tif",
                               TINY, "iterations=5", "--wait");
    must_end(&o, 0, "2 noisy images, 1 scene (");
    ck_assert_str_eq(o.out, "repeats@1\n");
    outcome_free(&o);
    o = DENOISE(folder, d.url, "train", "--name", "one", "--noisy",
                "data/scene01/frame_01.tif", "data/scene01/frame_02.tif", "--clean",
                "data/scene01/clean.tif", TINY, "iterations=5", "--dry-run");
    must_end(&o, 0, "2 noisy images, 1 scene (3 files");
    ck_assert_msg(strncmp(o.out, "train: 5 steps, ", 16) == 0, "%s", o.out);
    outcome_free(&o);
}
END_TEST

static const struct {
    const char *args[8];
    const char *words;
} refused[] = {
    {{"submit", "data/pairs.csv", "--method", "median"},
     "data/pairs.csv: the file is no image of a known format; PNG and TIFF are read "
     "(unsupported, HTTP 415)"},
    {{"submit", "data/scene01/clean.tif", "--method", "magic"}, ", HTTP 422)"},
    {{"submit", "data/scene01/clean.tif", "--model", "none"}, ", HTTP 404)"},
    {{"submit", "data/scene01/clean.tif", "--method", "median", "--set", "x=1"},
     "\n  at /config/x"},
    {{"train", "--name", "m", "--pairs", "data/pairs.csv", "--set", "crop=9"},
     "\n  at /config/crop"},
    {{"train", "--name", "m", "--noisy", "data/scene01/frame_01.tif", "--clean",
      "odd.tif"},
     "\n  at /pairs/0/clean"},
    {{"train", "--name", "m", "--dataset", "set_00000000000000000000000000"},
     "(not_found, HTTP 404)"},
    {{"train", "--name", "m m", "--pairs", "data/pairs.csv"}, ", HTTP 422)"},
    {{"status", "job_00000000000000000000000000"}, "(not_found, HTTP 404)"},
    {{"wait", "job_00000000000000000000000000"}, "(not_found, HTTP 404)"},
    {{"status", "--state", "a b&c"}, "(malformed, HTTP 400)\n  at state"},
    {{"models", "none"}, "(not_found, HTTP 404)"},
    {{"report", "../../x"}, "'../../x' names nothing"},
};

START_TEST(what_the_server_refuses_is_told_with_code_and_pointer)
{
    struct outcome o = DENOISE(folder, NULL, "simulate", "odd", "--scenes=1",
                               "--frames=1", "--size=40x40");
    char from[160], to[160];
    must_end(&o, 0, "");
    outcome_free(&o);
    (void)snprintf(from, sizeof from, "%s/odd/scene01/clean.tif", folder);
    (void)snprintf(to, sizeof to, "%s/odd.tif", folder);
    ck_assert_int_eq(rename(from, to), 0);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        bool local = strstr(refused[i].words, "names nothing") != NULL;
        o = run_denoise(folder, d.url, refused[i].args);
        must_end(&o, local ? 2 : 5, refused[i].words);
        ck_assert_str_eq(o.out, "");
        outcome_free(&o);
    }
}
END_TEST

START_TEST(a_file_is_uploaded_once_and_methods_are_listed)
{
    for (int i = 0; i < 2; i++) {
        struct outcome o = DENOISE(folder, d.url, "submit", "data/scene01/frame_01.tif",
                                   "--method", "gaussian", "--dry-run");
        must_end(&o, 0, "");
        outcome_free(&o);
    }
    struct answer a = get(d.url, "/v1/images");
    ck_assert_uint_eq(json_array_size(at(a.json, "images")), 1);
    ck_assert_str_eq(text_at(a.json, "images.0.name"), "frame_01.tif");
    answer_free(&a);
    struct outcome o = DENOISE(folder, d.url, "methods", "--preset", "paper");
    must_end(&o, 0, "");
    static const char *const words[] = {"  gaussian ", "sigma = 1.5", "  cgan ",
                                        "  lambda_gan ", "preset paper"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        ck_assert_msg(strstr(o.out, words[i]) != NULL, "no '%s' in %s", words[i], o.out);
    outcome_free(&o);
    o = DENOISE(folder, d.url, "methods");
    must_end(&o, 0, "");
    ck_assert_ptr_nonnull(strstr(o.out, "of its time.  (default)\nfilters\n"));
    ck_assert_ptr_nonnull(strstr(o.out, "with the defaults of preset care_ssim\n"));
    outcome_free(&o);
    o = DENOISE(folder, d.url, "methods", "--preset", "none");
    must_end(&o, 2, "there is no preset 'none'");
    outcome_free(&o);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("cli_jobs");
    TCase *all = tcase_create("jobs");
    tcase_add_checked_fixture(all, setup, teardown);
    tcase_set_timeout(all, 120);
    tcase_add_test(all, a_model_is_trained_judged_and_used_by_the_client);
    tcase_add_test(all, a_narrow_terminal_shows_what_there_is_to_know);
    tcase_add_loop_test(all, folders_and_patterns_name_their_images, 0,
                        (int)(sizeof folders / sizeof folders[0]));
    tcase_add_test(all, a_result_is_called_as_the_file_that_was_given);
    tcase_add_test(all, no_result_replaces_another_of_the_same_run);
    tcase_add_test(all, one_bad_image_does_not_keep_the_rest_from_being_done);
    tcase_add_test(all, the_scores_are_those_that_were_asked_for);
    tcase_add_test(all, a_model_is_tuned_from_another);
    tcase_add_test(all, a_result_is_fetched_to_where_it_is_wanted);
    tcase_add_test(all, a_filter_gets_its_options);
    tcase_add_test(all, a_cancelled_job_gives_exit_status_1);
    tcase_add_test(all, reports_are_printed_for_each_kind_of_job);
    tcase_add_test(all, frames_of_one_scene_train_without_a_clean_image);
    tcase_add_test(all, what_the_server_refuses_is_told_with_code_and_pointer);
    tcase_add_test(all, a_file_is_uploaded_once_and_methods_are_listed);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
