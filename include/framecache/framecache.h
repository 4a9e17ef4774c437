/* framecache: data frames in shared memory, read by every process without a copy.
 *
 * A CACHE is a directory that processes attach to; there is no daemon. A FRAME is an
 * immutable table of columns, kept under a key. fc_put() lays it out once, in the Arrow
 * columnar format; fc_get() in any process maps those bytes read-only: nanoseconds if the
 * process has it mapped already, microseconds if not, at any number of rows. Putting a
 * present key publishes a new frame; who reads the old one keeps it, unchanged.
 *
 *     fc_cache *cache;
 *     fc_frame *flights;
 *     const fc_column *delay;
 *     fc_error error;
 *     double sum = 0;
 *
 *     if (fc_cache_open(&cache, NULL, &error) ||
 *         fc_get(cache, fc_str("flights"), 0, &flights, &error) ||
 *         fc_frame_column(flights, "delay", FC_TYPE_FLOAT64, &delay, &error))
 *         return fprintf(stderr, "%s\n", error.message), 1;
 *     for (int64_t row = 0; row < delay->rows; row++)
 *         if (fc_is_valid(delay, row))
 *             sum += ((const double *)delay->values)[row];
 *     fc_frame_release(flights);
 *
 * CONVENTIONS
 *
 * Results    0, or a negative FC_E_*: then *out is NULL and nothing has changed. fc_error
 *            (optional, yours, written only on failure) says what, the limit, the remedy.
 * Ownership  fc_x_open/begin is ended by fc_x_close/end/abort, a frame by its release;
 *            all take NULL. A `const` pointer you are given lives as long as what you got
 *            it from. What you pass in is borrowed for the call, unless said otherwise.
 * Growth     A struct of yours that begins with `size`: {.size = sizeof it}. The rest may
 *            stay zero, always the default. Newer libraries serve older programs.
 *            fc_error, fc_bytes and fc_field never change.
 * Threads    Cache and frame: any number at once. Build, flight, watch, cursor: one at
 *            a time. Nothing is kept per thread; nothing is printed.
 * Fork       Caches and frames work on in parent and child. Builds, flights, watches and
 *            cursors stay the parent's; in the child, end or close merely frees them.
 * Blocking   [fast]: no system call, or a few of microseconds. [waits]: may copy, write,
 *            decompress or wait; keep it off an event loop.
 * Units      _bytes, _ms (durations), _ns (since 1970, UTC), _s. FC_NEVER has no end.
 *
 * CAVEATS
 *
 * - A frame that you hold cannot be evicted, and one replaced meanwhile stays in memory
 *   (a "zombie"). Hold frames for a request, not for ever: fc_get() costs nanoseconds.
 *   FC_E_BUDGET says how many bytes are leased and how many are zombies, `framecache
 *   holders` which process holds them.
 * - Columns are mapped read-only: a store is a crash. To write, use fc_frame_private();
 *   the pages you then dirty are memory of your own, outside the budget.
 * - Never edit or truncate files in the directory: readers would die of SIGBUS. Use
 *   fc_delete(), fc_cache_clear() or `framecache rm`. The directory as a whole may be
 *   removed; running processes then get FC_E_CLOSED and must open again.
 * - overlayfs and network file systems are refused: leases do not hold there. Containers
 *   have 64 MB of /dev/shm unless told otherwise. systemd empties it when its user logs
 *   out (RemoveIPC=no).
 * - A cache is no database: nothing is fsynced, any frame may go at any time. FC_E_MISS
 *   is the ordinary case; handle FC_E_CORRUPT like it.
 * - Who may write the directory may feed every reader. Share it with those you trust.
 * - Expiry follows the wall clock: set back an hour, frames live an hour longer.
 * - No call from a signal handler, nor in a child of vfork() or a bare clone().
 * - A process may be killed at any instruction: nobody waits, nothing leaks, what it held
 *   is free. A *stopped* process keeps what it holds.
 */
#ifndef FRAMECACHE_H
#define FRAMECACHE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "framecache_tables.h" /* errors, settings, types, counters, Arrow C structs */

#define FRAMECACHE_VERSION_MAJOR 0
#define FRAMECACHE_VERSION_MINOR 1
#define FRAMECACHE_VERSION_PATCH 0

#define FC_API   __attribute__((visibility("default")))
#define FC_NEVER ((int64_t)-1)

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Types ---- */

typedef struct fc_cache fc_cache;   /* an attached directory */
typedef struct fc_frame fc_frame;   /* a reference to a mapped frame: its lease */
typedef struct fc_build fc_build;   /* a frame that is being filled in place */
typedef struct fc_flight fc_flight; /* the right to compute a key, for all processes */
typedef struct fc_watch fc_watch;   /* a descriptor that tells when a key changes */
typedef struct fc_cursor fc_cursor; /* a walk over the frames */

/* Bytes somewhere: a key (1 to 1,024 bytes, any values), a tag, a string in a column. */
typedef struct fc_bytes {
    const void *data;
    size_t size;
} fc_bytes;

static inline fc_bytes fc_str(const char *text) {
    fc_bytes bytes = {text, strlen(text)};
    return bytes;
}

/* ---- Errors ---- */

/* FC_ERRORS(X) in tables.h has each code with its text. The values lie outside errno's
 * range, so callbacks may return -errno or their own codes. */

enum {
    FC_OK = 0,
    FC_DONE = 1, /* fc_cursor_next(): no more */
#define FC_X(name, value, text) FC_E_##name = value,
    FC_ERRORS(FC_X)
#undef FC_X
};

/* Why a key has no frame, as far as is remembered: the last 2 x capacity that went. */
typedef enum fc_miss {
    FC_MISS_NEVER,
    FC_MISS_EXPIRED,
    FC_MISS_EVICTED,
    FC_MISS_DELETED,
    FC_MISS_INVALIDATED, /* by a tag */
    FC_MISS_CORRUPT      /* found damaged, and dropped */
} fc_miss;

typedef struct fc_error {
    int code;            /* FC_E_*, or what a callback returned */
    int sys_errno;       /* of the failed system call, else 0 */
    fc_miss miss;        /* FC_E_MISS: why */
    int64_t miss_age_ms; /* FC_E_MISS: how long ago it went; -1: not known */
    uint64_t asked_bytes, budget_bytes, used_bytes; /* FC_E_BUDGET */
    uint64_t leased_bytes, zombie_bytes;
    uint64_t reserved[4];
    char message[512]; /* UTF-8, one line: what, which limit, remedy. Not for parsing. */
} fc_error;

FC_API const char *fc_error_name(int code); /* "FC_E_MISS"; static, never NULL */
FC_API const char *fc_error_text(int code);
FC_API const char *fc_version(void); /* of the library at run time, "0.1.0" */

/* ---- Cache ---- */

#define FC_RDONLY     1u /* for another uid with group access; writes: FC_E_PERMISSION */
#define FC_NO_CREATE  2u /* FC_E_MISS if the cache does not exist */
#define FC_NO_THREADS 4u /* start none: the caller copies alone, calls fc_cache_tick() */

typedef enum fc_level {
    FC_LEVEL_ERROR = 1,
    FC_LEVEL_WARNING,
    FC_LEVEL_INFO,
    FC_LEVEL_DEBUG
} fc_level;

typedef struct fc_options {
    size_t size;
    uint32_t flags; /* FC_RDONLY ... */
    uint32_t reserved;
    /* Called by any thread, helpers too; must not block nor call this library. */
    void (*log)(void *context, fc_level level, const char *message);
    void *log_context;
    /* For tests: the time instead of CLOCK_REALTIME, in this process. Same rules. */
    int64_t (*clock_ns)(void *context);
    void *clock_context;
    /* Text as in FRAMECACHE_<NAME>; NULL takes the variable, or else the default. What
     * does not parse is FC_E_INVALID, quoted. A cache keeps its capacity and mode. */
#define FC_X(name, syntax, value) const char *name;
    FC_SETTINGS(FC_X)
#undef FC_X
} fc_options;

/* Attaches to the directory, and creates it if need be. NULL: all from the environment. A
 * directory that is not empty and no cache is INVALID; nothing in it is touched.
 * One a process is enough; several, even of the same directory, do not disturb each
 * other. Errors: INVALID, PERMISSION, UNSUPPORTED (file system), VERSION, NOSPACE.
 * [waits] */
FC_API int fc_cache_open(fc_cache **out, const fc_options *options, fc_error *error);

/* Frames, and what is exported from them, outlive it; open builds are
 * aborted. No other thread may be in a call with `cache`. [waits, for helper threads] */
FC_API void fc_cache_close(fc_cache *cache);

/* A round of housekeeping: sweep after dead processes, expire, evict, drop idle mappings;
 * *next_ms (or NULL): when to call again. Needed with FC_NO_THREADS, harmless otherwise.
 * FC_TICK_FULL does all there is to do and empties the pool: `framecache gc`. [waits] */
#define FC_TICK_FULL 1u
FC_API int fc_cache_tick(fc_cache *cache, uint32_t flags, int64_t *next_ms,
                         fc_error *error);

/* Changes the budget for all processes (text as the setting) and evicts down to it: it goes
 * on while that frees anything, and for four times the setting reclaim_wait when others are at
 * the frames. What is held still goes when it is released; the log says how much. [waits] */
FC_API int fc_cache_set_budget(fc_cache *cache, const char *budget, fc_error *error);

/* Non-zero from the callback ends the walk with that result, in error->code too. */
typedef struct fc_finding {
    fc_level level;
    const char *subject; /* "budget", a path, a key as text */
    const char *text;   /* "8GiB, from FRAMECACHE_BUDGET"; "column 3: checksum differs" */
    const char *remedy; /* or NULL */
} fc_finding;
typedef int (*fc_report_fn)(void *context, const fc_finding *finding);

/* Reports each setting and where it came from (FC_LEVEL_INFO), and whatever is wrong with
 * directory, file system, locks, limits or cgroup. Needs no cache, changes nothing.
 * [waits] */
FC_API int fc_doctor(const fc_options *options, fc_report_fn report, void *context,
                     fc_error *error);

/* Each setting as this process attached with: its name, value and where that came from
 * ("argument", "FRAMECACHE_BUDGET", "default"); texts are valid during the call. What all
 * processes share may have changed since: fc_cache_set_budget(). A cache keeps the capacity
 * and mode that it was made with. [fast] */
typedef int (*fc_setting_fn)(void *context, const char *name, const char *value,
                             const char *origin);
FC_API int fc_cache_settings(fc_cache *cache, fc_setting_fn report, void *context,
                             fc_error *error);

/* Checks accounting against the disk, orphans, manifests and (FC_VERIFY_DATA) checksums,
 * beside running readers and writers; changes nothing. FC_E_CORRUPT if anything of level
 * FC_LEVEL_ERROR was found; what killed processes left, and the next sweep frees, is a
 * warning. How many frames have no checksums to check by is told as an FC_LEVEL_INFO about
 * "data". `report` may be NULL. [waits] */
#define FC_VERIFY_DATA 1u
FC_API int fc_cache_verify(fc_cache *cache, uint32_t flags, fc_report_fn report,
                           void *context, fc_error *error);

/* ---- Get ---- */

#define FC_GET_STALE  1u /* also a frame past its expiry, within its stale time */
#define FC_GET_PEEK   2u /* do not count as a use, do not renew a sliding TTL */
#define FC_GET_NOWAIT 4u /* FC_E_BUSY if it must be decompressed first */
#define FC_GET_MAP    8u /* map all pages now, instead of at first touch */

/* The frame under the key; release it with fc_frame_release(). Never waits for a writer.
 * Errors: MISS (with reason and age), CORRUPT, NOMEM, CLOSED. A cold frame, which has been
 * compressed to save memory, is decompressed first: BUDGET, NOSPACE, or BUSY (attached
 * read-only, or another process at it is stopped) too. [fast; cold: waits] */
FC_API int fc_get(fc_cache *cache, fc_bytes key, uint32_t flags, fc_frame **out,
                  fc_error *error);

/* 0 or FC_E_MISS, as fc_get() with FC_GET_PEEK would say now. [fast] */
FC_API int fc_contains(fc_cache *cache, fc_bytes key, fc_error *error);

/* ---- Frames ---- */

/* One reference more, one less; the last one gives up the lease. NULL is fine. [fast] */
FC_API fc_frame *fc_frame_retain(fc_frame *frame);
FC_API void fc_frame_release(fc_frame *frame);

typedef struct fc_info {
    size_t size;
    fc_bytes key;      /* borrowed from the frame, or until the cursor's next step */
    uint64_t sequence; /* of the commit: unique to this frame, grows with every put */
    int64_t rows, columns;
    uint64_t bytes;        /* as stored */
    uint64_t shared_bytes; /* of these in columns that other frames hold too; 0 in a cursor */
    int64_t created_ns, used_ns;
    int64_t expires_ns, stale_until_ns; /* INT64_MAX: never */
    double cost_s;                      /* seconds to compute, 0: not known */
    uint64_t uses;                      /* sampled */
    uint32_t record; /* its file is <dir>/frames/<record in six hex digits> */
    bool stale;      /* past its expiry */
    bool cold;       /* compressed; the next get decompresses it. A cursor's only */
    bool leased;     /* by anybody that this pid namespace shows, at a cursor's first step */
    size_t tag_count;
    const fc_bytes *tags; /* borrowed as `key` */
} fc_info;

/* Fills what fits in info->size. [fast] */
FC_API int fc_frame_info(const fc_frame *frame, fc_info *info, fc_error *error);

/* Types as stored: name, how the Arrow format begins, what `values` points at. Strings,
 * binaries and lists have 64-bit offsets always. */
typedef enum fc_type {
    FC_TYPE_ANY = 0,
#define FC_X(name, format, values) FC_TYPE_##name,
    FC_TYPES(FC_X)
#undef FC_X
} fc_type;

typedef struct fc_column {
    const char *name;     /* UTF-8 */
    const char *format;   /* Arrow's, as stored: "tsu:Europe/Paris" */
    const char *metadata; /* Arrow's encoding, or NULL */
    fc_type type;
    int32_t width;           /* bytes a value; FIXED_LIST: rows a list; 0: bits or none */
    int64_t rows, nulls;     /* nulls: -1 in a slice, not counted */
    int64_t bit;             /* of row 0 in `validity` and in BOOL's values; else 0 */
    const void *values;      /* row 0; strings: the bytes that `offsets` count from */
    const uint8_t *validity; /* one bit a row, lowest first, 1: there; NULL: all there */
    const int64_t *offsets;  /* rows + 1; STRING, BINARY, LIST. offsets[0] may be > 0 */
    const int32_t *offsets32; /* MAP: rows + 1; DENSE_UNION: rows */
    const int8_t *type_ids;   /* unions */
    const void *min, *max;    /* one value each as in `values`, or NULL: not known */
    const struct fc_column *const *children;
    int64_t child_count;
    const struct fc_column *dictionary;
} fc_column;

/* The column of this name, which must have this type (FC_TYPE_ANY: any). Borrowed from
 * the frame; its pages are mapped at the first call. Errors: COLUMN, TYPE, CORRUPT, BUSY
 * (another program has a lease, F_SETLEASE, on the file: try again). [fast] */
FC_API int fc_frame_column(const fc_frame *frame, const char *name, fc_type type,
                           const fc_column **out, fc_error *error);
FC_API int fc_frame_column_at(const fc_frame *frame, int64_t index, const fc_column **out,
                              fc_error *error);

static inline bool fc_is_valid(const fc_column *column, int64_t row) {
    int64_t bit = column->bit + row;
    return !column->validity || (column->validity[bit >> 3] >> (bit & 7) & 1);
}

static inline bool fc_bool_at(const fc_column *column, int64_t row) {
    int64_t bit = column->bit + row;
    return ((const uint8_t *)column->values)[bit >> 3] >> (bit & 7) & 1;
}

/* Of a STRING or BINARY. */
static inline fc_bytes fc_bytes_at(const fc_column *column, int64_t row) {
    const int64_t *at = column->offsets + row;
    fc_bytes bytes = {(const char *)column->values + at[0], (size_t)(at[1] - at[0])};
    return bytes;
}

/* New frames over the same bytes, each with its own reference. [fast]
 * select: these columns in this order. slice: `rows` rows from `first`, cut at the end.
 * private: a new copy-on-write mapping; what is stored through fc_writable() is seen by
 * this process only, and costs memory by the page. nested: the table in column `index`, a
 * list of structs, of a frame of one row; FC_E_TYPE if there is none. */
FC_API int fc_frame_select(fc_frame *frame, const int64_t *indices, size_t count,
                           fc_frame **out, fc_error *error);
FC_API int fc_frame_slice(fc_frame *frame, int64_t first, int64_t rows, fc_frame **out,
                          fc_error *error);
FC_API int fc_frame_private(fc_frame *frame, fc_frame **out, fc_error *error);
FC_API int fc_frame_nested(fc_frame *frame, int64_t index, fc_frame **out,
                           fc_error *error);
FC_API void *fc_writable(const fc_column *column); /* values; NULL: frame not private */

/* To Arrow, without a copy. What comes out owns a lease until its release(), which any
 * thread may call at any time, after fc_cache_close() and at exit too. `requested` (or
 * NULL): cast to this schema, by a copy, or FC_E_TYPE. Extension types come in the form of
 * their storage that was put, "u" as "u", by such a cast. batch_rows 0: one batch. [fast; a
 * cast: waits] */
FC_API int fc_frame_export_schema(const fc_frame *frame, struct ArrowSchema *out,
                                  fc_error *error);
FC_API int fc_frame_export_array(fc_frame *frame, const struct ArrowSchema *requested,
                                 struct ArrowArray *out, fc_error *error);
FC_API int fc_frame_export_stream(fc_frame *frame, const struct ArrowSchema *requested,
                                  int64_t batch_rows, struct ArrowArrayStream *out,
                                  fc_error *error);

/* XXH3-128 of schema and contents in a canonical form ("Content hash" in docs/format.md):
 * equal tables, equal hash, whoever made them, however they lie in memory. A frame's is
 * stored with CHECKSUM on, else computed once for each mapping of it in a process; of a
 * select or slice, once for each; of a private frame, anew each time. [waits] */
FC_API int fc_frame_hash(const fc_frame *frame, uint8_t out[16], fc_error *error);
FC_API int fc_hash(const struct ArrowSchema *schema, const struct ArrowArray *array,
                   uint8_t out[16], fc_error *error);
/* Of a stream, which is read to its end and released, on failure too: of the frame that
 * fc_put_stream() would make of it. flags: FC_PUT_MISSING or 0. */
FC_API int fc_hash_stream(struct ArrowArrayStream *stream, uint32_t flags,
                          uint8_t out[16], fc_error *error);

/* ---- Put ---- */

#define FC_PUT_SLIDING 1u             /* every counted get renews the TTL */
#define FC_PUT_MARKED  2u             /* see fc_find_column() */
#define FC_PUT_MISSING 4u             /* NaN and INT64_MIN are null: see fc_put() */
#define FC_ABSENT      (~(uint64_t)0) /* for `expect` */

typedef struct fc_put_options {
    size_t size;
    uint32_t flags; /* FC_PUT_SLIDING, FC_PUT_MARKED, FC_PUT_MISSING */
    uint32_t reserved;
    int64_t ttl_ms;   /* 0: the cache's; FC_NEVER */
    int64_t stale_ms; /* after expiry, how long FC_GET_STALE still gets it; or FC_NEVER */
    double cost_s; /* to compute again. 0: the time since fc_flight_begin(), or by size */
    uint64_t expect; /* commit only if the key has this sequence, or FC_ABSENT; 0: any */
    const fc_bytes *tags; /* up to 64 of up to 255 bytes each */
    size_t tag_count;
} fc_put_options;

/* Copies a table (a struct array; any other becomes one column) into the cache, evicting
 * as needed, and publishes it. fc_put borrows; fc_put_stream consumes the stream, on
 * failure too. out (or NULL): the frame, so that it cannot go before you have used it.
 * FC_PUT_MISSING: columns of floats, timestamps and durations that come with null_count -1 and
 * without a bitmap get one if need be: NaN, or INT64_MIN, is null. It takes no pass of its own
 * over a column that has none; the values stay as they are. Errors: BUDGET, NOSPACE, INVALID and TYPE (naming the column), CONFLICT. [waits] */
FC_API int fc_put(fc_cache *cache, fc_bytes key, const struct ArrowSchema *schema,
                  const struct ArrowArray *array, const fc_put_options *options,
                  fc_frame **out, fc_error *error);
FC_API int fc_put_stream(fc_cache *cache, fc_bytes key, struct ArrowArrayStream *stream,
                         const fc_put_options *options, fc_frame **out, fc_error *error);

/* Experimental. Whether `bytes` bytes at `values` are the values of a whole column of a
 * frame that this process maps, put with FC_PUT_MARKED: in such a frame the null rows of
 * floats and times are those whose value is NaN, or INT64_MIN, and no others. Who is about to
 * put them again need not look for nulls then, and a large column is shared. A private
 * mapping counts until it is stored to; what another thread stores meanwhile may or may not
 * be seen, as in any put. *frame: to be released; *column: its own, borrowed from it;
 * *validity: the column's, as it stands beside `values` (NULL: no nulls), readable as long as
 * those are, which the frame does not see to if they are a private mapping's. FC_E_MISS,
 * without a message: no such column, or one of less than 1 MiB. [fast] but for a private
 * mapping, whose pages are looked at. */
FC_API int fc_find_column(fc_cache *cache, const void *values, uint64_t bytes,
                          fc_frame **frame, const fc_column **column,
                          const uint8_t **validity);

/* ---- Remove, expire, tag ---- */

/* 0 or FC_E_MISS. Readers keep what they hold. ttl_ms is from now; 0: as put. [fast] */
FC_API int fc_delete(fc_cache *cache, fc_bytes key, fc_error *error);
FC_API int fc_touch(fc_cache *cache, fc_bytes key, int64_t ttl_ms, fc_error *error);

/* All with the tag; all whose key begins so (reads every key); all. Frames put while it runs
 * may stay. *count (or NULL): how many went. [waits] */
FC_API int fc_delete_tag(fc_cache *cache, fc_bytes tag, uint64_t *count, fc_error *error);
FC_API int fc_delete_prefix(fc_cache *cache, fc_bytes prefix, uint64_t *count,
                            fc_error *error);
FC_API int fc_cache_clear(fc_cache *cache, uint64_t *count, fc_error *error);

/* ---- Build in place: write into the final pages, nothing is copied ---- */

typedef struct fc_field {
    const char *name;
    const char *format; /* Arrow's: "g" double, "l" int64_t, "u" string, "tsu:" time */
} fc_field;

/* A schema of flat nullable columns. The caller calls its release(). [fast] */
FC_API int fc_schema_init(struct ArrowSchema *out, const fc_field *fields, size_t count,
                          fc_error *error);

typedef struct fc_target { /* a column to fill, laid out as in fc_column */
    fc_type type;
    int32_t width;
    int64_t rows;          /* capacity */
    uint64_t values_bytes; /* capacity */
    void *values;          /* undefined; zero the rows that you mark null if it matters */
    uint8_t *validity;     /* NULL until fc_build_nulls() */
    int64_t *offsets;      /* offsets[0] is 0 */
    int32_t *offsets32;
    int8_t *type_ids;
    struct fc_target *const *children;
    int64_t child_count;
    struct fc_target *dictionary;
} fc_target;

/* Reserves room for up to `rows` rows: a full file system is an error here, not a SIGBUS
 * later. Errors as fc_put(). [waits] */
FC_API int fc_build_begin(fc_cache *cache, fc_bytes key, const struct ArrowSchema *schema,
                          int64_t rows, const fc_put_options *options, fc_build **out,
                          fc_error *error);

/* Borrowed from the build; NULL beyond the last column. Threads may fill different
 * columns, or byte-aligned ranges of rows, at once. [fast] */
FC_API fc_target *fc_build_column(fc_build *build, int64_t index);

/* nulls: gives the column a bitmap, all valid. reserve: room for `count` bytes in all of
 * a STRING or BINARY, or rows of a child or dictionary; contents stay, pointers in the
 * target may change. append: the next row of a STRING or BINARY, growing as needed; data
 * NULL: null. Errors: BUDGET, NOSPACE, INVALID. [waits] */
FC_API int fc_build_nulls(fc_build *build, fc_target *target, fc_error *error);
FC_API int fc_build_reserve(fc_build *build, fc_target *target, uint64_t count,
                            fc_error *error);
FC_API int fc_build_append(fc_build *build, fc_target *target, fc_bytes value,
                           fc_error *error);

/* Checks offsets and codes, gives back what was reserved beyond `rows`, and publishes.
 * Both end the build, commit on failure too: pointers into it are dead. [waits] */
FC_API int fc_build_commit(fc_build *build, int64_t rows, fc_frame **out,
                           fc_error *error);
FC_API void fc_build_abort(fc_build *build);

/* ---- Single flight: one process of the machine computes, the others wait ---- */

/* Puts the key and returns 0 with the frame in *out (NULL: it is looked up; FC_E_MISS if
 * nothing was put), or fails with any other value, which is handed on as the result and as
 * error->code; it may fill *error, else that says by which value it failed. */
typedef int (*fc_compute_fn)(void *context, fc_cache *cache, fc_bytes key, fc_frame **out,
                             fc_error *error);

/* The frame, computed if need be. While another computes it, waits up to wait_ms (0: the
 * setting flight_max), then computes too; an owner that dies is replaced within 50 ms.
 * With FC_GET_STALE one caller refreshes, the others get the stale frame at once, and so
 * does he if he fails. A failure of `compute` goes to its own caller only. A caller
 * inside a `compute` never waits, so crossed keys cost only work; for its own key,
 * FC_E_DEADLOCK. [waits] */
FC_API int fc_get_or_compute(fc_cache *cache, fc_bytes key, uint32_t flags,
                             int64_t wait_ms, fc_compute_fn compute, void *context,
                             fc_frame **out, fc_error *error);

/* The same in steps, for event loops. Never waits. Look at what was set:
 *   *frame          a hit
 *   *flight         you compute: put the key, then fc_flight_end()
 *   both            serve the frame, stale or soon to expire (XFetch, Vattani et al.
 *                   2015), and refresh it
 *   none, FC_E_BUSY another computes: fc_wait() or poll a watch, then begin again. If
 *                   you own a flight already, or have waited long enough for an owner
 *                   that may be stopped: FC_FLIGHT_SECOND asks for the one other flight
 *                   that a key has; and after as long again, compute without
 * Ending without a put lets the next one try; so does dying. [fast] */
#define FC_FLIGHT_SECOND 16u
FC_API int fc_flight_begin(fc_cache *cache, fc_bytes key, uint32_t flags,
                           fc_frame **frame, fc_flight **flight, fc_error *error);
FC_API void fc_flight_end(fc_flight *flight);

/* 0 once the key's frame is another than `sequence` (0: none) or a flight of the key has
 * ended; now and then for no reason, so look again. timeout_ms 0 only asks; FC_NEVER has
 * no end. Errors: TIMEOUT. [waits] */
FC_API int fc_wait(fc_cache *cache, fc_bytes key, uint64_t sequence, int64_t timeout_ms,
                   fc_error *error);

/* For poll(), epoll and add_reader(): a descriptor, readable once fc_wait() would return.
 * Open, look again (fc_get, fc_flight_begin), then poll; never read it, close the watch.
 * An expiry, or a writer killed between its commit and the wake, is seen a second or two
 * late; that a flight's owner was killed, not at all: begin again every 50 ms. A fork, and
 * fc_cache_close(), make it readable; in the child, close merely frees. FC_E_UNSUPPORTED
 * with FC_NO_THREADS or FC_RDONLY: use a timer and fc_wait(..., 0, ...). [fast] */
FC_API int fc_watch_open(fc_cache *cache, fc_bytes key, uint64_t sequence, fc_watch **out,
                         fc_error *error);
FC_API int fc_watch_fd(const fc_watch *watch);
FC_API void fc_watch_close(fc_watch *watch);

/* ---- Seeing into it ---- */

/* Snapshot: each frame that was there at open and still is, once, in no order; later puts
 * are not seen, nobody is kept waiting. next: 0, FC_DONE or an error; opens one file. */
FC_API int fc_cursor_open(fc_cache *cache, fc_bytes prefix, fc_cursor **out,
                          fc_error *error);
FC_API int fc_cursor_next(fc_cursor *cursor, fc_info *info, fc_error *error);
FC_API void fc_cursor_close(fc_cursor *cursor);

/* Who holds frames: each process that maps one, as /proc tells; nobody is disturbed. An
 * idle mapping, which its process gives up when memory is short, cannot be told from one
 * in use. *all (or NULL): false if there may be others, in another pid namespace or of
 * another user. Non-zero from the callback ends the walk with that result. Errors:
 * UNSUPPORTED (no /proc), NOMEM, those of a cursor. [waits] */
typedef struct fc_holder {
    fc_bytes key;        /* data NULL: replaced or deleted since, but still held */
    int64_t pid;
    const char *command; /* its command line, cut; "" if that cannot be read */
    uint64_t bytes;      /* of the frame; without a key, as far as it is mapped */
    uint32_t record;     /* its file is <dir>/frames/<record> */
} fc_holder;
typedef int (*fc_holder_fn)(void *context, const fc_holder *holder);
FC_API int fc_cache_holders(fc_cache *cache, fc_holder_fn each, void *context, bool *all,
                            fc_error *error);

/* Counters (C) and gauges (G) of the whole cache, and gauges of this process (P).
 * Processes add theirs about once a second; one that is killed loses its last second. */
typedef struct fc_stats {
    size_t size;
    char budget_rule[24]; /* what limits: "setting", "filesystem", "cgroup", "memory",
                           * "pressure" */
#define FC_X(name, kind) uint64_t name;
    FC_STATS(FC_X)
#undef FC_X
} fc_stats;

FC_API int fc_cache_stats(fc_cache *cache, fc_stats *stats, fc_error *error); /* [fast] */

#ifdef __cplusplus
}
#endif
#endif
