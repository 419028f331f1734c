/* Copies of a state folder, a check of all its files, and an end to what nobody needs. */

#include <fcntl.h>
#include <poll.h>
#include <sqlite3.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include "ballast.h"
#include "command_case.h"
#include "control.h"

static char said[8192];

static bool say(void *context, const char *line)
{
    size_t used = strlen(said);
    (void)context;
    (void)snprintf(said + used, sizeof said - used, "%s\n", line);
    return true;
}

static size_t check(void)
{
    struct den_err err = DEN_ERR_INIT;
    size_t wrong = 99;
    said[0] = '\0';
    must(den_service_check(service, say, NULL, &wrong, &err));
    return wrong;
}

static void blob_of(const char *sha256, char *path)
{
    den_blobs_path(den_service_blobs(service), sha256, path, PATH_MAX);
}

static void make_old(const char *path)
{
    const struct timespec times[2] = {{.tv_sec = 1}, {.tv_sec = 1}};
    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

static void put_blob(const char *text, char *sha256)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH_MAX];
    uint64_t bytes;
    den_blobs_temporary(den_service_blobs(service), path, sizeof path);
    must(den_fs_write(path, text, strlen(text), &err));
    must(den_blobs_take(den_service_blobs(service), path, NULL, sha256, &bytes, &err));
}

static bool blob_there(const char *sha256)
{
    char path[PATH_MAX];
    blob_of(sha256, path);
    return den_fs_exists(path);
}

/* ---- backup ---- */

START_TEST(a_daemon_starts_on_a_copy_made_while_others_write)
{
    struct den_err err = DEN_ERR_INIT;
    char copy[96], state[64];
    struct den_image_row row = add_frame(1, 0), later, got;
    struct den_dataset_row set = add_pairs("pairs"), got_set;
    (void)snprintf(copy, sizeof copy, "%s-copy", folder);
    must(den_service_backup(service, copy, say, NULL, &err));
    later = add_frame(9, 5);
    must(den_service_delete_image(service, DEN_OWNER_LOCAL, later.id, &err));
    close_all();
    (void)snprintf(state, sizeof state, "%s", folder);
    assign(folder, copy);
    open_with(usual_config());
    must(kind->image_get(store, DEN_OWNER_LOCAL, row.id, &got, &err));
    must(kind->dataset_get(store, DEN_OWNER_LOCAL, set.id, &got_set, &err));
    ck_assert(blob_there(row.sha256));
    ck_assert(!kind->image_get(store, DEN_OWNER_LOCAL, later.id, &got, NULL));
    ck_assert_uint_eq(check(), 0);
    ck_assert_msg(strstr(said, "0 of them without a row; 0 wrong") != NULL, "%s", said);
    close_all();
    must(den_fs_remove_tree(copy, &err));
    assign(folder, state);
}
END_TEST

START_TEST(a_backup_needs_a_folder_of_its_own)
{
    struct den_err err = DEN_ERR_INIT;
    char inside[96];
    must_fail(den_service_backup(service, "relative", say, NULL, &err), DEN_E_INVALID,
              "absolute");
    must_fail(den_service_backup(service, "/etc", say, NULL, &err), DEN_E_CONFLICT,
              "not empty");
    (void)snprintf(inside, sizeof inside, "%s/copy", folder);
    must_fail(den_service_backup(service, inside, say, NULL, &err), DEN_E_INVALID,
              "lies in the state folder");
}
END_TEST

/* ---- check ---- */

START_TEST(a_check_finds_what_is_missing_damaged_and_too_short)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH_MAX], sha256[DEN_SHA256_SIZE];
    struct den_image_row gone = add_frame(1, 0), cut = add_frame(2, 0),
                         flipped = add_frame(3, 0);
    put_blob("nobody's", sha256);
    ck_assert_uint_eq(check(), 0);
    ck_assert_msg(strstr(said, "3 rows, 4 files, 1 of them without a row") != NULL, "%s",
                  said);
    blob_of(gone.sha256, path);
    must(den_fs_remove(path, &err));
    blob_of(cut.sha256, path);
    ck_assert_int_eq(truncate(path, 100), 0);
    blob_of(flipped.sha256, path);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    ck_assert(fd >= 0 && pwrite(fd, "!", 1, 700) == 1 && close(fd) == 0);
    ck_assert_uint_eq(check(), 4);
    char line[120];
    (void)snprintf(line, sizeof line, "image %s: its file is missing", gone.id);
    ck_assert_msg(strstr(said, line) != NULL, "%s", said);
    (void)snprintf(line, sizeof line, "image %s: its file has another size", cut.id);
    ck_assert_msg(strstr(said, line) != NULL, "%s", said);
    (void)snprintf(line, sizeof line, "damaged (%.12s)", flipped.sha256);
    ck_assert_msg(strstr(said, line) != NULL, "%s", said);
}
END_TEST

/* ---- collection ---- */

START_TEST(only_old_files_that_no_row_names_are_collected)
{
    struct den_err err = DEN_ERR_INIT;
    char old[DEN_SHA256_SIZE], young[DEN_SHA256_SIZE], path[PATH_MAX];
    size_t removed = 99;
    struct den_image_row named = add_frame(1, 0);
    put_blob("old", old);
    put_blob("young", young);
    blob_of(old, path);
    make_old(path);
    blob_of(named.sha256, path);
    make_old(path);
    said[0] = '\0';
    must(den_service_collect(service, true, say, NULL, &removed, &err));
    ck_assert_uint_eq(removed, 1);
    ck_assert(blob_there(old) && strstr(said, "would remove") != NULL);
    den_blobs_hold(den_service_blobs(service)); /* a backup is under way */
    must(den_service_collect(service, false, say, NULL, &removed, &err));
    ck_assert(blob_there(old) && removed == 0);
    den_blobs_release(den_service_blobs(service));
    must(den_service_collect(service, false, say, NULL, &removed, &err));
    ck_assert_uint_eq(removed, 1);
    ck_assert(!blob_there(old) && blob_there(young) && blob_there(named.sha256));
}
END_TEST

/* Times are in the future by so much that all is old. */
START_TEST(what_is_not_used_goes_and_what_is_stays)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_image_row row;
    struct den_job_row job;
    struct den_job_estimate estimate;
    size_t jobs = 99, images = 99;
    add_pairs("kept");
    struct den_image_row waits = add_frame(7, 0), unused = add_frame(8, 0);
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    assign(request.image, waits.id);
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job, &estimate,
                            &err));
    must(kind->expire(store, den_wall_ms() - 1000000, &jobs, &images, &err));
    ck_assert_uint_eq(jobs + images, 0);
    must(kind->expire(store, den_wall_ms() + 1000000, &jobs, &images, &err));
    ck_assert_uint_eq(jobs, 0);
    ck_assert_uint_eq(images, 1);
    ck_assert(!kind->image_get(store, DEN_OWNER_LOCAL, unused.id, &row, NULL));
    must(kind->image_get(store, DEN_OWNER_LOCAL, waits.id, &row, &err));
    must(kind->job_get(store, DEN_OWNER_LOCAL, job.id, &job, &err));
}
END_TEST

/* Years go by: the database is changed while nobody has it, then the service is open
 * again. */
static void age_and_open(const char *sql, struct den_service_config config)
{
    char path[96];
    sqlite3 *db = NULL;
    close_all();
    (void)snprintf(path, sizeof path, "%s/denoised.db", folder);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK, "%s",
                  sqlite3_errmsg(db));
    ck_assert_int_eq(sqlite3_close(db), SQLITE_OK);
    open_with(config);
}

static size_t count_images(void)
{
    enum { MOST = 1000 };
    static struct den_image_row rows[MOST];
    struct den_err err = DEN_ERR_INIT;
    size_t count = 0;
    must(kind->image_list(store, DEN_OWNER_LOCAL, "", MOST, rows, &count, &err));
    return count;
}

/* A daemon that lives for less than an hour each day must delete, too. */
START_TEST(the_first_round_comes_soon_after_the_start)
{
    struct den_service_config config = usual_config();
    char path[PATH_MAX];
    struct den_image_row old = add_frame(1, 0), young = add_frame(2, 0);
    blob_of(old.sha256, path);
    make_old(path);
    config.retention_days = 1;
    config.collect_s = 0.01;
    char sql[120];
    (void)snprintf(sql, sizeof sql, "UPDATE images SET created_ms = 1 WHERE id = '%s'",
                   old.id);
    age_and_open(sql, config);
    const double end = den_monotonic_s() + 20;
    while (blob_there(old.sha256) && den_monotonic_s() < end)
        (void)usleep(20000);
    ck_assert(!blob_there(old.sha256) && blob_there(young.sha256));
    ck_assert_uint_eq(count_images(), 1);
}
END_TEST

#define FRAMES 600
#define MANY_OLD                                                                   \
    "UPDATE images SET created_ms = 1;"                                            \
    "CREATE TEMP TABLE one AS SELECT * FROM images;"                               \
    "CREATE TEMP TABLE more AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT " \
    "i + 1 FROM n WHERE i < 599) SELECT i FROM n;"                                 \
    "CREATE TEMP TABLE new AS SELECT one.*, more.i FROM one, more;"                \
    "UPDATE new SET id = substr(id, 1, 26) || printf('%04d', i), sha256 = "        \
    "printf('%064d', i);"                                                          \
    "ALTER TABLE new DROP COLUMN i;"                                               \
    "INSERT INTO images SELECT * FROM new"

START_TEST(what_is_old_goes_some_at_a_time_and_all_in_the_end)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    size_t jobs = 99, images = 0;
    (void)add_frame(1, 0);
    config.with_workers = false;
    config.retention_days = 1;
    age_and_open(MANY_OLD, config);
    ck_assert_uint_eq(count_images(), FRAMES);
    must(kind->expire(store, den_wall_ms(), &jobs, &images, &err));
    ck_assert_uint_eq(jobs, 0);
    ck_assert_uint_gt(images, 0);
    ck_assert_uint_lt(images, FRAMES);
    ck_assert_uint_eq(count_images(), FRAMES - images);
    must(den_service_expire(service, &err));
    ck_assert_uint_eq(count_images(), 0);
}
END_TEST

static size_t count_lines(const char *with)
{
    size_t count = 0;
    for (const char *at = said; (at = strstr(at, with)) != NULL; at++)
        count++;
    return count;
}

static bool count_say(void *context, const char *line)
{
    *(size_t *)context += strstr(line, "would delete img_") != NULL;
    return true;
}

/* The files of all those images are missing, which takes as many lines. */
static bool say_retention(void *context, const char *line)
{
    return !den_str_starts(line, "retention: ") || say(context, line);
}

static bool say_once(void *context, const char *line)
{
    (void)count_say(context, line);
    return false;
}

/* An image that a job used a day ago, and that has a result; one in a data set; one that
 * is new; one that waits. */
START_TEST(a_trial_of_retention_names_what_it_then_deletes)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    struct den_job_row job;
    struct den_job_estimate estimate;
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    struct den_image_row got, used = add_frame(7, 0), unused = add_frame(8, 0),
                              waits = add_frame(9, 0), young = add_frame(10, 0);
    char sql[500], line[160];
    add_pairs("kept");
    assign(request.image, waits.id);
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job, &estimate,
                            &err));
    assign(request.image, used.id);
    must(den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job, &estimate,
                            &err));
    (void)snprintf(sql, sizeof sql,
                   "UPDATE images SET created_ms = 1 WHERE id <> '%s'; "
                   "UPDATE jobs SET state = 'succeeded', finished_ms = 1, "
                   "result_sha256 = '%s' WHERE id = '%s'",
                   young.id, unused.sha256, job.id);
    config.with_workers = false;
    config.retention_days = 30;
    age_and_open(sql, config);
    const size_t all = count_images();

    said[0] = '\0';
    must(den_service_expire_try(service, -1, say, NULL, &err));
    (void)snprintf(line, sizeof line,
                   "would delete %s, ended 1970-01-01, %llu bytes\nretention", job.id,
                   (unsigned long long)unused.bytes);
    ck_assert_msg(strstr(said, line) != NULL, "%s", said);
    (void)snprintf(line, sizeof line, "would delete %s, uploaded 1970-01-01, %llu bytes",
                   used.id, (unsigned long long)used.bytes);
    ck_assert_msg(strstr(said, line) != NULL, "%s", said);
    ck_assert_msg(strstr(said, unused.id) != NULL, "%s", said);
    ck_assert_uint_eq(count_lines("would delete "), 3);
    (void)snprintf(line, sizeof line,
                   "retention: 1 jobs and 2 images, %llu bytes to delete "
                   "(retention_days = 30)\n",
                   2ULL * unused.bytes + used.bytes);
    ck_assert_msg(strstr(said, line) != NULL, "%s", said);
    ck_assert_uint_eq(count_images(), all);

    must(den_service_expire(service, &err));
    ck_assert_uint_eq(count_images(), all - 2);
    ck_assert(!kind->image_get(store, DEN_OWNER_LOCAL, used.id, &got, NULL));
    ck_assert(!kind->image_get(store, DEN_OWNER_LOCAL, unused.id, &got, NULL));
    ck_assert(!kind->job_get(store, DEN_OWNER_LOCAL, job.id, &job, NULL));
    said[0] = '\0';
    must(den_service_expire_try(service, -1, say, NULL, &err));
    ck_assert_uint_eq(count_lines("would delete "), 0);
}
END_TEST

START_TEST(a_trial_of_retention_takes_other_days_and_any_number_of_rows)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    size_t wrong = 0, count = 0;
    (void)add_frame(1, 0);
    config.with_workers = false;
    age_and_open(MANY_OLD, config);
    must(den_service_expire_try(service, 1, count_say, &count, &err));
    ck_assert_uint_eq(count, FRAMES);
    count = 0;
    must(den_service_expire_try(service, 1, say_once, &count, &err));
    ck_assert_uint_eq(count, 1);
    said[0] = '\0';
    must(den_service_expire_try(service, -1, say, NULL, &err));
    ck_assert_str_eq(said, "retention: retention_days is 0, nothing is deleted by age\n");
    static const struct {
        const char *words, *says;
    } trials[] = {
        {"check dry-run", "retention_days is 0"},
        {"check dry-run 0", "retention_days is 0"},
        {"check dry-run 36500", "retention: 0 jobs and 0 images, 0 bytes to delete"},
    };
    for (size_t i = 0; i < sizeof trials / sizeof *trials; i++) {
        said[0] = '\0';
        must(den_upkeep_do(service, trials[i].words, say_retention, NULL, &wrong, &err));
        ck_assert_msg(strstr(said, trials[i].says) != NULL, "%s", said);
    }
    must_fail(den_upkeep_do(service, "check dry-run -1", say, NULL, &wrong, &err),
              DEN_E_INVALID, "-1");
    must_fail(den_upkeep_do(service, "check dry-runs", say, NULL, &wrong, &err),
              DEN_E_INVALID, "knows backup and check");
    ck_assert_uint_eq(count_images(), FRAMES);
}
END_TEST

START_TEST(the_end_of_the_service_waits_for_no_round)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    char sha256[DEN_SHA256_SIZE], path[PATH_MAX];
    size_t removed = 0;
    (void)add_frame(1, 0);
    config.with_workers = false;
    config.retention_days = 1;
    age_and_open(MANY_OLD, config);
    put_blob("nobody's", sha256);
    blob_of(sha256, path);
    make_old(path);
    den_service_stop(service);
    must_fail(den_service_expire(service, &err), DEN_E_DRAINING, "going down");
    must_fail(den_service_collect(service, false, say, NULL, &removed, &err),
              DEN_E_DRAINING, "going down");
    ck_assert_uint_eq(count_images(), FRAMES);
    ck_assert(blob_there(sha256));
}
END_TEST

/* ---- room ---- */

START_TEST(uploads_leave_room_on_the_disk)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    must(den_service_room(service, &err));
    close_all();
    config.min_free = UINT64_MAX / 2;
    open_with(config);
    must_fail(den_service_room(service, &err), DEN_E_DISK_FULL, "nearly full");
}
END_TEST

START_TEST(ballast_is_kept_only_where_there_is_room_for_it)
{
    struct den_err err = DEN_ERR_INIT;
    enum { BYTES = 1 << 20 };
    struct stat info;
    char database[96], path[120];
    (void)snprintf(database, sizeof database, "%s/denoised.db", folder);
    (void)snprintf(path, sizeof path, "%s.ballast", database);
    must(den_ballast_keep(database, 0, 0, &err));
    must(den_ballast_keep(database, BYTES, UINT64_MAX / 2, &err));
    ck_assert(!den_fs_exists(path) && !den_ballast_drop(database));
    must(den_ballast_keep(database, BYTES, 0, &err));
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_ge(info.st_blocks * 512, BYTES);
    ck_assert(den_ballast_drop(database) && !den_fs_exists(path));
}
END_TEST

/* ---- commands ---- */

START_TEST(a_command_asks_the_daemon_or_does_it_alone)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    const struct den_service_config nowhere = {.state = "/nonexistent", .threads = 1};
    char alone[400] = "", asked[400] = "", path[PATH_MAX];
    size_t wrong;
    struct den_image_row row = add_frame(1, 0);
    close_all();
    must_command("check", alone, sizeof alone);
    config.with_workers = true; /* with them comes the thread that answers */
    open_with(config);
    must_command("check", asked, sizeof asked);
    ck_assert_str_eq(alone, asked);
    blob_of(row.sha256, path);
    must(den_fs_remove(path, &err));
    ck_assert_uint_eq(command("check dry-run", asked, sizeof asked), 1);
    ck_assert_msg(strstr(asked, "missing") != NULL, "%s", asked);
    must_fail(den_state_command(&nowhere, "check", stdout, &wrong, &err), DEN_E_NOT_FOUND,
              "no database");
    config.state = folder;
    must_fail(den_state_command(&config, "dance", stdout, &wrong, &err), DEN_E_IO,
              "knows backup and check");
}
END_TEST

/* A file that takes long to check, with nothing in it. */
static void put_large_blob(const char *sha256)
{
    struct den_err err = DEN_ERR_INIT;
    char path[PATH_MAX], parent[PATH_MAX];
    blob_of(sha256, path);
    assign(parent, path);
    *strrchr(parent, '/') = '\0';
    must(den_fs_mkdirs(parent, 0700, &err));
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    ck_assert(fd >= 0 && ftruncate(fd, 300 << 20) == 0 && close(fd) == 0);
}

START_TEST(a_token_is_revoked_while_a_check_runs)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service_config config = usual_config();
    char said_once[400] = "", line[DEN_CONTROL_LINE];
    int fd = -1;
    close_all();
    config.with_workers = true;
    open_with(config);
    put_large_blob("00000000000000000000000000000000000000000000000000000000000000aa");
    must_command("token create one ann read 0", said_once, sizeof said_once);
    must(den_control_connect(folder, &fd, &err));
    ck_assert(den_control_line(fd, "", "check"));
    (void)usleep(20000);
    must_command("token revoke one", said_once, sizeof said_once);
    ck_assert_msg(strstr(said_once, "(one of ann)") != NULL, "%s", said_once);
    char byte;
    ck_assert_int_eq(recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT), -1); /* not done yet */
    line[0] = ' ';
    while (line[0] == ' ')
        ck_assert(den_control_read(fd, line, sizeof line));
    ck_assert_str_eq(line, "=1"); /* the hash is another */
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

/* More rows than a socket takes that nobody reads. */
enum { ROWS = 600, PATIENCE_S = 5 };

static void fill_audit(void)
{
    struct den_err err = DEN_ERR_INIT;
    for (int i = 0; i < ROWS; i++) {
        struct den_token_row token = {.owner = "ann", .scopes = DEN_SCOPE_READ};
        char text[DEN_TOKEN_TEXT_SIZE];
        (void)snprintf(token.name, sizeof token.name, "t%d", i);
        den_token_new(text, &token);
        must(kind->token_add(store, &token, &err));
    }
}

/* Asks for the audit table, and reads none of it, until it is being sent. */
static int ask_and_stop(void)
{
    struct den_err err = DEN_ERR_INIT;
    int fd = -1;
    must(den_control_connect(folder, &fd, &err));
    ck_assert(den_control_line(fd, "", "audit show 0 json"));
    struct pollfd sent = {.fd = fd, .events = POLLIN};
    ck_assert_int_eq(poll(&sent, 1, 20000), 1);
    return fd;
}

START_TEST(a_reader_who_stopped_holds_nobody_up_for_long)
{
    struct den_service_config config = usual_config();
    char said_once[400] = "", line[DEN_CONTROL_LINE];
    size_t lines = 0;
    close_all();
    config.with_workers = true;
    open_with(config);
    must_command("token create one ann read 0", said_once, sizeof said_once);
    fill_audit();
    int fd = ask_and_stop();
    const double asked = den_monotonic_s();
    must_command("token revoke one", said_once, sizeof said_once);
    ck_assert_msg(strstr(said_once, "(one of ann)") != NULL, "%s", said_once);
    const double waited = den_monotonic_s() - asked;
    ck_assert_msg(waited > 1, "the socket took it all, and nothing was tried");
    ck_assert_msg(waited < PATIENCE_S + 2, "revoked after %.1f s", waited);
    line[0] = ' ';
    while (line[0] == ' ' && den_control_read(fd, line, sizeof line))
        lines += line[0] == ' ';
    ck_assert_msg(line[0] == ' ' && lines < ROWS, "an end was told, after %zu lines",
                  lines);
    ck_assert_int_eq(close(fd), 0);
}
END_TEST

START_TEST(the_end_of_the_service_waits_for_no_reader_long)
{
    struct den_service_config config = usual_config();
    close_all();
    config.with_workers = true;
    open_with(config);
    fill_audit();
    int fd = ask_and_stop();
    const double asked = den_monotonic_s();
    close_all();
    const double waited = den_monotonic_s() - asked;
    ck_assert_msg(waited < PATIENCE_S + 2, "closed after %.1f s", waited);
    ck_assert_int_eq(close(fd), 0);
    open_with(usual_config());
}
END_TEST

/* ---- idleness ---- */

static off_t log_size(void)
{
    struct stat info;
    char path[120];
    (void)snprintf(path, sizeof path, "%s/denoised.db-wal", folder);
    return stat(path, &info) == 0 ? info.st_size : 0;
}

/* A keeper asks every second, and finds nothing. */
START_TEST(asking_for_what_is_not_there_keeps_no_log_from_being_emptied)
{
    struct den_err err = DEN_ERR_INIT;
    const struct den_recovery how = {.now = den_moment_now()};
    size_t requeued = 99;
    (void)add_frame(1, 0);
    ck_assert_int_gt(log_size(), 0);
    for (int i = 0; i < 13; i++) {
        must(kind->job_recover(store, &how, &requeued, &err));
        ck_assert_uint_eq(requeued, 0);
        must(kind->tidy(store, &err));
        (void)usleep(500000);
    }
    ck_assert_int_eq(log_size(), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("upkeep");
    TCase *tc = tcase_create("upkeep");
    tcase_add_checked_fixture(tc, setup_idle, teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, a_daemon_starts_on_a_copy_made_while_others_write);
    tcase_add_test(tc, a_backup_needs_a_folder_of_its_own);
    tcase_add_test(tc, a_check_finds_what_is_missing_damaged_and_too_short);
    tcase_add_test(tc, only_old_files_that_no_row_names_are_collected);
    tcase_add_test(tc, what_is_not_used_goes_and_what_is_stays);
    tcase_add_test(tc, the_first_round_comes_soon_after_the_start);
    tcase_add_test(tc, what_is_old_goes_some_at_a_time_and_all_in_the_end);
    tcase_add_test(tc, a_trial_of_retention_names_what_it_then_deletes);
    tcase_add_test(tc, a_trial_of_retention_takes_other_days_and_any_number_of_rows);
    tcase_add_test(tc, the_end_of_the_service_waits_for_no_round);
    tcase_add_test(tc, uploads_leave_room_on_the_disk);
    tcase_add_test(tc, ballast_is_kept_only_where_there_is_room_for_it);
    tcase_add_test(tc, a_command_asks_the_daemon_or_does_it_alone);
    tcase_add_test(tc, a_token_is_revoked_while_a_check_runs);
    tcase_add_test(tc, a_reader_who_stopped_holds_nobody_up_for_long);
    if (test_full()) /* seconds of waiting, once more */
        tcase_add_test(tc, the_end_of_the_service_waits_for_no_reader_long);
    tcase_add_test(tc, asking_for_what_is_not_there_keeps_no_log_from_being_emptied);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
