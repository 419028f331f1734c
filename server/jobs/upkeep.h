#ifndef DEN_UPKEEP_H
#define DEN_UPKEEP_H

/* What keeps a state folder in order: copies of it, a check of every file in it, and an
 * end to what nobody needs.  The running daemon does it on a thread of its own, and when
 * a command asks it to over the socket <state>/control, which only its owner can open. */

#include <stdio.h>

#include "service.h"

/* A line for people; context as given.  false: nobody listens any more, so that a long
 * walk may end; there is nothing else to do about it. */
typedef bool den_say(void *context, const char *line);

/* ---- backup.c ---- */
/* A copy from which a daemon can be started, of the moment at which the database was
 * copied, while others work.  folder: absolute, new or empty, and not below the state
 * folder.  Files are linked where that is possible, for they never change; else copied
 * and written to disk. */
bool den_service_backup(struct den_service *service, const char *folder, den_say *say,
                        void *context, struct den_err *err) DEN_CHECKED;

/* ---- check.c ---- */
/* Reads all: the database, each file against its name and its rows.  A line for each
 * thing that is wrong, and one of counts. */
bool den_service_check(struct den_service *service, den_say *say, void *context,
                       size_t *ret_wrong, struct den_err *err) DEN_CHECKED;

/* ---- gc.c ---- */
/* Removes files that no row names and that are older than a day; dry_run: only says. */
bool den_service_collect(struct den_service *service, bool dry_run, den_say *say,
                         void *context, size_t *ret_removed,
                         struct den_err *err) DEN_CHECKED;
/* Says what the below would delete now, a line for each job and image, and counts.
 * days: instead of the configured ones; < 0: these. */
bool den_service_expire_try(struct den_service *service, int64_t days, den_say *say,
                            void *context, struct den_err *err) DEN_CHECKED;
/* Deletes what has not been used for the configured days; nothing when that is 0.  This
 * and the above end early, with DEN_E_DRAINING, when the service stops. */
bool den_service_expire(struct den_service *service, struct den_err *err) DEN_CHECKED;
/* DEN_E_DISK_FULL when less is free than has to be. */
bool den_service_room(struct den_service *service, struct den_err *err) DEN_CHECKED;

/* ---- upkeep.c ---- */
struct den_upkeep;
bool den_upkeep_start(struct den_service *service, struct den_upkeep **ret,
                      struct den_err *err) DEN_CHECKED;
void den_upkeep_stop(struct den_upkeep *upkeep); /* NULL is fine */
/* The words "backup FOLDER", "check", "check gc", and "check dry-run [DAYS]" (of
 * den_service_expire_try); *ret_wrong: how much the check found wrong. */
bool den_upkeep_do(struct den_service *service, const char *words, den_say *say,
                   void *context, size_t *ret_wrong, struct den_err *err) DEN_CHECKED;

#endif
