/* The settings: one parser for fc_options and FRAMECACHE_* variables. Arguments win over
 * the environment, which wins over defaults. What does not parse is FC_E_INVALID and
 * quoted, with the setting's name (and variable) and its syntax. */
#ifndef FC_SETTINGS_H
#define FC_SETTINGS_H

#include "framecache/framecache.h"

typedef enum fc__origin { FC__DEFAULT, FC__ENVIRONMENT, FC__ARGUMENT } fc__origin;
typedef enum fc__unit { FC__BYTES, FC__PERCENT, FC__AUTO } fc__unit;
typedef enum fc__checksum {
    FC__CHECKSUM_DEFAULT, /* off on tmpfs, else commit */
    FC__CHECKSUM_OFF,
    FC__CHECKSUM_COMMIT,
    FC__CHECKSUM_MAP
} fc__checksum;

typedef struct fc__amount {
    fc__unit unit;
    uint64_t value; /* bytes, or percent times 100; AUTO: 0 */
} fc__amount;

/* One index per entry of FC_SETTINGS. */
enum {
#define FC_X(name, syntax, value) FC__SETTING_##name,
    FC_SETTINGS(FC_X)
#undef FC_X
        FC__SETTING_COUNT
};

typedef struct fc__settings {
    char dir[4096];
    fc__amount budget; /* percent: of the file system */
    uint32_t high_percent, low_percent;
    uint32_t capacity; /* 0: the default, which depends on the file system */
    int64_t ttl_ms;    /* or FC_NEVER */
    fc__amount pool;   /* percent: of the budget */
    fc__checksum checksum;
    uint32_t threads;
    bool populate, huge, janitor;
    uint32_t mode;
    int64_t flight_max_ms, reclaim_wait_ms;
    bool cold;
    char spill_dir[4096]; /* empty: none */
    uint64_t spill_budget_bytes;
    fc__origin origin[FC__SETTING_COUNT];
    char text[FC__SETTING_COUNT][64]; /* as it was given, cut for display; dir: see dir */
} fc__settings;

/* `options` may be NULL; honours options->size. An empty variable counts as unset. */
int fc__settings_load(fc__settings *out, const fc_options *options, fc_error *error);

/* One budget text ("8GiB", "50%", "auto"), for fc_cache_set_budget(). */
int fc__parse_budget(fc__amount *out, const char *text, fc_error *error);

const char *fc__setting_name(int index);   /* "budget" */
const char *fc__setting_syntax(int index); /* of the table */

/* Calls `report` for each setting until it returns non-zero, and returns that. */
int fc__settings_walk(const fc__settings *settings, fc_setting_fn report, void *context);

/* "FRAMECACHE_BUDGET" */
void fc__setting_variable(char *out, size_t bytes, int index);

#endif
