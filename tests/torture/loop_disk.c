#include "loop_disk.h"

#include <check.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fs.h"
#include "program.h"

/* Runs a program of the system; what it said when it failed. */
static bool run(const char *const *argv, char *said, size_t size)
{
    struct outcome o = run_program(NULL, NULL, argv);
    bool good = o.status == 0;
    (void)snprintf(said, size, "%s: %d: %.200s", argv[0], o.status, o.err);
    outcome_free(&o);
    return good;
}

#define RUN(said, ...) run((const char *const[]){__VA_ARGS__, NULL}, said, sizeof(said))

/* In a namespace of this process: however it ends, its mounts end with it. */
static void keep_mounts_apart(void)
{
    static bool done;
    if (!done)
        done = unshare(CLONE_NEWNS) == 0 &&
               mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0;
    ck_assert_msg(done, "mounts cannot be kept apart: %s", strerror(errno));
}

static bool mount_it(struct loop_disk *disk, char *said, size_t size)
{
    char image[96];
    (void)snprintf(image, sizeof image, "%s/image", disk->folder);
    const char *const argv[] = {"mount", "-t",  disk->kind,  "-o",
                                "loop",  image, disk->mount, NULL};
    disk->mounted = run(argv, said, size);
    return disk->mounted;
}

void loop_disk_mount(struct loop_disk *disk)
{
    char said[300];
    ck_assert_msg(mount_it(disk, said, sizeof said), "%s", said);
}

static bool try_make(struct loop_disk *disk, const char *kind, size_t mib, char *said,
                     size_t size)
{
    char image[96], program[32];
    *disk = (struct loop_disk){.kind = kind};
    keep_mounts_apart();
    (void)snprintf(disk->folder, sizeof disk->folder, "/tmp/denoised-disk-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(disk->folder));
    (void)snprintf(disk->mount, sizeof disk->mount, "%s/mount", disk->folder);
    (void)snprintf(image, sizeof image, "%s/image", disk->folder);
    (void)snprintf(program, sizeof program, "mkfs.%s", kind);
    ck_assert_int_eq(mkdir(disk->mount, 0700), 0);
    FILE *file = fopen(image, "we");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(ftruncate(fileno(file), (off_t)mib << 20), 0);
    ck_assert_int_eq(fclose(file), 0);
    /* ext4: no blocks for root only. */
    const char *const xfs[] = {program, "-q", image, NULL}, *const ext4[] = {
                                                                program, "-q",  "-m",
                                                                "0",     image, NULL};
    const char *const *argv = strcmp(kind, "xfs") == 0 ? xfs : ext4;
    return run(argv, said, size) && mount_it(disk, said, size);
}

void loop_disk_make(struct loop_disk *disk, const char *kind, size_t mib)
{
    char said[300];
    ck_assert_msg(try_make(disk, kind, mib, said, sizeof said), "%s", said);
}

/* Without -f nothing is written out first: what is not on the disk is gone, which is what
 * a power cut does. */
void loop_disk_cut_begin(struct loop_disk *disk)
{
    char said[300];
    ck_assert_msg(RUN(said, "xfs_io", "-x", "-c", "shutdown", disk->mount), "%s", said);
}

void loop_disk_cut_end(struct loop_disk *disk)
{
    loop_disk_unmount(disk);
    loop_disk_mount(disk);
}

void loop_disk_unmount(struct loop_disk *disk)
{
    int left = 100; /* a process that was killed may still hold a file for a moment */
    while (umount2(disk->mount, 0) != 0) {
        ck_assert_msg(errno == EBUSY && left-- > 0, "umount: %s", strerror(errno));
        (void)usleep(20000);
    }
    disk->mounted = false;
}

void loop_disk_remove(struct loop_disk *disk)
{
    struct den_err err = DEN_ERR_INIT;
    if (disk->folder[0] == '\0')
        return;
    if (disk->mounted && umount2(disk->mount, 0) != 0)
        (void)umount2(disk->mount, MNT_DETACH);
    ck_assert_msg(den_fs_remove_tree(disk->folder, &err), "%s", err.text);
    disk->folder[0] = '\0';
}

const char *loop_disk_missing(const char *kind)
{
    static char said[300];
    struct loop_disk disk;
    if (geteuid() != 0)
        return "mounting needs root";
    if (access("/dev/loop-control", R_OK | W_OK) != 0)
        return "there is no loop device";
    if (!RUN(said, "xfs_io", "-V"))
        return "xfs_io is not installed";
    bool good =
        try_make(&disk, kind, strcmp(kind, "xfs") == 0 ? 320 : 16, said, sizeof said);
    loop_disk_remove(&disk);
    return good ? NULL : said;
}
