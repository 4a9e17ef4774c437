/* The bare system calls that a get and a put need, done by hand on files of our own: what
 * is left to compare with when a protocol with leases and locks is a given. */
#ifndef FC_BENCH_RAW_H
#define FC_BENCH_RAW_H

#include <stdint.h>

typedef struct raw {
    int dir, locks; /* a directory, and an empty file for byte-range locks */
} raw;

void raw_open(raw *r, const char *dir);
void raw_close(raw *r);

/* A first get: openat, fcntl (the lease), fstat, mmap, a read of the first word, close;
 * with a segment its openat, fstat, mmap, read and close too. What is mapped is returned
 * for raw_unmap(). */
typedef struct raw_frame {
    void *manifest, *segment;
    uint64_t manifest_bytes, segment_bytes;
} raw_frame;

double raw_get(const raw *r, const char *manifest, const char *segment, raw_frame *out);
void raw_unmap(raw_frame *frame);

/* A file to get: `bytes` long, its first 64 KiB written, the rest a hole. */
void raw_make(const raw *r, const char *name, uint64_t bytes);

/* A put of a new small frame: record lock, openat(O_CREAT), fcntl, key lock, one pwrite,
 * fcntl to a shared lease, both locks undone, unlock and close. */
void raw_put_new(const raw *r, const char *name, const void *bytes, uint64_t size);

/* One that replaces: the same into a file that is there, then what makes the old file
 * reusable: its record lock, openat, fcntl, the dead mark, unlock, close. */
void raw_put_replace(const raw *r, const char *name, const char *old, const void *bytes,
                     uint64_t size);

/* A file written by pwrite in pieces of 8 MiB. */
void raw_write(const raw *r, const char *name, const void *bytes, uint64_t size);
void raw_remove(const raw *r, const char *name);

#endif
