#ifndef DEN_ROWS_H
#define DEN_ROWS_H

/* What the store keeps.  Ids are a type prefix and 26 characters of ULID; times are
 * milliseconds since 1970 UTC, 0 = not yet.  Text fields are NUL-terminated and were
 * checked when they came in.         */

#include "image.h"

#define DEN_ID_SIZE 32    /* "job_01JD..." with its NUL */
#define DEN_NAME_SIZE 256 /* file, data set and model names */
#define DEN_SHA256_SIZE 65
#define DEN_OWNER_SIZE 65       /* 1 to 64 of a-z 0-9 . _ - */
#define DEN_OWNER_LOCAL "local" /* of everything, where nobody has to sign in */
#define DEN_CONFIG_SIZE 4096    /* "key=value\n" lines */

struct den_image_row {
    char id[DEN_ID_SIZE], owner[DEN_OWNER_SIZE];
    char sha256[DEN_SHA256_SIZE], name[DEN_NAME_SIZE];
    struct den_image_info info;
    uint64_t bytes;
    int64_t created_ms;
};

/* A job or an image that has had its time. */
struct den_old_row {
    char id[DEN_ID_SIZE], sha256[DEN_SHA256_SIZE]; /* of the result, or the image */
    int64_t since_ms;                              /* its end, or its upload */
};

/* Somebody who wants to be told that a job has ended. */
#define DEN_WEBHOOK_URL_SIZE 512
struct den_webhook_row {
    char job[DEN_ID_SIZE], owner[DEN_OWNER_SIZE], url[DEN_WEBHOOK_URL_SIZE];
    int64_t attempts, finished_ms;
};

/* A file that comes in parts. */
struct den_upload_row {
    char id[DEN_ID_SIZE], owner[DEN_OWNER_SIZE], name[DEN_NAME_SIZE];
    uint64_t length;
    char image[DEN_ID_SIZE]; /* what it has become; "" = not all of it is there */
    int64_t created_ms, expires_ms;
};

struct den_dataset_row {
    char id[DEN_ID_SIZE], owner[DEN_OWNER_SIZE], name[DEN_NAME_SIZE];
    char kind[16]; /* pairs, repeats */
    uint64_t samples, scenes;
    int64_t created_ms;
};

/* One noisy file with its clean one ("" for repeats); all pages of the noisy file are
 * samples, a clean file has one page (shared by all) or as many. */
struct den_dataset_item {
    char noisy[DEN_ID_SIZE], clean[DEN_ID_SIZE];
};

enum den_job_state {
    DEN_JOB_QUEUED,
    DEN_JOB_RUNNING,
    DEN_JOB_SUCCEEDED,
    DEN_JOB_FAILED,
    DEN_JOB_CANCELLING,
    DEN_JOB_CANCELLED,
    DEN_JOB_STATES
};
/* A job of a lower class begins before all of a higher one. */
enum den_job_class {
    DEN_CLASS_INTERACTIVE, /* denoise: somebody waits for the image */
    DEN_CLASS_BATCH,       /* denoise that may take its time; evaluate */
    DEN_CLASS_TRAINING,
    DEN_CLASS_EXPERIMENT,
    DEN_JOB_CLASSES
};
/* interactive, batch or training (experiments are that, too) */
const char *den_job_class_name(enum den_job_class class);

/* A worker's right to a job, until a moment that it puts off again and again.  gen counts
 * the leases of the job: whoever writes with one that is not the newest is refused. */
#define DEN_WORKER_SIZE 24
struct den_lease {
    char job[DEN_ID_SIZE], worker[DEN_WORKER_SIZE];
    int64_t gen;
    double seconds; /* at work under it so far, as its holder says */
};

const char *den_job_state_name(enum den_job_state state);
bool den_job_state_find(const char *name, enum den_job_state *ret);

/* Fields stand in the order of a job's life, which costs 8 bytes.
 * NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding) */
struct den_job_row {
    char id[DEN_ID_SIZE], owner[DEN_OWNER_SIZE];
    char kind[16]; /* a name of den_job_kinds[] */
    enum den_job_state state;
    /* what was asked */
    char dataset[DEN_ID_SIZE], image[DEN_ID_SIZE]; /* "" where the kind has none */
    char model[DEN_NAME_SIZE]; /* train: name of the model to make; else the model to use
                                */
    int64_t version; /* train: the version made; else the version used; 0 = none yet */
    /* of the model that is used or, by train, started from; "" = none */
    char model_owner[DEN_OWNER_SIZE];
    char method[32], preset[32];
    char config[DEN_CONFIG_SIZE]; /* every key, resolved */
    uint64_t seed;
    uint64_t peak_bytes;                /* of memory, as admitted; 0 = not known */
    char webhook[DEN_WEBHOOK_URL_SIZE]; /* only on its way in; "" = none */
    enum den_job_class class;
    char rate[DEN_NAME_SIZE]; /* of den_rates: how fast such jobs are; "" = not known */
    double units;             /* of work, in what the rate counts */
    /* how it goes */
    int64_t created_ms, started_ms, finished_ms;
    int64_t attempts;
    int64_t fruitless; /* of these, the last ones that came to nothing */
    int64_t retry_ms;  /* queued: not before then, after a failure; 0 = at any time */
    int64_t gen;       /* of the newest lease, and whose that is or was */
    char worker[DEN_WORKER_SIZE];
    uint64_t reached;     /* step when it was begun */
    uint64_t step, steps; /* progress; steps 0 = not known yet */
    char error_code[32], error_text[400];
    /* what came out */
    uint64_t result_bytes; /* on its way in only */
    char result_sha256[DEN_SHA256_SIZE], result_name[DEN_NAME_SIZE], result_media[32];
    /* denoise: pixels that were clipped to the type, planes (channels of pages) that were
     * denoised, and those that were left as they were */
    uint64_t clipped, planes, planes_left;
    char dtype[12];                     /* denoise: of the pixels, "uint16" */
    char model_sha256[DEN_SHA256_SIZE]; /* denoise: of the weights used; "" = a filter */
    double seconds;                     /* of compute, in the newest attempt */
};

/* NOLINTNEXTLINE(clang-analyzer-optin.performance.Padding): the same */
struct den_model_row {
    char owner[DEN_OWNER_SIZE], name[DEN_NAME_SIZE];
    int64_t version;
    bool shared; /* with everybody, as are all versions of the name */
    char job[DEN_ID_SIZE], dataset[DEN_ID_SIZE];
    char sha256[DEN_SHA256_SIZE]; /* of the weights file */
    uint64_t bytes, seed, steps;
    char method[32], preset[32], config[DEN_CONFIG_SIZE];
    double shift, scale; /* normalisation */
    bool has_validation;
    double validation_psnr;
    int64_t created_ms;
};

/* A name for a version of a model, "champion". */
#define DEN_ALIAS_SIZE 65 /* a letter, then up to 63 of A-Z a-z 0-9 . _ - */
struct den_alias_row {
    char model[DEN_NAME_SIZE], name[DEN_ALIAS_SIZE];
    int64_t version, previous; /* previous: the version before; 0 = none */
    int64_t updated_ms;
};

/* One fact about a job, numbered from 1 within the job. */
struct den_event_row {
    uint64_t seq;
    char type[12]; /* state, progress, metric, log, done */
    uint64_t step, steps;
    char name[32];  /* metric: its name; state, done: the state */
    double value;   /* metric */
    char text[400]; /* log: a sentence */
    int64_t created_ms;
};

/* One number of an evaluation. */
struct den_score_row {
    char image[DEN_ID_SIZE], name[DEN_NAME_SIZE]; /* noisy image */
    uint32_t page;
    char method[DEN_NAME_SIZE]; /* noisy, gaussian, median, or "name@version" */
    char metric[32];
    double value; /* +infinity for identical images */
};

/* What came out of one cell of an experiment, or of a row it is compared with. */
struct den_cell_row {
    int64_t cell;      /* from 0 in the order of running; else one of the below */
    char state[12];    /* done, diverged */
    double seconds;    /* of training */
    uint64_t images;   /* noisy images trained on */
    char values[2048]; /* "metric=value\n" lines, means over the test images */
    char text[400];    /* diverged: what happened */
};
#define DEN_CELL_NOISY (-1)     /* the test images as they are */
#define DEN_CELL_REFERENCE (-2) /* a crop, and no values */
#define DEN_CELL_FILTER (-3)    /* -3 - i: number i of the experiment's filters */

struct den_model_key {
    char owner[DEN_OWNER_SIZE], name[DEN_NAME_SIZE];
    int64_t version;
};

/* Fruitless attempts, with one that ends at `step`: a training that got further than any
 * before it was worth it, for it goes on from there. */
int64_t den_job_fruitless(const struct den_job_row *row, uint64_t step);

struct den_lease den_job_lease(const struct den_job_row *row); /* the newest */

/* 26 characters of ULID behind the prefix, ascending in time: "job_" -> "job_01JDB...".
 */
void den_id_new(const char *prefix, char *to /* [DEN_ID_SIZE] */);
/* prefix + 26 characters of Crockford base32? */
bool den_id_valid(const char *id, const char *prefix);

#endif
