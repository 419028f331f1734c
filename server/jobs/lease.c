#include "lease.h"

struct den_moment den_moment_now(void)
{
    struct den_moment now = {.boot_ms = den_boot_ms()};
    den_boot_id(now.boot_id);
    return now;
}
