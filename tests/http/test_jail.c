/* The daemon decodes in its jail or, unless told so, not at all. */

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "folder.h"
#include "fs.h"
#include "processes.h"
#include "scene.h"
#include "story.h"

static struct daemon d;
static char files[64], image[128];

static void start(const char *const *arguments)
{
    /* What a daemon leaves behind becomes a child of the test. */
    ck_assert_int_eq(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 0);
    daemon_start(&d, arguments);
    folder_make(files);
    scene_write(files, 1, 96, 1);
    (void)snprintf(image, sizeof image, "%s/noisy1_0.tif", files);
}

static void end(void)
{
    daemon_remove(&d);
    folder_remove(files);
}

static bool log_has(const char *words)
{
    struct den_err err = DEN_ERR_INIT;
    char *text = NULL;
    size_t length = 0;
    must(den_fs_read(d.log, 1 << 24, &text, &length, &err));
    bool found = strstr(text, words) != NULL;
    den_free(text);
    return found;
}

START_TEST(decoders_are_forked_by_one_process_that_ends_with_the_daemon)
{
    pid_t nursery = 0, decoder = 0;
    char id[32];
    start(NULL);
    ck_assert_uint_eq(children_of(d.pid, &nursery), 1);
    upload(d.url, image, id);
    ck_assert_uint_eq(children_of(nursery, &decoder), 0); /* none stays */
    ck_assert_int_eq(daemon_stop(&d), 0);
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
    end();
}
END_TEST

START_TEST(without_its_jail_the_daemon_decodes_nothing)
{
    pid_t nursery = 0;
    start(NULL);
    ck_assert_uint_eq(children_of(d.pid, &nursery), 1);
    ck_assert_int_eq(kill(nursery, SIGKILL), 0);
    size_t before = daemon_files(&d);
    for (int i = 0; i < 3; i++) {
        struct answer a = post_file(d.url, "/v1/images?name=a.tif", image);
        ck_assert_int_eq(a.status, 500);
        ck_assert_str_eq(text_at(a.json, "code"), "internal");
        answer_free(&a);
    }
    struct answer a = get(d.url, "/v1/images"); /* all else is served */
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    ck_assert_uint_eq(daemon_files(&d), before);
    ck_assert_int_eq(daemon_stop(&d), 0);
    end();
}
END_TEST

START_TEST(decoding_without_a_jail_has_to_be_asked_for)
{
    const char *const arguments[] = {"--jail", "off", NULL};
    pid_t none = 0;
    char id[32];
    start(arguments);
    ck_assert_uint_eq(children_of(d.pid, &none), 0);
    upload(d.url, image, id);
    ck_assert(log_has("event=jail_off"));
    end();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("jail");
    TCase *tcase = tcase_create("jail");
    tcase_set_timeout(tcase, 30);
    tcase_add_test(tcase, decoders_are_forked_by_one_process_that_ends_with_the_daemon);
    tcase_add_test(tcase, without_its_jail_the_daemon_decodes_nothing);
    tcase_add_test(tcase, decoding_without_a_jail_has_to_be_asked_for);
    suite_add_tcase(suite, tcase);
    return den_check_main(suite);
}
