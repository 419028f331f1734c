#include "quota.h"

#include "service_private.h"

#define DAY_MS INT64_C(86400000)

struct den_quotas den_service_quotas(const struct den_service *service)
{
    return service->config.quotas;
}

bool den_quota_usage(struct den_service *service, const char *owner,
                     struct den_quota_usage *ret, struct den_err *err)
{
    return service->kind->usage(service->store, owner, ret, err);
}

int64_t den_quota_day(int64_t wall_ms)
{
    return wall_ms / DAY_MS;
}

int den_quota_seconds_left(int64_t wall_ms)
{
    return (int)((DAY_MS - wall_ms % DAY_MS) / 1000) + 1;
}
