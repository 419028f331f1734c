#include "watch_journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "buf.h"
#include "cli.h"
#include "fs.h"
#include "json_get.h"
#include "mem.h"
#include "str.h"

#define ENTRIES_MAX ((size_t)1000000)
#define FILE_MAX ((size_t)1 << 31)
#define LINES_SPARE 1000 /* of the past, beside twice those that count */

static const char head[] = "{\"denoise_watch\":1}\n";

/* Only states of an end, or of a job, are written. */
static const struct {
    enum den_watched_state state;
    const char *name;
} states[] = {
    {DEN_WATCHED_SENT, "sent"},
    {DEN_WATCHED_DONE, "done"},
    {DEN_WATCHED_REFUSED, "refused"},
    {DEN_WATCHED_FAILED, "failed"},
};

static const char *name_of(enum den_watched_state state)
{
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (states[i].state == state)
            return states[i].name;
    return "seen";
}

static enum den_watched_state state_of(const char *name)
{
    for (size_t i = 0; i < sizeof states / sizeof *states; i++)
        if (strcmp(states[i].name, name) == 0)
            return states[i].state;
    return DEN_WATCHED_SEEN;
}

/* ---- entries ------------------------------------------------------------------------
 */

struct den_watched *den_journal_find(const struct den_journal *journal, const char *path)
{
    const json_t *place = json_object_get(journal->index, path);
    return place != NULL ? journal->entries[json_integer_value(place)] : NULL;
}

static bool make_room(struct den_journal *journal, struct den_err *err)
{
    if (journal->count >= ENTRIES_MAX)
        return den_err_set(err, DEN_E_TOO_LARGE,
                           "the folder holds more than %zu images; watch parts of it",
                           ENTRIES_MAX);
    if (journal->count < journal->capacity)
        return true;
    size_t capacity = journal->capacity > 0 ? 2 * journal->capacity : 256;
    void *entries = den_realloc(journal->entries, capacity, sizeof(struct den_watched *));
    if (entries == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a list");
    journal->entries = entries;
    journal->capacity = capacity;
    return true;
}

struct den_watched *den_journal_add(struct den_journal *journal, const char *path,
                                    struct den_err *err)
{
    struct den_watched *entry = NULL;
    if (!make_room(journal, err))
        return NULL;
    entry = den_new(1, sizeof *entry, err);
    if (entry == NULL)
        return NULL;
    entry->path = den_strdup(path);
    if (entry->path == NULL ||
        json_object_set_new(journal->index, path,
                            json_integer((json_int_t)journal->count)) != 0) {
        (void)den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a list");
        den_free(entry->path);
        den_free(entry);
        return NULL;
    }
    journal->entries[journal->count++] = entry;
    return entry;
}

/* ---- lines --------------------------------------------------------------------------
 */

static void add_line(struct den_buf *to, const struct den_watched *e)
{
    json_t *line =
        json_pack("{ss sI sI ss ss sI sb ss}", "path", e->path, "size",
                  (json_int_t)e->size, "mtime_ns", (json_int_t)e->mtime_ns, "sha256",
                  e->sha256, "job", e->job, "attempt", (json_int_t)e->attempt, "written",
                  (int)e->written, "state", name_of(e->state));
    char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
    if (text != NULL)
        den_buf_printf(to, "%s\n", text);
    else
        to->failed = to->no_memory = true;
    free(text);
    json_decref(line);
}

static bool take_line(struct den_journal *journal, const char *text, size_t length,
                      struct den_err *err)
{
    json_t *line = json_loadb(text, length, JSON_REJECT_DUPLICATES, NULL);
    const char *path = den_get_text(line, "path");
    struct den_watched *e = den_journal_find(journal, path);
    bool good = path[0] != '\0';
    if (good && e == NULL)
        good = (e = den_journal_add(journal, path, err)) != NULL;
    if (good) {
        e->size = (uint64_t)json_integer_value(json_object_get(line, "size"));
        e->mtime_ns = json_integer_value(json_object_get(line, "mtime_ns"));
        e->attempt = json_integer_value(json_object_get(line, "attempt"));
        e->written = json_is_true(json_object_get(line, "written"));
        e->state = state_of(den_get_text(line, "state"));
        good = den_str_copy(e->sha256, sizeof e->sha256, den_get_text(line, "sha256")) &&
               den_str_copy(e->job, sizeof e->job, den_get_text(line, "job"));
    }
    json_decref(line);
    return good;
}

/* *ret_end: bytes of whole lines. */
static bool take_all(struct den_journal *journal, const char *text, size_t length,
                     size_t *ret_end, struct den_err *err)
{
    const char *at = text, *end;
    for (size_t n = 1; (end = memchr(at, '\n', length - (size_t)(at - text))) != NULL;
         n++, at = end + 1) {
        bool good = n == 1 ? strncmp(text, head, sizeof head - 1) == 0
                           : take_line(journal, at, (size_t)(end - at), err);
        if (!good)
            return den_err_set(err, DEN_E_MALFORMED,
                               "%.160s: line %zu is not what `denoise watch` has "
                               "written; without this file all images are new",
                               journal->path, n);
        journal->lines = n;
    }
    *ret_end = (size_t)(at - text);
    return true;
}

bool den_journal_note(struct den_journal *journal, const struct den_watched *entry,
                      struct den_err *err)
{
    struct den_buf line;
    struct den_err cause = DEN_ERR_INIT;
    den_buf_init(&line, (size_t)1 << 16);
    add_line(&line, entry);
    off_t before = lseek(journal->fd, 0, SEEK_END);
    bool done = den_buf_ok(&line, &cause) &&
                den_fs_write_fd(journal->fd, line.data, line.length, &cause);
    if (done && fdatasync(journal->fd) != 0)
        done = den_err_sys(&cause, errno, "it cannot be written");
    if (!done && before > 0 && ftruncate(journal->fd, before) != 0)
        (void)den_err_sys(&cause, errno, "it cannot be written"); /* half a line stays */
    den_buf_release(&line);
    journal->lines += done;
    return done || den_err_about(err, journal->path, &cause);
}

/* ---- the file -----------------------------------------------------------------------
 */

/* Only the last line of each file that has one. */
static bool rewrite(struct den_journal *journal, struct den_err *err)
{
    struct den_buf all;
    den_buf_init(&all, FILE_MAX);
    den_buf_puts(&all, head);
    for (size_t i = 0; i < journal->count; i++)
        if (journal->entries[i]->state != DEN_WATCHED_SEEN)
            add_line(&all, journal->entries[i]);
    bool done =
        den_buf_ok(&all, err) && den_fs_write(journal->path, all.data, all.length, err);
    den_buf_release(&all);
    journal->lines = journal->count + 1;
    return done;
}

static bool load(struct den_journal *journal, struct den_err *err)
{
    char *text = NULL;
    size_t length = 0, end = 0;
    if (!den_fs_exists(journal->path))
        return rewrite(journal, err);
    if (!den_fs_read(journal->path, FILE_MAX, &text, &length, err))
        return false;
    bool done = take_all(journal, text, length, &end, err);
    den_free(text);
    if (!done)
        return false;
    if (end < sizeof head - 1 || journal->lines > 2 * journal->count + LINES_SPARE)
        return rewrite(journal, err);
    return end == length || truncate(journal->path, (off_t)end) == 0 ||
           den_err_sys(err, errno, "%.160s cannot be written", journal->path);
}

static bool make_folder(const char *path, struct den_err *err)
{
    const char *slash = strrchr(path, '/');
    char *folder = den_strdup(path);
    bool done = slash == NULL || slash == path;
    if (folder == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a name");
    if (!done) {
        folder[slash - path] = '\0';
        done = den_fs_mkdirs(folder, 0700, err);
    }
    den_free(folder);
    return done;
}

/* In a file of its own, because the journal is replaced at times. */
static bool take_lock(struct den_journal *journal, struct den_err *err)
{
    char path[4096];
    if (!den_str_format(path, sizeof path, "%s.lock", journal->path))
        return den_err_set(err, DEN_E_INVALID, "the name of the state file is too long");
    journal->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (journal->lock < 0)
        return den_err_sys(err, errno, "%.160s cannot be written", path);
    if (flock(journal->lock, LOCK_EX | LOCK_NB) != 0)
        return den_err_set(err, DEN_E_CONFLICT,
                           "another `denoise watch` looks after this folder already");
    return true;
}

bool den_journal_open(struct den_journal *journal, const char *path, struct den_err *err)
{
    *journal = (struct den_journal){.fd = -1, .lock = -1};
    journal->path = den_strdup(path);
    journal->index = json_object();
    if (journal->path == NULL || journal->index == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for a list");
    if (!make_folder(path, err) || !take_lock(journal, err) || !load(journal, err))
        return false;
    journal->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return journal->fd >= 0 || den_err_sys(err, errno, "%.160s cannot be written", path);
}

void den_journal_close(struct den_journal *journal)
{
    for (size_t i = 0; i < journal->count; i++) {
        den_free(journal->entries[i]->path);
        den_free(journal->entries[i]);
    }
    den_free(journal->entries);
    den_free(journal->path);
    json_decref(journal->index);
    if (journal->fd >= 0)
        (void)close(journal->fd);
    if (journal->lock >= 0)
        (void)close(journal->lock);
    *journal = (struct den_journal){.fd = -1, .lock = -1};
}
