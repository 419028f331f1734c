#include "clock.h"

#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "str.h"

double den_monotonic_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

int64_t den_wall_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t den_boot_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void den_boot_id(char *to)
{
    char text[DEN_BOOT_ID_SIZE] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t got = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    text[strcspn(text, "\n")] = '\0';
    den_str_copy(to, DEN_BOOT_ID_SIZE, got == sizeof text - 1 ? text : "unknown");
}

void den_time_format(int64_t wall_ms, char *to)
{
    const int64_t last = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */
    if (wall_ms < 0)
        wall_ms = 0;
    if (wall_ms > last)
        wall_ms = last; /* RFC 3339 has four digits for the year */
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm utc;
    gmtime_r(&seconds, &utc);
    den_str_format(to, DEN_TIME_SIZE, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ",
                   utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                   utc.tm_min, utc.tm_sec, (int)(wall_ms % 1000));
}
