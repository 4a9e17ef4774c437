/* For tests of the engine with real processes and files: private directories, child
 * processes that stop or die where a test says, frames whose bytes prove where they came
 * from, and an accounting of the disk that does not trust the engine's own. */
#ifndef SUPPORT_PROC_H
#define SUPPORT_PROC_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include <cmocka.h>

#include "engine.h"

#define KIB ((uint64_t)1 << 10)
#define MIB ((uint64_t)1 << 20)

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED true
#else
#define SANITIZED false
#endif

/* The thread sanitizer makes loops over rows dear, and tells nothing there: what is read
 * was written by the kernel, or by another process. */
#ifdef __SANITIZE_THREAD__
#define THREAD_SANITIZED true
#define ROW_LOOP         __attribute__((no_sanitize("thread")))
#else
#define THREAD_SANITIZED false
#define ROW_LOOP
#endif

/* ---- Directories: /dev/shm/fc-test-<pid>/<n>, removed when the program ends ---- */

/* A path that does not exist yet; good until the program ends. */
const char *private_dir(void);
/* The same path each time, with nothing there. */
const char *private_dir_again(void);
void remove_tree(const char *path);

/* Threads, janitor and cold tier off, 64 MiB, 256 records: what most tests want. */
fc_options options_in(const char *dir);
fc_cache *open_in(const char *dir);
/* The same with the cold tier, and time to compress on a slow machine. */
fc_options cold_options(const char *dir);
fc_cache *open_cold(const char *dir);
fc_cache *open_with(const fc_options *options);

/* ---- Frames of numbers: row i of column v is first + i, of column w its negative ----
 */

int put_numbers(fc_cache *cache, fc_bytes key, int64_t rows, int64_t first,
                const fc_put_options *options, fc_frame **out, fc_error *error);
/* The same by fc_build_begin(): begun and filled, not committed. */
int begin_numbers(fc_cache *cache, fc_bytes key, int64_t rows, int64_t first,
                  const fc_put_options *options, fc_build **out, fc_error *error);
/* Any numbers: those of v, then those of w. */
int put_values(fc_cache *cache, fc_bytes key, int64_t rows, const int64_t *values,
               const fc_put_options *options, fc_frame **out, fc_error *error);
bool are_numbers(const fc_frame *frame, int64_t rows, int64_t first);
/* One column x of doubles: row i is i, but NaN at `missing`, with FC_PUT_MISSING. */
int put_doubles(fc_cache *cache, fc_bytes key, int64_t rows, int64_t missing,
                fc_frame **out, fc_error *error);
bool are_doubles(const fc_frame *frame, int64_t rows, int64_t missing);
/* As long as a frame of numbers, and nothing that a codec could take off it. */
void put_noise(fc_cache *cache, const char *key, int64_t rows, int64_t seed,
               double cost_s);
bool is_noise(const fc_frame *frame, int64_t rows, int64_t seed);
void must_put(fc_cache *cache, const char *key, int64_t rows, int64_t first);
fc_frame *must_get(fc_cache *cache, const char *key, int64_t rows, int64_t first);
void get_and_release(fc_cache *cache, const char *key, int64_t rows, int64_t first);
bool is_cold(fc_cache *cache, const char *key);
/* Compresses this very frame, as eviction does it. FC__GONE: there is none. */
fc__reclaimed demote(fc_cache *cache, const char *key);
void must_demote(fc_cache *cache, const char *key);
/* FC_E_MISS with this reason; returns the age. */
int64_t must_miss(fc_cache *cache, const char *key, fc_miss why);
uint64_t sequence_of(const fc_frame *frame);
fc_stats stats_of(fc_cache *cache);

/* ---- The whole cache, when nobody else is at it ---- */

/* What is wrong, "" if nothing: the engine's own verify with data, and beside it `used`
 * against the lengths of the files, files without a record, keys that stand twice. */
const char *faults_of(fc_cache *cache);
/* Asserts that there is no fault after a full tick. */
void must_be_clean_after_gc(fc_cache *cache);
/* The same, and that verify finds left-overs only before it, which are no error. */
void must_be_clean(fc_cache *cache);
void must_be_clean_in(const char *dir);

/* ---- Processes ---- */

/* In a child instead of assert_*(): says so and exits with 1. */
#define CHECK(condition)                                                                 \
    ((condition) ? (void)0 : check_failed(__FILE__, __LINE__, #condition))
void check_failed(const char *file, int line, const char *text) __attribute__((noreturn));

/* A child that runs body and exits with 0; it dies with the test. */
pid_t spawn(void (*body)(void *), void *context);
void must_end(pid_t pid);          /* waits; it exited with 0 */
void must_stop(pid_t pid);         /* waits until it has stopped itself */
void must_die(pid_t pid);          /* waits; it was killed, by itself or by us */
void kill_and_reap(pid_t pid);     /* kills and must_die() */
void *shared_memory(size_t bytes); /* zeroed; children see the same */

/* This process stops, or kills itself, the n-th time that it comes to the step. */
void stop_at_step(const char *step, int nth);
void die_at_step(const char *step, int nth);

int64_t now_ms(void); /* monotonic */
void sleep_ms(int64_t duration_ms);
int count_descriptors(void);

/* FC_TORTURE_SECONDS, or `seconds`. */
int torture_seconds(int seconds);

#endif
