#ifndef DEN_CONFIG_H
#define DEN_CONFIG_H

/* Settings of the daemon: one row per key in den_config_rows[].  A value comes from the
 * flag --key=value (or --key value), else from the environment variable DENOISED_KEY,
 * else from the file that --config names, else it is the default.  In flags '-' and '_'
 * are the same.  */

#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "err.h"

#define DEN_CONFIG_ROWS 80 /* at most */

struct den_config {
    /* Every row writes to one of these. */
    char listen[80], hosts[512], state[1024], store[32], backend[32], log_level[8],
        jail[16], log_format[8];
    char proxies[512], tls_cert[1024], tls_key[1024];
    char webhook_hosts[1024], webhook_networks[1024], webhook_key[1024], webhook_ca[1024];
    char auth[16], plain_http[16];
    int64_t max_requests_per_s;
    int64_t threads, http_threads, max_connections, idle_timeout_s;
    int64_t max_connections_per_ip, max_streams, max_streams_per_client;
    int64_t header_timeout_s, body_timeout_s, min_bytes_per_s;
    int64_t max_upload_mib, max_json_kib;
    int64_t queue_limit, max_attempts, memory_limit_mib, tile, drain_seconds;
    int64_t max_side, max_pages, max_page_mpix, max_decoded_mib;
    int64_t max_unpack_ratio, max_part_mib, max_tags;
    int64_t decode_seconds, decode_memory_mib;
    int64_t min_free_mib, ballast_mib, retention_days;
    int64_t stall_seconds;
    double checkpoint_seconds, max_job_seconds, retry_seconds, lease_seconds;
    int64_t workers;
    int64_t quota_queued_jobs, quota_running_jobs, quota_stored_mib;
    int64_t quota_compute_seconds_per_day;
    char training_yields[8];

    /* From listen: an IP address without brackets, and the port (0 = a free one). */
    char address[64];
    uint16_t port;

    unsigned char origins[DEN_CONFIG_ROWS]; /* enum den_config_origin, by row */
};

enum den_config_origin {
    DEN_ORIGIN_DEFAULT,
    DEN_ORIGIN_FILE,
    DEN_ORIGIN_ENVIRONMENT,
    DEN_ORIGIN_FLAG,
};

enum den_config_type { DEN_CONFIG_TEXT, DEN_CONFIG_INT, DEN_CONFIG_REAL };

struct den_config_row {
    const char *key;
    enum den_config_type type;
    const char *fallback; /* the default, as text */
    double min, max;      /* of numbers; exact up to 2^53 */
    const char *choices;  /* of texts: allowed words, or NULL for any printable text */
    const char *help;
    size_t offset, size; /* where in struct den_config; size of texts */
};
extern const struct den_config_row den_config_rows[]; /* ends with key NULL */

enum den_config_action {
    DEN_ACTION_SERVE,
    DEN_ACTION_SHOW,    /* `denoised config show` */
    DEN_ACTION_CHECK,   /* `denoised config check`: nothing was read; den_config_check */
    DEN_ACTION_EXAMPLE, /* `denoised config example` */
    DEN_ACTION_HELP,
    DEN_ACTION_VERSION,
};

/* argv as main gets it, environment as `environ`; both end with NULL.  All errors are
 * DEN_E_INVALID or MALFORMED with the key as field, or what reading the file gave.  An
 * unknown key is an error that names what is near; an unknown DENOISED_ variable is one
 * only when it is near a key, because container platforms set variables of that form. */
bool den_config_load(char *const argv[], char *const environment[],
                     struct den_config *ret, enum den_config_action *ret_action,
                     struct den_err *err) DEN_CHECKED;

/* Reads the same, and goes on after what is wrong: a line for each fault is appended to
 * out.  How many there are; *ret is of use when there is none. */
size_t den_config_check(char *const argv[], char *const environment[],
                        struct den_config *ret, struct den_buf *out);

/* The keys whose values differ, separated by commas, into to[size]. */
void den_config_changes(const struct den_config *a, const struct den_config *b, char *to,
                        size_t size);

/* Was it set in any way, or is it the default?  key: a row's. */
bool den_config_given(const struct den_config *config, const char *key);

/* One value for one key, checked; origin is recorded. */
bool den_config_set(struct den_config *config, const char *key, const char *value,
                    enum den_config_origin origin, struct den_err *err) DEN_CHECKED;

/* All settings with their origin, in the syntax of the file. */
void den_config_show(const struct den_config *config, struct den_buf *out);
/* A file to begin with: every setting with its default, commented out. */
void den_config_example(struct den_buf *out);
void den_config_help(struct den_buf *out);

#endif
