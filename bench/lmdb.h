/* LMDB as a contender: small values under the keys that the cache has. */
#ifndef FC_BENCH_LMDB_H
#define FC_BENCH_LMDB_H

#include <lmdb.h>
#include <stdbool.h>

typedef struct lmdb {
    MDB_env *env;
    MDB_dbi dbi;
    MDB_txn *reader;
} lmdb;

void lmdb_fill(const char *dir, char (*keys)[16], int count);
void lmdb_open(lmdb *db, const char *dir);

/* Of the newest snapshot, which is what a get of the cache gives. Plainly: a read
 * transaction begun, the get, the transaction aborted. Between lmdb_plain(true) and
 * lmdb_plain(false), since a thread has one reader. */
double lmdb_get(lmdb *db, const char *key);
void lmdb_plain(lmdb *db, bool plain);

/* The same by a transaction that is kept: renew, get, reset. */
double lmdb_get_renewed(lmdb *db, const char *key);

/* Of the snapshot that `reader` holds since lmdb_hold(): what has been put since is not
 * seen, nor are its pages given back. The cheapest get that LMDB has. */
double lmdb_get_held(lmdb *db, const char *key);
void lmdb_hold(lmdb *db);
void lmdb_let_go(lmdb *db);

#endif
