#include "rows.h"

#include <pthread.h>
#include <string.h>

#include "clock.h"
#include "rng.h"
#include "str.h"

static const char *const states[DEN_JOB_STATES] = {
    [DEN_JOB_QUEUED] = "queued",         [DEN_JOB_RUNNING] = "running",
    [DEN_JOB_SUCCEEDED] = "succeeded",   [DEN_JOB_FAILED] = "failed",
    [DEN_JOB_CANCELLING] = "cancelling", [DEN_JOB_CANCELLED] = "cancelled",
};

const char *den_job_state_name(enum den_job_state state)
{
    if ((unsigned)state >= DEN_JOB_STATES)
        return "unknown";
    return states[state];
}

bool den_job_state_find(const char *name, enum den_job_state *ret)
{
    for (unsigned i = 0; i < DEN_JOB_STATES; i++)
        if (strcmp(states[i], name) == 0) {
            *ret = (enum den_job_state)i;
            return true;
        }
    return false;
}

const char *den_job_class_name(enum den_job_class class)
{
    static const char *const names[DEN_JOB_CLASSES] = {"interactive", "batch", "training",
                                                       "training"};
    return (unsigned)class < DEN_JOB_CLASSES ? names[class] : "unknown";
}

int64_t den_job_fruitless(const struct den_job_row *row, uint64_t step)
{
    return row->class >= DEN_CLASS_TRAINING && step > row->reached ? 0
                                                                   : row->fruitless + 1;
}

struct den_lease den_job_lease(const struct den_job_row *row)
{
    struct den_lease lease = {.gen = row->gen, .seconds = row->seconds};
    memcpy(lease.job, row->id, sizeof lease.job);
    memcpy(lease.worker, row->worker, sizeof lease.worker);
    return lease;
}

/* ULID (github.com/ulid/spec): 48 bits of milliseconds, then 80 random bits, as 26
 * characters of Crockford's base32.  Within a millisecond, and when the clock steps back,
 * the last number is counted up instead: ids of one process always ascend. */
enum { ULID_BYTES = 16, ULID_TIME = 6, ULID_CHARS = 26 };
static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards last and last_ms */
static unsigned char last[ULID_BYTES];
static int64_t last_ms;

static void count_up(unsigned char *number)
{
    for (int i = ULID_BYTES - 1; i >= 0; i--)
        if (++number[i] != 0)
            return;
}

static void next_number(unsigned char *ret)
{
    int64_t now = den_wall_ms();
    pthread_mutex_lock(&lock);
    if (now > last_ms) {
        last_ms = now;
        for (int i = 0; i < ULID_TIME; i++)
            last[i] = (unsigned char)((uint64_t)now >> (8 * (ULID_TIME - 1 - i)));
        den_random_bytes(last + ULID_TIME, ULID_BYTES - ULID_TIME);
    } else
        count_up(last);
    memcpy(ret, last, ULID_BYTES);
    pthread_mutex_unlock(&lock);
}

void den_id_new(const char *prefix, char *to)
{
    unsigned char number[ULID_BYTES];
    next_number(number);
    char text[ULID_CHARS + 1];
    /* 26 * 5 = 130 bits: the first character holds the two missing ones as zeros. */
    for (int i = 0; i < ULID_CHARS; i++) {
        unsigned digit = 0;
        for (int bit = i * 5 - 2; bit < i * 5 + 3; bit++)
            digit = digit * 2 +
                    (bit < 0 ? 0u : (unsigned)(number[bit / 8] >> (7 - bit % 8)) & 1u);
        text[i] = alphabet[digit];
    }
    text[ULID_CHARS] = '\0';
    den_str_format(to, DEN_ID_SIZE, "%s%s", prefix, text);
}

bool den_id_valid(const char *id, const char *prefix)
{
    if (!den_str_starts(id, prefix))
        return false;
    id += strlen(prefix);
    return strlen(id) == ULID_CHARS && id[0] <= '7' && strspn(id, alphabet) == ULID_CHARS;
}
