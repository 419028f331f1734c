#include "pairs_csv.h"

#include <regex.h>
#include <string.h>

#include "buf.h"
#include "cli.h"
#include "csv.h"
#include "fs.h"
#include "mem.h"

#define FILE_MAX ((size_t)16 << 20)
#define PATH_LENGTH_MAX ((size_t)4096)

struct columns {
    size_t id, noisy, clean, count;
};

static const size_t none = DEN_CSV_FIELDS;

static size_t column_named(char *const *heads, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(heads[i], name) == 0)
            return i;
    return none;
}

static bool read_header(struct den_csv *csv, struct columns *ret, struct den_err *err)
{
    char *heads[DEN_CSV_FIELDS];
    struct columns c;
    if (!den_csv_next(csv, heads, &c.count, err))
        return false;
    c.id = column_named(heads, c.count, "id");
    c.noisy = column_named(heads, c.count, "noisy");
    c.clean = column_named(heads, c.count, "gt");
    if (c.clean == none)
        c.clean = column_named(heads, c.count, "clean");
    if (c.noisy == none || c.clean == none)
        return den_err_set(err, DEN_E_MALFORMED,
                           "line 1: the header has no column '%s'; columns noisy and gt "
                           "(or clean) are needed",
                           c.noisy == none ? "noisy" : "gt");
    if (c.id == none)
        c.id = c.noisy;
    *ret = c;
    return true;
}

/* A path of the file, seen from its folder. */
static char *beside(const char *file, const char *path, struct den_err *err)
{
    const char *slash = strrchr(file, '/');
    struct den_buf whole;
    den_buf_init(&whole, PATH_LENGTH_MAX);
    if (slash != NULL && path[0] != '/')
        den_buf_add(&whole, file, (size_t)(slash - file) + 1);
    den_buf_puts(&whole, path);
    char *ret = den_buf_ok(&whole, err) ? den_buf_take(&whole) : NULL;
    den_buf_release(&whole);
    return ret;
}

static bool make_room(struct den_pairs *pairs, struct den_err *err)
{
    if (pairs->count < pairs->capacity)
        return true;
    size_t capacity = pairs->capacity > 0 ? 2 * pairs->capacity : 64;
    struct den_pair *grown = den_realloc(pairs->pairs, capacity, sizeof *grown);
    if (grown == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for pairs");
    pairs->pairs = grown;
    pairs->capacity = capacity;
    return true;
}

static bool add(struct den_pairs *pairs, const char *file, const char *id,
                const char *noisy, const char *clean, struct den_err *err)
{
    if (pairs->count == DEN_PAIRS_MAX)
        return den_err_set(err, DEN_E_INVALID,
                           "there are more than %d pairs; choose some with --where",
                           DEN_PAIRS_MAX);
    if (!make_room(pairs, err))
        return false;
    struct den_pair *pair = &pairs->pairs[pairs->count++];
    *pair = (struct den_pair){.id = den_strdup(id)};
    pair->noisy = beside(file, noisy, err);
    pair->clean = beside(file, clean, err);
    if (pair->id == NULL || pair->noisy == NULL || pair->clean == NULL)
        return den_err_set(err, DEN_E_NO_MEMORY, "there is no memory left for pairs");
    return true;
}

static bool read_rows(struct den_csv *csv, const char *file, const struct columns *c,
                      const regex_t *where, struct den_pairs *pairs, struct den_err *err)
{
    char *fields[DEN_CSV_FIELDS];
    size_t count;
    for (;;) {
        if (!den_csv_next(csv, fields, &count, err))
            return false;
        if (count == 0)
            return true;
        if (count != c->count)
            return den_err_set(err, DEN_E_MALFORMED,
                               "line %zu: %zu fields where the header has %zu", csv->line,
                               count, c->count);
        const char *noisy = fields[c->noisy], *clean = fields[c->clean];
        if (noisy[0] == '\0' || clean[0] == '\0')
            return den_err_set(err, DEN_E_MALFORMED,
                               "line %zu: the %s image is not named", csv->line,
                               noisy[0] == '\0' ? "noisy" : "clean");
        if (where != NULL && regexec(where, fields[c->id], 0, NULL, 0) != 0)
            continue;
        if (!add(pairs, file, fields[c->id], noisy, clean, err))
            return false;
    }
}

static bool parse(char *text, size_t length, const char *file, const char *pattern,
                  struct den_pairs *pairs, struct den_err *err)
{
    struct den_csv csv;
    struct columns columns = {0};
    regex_t where;
    if (memchr(text, '\0', length) != NULL)
        return den_err_set(err, DEN_E_MALFORMED, "this is no text");
    if (pattern != NULL && regcomp(&where, pattern, REG_EXTENDED | REG_NOSUB) != 0)
        return den_err_set(err, DEN_E_INVALID,
                           "--where '%.80s' is not an extended regular expression",
                           pattern);
    den_csv_init(&csv, text);
    bool done =
        read_header(&csv, &columns, err) &&
        read_rows(&csv, file, &columns, pattern != NULL ? &where : NULL, pairs, err);
    if (pattern != NULL)
        regfree(&where);
    if (done && pairs->count == 0 && pattern != NULL)
        return den_err_set(err, DEN_E_INVALID, "no row matches --where '%.80s'", pattern);
    if (done && pairs->count == 0)
        return den_err_set(err, DEN_E_INVALID, "there is no row behind the header");
    return done;
}

bool den_pairs_read(const char *file, const char *where, struct den_pairs *ret,
                    struct den_err *err)
{
    char *text = NULL;
    size_t length = 0;
    struct den_pairs pairs = {0};
    struct den_err cause = DEN_ERR_INIT;
    bool done = den_fs_read(file, FILE_MAX, &text, &length, &cause) &&
                parse(text, length, file, where, &pairs, &cause);
    den_free(text);
    if (done)
        *ret = pairs;
    else
        den_pairs_release(&pairs);
    return done || den_err_about(err, file, &cause);
}

static void pair_release(struct den_pair *pair)
{
    den_free(pair->id);
    den_free(pair->noisy);
    den_free(pair->clean);
}

/* scene[i] is the number of pair i's clean image in the order of first appearance. */
static size_t number_scenes(const struct den_pairs *pairs, size_t *scene)
{
    size_t scenes = 0;
    for (size_t i = 0; i < pairs->count; i++) {
        size_t same = i; /* pairs of one scene mostly follow each other */
        while (same > 0 &&
               strcmp(pairs->pairs[same - 1].clean, pairs->pairs[i].clean) != 0)
            same--;
        scene[i] = same > 0 ? scene[same - 1] : scenes++;
    }
    return scenes;
}

bool den_pairs_hold_out(struct den_pairs *pairs, double fraction, bool keep_held,
                        struct den_err *err)
{
    size_t *scene = den_new(pairs->count, sizeof *scene, err);
    if (scene == NULL)
        return false;
    size_t scenes = number_scenes(pairs, scene), kept = 0;
    if (scenes < 2) {
        den_free(scene);
        return den_err_set(
            err, DEN_E_INVALID,
            "all pairs show one scene; at least two are needed to hold one "
            "out");
    }
    size_t held = (size_t)(fraction * (double)scenes + 0.5);
    held = held < 1 ? 1 : held > scenes - 1 ? scenes - 1 : held;
    for (size_t i = 0; i < pairs->count; i++) {
        struct den_pair pair = pairs->pairs[i];
        if ((scene[i] >= scenes - held) == keep_held)
            pairs->pairs[kept++] = pair;
        else
            pair_release(&pair);
    }
    pairs->count = kept;
    den_free(scene);
    return true;
}

void den_pairs_release(struct den_pairs *pairs)
{
    for (size_t i = 0; i < pairs->count; i++)
        pair_release(&pairs->pairs[i]);
    den_free(pairs->pairs);
    *pairs = (struct den_pairs){0};
}
