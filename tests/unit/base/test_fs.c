/* Files: whole or not at all. */

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "den_check.h"
#include "fs.h"
#include "mem.h"
#include "str.h"

static char folder[64];

static void make_folder(void)
{
    den_str_copy(folder, sizeof folder, "/tmp/den_test_fs_XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void remove_folder(void)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_remove_tree(folder, &err));
    ck_assert_uint_eq(den_mem_live(), 0);
}

/* folder/name, good until the next eight calls. */
static const char *in_folder(const char *name)
{
    static char paths[8][512];
    static size_t next;
    char *path = paths[next++ % 8];
    ck_assert(den_str_format(path, sizeof paths[0], "%s/%s", folder, name));
    return path;
}

static void check_content(const char *name, const char *want)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    size_t length = 0;
    must(den_fs_read(in_folder(name), 1 << 20, &data, &length, &err));
    ck_assert_str_eq(data, want);
    ck_assert_uint_eq(length, strlen(want));
    den_free(data);
}

START_TEST(a_mapped_file_stays_readable_when_it_is_replaced_or_removed)
{
    enum { SIZE = 3 * 4096 + 100 };
    static char bytes[SIZE];
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    size_t length = 0;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 31 % 127);
    must(den_fs_write(in_folder("m"), bytes, SIZE, &err));
    must_fail(den_fs_map(in_folder("m"), SIZE - 1, &data, &length, &err), DEN_E_TOO_LARGE,
              "");
    must_fail(den_fs_map(in_folder("none"), SIZE, &data, &length, &err), DEN_E_NOT_FOUND,
              "");
    ck_assert_ptr_null(data);
    must(den_fs_map(in_folder("m"), SIZE, &data, &length, &err));
    ck_assert_uint_eq(length, SIZE);
    ck_assert_mem_eq(data, bytes, SIZE);
    must(den_fs_write(in_folder("m"), "", 0, &err));
    den_fs_unload(data + 5000, SIZE - 5000);
    den_fs_unload(data, 0);
    ck_assert_mem_eq(data, bytes, SIZE);
    den_fs_unmap(data, length);
    must(den_fs_map(in_folder("m"), SIZE, &data, &length, &err));
    ck_assert_uint_eq(length, 0);
    den_fs_unmap(data, length);
}
END_TEST

START_TEST(a_file_is_written_replaced_and_read_back)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_write(in_folder("a"), "old", 3, &err));
    check_content("a", "old");
    must(den_fs_write(in_folder("a"), "newer", 5, &err));
    check_content("a", "newer");
    must(den_fs_write(in_folder("b"), "", 0, &err));
    check_content("b", "");
    struct stat info;
    ck_assert_int_eq(stat(in_folder("a"), &info), 0);
    ck_assert_uint_eq(info.st_mode & 0777, 0600);
}
END_TEST

START_TEST(a_name_without_a_folder_is_written_here)
{
    struct den_err err = DEN_ERR_INIT;
    ck_assert_int_eq(chdir(folder), 0);
    must(den_fs_write("a", "here", 4, &err));
    check_content("a", "here");
    ck_assert_int_eq(chdir("/"), 0);
}
END_TEST

/* From here on this process cannot write files longer than size. */
static void limit_file_size(rlim_t size)
{
    struct rlimit limit;
    signal(SIGXFSZ, SIG_IGN); /* write(2) then fails with EFBIG */
    ck_assert_int_eq(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size;
    ck_assert_int_eq(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

START_TEST(a_write_that_fails_half_way_leaves_the_old_file)
{
    struct den_err err = DEN_ERR_INIT;
    static char big[100000];
    must(den_fs_write(in_folder("a"), "old", 3, &err));
    limit_file_size(1000);
    bool done = den_fs_write(in_folder("a"), big, sizeof big, &err);
    limit_file_size(RLIM_INFINITY);
    ck_assert(!done);
    ck_assert_int_eq(err.code, DEN_E_IO);
    ck_assert_int_eq(err.sys, EFBIG);
    ck_assert_ptr_null(strstr(err.text, folder)); /* no path in what a user reads */
    check_content("a", "old");
    ck_assert_int_eq(rmdir(folder), -1);
    must(den_fs_remove(in_folder("a"), &err));
    ck_assert_int_eq(rmdir(folder), 0); /* so no temporary file was left */
    ck_assert_int_eq(mkdir(folder, 0700), 0);
}
END_TEST

START_TEST(a_write_that_runs_out_of_memory_leaves_the_old_file)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_write(in_folder("a"), "old", 3, &err));
    den_mem_fail_at(1);
    must_fail(den_fs_write(in_folder("a"), "new", 3, &err), DEN_E_NO_MEMORY, "memory");
    check_content("a", "old");
}
END_TEST

START_TEST(a_full_disk_is_told_as_such)
{
    struct den_err err = DEN_ERR_INIT;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        printf("skipped: %s (no /dev/full)\n", __func__);
        return;
    }
    must_fail(den_fs_write_fd(fd, "x", 1, &err), DEN_E_DISK_FULL, "space");
    close(fd);
}
END_TEST

static void on_alarm(int number)
{
    (void)number;
}

/* Writes the data while a signal interrupts every millisecond: write(2) then comes back
 * short, or with EINTR. */
static void write_interrupted(int fd, const char *data, size_t size)
{
    struct den_err err = DEN_ERR_INIT;
    struct sigaction action = {.sa_handler = on_alarm}; /* no SA_RESTART */
    struct itimerval timer = {.it_interval = {.tv_usec = 1000},
                              .it_value = {.tv_usec = 1000}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &timer, NULL);
    _exit(den_fs_write_fd(fd, data, size, &err) ? 0 : 1);
}

START_TEST(an_interrupted_write_is_continued)
{
    enum { SIZE = 1 << 20 };
    static char data[SIZE];
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (char)(i * 31 >> 4);
    int ends[2], status = -1;
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t child = fork();
    if (child == 0)
        write_interrupted(ends[1], data, SIZE);
    close(ends[1]);
    size_t total = 0;
    char piece[3000];
    for (ssize_t got; (got = read(ends[0], piece, sizeof piece)) > 0;) {
        ck_assert_mem_eq(piece, data + total, (size_t)got);
        total += (size_t)got;
        usleep(total < 30000 ? 5000 : 100); /* a full pipe holds the writer in write(2) */
    }
    ck_assert_uint_eq(total, SIZE);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    close(ends[0]);
}
END_TEST

START_TEST(a_file_above_the_maximum_is_not_read)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    size_t length = 77;
    must(den_fs_write(in_folder("a"), "0123456789", 10, &err));
    must_fail(den_fs_read(in_folder("a"), 9, &data, &length, &err), DEN_E_TOO_LARGE,
              "9 bytes");
    ck_assert_ptr_null(data);
    ck_assert_uint_eq(length, 77);
    must(den_fs_read(in_folder("a"), 10, &data, &length, &err));
    ck_assert_uint_eq(length, 10);
    den_free(data);
}
END_TEST

START_TEST(a_file_longer_than_it_says_is_read_to_its_end)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    size_t length = 0;
    uint64_t size = 1;
    /* Files in /proc have size 0 and content. */
    must(den_fs_size("/proc/self/status", &size, &err));
    ck_assert_uint_eq(size, 0);
    must(den_fs_read("/proc/self/status", 1 << 20, &data, &length, &err));
    ck_assert_uint_gt(length, 100);
    ck_assert_uint_eq(strlen(data), length);
    den_free(data);
    data = NULL;
    must_fail(den_fs_read("/proc/self/status", 50, &data, &length, &err), DEN_E_TOO_LARGE,
              "50 bytes");
    ck_assert_ptr_null(data);
}
END_TEST

START_TEST(what_is_not_a_file_is_refused_at_once)
{
    struct den_err err = DEN_ERR_INIT;
    char *data = NULL;
    size_t length;
    must_fail(den_fs_read(in_folder("none"), 10, &data, &length, &err), DEN_E_NOT_FOUND,
              "No such file");
    must_fail(den_fs_read(folder, 10, &data, &length, &err), DEN_E_INVALID,
              "not a regular file");
    ck_assert_int_eq(mkfifo(in_folder("pipe"), 0600), 0);
    must_fail(den_fs_read(in_folder("pipe"), 10, &data, &length, &err), DEN_E_INVALID,
              "not a regular file"); /* and does not wait for a writer */
}
END_TEST

START_TEST(folders_are_made_with_their_parents)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_mkdirs(in_folder("a/b/c"), 0700, &err));
    must(den_fs_mkdirs(in_folder("a/b/c"), 0700, &err));
    must(den_fs_mkdirs(in_folder("a//b/d/"), 0700, &err));
    ck_assert(den_fs_exists(in_folder("a/b/c")));
    ck_assert(den_fs_exists(in_folder("a/b/d")));
    must(den_fs_write(in_folder("file"), "x", 1, &err));
    must_fail(den_fs_mkdirs(in_folder("file"), 0700, &err), DEN_E_IO, "File exists");
    must_fail(den_fs_mkdirs(in_folder("file/x"), 0700, &err), DEN_E_IO, "");
    must_fail(den_fs_mkdirs("", 0700, &err), DEN_E_NOT_FOUND, "");
}
END_TEST

START_TEST(a_renamed_file_is_at_its_new_name_alone)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_write(in_folder("a"), "text", 4, &err));
    must(den_fs_rename_durable(in_folder("a"), in_folder("b"), &err));
    check_content("b", "text");
    ck_assert(!den_fs_exists(in_folder("a")));
    must_fail(den_fs_rename_durable(in_folder("a"), in_folder("b"), &err),
              DEN_E_NOT_FOUND, "renamed");
    check_content("b", "text");
}
END_TEST

START_TEST(removing_twice_is_no_error)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_write(in_folder("a"), "x", 1, &err));
    must(den_fs_remove(in_folder("a"), &err));
    must(den_fs_remove(in_folder("a"), &err));
    ck_assert(!den_fs_exists(in_folder("a")));
    must_fail(den_fs_remove(folder, &err), DEN_E_IO, "removed");
}
END_TEST

START_TEST(a_tree_is_removed_without_following_links)
{
    struct den_err err = DEN_ERR_INIT;
    must(den_fs_mkdirs(in_folder("kept"), 0700, &err));
    must(den_fs_write(in_folder("kept/file"), "x", 1, &err));
    must(den_fs_mkdirs(in_folder("tree/deep/deeper"), 0700, &err));
    must(den_fs_write(in_folder("tree/deep/file"), "x", 1, &err));
    ck_assert_int_eq(symlink(in_folder("kept"), in_folder("tree/link")), 0);
    must(den_fs_remove_tree(in_folder("tree"), &err));
    ck_assert(!den_fs_exists(in_folder("tree")));
    check_content("kept/file", "x");
    must(den_fs_remove_tree(in_folder("tree"), &err));
}
END_TEST

START_TEST(sizes_are_told)
{
    struct den_err err = DEN_ERR_INIT;
    uint64_t size = 0;
    must(den_fs_write(in_folder("a"), "12345", 5, &err));
    must(den_fs_size(in_folder("a"), &size, &err));
    ck_assert_uint_eq(size, 5);
    must_fail(den_fs_size(in_folder("b"), &size, &err), DEN_E_NOT_FOUND, "size");
    must(den_fs_free_bytes(folder, &size, &err));
    ck_assert_uint_gt(size, 5);
    must_fail(den_fs_free_bytes(in_folder("b"), &size, &err), DEN_E_NOT_FOUND, "space");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fs");
    TCase *all = tcase_create("fs");
    tcase_add_checked_fixture(all, make_folder, remove_folder);
    tcase_add_test(all, a_file_is_written_replaced_and_read_back);
    tcase_add_test(all, a_mapped_file_stays_readable_when_it_is_replaced_or_removed);
    tcase_add_test(all, a_name_without_a_folder_is_written_here);
    tcase_add_test(all, a_write_that_fails_half_way_leaves_the_old_file);
    tcase_add_test(all, a_write_that_runs_out_of_memory_leaves_the_old_file);
    tcase_add_test(all, a_full_disk_is_told_as_such);
    tcase_add_test(all, an_interrupted_write_is_continued);
    tcase_add_test(all, a_file_above_the_maximum_is_not_read);
    tcase_add_test(all, a_file_longer_than_it_says_is_read_to_its_end);
    tcase_add_test(all, what_is_not_a_file_is_refused_at_once);
    tcase_add_test(all, folders_are_made_with_their_parents);
    tcase_add_test(all, a_renamed_file_is_at_its_new_name_alone);
    tcase_add_test(all, removing_twice_is_no_error);
    tcase_add_test(all, a_tree_is_removed_without_following_links);
    tcase_add_test(all, sizes_are_told);
    suite_add_tcase(suite, all);
    return den_check_main(suite);
}
