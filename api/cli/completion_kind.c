#include "completion_kind.h"

#include <string.h>

#include "str.h"

static const struct {
    const char *part; /* of what the help calls the value */
    enum den_kind kind;
} parts[] = {
    {"FILE", DEN_KIND_FILES},   {"CSV", DEN_KIND_FILES},         {"PNG", DEN_KIND_FILES},
    {"SOURCE", DEN_KIND_FILES}, {"DIR", DEN_KIND_FOLDERS},       {"JOB", DEN_KIND_JOBS},
    {"MODEL", DEN_KIND_MODELS}, {"[@VERSION]", DEN_KIND_MODELS},
};

const char *den_kind_name(enum den_kind kind)
{
    static const char *const names[] = {"none", "files",  "folders",
                                        "jobs", "models", "words"};
    return names[kind];
}

static bool is_choice(const char *value)
{
    return strchr(value, '|') != NULL &&
           value[strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-|")] == '\0';
}

enum den_kind den_kind_of(const char *value)
{
    if (value == NULL)
        return DEN_KIND_NONE;
    if (is_choice(value))
        return DEN_KIND_WORDS;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (strstr(value, parts[i].part) != NULL)
            return parts[i].kind;
    return DEN_KIND_NONE;
}

enum den_kind den_kind_of_words(const struct den_command *command, char *value,
                                size_t size)
{
    const char *word = command->synopsis;
    word += strspn(word, "[(");
    (void)den_str_format(value, size, "%.*s", (int)strcspn(word, " ]).[@"), word);
    if (command->most > 0)
        return den_kind_of(value);
    /* No arguments, but options that take as many words as one likes. */
    for (const struct den_option *o = command->options; o->name != NULL; o++)
        if (o->kind == DEN_OPTION_LIST && den_kind_of(o->value) == DEN_KIND_FILES)
            return DEN_KIND_FILES;
    return DEN_KIND_NONE;
}

const char *den_kind_words(const char *value, char *to, size_t size)
{
    (void)den_str_copy(to, size, value);
    for (char *at = to; *at != '\0'; at++)
        if (*at == '|')
            *at = ' ';
    return to;
}
