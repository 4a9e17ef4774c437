/* Settings from arguments, environment and defaults: one table, one parser each. */
#include "settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "os.h"
#include "parse.h"
#include "status.h"

typedef struct setting {
    const char *name, *syntax, *fallback;
    size_t offset; /* of its text in fc_options */
    const char *(*parse)(fc__settings *out, const char *text);
} setting;

/* ---- Each setting's parser: NULL, or what the text must be ---- */

/* A path; "~" before it is the home directory, for what no shell has expanded. */
static const char *parse_path(char *out, size_t bytes, const char *text) {
    const char *home = "";
    if (text[0] == '~') {
        home = getenv("HOME");
        if (text[1] && text[1] != '/')
            return "without another user's ~: write that directory out";
        if (!home || home[0] != '/')
            return "without ~, since HOME is not set";
        text++;
    }
    int length = snprintf(out, bytes, "%s%s", home, text);
    return length > 0 && (size_t)length < bytes ? NULL : "";
}

static const char *parse_dir(fc__settings *out, const char *text) {
    const char *must_be = parse_path(out->dir, sizeof out->dir, text);
    return must_be && !*must_be ? "a path of 1 to 4095 bytes" : must_be;
}

static const char *parse_auto_or_amount(fc__amount *out, const char *text) {
    if (strcmp(text, "auto") == 0) {
        *out = (fc__amount){FC__AUTO, 0};
        return NULL;
    }
    const char *must_be = fc__parse_amount(out, text);
    return must_be ? must_be : out->value == 0 ? "over 0" : NULL;
}

static const char *parse_budget(fc__settings *out, const char *text) {
    return parse_auto_or_amount(&out->budget, text);
}

static const char *parse_watermarks(fc__settings *out, const char *text) {
    return fc__parse_watermarks(&out->high_percent, &out->low_percent, text);
}

static const char *parse_capacity(fc__settings *out, const char *text) {
    return fc__parse_capacity(&out->capacity, text);
}

static const char *parse_ttl(fc__settings *out, const char *text) {
    if (strcmp(text, "never") == 0) {
        out->ttl_ms = FC_NEVER;
        return NULL;
    }
    const char *must_be = fc__parse_duration(&out->ttl_ms, text);
    return must_be ? must_be : out->ttl_ms == 0 ? "at least 1ms" : NULL;
}

static const char *parse_pool(fc__settings *out, const char *text) {
    return fc__parse_amount(&out->pool, text);
}

static const char *parse_checksum(fc__settings *out, const char *text) {
    static const char *const words[] = {NULL, "off", "commit", "map"};
    for (int i = FC__CHECKSUM_OFF; i <= FC__CHECKSUM_MAP; i++)
        if (strcmp(text, words[i]) == 0) {
            out->checksum = (fc__checksum)i;
            return NULL;
        }
    return "off, commit or map";
}

static const char *parse_threads(fc__settings *out, const char *text) {
    return fc__parse_threads(&out->threads, text);
}

static const char *parse_populate(fc__settings *out, const char *text) {
    return fc__parse_switch(&out->populate, text, "on", "off") ? "on or off" : NULL;
}

static const char *parse_huge(fc__settings *out, const char *text) {
    return fc__parse_switch(&out->huge, text, "advise", "off") ? "off or advise" : NULL;
}

static const char *parse_mode(fc__settings *out, const char *text) {
    return fc__parse_mode(&out->mode, text);
}

static const char *parse_janitor(fc__settings *out, const char *text) {
    return fc__parse_switch(&out->janitor, text, "on", "off") ? "on or off" : NULL;
}

static const char *parse_flight_max(fc__settings *out, const char *text) {
    return fc__parse_duration(&out->flight_max_ms, text);
}

static const char *parse_reclaim_wait(fc__settings *out, const char *text) {
    return fc__parse_duration(&out->reclaim_wait_ms, text);
}

static const char *parse_cold(fc__settings *out, const char *text) {
    return fc__parse_switch(&out->cold, text, "on", "off") ? "on or off" : NULL;
}

/* Processes of one cache may differ in their working directory. */
static const char *parse_spill_dir(fc__settings *out, const char *text) {
    size_t bytes = sizeof out->spill_dir - 64;
    out->spill_dir[0] = 0;
    if (strcmp(text, "none") == 0)
        return NULL;
    const char *must_be = parse_path(out->spill_dir, bytes, text);
    if (!must_be && out->spill_dir[0] == '/')
        return NULL;
    out->spill_dir[0] = 0;
    return must_be && *must_be
               ? must_be
               : "a path that begins with / and has at most 4031 bytes, or none";
}

static const char *parse_spill_budget(fc__settings *out, const char *text) {
    fc__amount amount;
    const char *must_be = fc__parse_amount(&amount, text);
    if (must_be)
        return must_be;
    if (amount.unit != FC__BYTES)
        return "bytes, not a percent";
    out->spill_budget_bytes = amount.value;
    return NULL;
}

static const setting settings[FC__SETTING_COUNT] = {
#define FC_X(name, syntax, value)                                                        \
    {#name, syntax, value, offsetof(fc_options, name), parse_##name},
    FC_SETTINGS(FC_X)
#undef FC_X
};

/* ---- Names, texts, errors ---- */

const char *fc__setting_name(int index) {
    return index >= 0 && index < FC__SETTING_COUNT ? settings[index].name : "";
}

const char *fc__setting_syntax(int index) {
    return index >= 0 && index < FC__SETTING_COUNT ? settings[index].syntax : "";
}

void fc__setting_variable(char *out, size_t bytes, int index) {
    size_t used = (size_t)snprintf(out, bytes, "FRAMECACHE_%s", fc__setting_name(index));
    for (size_t i = 0; i < used && out[i]; i++)
        if (out[i] >= 'a' && out[i] <= 'z')
            out[i] = (char)(out[i] - 'a' + 'A');
}

/* The value between quotes, on one line whatever it holds, cut when long. */
static void quote(char *out, size_t bytes, const char *text) {
    size_t used = 0;
    out[used++] = '"';
    for (; *text && used + sizeof "\\xff...\"" < bytes; text++) {
        unsigned char c = (unsigned char)*text;
        const char *format = c < ' ' || c > '~'      ? "\\x%02x"
                             : c == '"' || c == '\\' ? "\\%c"
                                                     : "%c";
        used += (size_t)snprintf(out + used, bytes - used, format, c);
    }
    snprintf(out + used, bytes - used, "%s", *text ? "...\"" : "\"");
}

static int refuse(fc_error *error, const setting *which, fc__origin origin,
                  const char *text, const char *must_be) {
    char quoted[160], variable[64];
    quote(quoted, sizeof quoted, text);
    fc__setting_variable(variable, sizeof variable, (int)(which - settings));
    return fc__fail(error, FC_E_INVALID, "%s%s is %s, but must be %s. Syntax: %s",
                    origin == FC__ENVIRONMENT ? "" : "option ",
                    origin == FC__ENVIRONMENT ? variable : which->name, quoted, must_be,
                    which->syntax);
}

/* ---- Loading ---- */

/* Defaults that the table can only describe. */
static void set_described_defaults(fc__settings *out) {
    uint32_t cores = fc__os_cores();
    snprintf(out->dir, sizeof out->dir, "/dev/shm/framecache-%u", (unsigned)fc__os_uid());
    out->capacity = 0;
    out->checksum = FC__CHECKSUM_DEFAULT;
    out->threads = cores < 4 ? cores : 4;
}

static void note(fc__settings *out, int index, fc__origin origin, const char *text) {
    out->origin[index] = origin;
    size_t bytes = strnlen(text, sizeof out->text[index] - 1);
    memcpy(out->text[index], text, bytes); /* zeroed before, so it ends with a NUL */
}

static void load_default(fc__settings *out, int index) {
    const char *text = settings[index].fallback;
    switch (index) {
    case FC__SETTING_dir:
        text = out->dir;
        break;
    case FC__SETTING_capacity:
    case FC__SETTING_checksum:
    case FC__SETTING_threads:
        break;
    default:
        settings[index].parse(out, text); /* a test checks that all of them parse */
    }
    note(out, index, FC__DEFAULT, text);
}

/* The text of options' field, or NULL; a field beyond options->size is not there. */
static const char *argument_of(const fc_options *options, const setting *which) {
    const char *text = NULL;
    if (options && options->size >= which->offset + sizeof text)
        memcpy(&text, (const char *)options + which->offset, sizeof text);
    return text;
}

static int load_one(fc__settings *out, int index, const fc_options *options,
                    fc_error *error) {
    const setting *which = &settings[index];
    const char *text = argument_of(options, which);
    fc__origin origin = FC__ARGUMENT;
    if (!text) {
        char variable[64];
        fc__setting_variable(variable, sizeof variable, index);
        text = getenv(variable);
        origin = FC__ENVIRONMENT;
    }
    if (!text || (origin == FC__ENVIRONMENT && !*text)) {
        load_default(out, index);
        return 0;
    }
    const char *must_be = which->parse(out, text);
    if (must_be)
        return refuse(error, which, origin, text, must_be);
    note(out, index, origin, text);
    return 0;
}

int fc__settings_load(fc__settings *out, const fc_options *options, fc_error *error) {
    memset(out, 0, sizeof *out);
    if (options && options->size < offsetof(fc_options, log))
        return fc__fail(error, FC_E_INVALID,
                        "fc_options.size is %zu: set it to sizeof(fc_options)",
                        options->size);
    set_described_defaults(out);
    for (int i = 0; i < FC__SETTING_COUNT; i++) {
        int status = load_one(out, i, options, error);
        if (status)
            return status;
    }
    return 0;
}

/* The value as text: what was given, but a path whole and a number that was counted. */
static const char *value_of(const fc__settings *in, int index, char *out, size_t bytes) {
    if (index == FC__SETTING_dir)
        return in->dir;
    if (index == FC__SETTING_spill_dir && in->spill_dir[0])
        return in->spill_dir;
    if (index != FC__SETTING_threads)
        return in->text[index];
    snprintf(out, bytes, "%u", (unsigned)in->threads);
    return out;
}

int fc__settings_walk(const fc__settings *in, fc_setting_fn report, void *context) {
    int stopped = 0;
    for (int i = 0; i < FC__SETTING_COUNT && !stopped; i++) {
        char number[16], variable[64];
        fc__setting_variable(variable, sizeof variable, i);
        const char *origin = in->origin[i] == FC__ARGUMENT      ? "argument"
                             : in->origin[i] == FC__ENVIRONMENT ? variable
                                                                : "default";
        stopped = report(context, settings[i].name,
                         value_of(in, i, number, sizeof number), origin);
    }
    return stopped;
}

int fc__parse_budget(fc__amount *out, const char *text, fc_error *error) {
    *out = (fc__amount){FC__AUTO, 0};
    const char *must_be = parse_auto_or_amount(out, text ? text : "");
    return must_be ? refuse(error, &settings[FC__SETTING_budget], FC__ARGUMENT,
                            text ? text : "", must_be)
                   : 0;
}
