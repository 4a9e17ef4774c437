/* Settings: what each text means, what is refused and in which words, who wins. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "os.h"
#include "settings.h"

static void unset(const char *name) {
    char variable[64];
    snprintf(variable, sizeof variable, "FRAMECACHE_%s", name);
    for (char *c = variable; *c; c++)
        if (*c >= 'a' && *c <= 'z')
            *c = (char)(*c - 'a' + 'A');
    unsetenv(variable);
}

static int no_environment(void **state) {
    (void)state;
#define FC_X(name, syntax, value) unset(#name);
    FC_SETTINGS(FC_X)
#undef FC_X
    return 0;
}

/* Loads with one option given as an argument. */
static int load(fc__settings *out, size_t offset, const char *text, fc_error *error) {
    fc_options options = {.size = sizeof options};
    memcpy((char *)&options + offset, &text, sizeof text);
    return fc__settings_load(out, &options, error);
}

#define LOAD(out, name, text, error) load(out, offsetof(fc_options, name), text, error)

#define REFUSED(name, text, expected)                                                    \
    do {                                                                                 \
        fc__settings refused_;                                                           \
        fc_error error_ = {0};                                                           \
        assert_int_equal(LOAD(&refused_, name, text, &error_), FC_E_INVALID);            \
        assert_int_equal(error_.code, FC_E_INVALID);                                     \
        assert_string_equal(error_.message, expected);                                   \
    } while (0)

/* ---- Defaults, origins ---- */

static void without_anything_all_defaults_stand(void **state) {
    (void)state;
    fc__settings settings;
    fc_error error;
    char dir[64];
    snprintf(dir, sizeof dir, "/dev/shm/framecache-%u", (unsigned)geteuid());
    assert_int_equal(fc__settings_load(&settings, NULL, &error), 0);
    assert_string_equal(settings.dir, dir);
    assert_int_equal(settings.budget.unit, FC__AUTO);
    assert_int_equal(settings.high_percent, 95);
    assert_int_equal(settings.low_percent, 85);
    assert_int_equal(settings.capacity, 0);
    assert_int_equal(settings.ttl_ms, FC_NEVER);
    assert_int_equal(settings.pool.unit, FC__PERCENT);
    assert_int_equal(settings.pool.value, 1000);
    assert_int_equal(settings.checksum, FC__CHECKSUM_DEFAULT);
    assert_int_equal(settings.threads, fc__os_cores() < 4 ? fc__os_cores() : 4);
    assert_false(settings.populate);
    assert_false(settings.huge);
    assert_int_equal(settings.mode, 0700);
    assert_true(settings.janitor);
    assert_int_equal(settings.flight_max_ms, 60000);
    assert_int_equal(settings.reclaim_wait_ms, 250);
    assert_true(settings.cold);
    assert_string_equal(settings.spill_dir, "");
    assert_int_equal(settings.spill_budget_bytes, 10ull << 30);
    for (int i = 0; i < FC__SETTING_COUNT; i++)
        assert_int_equal(settings.origin[i], FC__DEFAULT);
    assert_string_equal(settings.text[FC__SETTING_watermarks], "95:85");
}

static void a_tilde_is_the_home_directory(void **state) {
    (void)state;
    fc__settings settings;
    const char *given = getenv("HOME");
    char kept[4096];
    snprintf(kept, sizeof kept, "%s", given ? given : "/");
    setenv("HOME", "/home/someone", 1);
    assert_int_equal(LOAD(&settings, dir, "~/cache", NULL), 0);
    assert_string_equal(settings.dir, "/home/someone/cache");
    assert_int_equal(LOAD(&settings, dir, "~", NULL), 0);
    assert_string_equal(settings.dir, "/home/someone");
    assert_int_equal(LOAD(&settings, dir, "./~/cache", NULL), 0);
    assert_string_equal(settings.dir, "./~/cache");
    assert_int_equal(LOAD(&settings, spill_dir, "~/spill", NULL), 0);
    assert_string_equal(settings.spill_dir, "/home/someone/spill");
    setenv("FRAMECACHE_DIR", "~/from", 1);
    assert_int_equal(fc__settings_load(&settings, NULL, NULL), 0);
    assert_string_equal(settings.dir, "/home/someone/from");
    REFUSED(dir, "~other/x", "option dir is \"~other/x\", but must be without another "
                             "user's ~: write that directory out. Syntax: path");
    unsetenv("HOME");
    REFUSED(dir, "~/x", "option dir is \"~/x\", but must be without ~, since HOME is not "
                        "set. Syntax: path");
    assert_int_equal(LOAD(&settings, spill_dir, "~/x", NULL), FC_E_INVALID);
    setenv("HOME", kept, 1);
}

static void spill_settings_take_absolute_paths_and_bytes(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, spill_dir, "none", NULL), 0);
    assert_string_equal(settings.spill_dir, "");
    assert_int_equal(LOAD(&settings, spill_dir, "/tmp/x", NULL), 0);
    assert_string_equal(settings.spill_dir, "/tmp/x");
    assert_int_equal(LOAD(&settings, spill_dir, "here", NULL), FC_E_INVALID);
    assert_int_equal(LOAD(&settings, spill_budget, "50%", NULL), FC_E_INVALID);
    assert_int_equal(LOAD(&settings, spill_budget, "1G", NULL), 0);
    assert_int_equal(settings.spill_budget_bytes, 1ull << 30);
    assert_int_equal(LOAD(&settings, cold, "maybe", NULL), FC_E_INVALID);
}

static void each_variable_is_read_under_its_own_name(void **state) {
    (void)state;
    static const struct {
        const char *variable, *text;
        int index;
    } cases[] = {{"FRAMECACHE_DIR", "/tmp/elsewhere", FC__SETTING_dir},
                 {"FRAMECACHE_BUDGET", "8GiB", FC__SETTING_budget},
                 {"FRAMECACHE_WATERMARKS", "90:70", FC__SETTING_watermarks},
                 {"FRAMECACHE_CAPACITY", "1024", FC__SETTING_capacity},
                 {"FRAMECACHE_TTL", "10m", FC__SETTING_ttl},
                 {"FRAMECACHE_POOL", "64M", FC__SETTING_pool},
                 {"FRAMECACHE_CHECKSUM", "map", FC__SETTING_checksum},
                 {"FRAMECACHE_THREADS", "3", FC__SETTING_threads},
                 {"FRAMECACHE_POPULATE", "on", FC__SETTING_populate},
                 {"FRAMECACHE_HUGE", "advise", FC__SETTING_huge},
                 {"FRAMECACHE_MODE", "2750", FC__SETTING_mode},
                 {"FRAMECACHE_JANITOR", "off", FC__SETTING_janitor},
                 {"FRAMECACHE_FLIGHT_MAX", "2s", FC__SETTING_flight_max},
                 {"FRAMECACHE_RECLAIM_WAIT", "1s", FC__SETTING_reclaim_wait},
                 {"FRAMECACHE_COLD", "off", FC__SETTING_cold},
                 {"FRAMECACHE_SPILL_DIR", "/tmp/spill", FC__SETTING_spill_dir},
                 {"FRAMECACHE_SPILL_BUDGET", "1GiB", FC__SETTING_spill_budget}};
    fc__settings settings;
    assert_int_equal(sizeof cases / sizeof *cases, FC__SETTING_COUNT);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        setenv(cases[i].variable, cases[i].text, 1);
    assert_int_equal(fc__settings_load(&settings, NULL, NULL), 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(settings.origin[cases[i].index], FC__ENVIRONMENT);
        assert_string_equal(settings.text[cases[i].index], cases[i].text);
    }
    assert_string_equal(settings.dir, "/tmp/elsewhere");
    assert_int_equal(settings.budget.value, 8ull << 30);
    assert_int_equal(settings.high_percent, 90);
    assert_int_equal(settings.low_percent, 70);
    assert_int_equal(settings.capacity, 1024);
    assert_int_equal(settings.ttl_ms, 600000);
    assert_int_equal(settings.pool.value, 64 << 20);
    assert_int_equal(settings.checksum, FC__CHECKSUM_MAP);
    assert_int_equal(settings.threads, 3);
    assert_true(settings.populate);
    assert_true(settings.huge);
    assert_int_equal(settings.mode, 02750);
    assert_false(settings.janitor);
    assert_int_equal(settings.reclaim_wait_ms, 1000);
}

static void an_argument_wins_over_the_environment(void **state) {
    (void)state;
    fc__settings settings;
    setenv("FRAMECACHE_TTL", "10m", 1);
    setenv("FRAMECACHE_THREADS", "none", 1); /* would be refused, but nobody asks */
    fc_options options = {.size = sizeof options, .ttl = "5s", .threads = "2"};
    assert_int_equal(fc__settings_load(&settings, &options, NULL), 0);
    assert_int_equal(settings.ttl_ms, 5000);
    assert_int_equal(settings.origin[FC__SETTING_ttl], FC__ARGUMENT);
    assert_int_equal(settings.threads, 2);
}

static void an_empty_variable_counts_as_unset(void **state) {
    (void)state;
    fc__settings settings;
    setenv("FRAMECACHE_TTL", "", 1);
    assert_int_equal(fc__settings_load(&settings, NULL, NULL), 0);
    assert_int_equal(settings.origin[FC__SETTING_ttl], FC__DEFAULT);
    assert_int_equal(settings.ttl_ms, FC_NEVER);
}

static void fields_beyond_the_size_of_an_older_program_are_not_read(void **state) {
    (void)state;
    fc__settings settings;
    fc_options options = {
        .size = offsetof(fc_options, ttl), .dir = "/tmp/old", .ttl = (const char *)1};
    assert_int_equal(fc__settings_load(&settings, &options, NULL), 0);
    assert_string_equal(settings.dir, "/tmp/old");
    assert_int_equal(settings.origin[FC__SETTING_ttl], FC__DEFAULT);
}

static void options_without_a_size_are_refused(void **state) {
    (void)state;
    fc__settings settings;
    fc_error error;
    fc_options options = {0};
    assert_int_equal(fc__settings_load(&settings, &options, &error), FC_E_INVALID);
    assert_string_equal(error.message,
                        "fc_options.size is 0: set it to sizeof(fc_options)");
}

/* ---- Each kind of text ---- */

static void bytes_take_every_unit_in_either_case(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"1", 1},
                 {"4096", 4096},
                 {"1B", 1},
                 {"2K", 2048},
                 {"2KB", 2048},
                 {"2KiB", 2048},
                 {"2kib", 2048},
                 {"3M", 3ull << 20},
                 {"3MB", 3ull << 20},
                 {"3MiB", 3ull << 20},
                 {"4G", 4ull << 30},
                 {"4gb", 4ull << 30},
                 {"4 GiB", 4ull << 30},
                 {"5T", 5ull << 40},
                 {"5TB", 5ull << 40},
                 {"5TiB", 5ull << 40},
                 {"1.5GiB", 3ull << 29},
                 {"0.25K", 256},
                 {"1.9999999999B", 1},
                 {"9223372036854775807", INT64_MAX}};
    fc__settings settings;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(LOAD(&settings, budget, cases[i].text, NULL), 0);
        assert_int_equal(settings.budget.unit, FC__BYTES);
        assert_true(settings.budget.value == cases[i].bytes);
        assert_int_equal(LOAD(&settings, pool, cases[i].text, NULL), 0);
        assert_true(settings.pool.value == cases[i].bytes);
    }
}

static void percents_have_up_to_two_decimals_and_end_at_100(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, budget, "50%", NULL), 0);
    assert_int_equal(settings.budget.unit, FC__PERCENT);
    assert_int_equal(settings.budget.value, 5000);
    assert_int_equal(LOAD(&settings, budget, "12.25%", NULL), 0);
    assert_int_equal(settings.budget.value, 1225);
    assert_int_equal(LOAD(&settings, budget, "100%", NULL), 0);
    assert_int_equal(settings.budget.value, 10000);
    assert_int_equal(LOAD(&settings, pool, "0%", NULL), 0);
    assert_int_equal(settings.pool.unit, FC__PERCENT);
    assert_int_equal(settings.pool.value, 0);
    static const char *const wrong[] = {"100.01%", "101%", "33.333%", "1e2%"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, budget, wrong[i], NULL), FC_E_INVALID);
}

static void a_budget_that_is_no_amount_is_refused_and_quoted(void **state) {
    (void)state;
    REFUSED(
        budget, "8 apples",
        "option budget is \"8 apples\", but must be a number with a unit (B, K, M, G, "
        "T) or a percent. Syntax: 8GiB, 50% of the file system, or auto");
    REFUSED(budget, "0",
            "option budget is \"0\", but must be over 0. Syntax: 8GiB, 50% of the file "
            "system, or auto");
    REFUSED(
        budget, "120%",
        "option budget is \"120%\", but must be a percent of at most 100 with at most "
        "two decimals. Syntax: 8GiB, 50% of the file system, or auto");
    REFUSED(budget, "9999999999999999999",
            "option budget is \"9999999999999999999\", but must be less than 8 EiB. "
            "Syntax: 8GiB, 50% of the file system, or auto");
    static const char *const wrong[] = {"",
                                        "-1",
                                        "+1",
                                        "G",
                                        ".5G",
                                        "1.G",
                                        "1GG",
                                        "1 G B",
                                        "%",
                                        "8EB",
                                        "0x10",
                                        "1e9",
                                        "1,5GiB",
                                        "auto ",
                                        " 1",
                                        "1.5.5G",
                                        "99999999999999999999999",
                                        "9007199254740993TiB"};
    fc__settings settings;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, budget, wrong[i], NULL), FC_E_INVALID);
}

static void durations_are_seconds_unless_a_unit_stands(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } cases[] = {{"90", 90000},
                 {"90s", 90000},
                 {"10m", 600000},
                 {"2h", 7200000},
                 {"1d", 86400000},
                 {"250ms", 250},
                 {"1.5s", 1500},
                 {"0.25", 250},
                 {"3 h", 10800000},
                 {"10M", 600000},
                 {"36500d", 36500ll * 86400000}};
    fc__settings settings;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(LOAD(&settings, ttl, cases[i].text, NULL), 0);
        assert_true(settings.ttl_ms == cases[i].ms);
        assert_int_equal(LOAD(&settings, reclaim_wait, cases[i].text, NULL), 0);
        assert_true(settings.reclaim_wait_ms == cases[i].ms);
    }
}

static void never_is_a_ttl_and_nothing_else(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, ttl, "never", NULL), 0);
    assert_int_equal(settings.ttl_ms, FC_NEVER);
    REFUSED(
        reclaim_wait, "never",
        "option reclaim_wait is \"never\", but must be a number with a unit (ms, s, m, "
        "h, d). Syntax: duration a put waits for memory to come free");
}

static void a_wait_may_be_zero_and_a_ttl_may_not(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, reclaim_wait, "0", NULL), 0);
    assert_int_equal(settings.reclaim_wait_ms, 0);
    REFUSED(ttl, "0",
            "option ttl is \"0\", but must be at least 1ms. Syntax: duration: 90, 10m, "
            "never");
    REFUSED(
        ttl, "0.2ms",
        "option ttl is \"0.2ms\", but must be at least 1ms. Syntax: duration: 90, 10m, "
        "never");
}

static void a_duration_that_is_none_is_refused_and_quoted(void **state) {
    (void)state;
    REFUSED(
        ttl, "10 parsecs",
        "option ttl is \"10 parsecs\", but must be a number with a unit (ms, s, m, h, "
        "d). Syntax: duration: 90, 10m, never");
    REFUSED(ttl, "36501d",
            "option ttl is \"36501d\", but must be at most 36500d. Syntax: duration: 90, "
            "10m, never");
    static const char *const wrong[] = {"", "-5", "s", "1w", "1.s", "never!", "5 m s"};
    fc__settings settings;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, ttl, wrong[i], NULL), FC_E_INVALID);
}

static void watermarks_are_high_then_low(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, watermarks, "100%:1%", NULL), 0);
    assert_int_equal(settings.high_percent, 100);
    assert_int_equal(settings.low_percent, 1);
    REFUSED(watermarks, "85:95",
            "option watermarks is \"85:95\", but must be a high percent and then a lower "
            "one. Syntax: high:low in percent of the budget");
    REFUSED(
        watermarks, "95",
        "option watermarks is \"95\", but must be two whole percents of 1 to 100 with a "
        "colon between. Syntax: high:low in percent of the budget");
    static const char *const wrong[] = {"",     ":",     "95:",      ":85",     "101:85",
                                        "95:0", "90:90", "95:85:75", "95.5:85", "95:85x"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, watermarks, wrong[i], NULL), FC_E_INVALID);
}

static void capacity_is_a_power_of_two_from_64_to_2_24(void **state) {
    (void)state;
    fc__settings settings;
    char text[32];
    for (uint32_t capacity = 64; capacity <= 1u << 24; capacity *= 2) {
        snprintf(text, sizeof text, "%u", capacity);
        assert_int_equal(LOAD(&settings, capacity, text, NULL), 0);
        assert_int_equal(settings.capacity, capacity);
    }
    REFUSED(
        capacity, "1000",
        "option capacity is \"1000\", but must be a power of two from 64 to 16777216. "
        "Syntax: frames at most, a power of two");
    static const char *const wrong[] = {"", "0", "32", "33554432", "64.0", "64K", "-64"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, capacity, wrong[i], NULL), FC_E_INVALID);
}

static void words_are_taken_exactly(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, checksum, "off", NULL), 0);
    assert_int_equal(settings.checksum, FC__CHECKSUM_OFF);
    assert_int_equal(LOAD(&settings, checksum, "commit", NULL), 0);
    assert_int_equal(settings.checksum, FC__CHECKSUM_COMMIT);
    assert_int_equal(LOAD(&settings, populate, "off", NULL), 0);
    assert_false(settings.populate);
    assert_int_equal(LOAD(&settings, janitor, "on", NULL), 0);
    assert_true(settings.janitor);
    REFUSED(checksum, "yes",
            "option checksum is \"yes\", but must be off, commit or map. Syntax: off, "
            "commit, map (verify at first map)");
    REFUSED(
        populate, "ON",
        "option populate is \"ON\", but must be on or off. Syntax: on or off: map all "
        "pages at get");
    REFUSED(
        huge, "always",
        "option huge is \"always\", but must be off or advise. Syntax: off or advise");
    REFUSED(janitor, "1",
            "option janitor is \"1\", but must be on or off. Syntax: on or off");
}

static void threads_are_1_to_64(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, threads, "64", NULL), 0);
    assert_int_equal(settings.threads, 64);
    REFUSED(
        threads, "0",
        "option threads is \"0\", but must be a number from 1 to 64. Syntax: copy and "
        "codec threads");
    static const char *const wrong[] = {"", "65", "2.5", "two", "4294967297"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, threads, wrong[i], NULL), FC_E_INVALID);
}

static void a_mode_must_serve_the_owner_and_shut_out_the_world(void **state) {
    (void)state;
    fc__settings settings;
    assert_int_equal(LOAD(&settings, mode, "770", NULL), 0);
    assert_int_equal(settings.mode, 0770);
    REFUSED(
        mode, "0777",
        "option mode is \"0777\", but must be a mode that is not writable by the world, "
        "with no set-user-id or sticky bit. Syntax: octal mode of the directory");
    REFUSED(mode, "0500",
            "option mode is \"0500\", but must be a mode that lets the owner read, write "
            "and search (07xx). Syntax: octal mode of the directory");
    static const char *const wrong[] = {"",      "70",  "0o700", "0800",
                                        "00700", "rwx", "4700",  "1700"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(LOAD(&settings, mode, wrong[i], NULL), FC_E_INVALID);
}

static void a_path_is_taken_as_it_is_up_to_4095_bytes(void **state) {
    (void)state;
    fc__settings settings;
    char path[4098];
    memset(path, 'a', sizeof path);
    path[4095] = '\0';
    assert_int_equal(LOAD(&settings, dir, path, NULL), 0);
    assert_string_equal(settings.dir, path);
    path[4095] = 'a';
    path[4096] = '\0';
    assert_int_equal(LOAD(&settings, dir, path, NULL), FC_E_INVALID);
    REFUSED(dir, "",
            "option dir is \"\", but must be a path of 1 to 4095 bytes. Syntax: path");
}

/* ---- Messages ---- */

static void a_refused_variable_is_named(void **state) {
    (void)state;
    fc__settings settings;
    fc_error error;
    setenv("FRAMECACHE_RECLAIM_WAIT", "soon", 1);
    assert_int_equal(fc__settings_load(&settings, NULL, &error), FC_E_INVALID);
    assert_string_equal(
        error.message,
        "FRAMECACHE_RECLAIM_WAIT is \"soon\", but must be a number with a "
        "unit (ms, s, m, h, d). Syntax: duration a put waits for memory to "
        "come free");
}

static void a_quoted_value_stays_on_one_line_and_is_cut(void **state) {
    (void)state;
    char expected[512], text[1024];
    REFUSED(
        janitor, "a\n\"b\\\xff",
        "option janitor is \"a\\x0a\\\"b\\\\\\xff\", but must be on or off. Syntax: on "
        "or off");
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    fc__settings settings;
    fc_error error;
    assert_int_equal(LOAD(&settings, janitor, text, &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "xxx...\", but must be on or off"));
    snprintf(expected, sizeof expected, "%.60s", text);
    assert_non_null(strstr(error.message, expected));
}

static void a_budget_text_alone_parses_the_same(void **state) {
    (void)state;
    fc__amount amount;
    fc_error error;
    assert_int_equal(fc__parse_budget(&amount, "auto", &error), 0);
    assert_int_equal(amount.unit, FC__AUTO);
    assert_int_equal(fc__parse_budget(&amount, "1.5GiB", &error), 0);
    assert_int_equal(amount.unit, FC__BYTES);
    assert_true(amount.value == 3ull << 29);
    assert_int_equal(fc__parse_budget(&amount, "lots", &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "option budget is \"lots\""));
    assert_int_equal(fc__parse_budget(&amount, NULL, &error), FC_E_INVALID);
}

static void names_and_syntax_come_from_the_table(void **state) {
    (void)state;
    assert_string_equal(fc__setting_name(FC__SETTING_reclaim_wait), "reclaim_wait");
    assert_string_equal(fc__setting_syntax(FC__SETTING_huge), "off or advise");
    assert_string_equal(fc__setting_name(-1), "");
    assert_string_equal(fc__setting_name(FC__SETTING_COUNT), "");
    assert_string_equal(fc__setting_syntax(FC__SETTING_COUNT), "");
}

typedef struct told {
    int count, stop_at;
    char name[32], value[128], origin[64]; /* of the last */
} told;

static int tell(void *context, const char *name, const char *value, const char *origin) {
    told *last = context;
    snprintf(last->name, sizeof last->name, "%s", name);
    snprintf(last->value, sizeof last->value, "%s", value);
    snprintf(last->origin, sizeof last->origin, "%s", origin);
    return ++last->count == last->stop_at ? -7 : 0;
}

static void a_walk_tells_value_and_origin_until_it_is_stopped(void **state) {
    (void)state;
    fc__settings settings;
    fc_error error;
    told last = {0};
    fc_options options = {.size = sizeof options, .dir = "/dev/shm/elsewhere"};
    setenv("FRAMECACHE_BUDGET", "25%", 1);
    assert_int_equal(fc__settings_load(&settings, &options, &error), 0);
    assert_int_equal(fc__settings_walk(&settings, tell, &last), 0);
    assert_int_equal(last.count, FC__SETTING_COUNT);
    last = (told){.stop_at = FC__SETTING_dir + 1};
    assert_int_equal(fc__settings_walk(&settings, tell, &last), -7);
    assert_string_equal(last.name, "dir");
    assert_string_equal(last.value, "/dev/shm/elsewhere");
    assert_string_equal(last.origin, "argument");
    last = (told){.stop_at = FC__SETTING_budget + 1};
    assert_int_equal(fc__settings_walk(&settings, tell, &last), -7);
    assert_string_equal(last.value, "25%");
    assert_string_equal(last.origin, "FRAMECACHE_BUDGET");
    last = (told){.stop_at = FC__SETTING_ttl + 1};
    assert_int_equal(fc__settings_walk(&settings, tell, &last), -7);
    assert_string_equal(last.value, "never");
    assert_string_equal(last.origin, "default");
    assert_int_equal(fc_cache_settings(NULL, tell, &last, &error), FC_E_INVALID);
    assert_non_null(strstr(error.message, "cache is NULL"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, no_environment, no_environment)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(without_anything_all_defaults_stand),
        TEST(a_tilde_is_the_home_directory),
        TEST(spill_settings_take_absolute_paths_and_bytes),
        TEST(each_variable_is_read_under_its_own_name),
        TEST(an_argument_wins_over_the_environment),
        TEST(an_empty_variable_counts_as_unset),
        TEST(fields_beyond_the_size_of_an_older_program_are_not_read),
        TEST(options_without_a_size_are_refused),
        TEST(bytes_take_every_unit_in_either_case),
        TEST(percents_have_up_to_two_decimals_and_end_at_100),
        TEST(a_budget_that_is_no_amount_is_refused_and_quoted),
        TEST(durations_are_seconds_unless_a_unit_stands),
        TEST(never_is_a_ttl_and_nothing_else),
        TEST(a_wait_may_be_zero_and_a_ttl_may_not),
        TEST(a_duration_that_is_none_is_refused_and_quoted),
        TEST(watermarks_are_high_then_low),
        TEST(capacity_is_a_power_of_two_from_64_to_2_24),
        TEST(words_are_taken_exactly),
        TEST(threads_are_1_to_64),
        TEST(a_mode_must_serve_the_owner_and_shut_out_the_world),
        TEST(a_path_is_taken_as_it_is_up_to_4095_bytes),
        TEST(a_refused_variable_is_named),
        TEST(a_quoted_value_stays_on_one_line_and_is_cut),
        TEST(a_budget_text_alone_parses_the_same),
        TEST(names_and_syntax_come_from_the_table),
        TEST(a_walk_tells_value_and_origin_until_it_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
