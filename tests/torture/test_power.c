/* The power goes while images and jobs come in: what was acknowledged is there when the
 * machine is up again.  On file systems of their own, which are shut down with all that
 * was not yet on the disk.  And that this would show: without one of the fsyncs, things
 * are lost. */

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "den_check.h"
#include "faults.h"
#include "fs.h"
#include "image.h"
#include "log.h"
#include "loop_disk.h"
#include "mem.h"
#include "service.h"
#include "str.h"

enum { ROUNDS_SHORT = 3, ROUNDS_FULL = 200, CONTROLS_SHORT = 3, CONTROLS_FULL = 10 };

static struct loop_disk disk;

/* ---- the writer: a process of its own ---- */

enum mode { WHOLE, NO_LOG_SYNC, BLOBS, BLOBS_NO_FOLDER_SYNC };

/* What was acknowledged, through a pipe: it survives the writer. */
struct ack {
    char image[DEN_ID_SIZE], job[DEN_ID_SIZE], sha256[DEN_SHA256_SIZE];
};

static struct den_service *open_state(void)
{
    struct den_err err = DEN_ERR_INIT;
    struct den_service *service = NULL;
    char state[128];
    (void)snprintf(state, sizeof state, "%s/state", disk.mount);
    const struct den_service_config config = {
        .state = state, .threads = 1, .max_attempts = 3};
    den_log_set_level(DEN_ERROR);
    must(den_service_open(&config, &service, &err));
    return service;
}

static bool save_image(const char *path, unsigned number, struct den_err *err)
{
    enum { SIDE = 16 };
    float pixels[SIDE * SIDE];
    for (unsigned i = 0; i < SIDE * SIDE; i++) {
        unsigned bit = number >> (i % SIDE) & 1U, line = i / SIDE;
        pixels[i] = (float)(bit * 200 + line);
    }
    struct den_image image = {.info = {.format = "tiff",
                                       .width = SIDE,
                                       .height = SIDE,
                                       .pages = 1,
                                       .channels = 1,
                                       .dtype = DEN_U8},
                              .pixels = pixels};
    return den_image_save(path, &image, err);
}

static bool add_image_and_job(struct den_service *service, const char *path,
                              struct ack *ack, struct den_err *err)
{
    struct den_image_row image;
    struct den_job_row job;
    struct den_job_estimate estimate;
    bool fresh = false;
    struct den_job_request request = {.kind = "denoise", .method = "median"};
    if (!den_service_add_image(service, DEN_OWNER_LOCAL, path, "a.tif", NULL, &image,
                               &fresh, err))
        return false;
    (void)den_str_copy(request.image, sizeof request.image, image.id);
    if (!den_service_submit(service, DEN_OWNER_LOCAL, &request, false, &job, &estimate,
                            err))
        return false;
    memcpy(ack->image, image.id, sizeof ack->image);
    memcpy(ack->job, job.id, sizeof ack->job);
    memcpy(ack->sha256, image.sha256, sizeof ack->sha256);
    return true;
}

struct writer {
    pthread_t thread;
    struct den_service *service;
    enum mode mode;
    unsigned number; /* of its first image */
    int acks;
};

static void *write_on(void *opaque)
{
    const struct writer *w = opaque;
    struct den_blobs *blobs = den_service_blobs(w->service);
    bool only_blobs = w->mode == BLOBS || w->mode == BLOBS_NO_FOLDER_SYNC;
    for (unsigned number = w->number;; number++) {
        struct den_err err = DEN_ERR_INIT;
        struct ack ack = {0};
        char path[4096];
        uint64_t bytes;
        den_blobs_temporary(blobs, path, sizeof path);
        bool done = save_image(path, number, &err);
        if (only_blobs)
            done = done && den_blobs_take(blobs, path, NULL, ack.sha256, &bytes, &err);
        else
            done = done && add_image_and_job(w->service, path, &ack, &err);
        if (!done || write(w->acks, &ack, sizeof ack) != sizeof ack)
            _exit(1); /* the power is gone */
        /* The sync of one makes those before durable, too: the last one decides. */
        if (only_blobs && number % 4 == 3)
            for (;;)
                (void)pause();
    }
    return NULL;
}

/* Several at a time, so that commits are shared; one where the order matters. */
static void write_all(enum mode mode, unsigned number, int acks)
{
    enum { WRITERS = 4, APART = 1 << 10 };
    static struct writer writers[WRITERS];
    struct den_service *service = open_state();
    unsigned count = mode == WHOLE ? WRITERS : 1;
    if (mode == NO_LOG_SYNC)
        fault_arm("fsync:1:0:on", "denoised.db-wal");
    if (mode == BLOBS_NO_FOLDER_SYNC)
        fault_arm("fsync:1:0:on", "/state/blobs");
    for (unsigned i = 0; i < count; i++) {
        writers[i] = (struct writer){
            .service = service, .mode = mode, .number = number + i * APART, .acks = acks};
        if (pthread_create(&writers[i].thread, NULL, write_on, &writers[i]) != 0)
            _exit(1);
    }
    for (;;)
        (void)pause();
}

/* ---- after the cut ---- */

static bool kept(struct den_service *service, const struct ack *ack)
{
    struct den_store *store = NULL;
    const struct den_store_kind *kind = den_service_store(service, &store);
    struct den_image_row image;
    struct den_job_row job;
    bool same = false;
    return den_blobs_same(den_service_blobs(service), ack->sha256, &same, NULL) && same &&
           (ack->image[0] == '\0' ||
            (kind->image_get(store, DEN_OWNER_LOCAL, ack->image, &image, NULL) &&
             strcmp(image.sha256, ack->sha256) == 0)) &&
           (ack->job[0] == '\0' ||
            kind->job_get(store, DEN_OWNER_LOCAL, ack->job, &job, NULL));
}

static size_t count_lost(const struct ack *acks, size_t count)
{
    struct den_service *service = NULL;
    struct den_blobs *blobs = NULL;
    size_t lost = 0;
    struct den_err err = DEN_ERR_INIT;
    if (count > 0 && acks[0].image[0] == '\0') {
        /* A service would sweep away blobs that have no row. */
        char state[128];
        bool same = false;
        (void)snprintf(state, sizeof state, "%s/state", disk.mount);
        must(den_blobs_open(state, &blobs, &err));
        for (size_t i = 0; i < count; i++)
            lost += !(den_blobs_same(blobs, acks[i].sha256, &same, NULL) && same);
        den_blobs_close(blobs);
        return lost;
    }
    service = open_state();
    for (size_t i = 0; i < count; i++)
        lost += !kept(service, &acks[i]);
    den_service_close(service);
    return lost;
}

struct tally {
    size_t acked, lost, rounds_with_loss;
};

/* What is in the pipe by now: what is acknowledged while the disk goes away may rest on
 * a sync that found nothing to do any more, which no machine without power would say. */
static size_t read_acks(int fd, struct ack *acks, size_t capacity)
{
    size_t count = 0;
    struct pollfd one = {.fd = fd, .events = POLLIN};
    while (count < capacity && poll(&one, 1, 0) == 1 &&
           read(fd, &acks[count], sizeof *acks) == (ssize_t)sizeof *acks)
        count++;
    return count;
}

static void cut(enum mode mode, unsigned round, struct tally *tally)
{
    enum { CAPACITY = 4096 };
    static struct ack acks[CAPACITY];
    int ends[2];
    ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
    pid_t pid = fork();
    ck_assert_int_ge(pid, 0);
    if (pid == 0)
        write_all(mode, round << 12, ends[1]);
    (void)close(ends[1]);
    /* From the first acknowledgement on, for 50 to 250 ms. */
    ssize_t first = read(ends[0], acks, sizeof *acks);
    ck_assert_int_eq(first, (ssize_t)sizeof *acks);
    (void)usleep(50000 + round * 7919 % 200 * 1000);
    size_t count = 1 + read_acks(ends[0], acks + 1, CAPACITY - 1);
    loop_disk_cut_begin(&disk);
    (void)kill(pid, SIGKILL);
    ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
    (void)close(ends[0]);
    loop_disk_cut_end(&disk);
    size_t lost = count_lost(acks, count);
    tally->acked += count;
    tally->lost += lost;
    tally->rounds_with_loss += lost > 0;
}

static const char *const kinds[] = {"ext4", "xfs"};

static bool have_disk(const char *kind, const char *test)
{
    const char *missing = loop_disk_missing(kind);
    if (missing != NULL)
        printf("skipped: %s on %s (%s)\n", test, kind, missing);
    else
        loop_disk_make(&disk, kind, strcmp(kind, "xfs") == 0 ? 320 : 64);
    return missing == NULL;
}

static void teardown(void)
{
    loop_disk_remove(&disk);
}

START_TEST(what_was_acknowledged_survives_a_power_cut)
{
    const char *kind = kinds[_i];
    struct tally tally = {0};
    unsigned rounds = test_full() ? ROUNDS_FULL : ROUNDS_SHORT;
    if (!have_disk(kind, __func__))
        return;
    for (unsigned round = 0; round < rounds; round++)
        cut(WHOLE, round, &tally);
    printf("%s: %u power cuts, %zu images and jobs acknowledged, %zu lost\n", kind,
           rounds, tally.acked, tally.lost);
    ck_assert_uint_eq(tally.lost, 0);
}
END_TEST

static const struct {
    enum mode mode;
    const char *what;
    bool loses;
} controls[] = {
    {NO_LOG_SYNC, "the log of the database is not synced", true},
    {BLOBS_NO_FOLDER_SYNC, "folders are not synced", true},
    {BLOBS, "only files, all synced", false},
};

/* A test that cannot fail proves nothing: here it has to. */
START_TEST(without_an_fsync_things_are_lost)
{
    const char *kind = kinds[_i % 2], *what = controls[_i / 2].what;
    struct tally tally = {0};
    unsigned rounds = test_full() ? CONTROLS_FULL : CONTROLS_SHORT;
    if (!have_disk(kind, __func__))
        return;
    for (unsigned round = 0; round < rounds; round++)
        cut(controls[_i / 2].mode, round, &tally);
    printf("%s, control (%s): %u power cuts, %zu acknowledged, %zu lost in %zu rounds\n",
           kind, what, rounds, tally.acked, tally.lost, tally.rounds_with_loss);
    ck_assert_int_eq(tally.lost > 0, controls[_i / 2].loses);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("power");
    TCase *tc = tcase_create("power");
    tcase_add_checked_fixture(tc, NULL, teardown);
    tcase_set_timeout(tc, test_full() ? 3000 : 120);
    tcase_add_loop_test(tc, what_was_acknowledged_survives_a_power_cut, 0, 2);
    tcase_add_loop_test(tc, without_an_fsync_things_are_lost, 0, 6);
    suite_add_tcase(suite, tc);
    return den_check_main(suite);
}
