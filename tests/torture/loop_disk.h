#ifndef TEST_LOOP_DISK_H
#define TEST_LOOP_DISK_H

/* A small file system of its own in a file, for power cuts and full disks.  Needs root,
 * a loop device, mkfs and, for power cuts, xfs_io. */

#include <stdbool.h>
#include <stddef.h>

struct loop_disk {
    const char *kind; /* "ext4" or "xfs" */
    char folder[64];  /* holds the image; removed by loop_disk_remove */
    char mount[80];   /* where it is mounted */
    bool mounted;
};

/* NULL, or why such disks cannot be had here. */
const char *loop_disk_missing(const char *kind);
/* Made and mounted. */
void loop_disk_make(struct loop_disk *disk, const char *kind, size_t mib);
/* All that was not written to the disk is lost.  Between the two, every process that has
 * files there must end. */
void loop_disk_cut_begin(struct loop_disk *disk);
void loop_disk_cut_end(struct loop_disk *disk); /* mounted again */
void loop_disk_unmount(struct loop_disk *disk);
void loop_disk_mount(struct loop_disk *disk);
/* Unmounted and removed, in whatever state it is. */
void loop_disk_remove(struct loop_disk *disk);

#endif
