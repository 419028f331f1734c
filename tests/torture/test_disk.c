/* A disk that is full to the last blocks: the daemon neither dies nor promises what it
 * cannot keep, and goes on when there is room again. */

#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "client.h"
#include "daemon.h"
#include "den_check.h"
#include "folder.h"
#include "fs.h"
#include "loop_disk.h"
#include "scene.h"

enum { LEFT_MAX = 64, SHORT_STEP = 9, BLOCK = 4096 };

static struct loop_disk disk;
static struct daemon d;
static char files[64];

static void write_images(void)
{
    folder_make(files);
    scene_write(files, 1, 64, LEFT_MAX + 2); /* 8 KiB each: some fit, some do not */
}

static void start(const char *const *args)
{
    memset(&d, 0, sizeof d);
    (void)snprintf(d.state, sizeof d.state, "%.40s/state", disk.mount);
    (void)snprintf(d.log, sizeof d.log, "%s/log", files);
    daemon_restart(&d, args);
}

static bool put_block(int fd)
{
    static const char zeros[BLOCK];
    /* Synced: what the file system only promised is then taken. */
    return write(fd, zeros, BLOCK) == BLOCK && fsync(fd) == 0;
}

/* Fills the disk to the last block, and gives so many back. */
static void fill(size_t blocks)
{
    char path[128];
    struct stat info;
    (void)snprintf(path, sizeof path, "%s/filler", disk.mount);
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    ck_assert_int_ge(fd, 0);
    ck_assert_int_eq(fstat(fd, &info), 0);
    for (off_t piece = (off_t)64 << 20; piece >= BLOCK;)
        if (fallocate(fd, 0, info.st_size, piece) == 0)
            info.st_size += piece;
        else
            piece /= 2;
    ck_assert_int_eq(ftruncate(fd, info.st_size), 0);
    while (put_block(fd))
        info.st_size += BLOCK;
    if (info.st_size > (off_t)(blocks * BLOCK))
        info.st_size -= (off_t)(blocks * BLOCK);
    ck_assert_int_eq(ftruncate(fd, info.st_size), 0);
    (void)fsync(fd);
    ck_assert_int_eq(close(fd), 0);
}

static void empty(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/filler", disk.mount);
    ck_assert_int_eq(unlink(path), 0);
    int fd = open(disk.mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    ck_assert(fd >= 0 && syncfs(fd) == 0); /* freed blocks come back with the journal */
    ck_assert_int_eq(close(fd), 0);
}

static struct answer try_image(unsigned k)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/noisy1_%u.tif", files, k);
    return post_file(d.url, "/v1/images?name=a.tif", path);
}

static struct answer try_job(const char *image)
{
    char body[160];
    (void)snprintf(body, sizeof body,
                   "{\"kind\":\"denoise\",\"image\":\"%s\",\"method\":\"median\"}",
                   image);
    return post_json(d.url, "/v1/jobs", body);
}

static void is_alive(const char *image)
{
    char path[64];
    (void)snprintf(path, sizeof path, "/v1/images/%s/content", image);
    struct answer a = get(d.url, "/healthz");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    a = get(d.url, path);
    ck_assert_msg(a.status == 200, "%s: %ld", image, a.status);
    answer_free(&a);
}

struct tally {
    size_t points, images, refused, jobs;
};

/* With so many blocks left, then with room again. */
static void fill_once(size_t left, unsigned k, const char *first, struct tally *tally)
{
    char job[32] = "";
    fill(left);
    struct answer a = try_image(k);
    ck_assert_msg(a.status == 201 || a.status == 507, "%zu blocks: %ld %s", left,
                  a.status, a.body);
    char image[32];
    bool taken = a.status == 201;
    (void)snprintf(image, sizeof image, "%s", text_at(a.json, "id"));
    answer_free(&a);
    a = try_job(first);
    ck_assert_msg(a.status == 202 || a.status == 507, "%zu blocks: %ld %s", left,
                  a.status, a.body);
    if (a.status == 202)
        (void)snprintf(job, sizeof job, "%s", text_at(a.json, "id"));
    answer_free(&a);
    is_alive(first);
    empty();
    if (taken)
        is_alive(image);
    if (job[0] != '\0') { /* it may have ended badly, for want of room, but it ended */
        json_t *row = wait_job(d.url, job, 60);
        ck_assert_msg(strcmp(text_at(row, "state"), "succeeded") == 0 ||
                          strstr(text_at(row, "error.code"), "disk") != NULL,
                      "%s: %s", text_at(row, "state"), text_at(row, "error.code"));
        json_decref(row);
    }
    a = try_image(k);
    ck_assert_msg(a.status == (taken ? 200 : 201), "healed after %zu blocks: %ld %s",
                  left, a.status, a.body);
    answer_free(&a);
    tally->points++;
    tally->images += taken;
    tally->refused += !taken;
    tally->jobs += job[0] != '\0';
}

static const char *const kinds[] = {"ext4", "xfs"};

static bool have_disk(const char *kind, const char *test)
{
    const char *missing = loop_disk_missing(kind);
    if (missing != NULL) {
        printf("skipped: %s on %s (%s)\n", test, kind, missing);
        return false;
    }
    loop_disk_make(&disk, kind, strcmp(kind, "xfs") == 0 ? 320 : 64);
    write_images();
    return true;
}

static void teardown(void)
{
    if (d.pid != 0)
        daemon_kill(&d);
    loop_disk_remove(&disk);
    if (files[0] != '\0')
        folder_remove(files);
}

START_TEST(a_full_disk_is_told_and_got_over)
{
    static const char *const args[] = {
        "--min_free_mib", "0", "--ballast_mib", "0", "--retry_seconds", "0.2", NULL};
    struct tally tally = {0};
    const char *kind = kinds[_i];
    char first[32];
    if (!have_disk(kind, __func__))
        return;
    start(args);
    struct answer a = try_image(LEFT_MAX + 1);
    ck_assert_int_eq(a.status, 201);
    (void)snprintf(first, sizeof first, "%s", text_at(a.json, "id"));
    answer_free(&a);
    pid_t pid = d.pid;
    for (unsigned left = 0; left <= LEFT_MAX; left += test_full() ? 1 : SHORT_STEP)
        fill_once(left, left, first, &tally);
    ck_assert_int_eq(d.pid, pid);
    printf("%s: %zu times full, %zu uploads taken, %zu refused with 507, %zu jobs taken, "
           "healed each time\n",
           kind, tally.points, tally.images, tally.refused, tally.jobs);
    ck_assert_uint_gt(tally.refused, 0);
    ck_assert_int_eq(daemon_stop(&d), 0);
}
END_TEST

static bool ballast_there(void)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/denoised.db.ballast", d.state);
    return den_fs_exists(path);
}

/* Jobs that were taken end although the disk is full: the ballast makes room for them.
 * Below the mark uploads are refused before, and readiness says why. */
START_TEST(a_nearly_full_disk_takes_no_uploads_but_finishes_jobs)
{
    static const char *const args[] = {"--min_free_mib", "8", "--ballast_mib", "4", NULL};
    const char *kind = kinds[_i];
    char image[32];
    if (!have_disk(kind, __func__))
        return;
    start(args);
    struct answer a = try_image(0);
    ck_assert_int_eq(a.status, 201);
    (void)snprintf(image, sizeof image, "%s", text_at(a.json, "id"));
    answer_free(&a);
    for (int tries = 0; !ballast_there() && tries < 100; tries++)
        (void)usleep(50000);
    ck_assert(ballast_there());
    fill(256);
    a = try_image(1);
    ck_assert_int_eq(a.status, 507);
    ck_assert_msg(strstr(a.body, "nearly full") != NULL, "%s", a.body);
    answer_free(&a);
    a = get(d.url, "/readyz");
    ck_assert_msg(a.status == 503 && strstr(a.body, "nearly full") != NULL, "%ld %s",
                  a.status, a.body);
    answer_free(&a);
    fill(0);
    for (int tries = 0; ballast_there();
         tries++) { /* until the log of the database fills */
        ck_assert_int_lt(tries, 2000);
        a = try_job(image);
        answer_free(&a);
    }
    a = try_job(image);
    ck_assert_msg(a.status == 202, "after the ballast was given up: %ld %s", a.status,
                  a.body);
    json_decref(wait_success(d.url, text_at(a.json, "id"), 60));
    answer_free(&a);
    empty();
    a = get(d.url, "/readyz");
    ck_assert_int_eq(a.status, 200);
    answer_free(&a);
    a = try_image(1);
    ck_assert_int_eq(a.status, 201);
    answer_free(&a);
    ck_assert_int_eq(daemon_stop(&d), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("disk");
    TCase *tc = tcase_create("disk");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, test_full() ? 900 : 180);
    tcase_add_loop_test(tc, a_full_disk_is_told_and_got_over, 0, 2);
    tcase_add_loop_test(tc, a_nearly_full_disk_takes_no_uploads_but_finishes_jobs, 0, 2);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
