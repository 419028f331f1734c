/* Small requests that ask for much are refused at once, and cost little. */
#include <string.h>

#include "bombs.h"
#include "client.h"
#include "clock.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "scene.h"
#include "watch.h"

enum { MOST_KIB = 64 * 1024, SEEN_KIB = 20 * 1024, BODY = 1 << 24 };
static const double REFUSED_S = 1.0, READ_S = 2.0;

static struct daemon d;
static char files[64];
static bool sanitized; /* everything is slower and larger */

static void setup(void)
{
    sanitized = test_sanitized();
    folder_make(files);
    scene_write(files, 1, 64, 1);
    daemon_start(&d, NULL);
}

static void teardown(void)
{
    daemon_remove(&d);
    folder_remove(files);
}

static void must_be_well(void)
{
    char good[128], id[32];
    (void)snprintf(good, sizeof good, "%s/clean1.tif", files);
    upload(d.url, good, id);
    ck_assert_uint_eq(family_look(d.pid).zombies, 0);
}

/* Sends it, and checks time, memory, and that a refusal is one in words. */
static void send_bomb(const char *name, bool refused, const char *path, const char *type,
                      const struct den_buf *body, const char *header)
{
    struct watch watch;
    char media[64];
    struct den_err err = DEN_ERR_INIT;
    must(den_buf_ok(body, &err));
    watch_start(&watch, d.pid);
    struct family before = family_look(d.pid);
    double start = den_monotonic_s();
    struct answer a = ask("POST", d.url, path, type, body->data, body->length, header);
    double seconds = den_monotonic_s() - start;
    long kib = watch_end(&watch);
    printf("%-46s %8zu bytes: %ld, %.3f s, %5ld KiB %.110s\n", name, body->length,
           a.status, seconds, kib, a.status >= 400 ? text_at(a.json, "detail") : "");
    (void)fflush(stdout);
    ck_assert_msg(a.status < 500, "%s: %ld %s", name, a.status, a.body);
    ck_assert_msg(a.status >= 400 || !refused, "%s: %ld", name, a.status);
    if (a.status >= 400) {
        ck_assert_str_eq(answer_header(&a, "Content-Type", media, sizeof media),
                         "application/problem+json");
        ck_assert_msg(strlen(text_at(a.json, "detail")) > 15, "%s: %s", name, a.body);
    }
    double limit = refused ? REFUSED_S : READ_S;
    ck_assert_msg(sanitized || family_was_quick(&before, d.pid, seconds, limit),
                  "%s took %.2f s", name, seconds);
    ck_assert_msg(sanitized || kib < MOST_KIB, "%s cost %ld KiB", name, kib);
    answer_free(&a);
}

START_TEST(files_that_ask_for_much_are_cheap)
{
    for (const struct bomb *bomb = bombs; bomb->name != NULL; bomb++) {
        struct den_buf body;
        den_buf_init(&body, BODY);
        bomb->make(&body);
        send_bomb(bomb->name, bomb->refused, "/v1/images", "application/octet-stream",
                  &body, NULL);
        den_buf_release(&body);
    }
    must_be_well();
}
END_TEST

START_TEST(the_watch_sees_a_page_of_25_megabytes)
{
    struct watch watch;
    struct den_buf body;
    den_buf_init(&body, BODY);
    bomb_large_page(&body, 5000);
    watch_start(&watch, d.pid);
    struct answer a = ask("POST", d.url, "/v1/images", "application/octet-stream",
                          body.data, body.length, NULL);
    long kib = watch_end(&watch);
    ck_assert_msg(a.status == 201, "%ld %s", a.status, a.body);
    ck_assert_msg(kib > SEEN_KIB, "saw only %ld KiB", kib);
    answer_free(&a);
    den_buf_release(&body);
}
END_TEST

START_TEST(requests_that_ask_for_much_are_refused)
{
    struct den_buf body;
    den_buf_init(&body, BODY);
    /* Refused by its head: it must be short enough to be sent before that is heard. */
    bomb_gzip(&body, (size_t)1 << 21);
    send_bomb("gzip of 2 MiB as an image", true, "/v1/images", "application/octet-stream",
              &body, "Content-Encoding: gzip");
    send_bomb("gzip of 2 MiB as JSON", true, "/v1/jobs", "application/json", &body,
              "Content-Encoding: gzip");
    den_buf_clear(&body);
    for (int i = 0; i < 500000; i++)
        den_buf_puts(&body, "[");
    send_bomb("JSON 500,000 deep", true, "/v1/jobs", "application/json", &body, NULL);
    den_buf_clear(&body);
    den_buf_puts(&body, "{\"kind\":\"");
    for (int i = 0; i < 900000; i++)
        den_buf_puts(&body, "x");
    den_buf_puts(&body, "\"}");
    send_bomb("JSON of one long text", true, "/v1/jobs", "application/json", &body, NULL);
    den_buf_clear(&body);
    den_buf_puts(&body, "{\"kind\":\"denoise\"");
    for (int i = 0; i < 60000; i++)
        den_buf_printf(&body, ",\"k%d\":{}", i);
    den_buf_puts(&body, "}");
    send_bomb("JSON of 60,000 members", true, "/v1/jobs", "application/json", &body,
              NULL);
    den_buf_release(&body);
    must_be_well();
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("bombs");
    TCase *tc = tcase_create("bombs");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_test(tc, files_that_ask_for_much_are_cheap);
    tcase_add_test(tc, the_watch_sees_a_page_of_25_megabytes);
    tcase_add_test(tc, requests_that_ask_for_much_are_refused);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
