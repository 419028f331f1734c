#include "folder_events.h"

#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "mem.h"

/* Not IN_MODIFY: a writer's every write would wake us, and size and time show the same.
 */
#define MASK (IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK)
#define FOLDERS_MAX ((size_t)1 << 20)

struct watched_folder {
    int number; /* watch descriptor: the kernel counts upwards */
    char *path;
};

void den_folder_events_open(struct den_folder_events *events)
{
    *events = (struct den_folder_events){.fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC)};
}

void den_folder_events_close(struct den_folder_events *events)
{
    for (size_t i = 0; i < events->count; i++)
        den_free(events->folders[i].path);
    den_free(events->folders);
    if (events->fd >= 0)
        (void)close(events->fd);
    *events = (struct den_folder_events){.fd = -1};
}

/* Where this number is, or where it belongs. */
static size_t place_of(const struct den_folder_events *events, int number)
{
    size_t low = 0, high = events->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (events->folders[middle].number < number)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool make_room(struct den_folder_events *events)
{
    if (events->count < events->capacity)
        return true;
    size_t capacity = events->capacity > 0 ? 2 * events->capacity : 64;
    void *folders = capacity <= FOLDERS_MAX
                        ? den_realloc(events->folders, capacity, sizeof *events->folders)
                        : NULL;
    if (folders == NULL)
        return false;
    events->folders = folders;
    events->capacity = capacity;
    return true;
}

void den_folder_events_add(struct den_folder_events *events, const char *whole,
                           const char *path)
{
    int number = events->fd >= 0 ? inotify_add_watch(events->fd, whole, MASK) : -1;
    char *copy = number >= 0 ? den_strdup(path) : NULL;
    if (copy == NULL || !make_room(events)) {
        events->incomplete = true;
        den_free(copy);
        return;
    }
    size_t at = place_of(events, number);
    /* A folder that was moved keeps its number and gets its new path. */
    if (at < events->count && events->folders[at].number == number) {
        den_free(events->folders[at].path);
    } else {
        memmove(&events->folders[at + 1], &events->folders[at],
                (events->count - at) * sizeof *events->folders);
        events->count++;
    }
    events->folders[at] = (struct watched_folder){number, copy};
}

static void forget(struct den_folder_events *events, size_t at)
{
    den_free(events->folders[at].path);
    events->count--;
    memmove(&events->folders[at], &events->folders[at + 1],
            (events->count - at) * sizeof *events->folders);
}

static void pass_on(struct den_folder_events *events, const struct inotify_event *event,
                    void (*news)(void *context, const char *path, const char *name,
                                 bool is_folder),
                    void *context)
{
    if ((event->mask & IN_Q_OVERFLOW) != 0) {
        news(context, NULL, "", false);
        return;
    }
    size_t at = place_of(events, event->wd);
    if (at >= events->count || events->folders[at].number != event->wd)
        return;
    if ((event->mask & IN_IGNORED) != 0)
        forget(events, at);
    else if (event->len > 0)
        news(context, events->folders[at].path, event->name,
             (event->mask & IN_ISDIR) != 0);
}

void den_folder_events_read(struct den_folder_events *events,
                            void (*news)(void *context, const char *path,
                                         const char *name, bool is_folder),
                            void *context)
{
    _Alignas(struct inotify_event) char piece[16384];
    ssize_t length;
    while (events->fd >= 0 && (length = read(events->fd, piece, sizeof piece)) > 0) {
        size_t at = 0;
        while (at < (size_t)length) {
            /* Each event is padded so that the next one is aligned. */
            const struct inotify_event *event = (const void *)(piece + at);
            pass_on(events, event, news, context);
            at += sizeof *event + event->len;
        }
    }
}
