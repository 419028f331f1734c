#include "watch.h"

#include <check.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "str.h"

enum { MOST = 1024 }; /* processes of one daemon */

/* Whole small file of /proc; "" when the process has gone. */
static const char *slurp(const char *path, char *to, size_t size)
{
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(to, 1, size - 1, file) : 0;
    if (file != NULL)
        (void)fclose(file);
    to[n] = '\0';
    return to;
}

/* The number at the start of text, behind white space. */
static long number_at_start(const char *text)
{
    char digits[24];
    int64_t value = 0;
    text += strspn(text, " \t");
    (void)snprintf(digits, sizeof digits, "%.*s", (int)strspn(text, "0123456789"), text);
    return den_parse_int(digits, 0, INT64_MAX, &value, NULL) ? (long)value : 0;
}

static long kib_of(const char *status, const char *key)
{
    const char *at = strstr(status, key);
    return at != NULL ? number_at_start(at + strlen(key)) : 0;
}

/* User and system time of the process and of its ended children: fields 14 to 17, of
 * which the second is a name in parentheses. */
static double cpu_of(const char *stat)
{
    const char *at = strrchr(stat, ')');
    double ticks = 0;
    for (int field = 3; at != NULL && field <= 17; field++) {
        at = strchr(at + 1, ' ');
        if (at != NULL && field >= 14)
            ticks += (double)number_at_start(at);
    }
    return ticks / (double)sysconf(_SC_CLK_TCK);
}

/* Processes still to be counted: a parent comes before its children. */
struct kin {
    size_t n;
    pid_t pid[MOST];
};

static void add_children(const char *list, struct kin *kin)
{
    for (list += strspn(list, " "); *list != '\0'; list += strspn(list, " ")) {
        ck_assert_uint_lt(kin->n, MOST);
        kin->pid[kin->n++] = (pid_t)number_at_start(list);
        list += strcspn(list, " ");
    }
}

/* Each thread of a process has its own list of children. */
static void add_children_of(pid_t pid, struct kin *kin)
{
    char path[64], text[4096];
    (void)den_str_format(path, sizeof path, "/proc/%d/task", (int)pid);
    DIR *tasks = opendir(path);
    const struct dirent *task;
    while (tasks != NULL && (task = readdir(tasks)) != NULL) {
        if (task->d_name[0] == '.')
            continue;
        (void)den_str_format(path, sizeof path, "/proc/%d/task/%.10s/children", (int)pid,
                             task->d_name);
        add_children(slurp(path, text, sizeof text), kin);
    }
    if (tasks != NULL)
        (void)closedir(tasks);
}

/* false: the process has gone. */
static bool count_process(pid_t pid, bool first, struct family *family)
{
    char path[64], text[4096];
    (void)den_str_format(path, sizeof path, "/proc/%d/status", (int)pid);
    if (slurp(path, text, sizeof text)[0] == '\0')
        return false;
    family->processes++;
    family->zombies += strstr(text, "State:\tZ") != NULL;
    family->private_kib += kib_of(text, "RssAnon:") + kib_of(text, "RssShmem:");
    if (first)
        family->rss_kib = kib_of(text, "VmRSS:");
    (void)den_str_format(path, sizeof path, "/proc/%d/stat", (int)pid);
    family->cpu_s += cpu_of(slurp(path, text, sizeof text));
    return true;
}

struct family family_look(pid_t pid)
{
    struct family family = {0};
    struct kin kin = {.n = 1, .pid = {pid}};
    for (size_t i = 0; i < kin.n; i++)
        if (count_process(kin.pid[i], i == 0, &family))
            add_children_of(kin.pid[i], &kin);
    return family;
}

bool family_was_quick(const struct family *before, pid_t pid, double seconds,
                      double limit)
{
    if (seconds < limit)
        return true;
    (void)usleep(100000); /* the last decoder has to be counted by its parent */
    double computed = family_look(pid).cpu_s - before->cpu_s;
    return computed < limit / 2 && seconds < limit * 10;
}

static void *look_on(void *arg)
{
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        long now = family_look(w->pid).private_kib;
        if (now > atomic_load(&w->peak_kib))
            atomic_store(&w->peak_kib, now);
        (void)usleep(1000);
    }
    return NULL;
}

void watch_start(struct watch *w, pid_t pid)
{
    w->pid = pid;
    w->first_kib = family_look(pid).private_kib;
    atomic_init(&w->stop, false);
    atomic_init(&w->peak_kib, w->first_kib);
    ck_assert_int_eq(pthread_create(&w->thread, NULL, look_on, w), 0);
}

long watch_end(struct watch *w)
{
    atomic_store(&w->stop, true);
    ck_assert_int_eq(pthread_join(w->thread, NULL), 0);
    return atomic_load(&w->peak_kib) - w->first_kib;
}
