/* See lmdb.h. */
#include "lmdb.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void must(int status, const char *what) {
    if (!status)
        return;
    fprintf(stderr, "LMDB: %s: %s\n", what, mdb_strerror(status));
    exit(1);
}

static void open_env(lmdb *db, const char *dir, unsigned flags) {
    must(mdb_env_create(&db->env), "create");
    must(mdb_env_set_mapsize(db->env, 256u << 20), "map size");
    must(mdb_env_open(db->env, dir, flags, 0600), dir);
}

void lmdb_fill(const char *dir, char (*keys)[16], int count) {
    lmdb db;
    MDB_txn *txn;

    open_env(&db, dir, MDB_NOSYNC);
    must(mdb_txn_begin(db.env, NULL, 0, &txn), "begin");
    must(mdb_dbi_open(txn, NULL, 0, &db.dbi), "dbi");
    for (int i = 0; i < count; i++) {
        double value = i;
        MDB_val key = {strlen(keys[i]), keys[i]}, data = {sizeof value, &value};
        must(mdb_put(txn, db.dbi, &key, &data, 0), "put");
    }
    must(mdb_txn_commit(txn), "commit");
    mdb_env_close(db.env);
}

void lmdb_open(lmdb *db, const char *dir) {
    open_env(db, dir, MDB_RDONLY);
    must(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->reader), "begin");
    must(mdb_dbi_open(db->reader, NULL, 0, &db->dbi), "dbi");
    mdb_txn_reset(db->reader);
}

double lmdb_get_held(lmdb *db, const char *key) {
    MDB_val name = {strlen(key), (char *)key}, data;
    double value;

    must(mdb_get(db->reader, db->dbi, &name, &data), "get");
    memcpy(&value, data.mv_data, sizeof value);
    return value;
}

void lmdb_plain(lmdb *db, bool plain) {
    if (plain) {
        mdb_txn_abort(db->reader);
        return;
    }
    must(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->reader), "begin");
    mdb_txn_reset(db->reader);
}

double lmdb_get(lmdb *db, const char *key) {
    must(mdb_txn_begin(db->env, NULL, MDB_RDONLY, &db->reader), "begin");
    double value = lmdb_get_held(db, key);
    mdb_txn_abort(db->reader);
    return value;
}

double lmdb_get_renewed(lmdb *db, const char *key) {
    lmdb_hold(db);
    double value = lmdb_get_held(db, key);
    lmdb_let_go(db);
    return value;
}

void lmdb_hold(lmdb *db) {
    must(mdb_txn_renew(db->reader), "renew");
}

void lmdb_let_go(lmdb *db) {
    mdb_txn_reset(db->reader);
}
