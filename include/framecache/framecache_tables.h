/* The tables of framecache.h, each declared once: codes, settings, types, counters. Tools
 * and bindings render them. New entries are only ever appended. */
#ifndef FRAMECACHE_TABLES_H
#define FRAMECACHE_TABLES_H

#include <stdint.h>

/* FC_E_name, value, text. */
#define FC_ERRORS(X)                                                                    \
    X(MISS, -5001, "no frame under this key (fc_error.miss says why)")                  \
    X(INVALID, -5002, "an argument, option or Arrow structure is not valid")            \
    X(TYPE, -5003, "the column has another type, or the type is not supported")         \
    X(COLUMN, -5004, "no column of this name or number, or several of the name")        \
    X(BUDGET, -5005, "no room within the budget (fc_error has the bytes)")              \
    X(NOSPACE, -5006, "the file system or the memory cgroup is full")                   \
    X(PERMISSION, -5007, "not permitted: owner or mode of the directory, or read-only") \
    X(CORRUPT, -5008, "a damaged frame; it has been dropped")                           \
    X(VERSION, -5009, "written by a newer version of framecache")                       \
    X(UNSUPPORTED, -5010, "not possible on this file system, kernel or build")          \
    X(BUSY, -5011, "another caller is at it, or it would have to wait")                 \
    X(TIMEOUT, -5012, "did not happen in time")                                         \
    X(DEADLOCK, -5013, "this thread is computing this very key")                        \
    X(CONFLICT, -5014, "the key has another frame than expected")                       \
    X(CLOSED, -5015, "the cache was closed, or its directory removed")                  \
    X(NOMEM, -5016, "out of memory, mappings or descriptors")                           \
    X(SYSTEM, -5017, "a system call failed (fc_error.sys_errno)")

/* Field of fc_options and FRAMECACHE_NAME, syntax, default. */
#define FC_SETTINGS(X)                                                                  \
    X(dir, "path", "/dev/shm/framecache-<uid>")                                         \
    X(budget, "8GiB, 50% of the file system, or auto", "auto")                          \
    X(watermarks, "high:low in percent of the budget", "95:85")                         \
    X(capacity, "frames at most, a power of two", "65536")                              \
    X(ttl, "duration: 90, 10m, never", "never")                                         \
    X(pool, "bytes or percent of the budget kept for recycling", "10%")                 \
    X(checksum, "off, commit, map (verify at first map)", "off on tmpfs, else commit") \
    X(threads, "copy and codec threads", "cores, at most 4")                            \
    X(populate, "on or off: map all pages at get", "off")                               \
    X(huge, "off or advise", "off")                                                     \
    X(mode, "octal mode of the directory", "0700")                                      \
    X(janitor, "on or off", "on")                                                       \
    X(flight_max, "duration to wait for another's compute", "60s")                      \
    X(reclaim_wait, "duration a put waits for memory to come free", "250ms")            \
    X(cold, "on or off: compress before dropping", "on")                                \
    X(spill_dir, "absolute path of a directory for compressed frames, or none", "none") \
    X(spill_budget, "bytes", "10GiB")

/* FC_TYPE_name, how its Arrow format begins, what fc_column.values points at. */
#define FC_TYPES(X)                                                                     \
    X(NA, "n", "NULL") X(BOOL, "b", "bits") X(INT8, "c", "int8_t")                      \
    X(UINT8, "C", "uint8_t") X(INT16, "s", "int16_t") X(UINT16, "S", "uint16_t")        \
    X(INT32, "i", "int32_t") X(UINT32, "I", "uint32_t") X(INT64, "l", "int64_t")        \
    X(UINT64, "L", "uint64_t") X(FLOAT16, "e", "uint16_t") X(FLOAT32, "f", "float")     \
    X(FLOAT64, "g", "double") X(DECIMAL, "d:", "little-endian, width bytes")            \
    X(DATE32, "tdD", "int32_t days") X(DATE64, "tdm", "int64_t ms")                     \
    X(TIME32, "tt", "int32_t") X(TIME64, "tt", "int64_t") X(TIMESTAMP, "ts", "int64_t") \
    X(DURATION, "tD", "int64_t") X(INTERVAL, "ti", "width bytes")                       \
    X(STRING, "U", "UTF-8 bytes") X(BINARY, "Z", "bytes")                               \
    X(FIXED_BINARY, "w:", "width bytes") X(LIST, "+L", "NULL")                          \
    X(FIXED_LIST, "+w:", "NULL") X(STRUCT, "+s", "NULL") X(MAP, "+m", "NULL")           \
    X(SPARSE_UNION, "+us:", "NULL") X(DENSE_UNION, "+ud:", "NULL")                      \
    X(RUN_END, "+r", "NULL") X(DICTIONARY, "", "integers of width bytes")

/* Field of fc_stats; C counter, G gauge of the whole cache, P gauge of this process. */
#define FC_STATS(X)                                                                     \
    X(frames, G) X(capacity_frames, G) X(budget_bytes, G) X(used_bytes, G)              \
    X(hot_bytes, G) X(pool_bytes, G) X(zombie_frames, G) X(zombie_bytes, G)             \
    X(writing_bytes, G) X(control_bytes, G) X(sequence, G)                              \
    X(hits, C) X(misses_never, C) X(misses_expired, C) X(misses_evicted, C)             \
    X(misses_deleted, C) X(misses_other, C) X(puts, C) X(put_bytes, C) X(put_ns, C)     \
    X(replaced, C) X(deleted, C) X(expired, C) X(fresh_bytes, C) X(recycled_bytes, C)   \
    X(evicted, C) X(evicted_bytes, C) X(evicted_cost_ms, C) X(refused_budget, C)        \
    X(refused_nospace, C) X(pressure_epochs, C) X(reclaim_waits, C)                     \
    X(reclaim_wait_ns, C) X(sweeps, C) X(repaired, C) X(corrupt, C)                     \
    X(stale_hits, C) X(computed, C) X(computed_twice, C) X(flight_waits, C)             \
    X(flight_wait_ns, C) X(flights_inherited, C) X(linked_columns, C)                   \
    X(linked_bytes, C) X(shared_bytes, G)                                               \
    X(cold_bytes, G) X(cold_raw_bytes, G) X(spill_bytes, G) X(cold_hits, C)             \
    X(demoted, C) X(promoted, C) X(spill_errors, C)                                     \
    X(mapped_frames, P) X(mapped_bytes, P) X(idle_frames, P) X(idle_bytes, P)           \
    X(private_bytes, P) X(descriptors, P)

/* The Arrow C data and stream interfaces, with the specification's own guards, so that
 * any Arrow library's copy may stand beside these. */
#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE
#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format, *name, *metadata;
    int64_t flags, n_children;
    struct ArrowSchema **children, *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};
struct ArrowArray {
    int64_t length, null_count, offset, n_buffers, n_children;
    const void **buffers;
    struct ArrowArray **children, *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};
#endif
#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE
struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};
#endif

#endif
