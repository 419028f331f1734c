/* What an operator does with a copy of the state: made while the daemon works, put in the
 * place of the state, and started. */

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fs.h"
#include "mem.h"
#include "program.h"
#include "story.h"

static struct story s;
static char copy[96];

static void setup(void)
{
    story_start(&s, NULL);
    (void)snprintf(copy, sizeof copy, "%s-copy", s.daemon.state);
}

static void teardown(void)
{
    struct den_err err = DEN_ERR_INIT;
    story_end(&s);
    if (den_fs_exists(copy))
        must(den_fs_remove_tree(copy, &err));
}

static struct outcome operate(const char *command, const char *folder, const char *state)
{
    char program[256];
    const char *argv[6] = {built("denoised", program, sizeof program), command};
    int n = 2;
    if (folder != NULL)
        argv[n++] = folder;
    argv[n++] = "--state";
    argv[n++] = state;
    return run_program(NULL, NULL, argv);
}

static void must_operate(const char *command, const char *folder, const char *state)
{
    struct outcome o = operate(command, folder, state);
    ck_assert_msg(o.status == 0, "%s: exit %d: %s%s", command, o.status, o.out, o.err);
    outcome_free(&o);
}

static char *body_of(const char *path)
{
    struct answer a = get(s.daemon.url, path);
    ck_assert_msg(a.status == 200, "%s: %ld %s", path, a.status, a.body);
    char *body = strdup(a.body);
    ck_assert_ptr_nonnull(body);
    answer_free(&a);
    return body;
}

/* The state as it was goes aside, as an operator would keep it until all is well. */
static void put_copy_in_place(void)
{
    char aside[96];
    struct den_err err = DEN_ERR_INIT;
    (void)snprintf(aside, sizeof aside, "%s-old", s.daemon.state);
    ck_assert_int_eq(rename(s.daemon.state, aside), 0);
    ck_assert_int_eq(rename(copy, s.daemon.state), 0);
    must(den_fs_remove_tree(aside, &err));
}

static void upload_one_more(char *id)
{
    char path[128];
    scene_write(s.files, 9, 64, 1);
    (void)snprintf(path, sizeof path, "%s/noisy9_0.tif", s.files);
    upload(s.daemon.url, path, id);
}

START_TEST(a_restored_server_is_that_of_the_backups_moment)
{
    static const char *const lists[] = {"/v1/images", "/v1/datasets", "/v1/models",
                                        "/v1/jobs"};
    enum { LISTS = sizeof lists / sizeof *lists };
    char *before[LISTS], job[32], again[32], late[32], path[96];
    story_train_with(&s, "cells",
                     "\"preset\":\"cpu\",\"config\":{" TINY ",\"iterations\":2}");
    story_denoise(&s, "\"model\":\"cells\"", job);
    (void)snprintf(path, sizeof path, "/v1/jobs/%s/result", job);
    struct answer result = get(s.daemon.url, path);
    ck_assert_int_eq(result.status, 200);
    for (int i = 0; i < LISTS; i++)
        before[i] = body_of(lists[i]);
    must_operate("backup", copy, s.daemon.state);
    upload_one_more(late);
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    put_copy_in_place();
    must_operate("check", NULL, s.daemon.state);
    daemon_restart(&s.daemon, NULL);
    for (int i = 0; i < LISTS; i++) {
        char *after = body_of(lists[i]);
        ck_assert_str_eq(after, before[i]);
        free(after);
        free(before[i]);
    }
    struct answer same = get(s.daemon.url, path);
    ck_assert_int_eq(same.status, 200);
    ck_assert_uint_eq(same.length, result.length);
    ck_assert_mem_eq(same.body, result.body, result.length);
    story_denoise(&s, "\"model\":\"cells\"", again); /* the model is not only listed */
    answer_free(&same);
    answer_free(&result);
}
END_TEST

static void tries(const char *flag, const char *value, const char *says)
{
    char program[256];
    struct outcome o = run_program(
        NULL, NULL,
        (const char *const[]){built("denoised", program, sizeof program), "check", "--gc",
                              "--dry-run", "--state", s.daemon.state, flag, value, NULL});
    must_end(&o, 0, "");
    ck_assert_msg(strstr(o.out, says) != NULL, "%s is not in: %s", says, o.out);
    outcome_free(&o);
}

/* What was said to the command counts, then what its daemon goes by. */
START_TEST(retention_can_be_tried_with_and_without_the_daemon)
{
    char id[32];
    static const char *const flags[] = {"--retention_days", "30", NULL};
    upload_one_more(id);
    tries(NULL, NULL, "retention: retention_days is 0, nothing is deleted by age\n");
    tries("--retention_days", "7",
          "retention: 0 jobs and 0 images, 0 bytes to delete (retention_days = 7)\n");
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    tries(NULL, NULL, "retention: retention_days is 0, nothing is deleted by age\n");
    tries("--retention_days", "8", "to delete (retention_days = 8)\n");
    daemon_restart(&s.daemon, flags);
    tries(NULL, NULL, "to delete (retention_days = 30)\n");
    tries("--retention_days", "9", "to delete (retention_days = 9)\n");
    tries("--retention_days", "0", "retention_days is 0");
}
END_TEST

/* Layouts only grow: a program that is too old for the database leaves it alone. */
START_TEST(an_older_program_refuses_a_newer_database)
{
    struct den_err err = DEN_ERR_INIT;
    char path[96], *log = NULL;
    size_t length = 0;
    sqlite3 *db = NULL;
    ck_assert_int_eq(daemon_stop(&s.daemon), 0);
    (void)snprintf(path, sizeof path, "%s/denoised.db", s.daemon.state);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "PRAGMA user_version = 1000", NULL, NULL, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    ck_assert_int_eq(daemon_try(&s.daemon, NULL), 1);
    must(den_fs_read(s.daemon.log, 1 << 20, &log, &length, &err));
    ck_assert_msg(strstr(log, "has layout 1000 and this program knows") != NULL, "%s",
                  log);
    den_free(log);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("backup");
    TCase *tc = tcase_create("backup");
    tcase_set_timeout(tc, 60);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, a_restored_server_is_that_of_the_backups_moment);
    tcase_add_test(tc, retention_can_be_tried_with_and_without_the_daemon);
    tcase_add_test(tc, an_older_program_refuses_a_newer_database);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
