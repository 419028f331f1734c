#ifndef DEN_FOLDER_EVENTS_H
#define DEN_FOLDER_EVENTS_H

/* News of folders by inotify(7).  Only a hint where to look, which may come too late,
 * twice or never (network file systems, more folders than the kernel watches): who uses
 * it looks at everything from time to time. */

#include <stdbool.h>
#include <stddef.h>

struct den_folder_events {
    int fd;                         /* for poll; -1 = the kernel gives none */
    struct watched_folder *folders; /* by rising number */
    size_t count, capacity;
    bool incomplete; /* a folder is not watched: there were too many */
};

void den_folder_events_open(struct den_folder_events *events);
void den_folder_events_close(struct den_folder_events *events);
/* whole: the folder; path: what its news are told with ("" = the watched one itself). */
void den_folder_events_add(struct den_folder_events *events, const char *whole,
                           const char *path);
/* All news that there are, without waiting.  news(path, name, is_folder): something was
 * made, closed after writing, or moved here; path NULL: news were lost. */
void den_folder_events_read(struct den_folder_events *events,
                            void (*news)(void *context, const char *path,
                                         const char *name, bool is_folder),
                            void *context);

#endif
