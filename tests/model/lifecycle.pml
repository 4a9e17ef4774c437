/* A frame's life: put, replace, evict, delete, sweep, read, with up to KILLS processes
 * killed at any step. Two records and one key; the names are those of src/.
 *
 * Holds (all interleavings):
 *  - a reader that has judged a manifest good, under its lease, finds the segments of that
 *    very frame under their names until it lets go;
 *  - a status is changed only by who found it so, under the record lock: no double free;
 *  - one sweep in peace leaves each record free with no file, in the pool with a dead
 *    manifest, or live and in the index with all its files: nothing is lost.
 *
 * Must fail, each with its own flag (run.sh tries them):
 *  NO_DEAD_MARK   a late reader opens by name what is gone or another's
 *  SLOT_FIRST     the slot before LIVE: a kill leaves the index with a record to be swept
 *  SWEEP_TESTS    a sweep that tests the record lock instead of taking it
 *  NO_LEASE       an evictor that does not ask for the exclusive lease
 *  POOL_WRITES    a pool file is touched before the record says WRITING */

#ifndef KILLS
#define KILLS 2
#endif
#ifndef READS
#define READS 1
#endif
#ifndef SWEEPS
#define SWEEPS 1
#endif

#define RECORDS 2
#define INODES  5 /* of manifests, from 1; 0: none */

mtype = { FREE, WRITING, LIVE, POOL };
mtype = { EVICT, RECYCLE, SWEEP }; /* why a record is reclaimed */

mtype state[RECORDS];
byte generation[RECORDS];
byte record_lock[RECORDS]; /* pid + 1, or 0 */
byte manifest[RECORDS];    /* the inode under the record's name, or 0 */
byte segments[RECORDS];    /* generation whose bytes they hold; 0: none, or half written */
byte charged[RECORDS];

byte inode_generation[INODES], shared[INODES];
bool committed[INODES], dead[INODES], exclusive[INODES];
byte next_inode = 1;

byte slot = 0; /* the key's word: 0, or WORD(record, generation) */
bool key_lock = false;
byte kills = 0, running = 0;

/* Forgets what no longer matters, so that states that differ by it are one. */
#define END                                                                               \
    atomic {                                                                              \
        r = 0; g = 0; i = 0; old = 0;                                                     \
        owns = false; shares = false; referenced = false; holds_key = false;              \
        running--                                                                         \
    }

#define WORD(r, g) ((g) * RECORDS + (r) + 1)

/* A kill: the kernel lets go what the process held. Dying later, before the next step, is
 * no other thing than dying now, so a step and the choice are one. */
#define MAY_DIE                                                                           \
    if                                                                                    \
    :: kills < KILLS -> kills++; goto killed                                              \
    :: true                                                                               \
    fi
#define STEP(action)                                                                      \
    atomic {                                                                              \
        action;                                                                           \
        MAY_DIE                                                                           \
    }

inline unlock_record(r) {
    if
    :: record_lock[r] == _pid + 1 -> record_lock[r] = 0
    :: else
    fi
}

/* src/reclaim.c: status s and generation g as seen from outside. */
inline reclaim(r, s, g, mode) {
    atomic {
        i = 0;
        owns = false;
        if
#ifdef SWEEP_TESTS
        :: (mode == SWEEP || record_lock[r] == 0) && state[r] == s && generation[r] == g
#else
        :: record_lock[r] == 0 && state[r] == s && generation[r] == g ->
            record_lock[r] = _pid + 1
#endif
        :: else -> goto done
        fi;
        referenced = s == LIVE && slot == WORD(r, g);
        if
        :: referenced && mode != EVICT -> unlock_record(r); goto done
        :: else
        fi
    }
    if
    :: s == POOL -> STEP(state[r] = WRITING)
    :: else ->
        i = manifest[r]; /* open */
        atomic { /* lease */
            if
            :: i == 0
#ifdef NO_LEASE
            :: i != 0
#else
            :: i != 0 && shared[i] == 0 && !exclusive[i] -> exclusive[i] = true; owns = true
            :: i != 0 && (shared[i] != 0 || exclusive[i]) -> unlock_record(r); goto done
#endif
            fi;
            MAY_DIE
        }
        STEP(if :: referenced && slot == WORD(r, g) -> slot = 0 :: else fi);
        STEP(if :: s == LIVE && i != 0 -> dead[i] = true :: else fi)
    fi;
    if
    :: (mode == RECYCLE || mode == EVICT) && i != 0 -> /* an eviction for a large put */
        d_step {
            assert(state[r] == s && generation[r] == g);
            state[r] = POOL;
            generation[r]++
        }
    :: true ->
        STEP(manifest[r] = 0); /* the names, the manifest's first */
        STEP(segments[r] = 0);
        STEP(charged[r] = 0);
        d_step {
            assert(generation[r] == g &&
                   (state[r] == s || (s == POOL && state[r] == WRITING)));
            state[r] = FREE;
            generation[r]++
        }
    fi
}

/* The end of a process, killed or not: what it held is free. */
inline let_go() {
    if
    :: owns -> exclusive[i] = false
    :: else
    fi;
    unlock_record(r)
}

proctype Put() {
    byte r, g, i, old;
    bool owns, shares, referenced, holds_key;
    if
    :: r = 0
    :: r = 1
    fi;
    atomic {
        if
        :: record_lock[r] == 0 && (state[r] == FREE || state[r] == POOL) ->
            record_lock[r] = _pid + 1
        :: else -> goto done
        fi;
        MAY_DIE
    }
#ifdef POOL_WRITES
    STEP(segments[r] = 0);
#endif
    if
    :: state[r] == POOL ->
        STEP(state[r] = WRITING; generation[r]++; g = generation[r]);
        i = manifest[r];
        atomic { /* the old manifest, if no late reader has it just now */
            if
            :: shared[i] == 0 && !exclusive[i] -> exclusive[i] = true; owns = true
            :: else -> i = 0; manifest[r] = 0
            fi;
            MAY_DIE
        }
    :: else -> STEP(state[r] = WRITING; g = generation[r])
    fi;
    STEP(charged[r] = 1);
    if
    :: i == 0 ->
        STEP(i = next_inode; next_inode++; manifest[r] = i; exclusive[i] = true; owns = true)
    :: else
    fi;
    STEP(segments[r] = 0); /* being written */
    STEP(segments[r] = g);
    STEP(!key_lock -> key_lock = true; holds_key = true);
    STEP(committed[i] = true; dead[i] = false; inode_generation[i] = g);
#ifdef SLOT_FIRST
    STEP(old = slot; slot = WORD(r, g));
    STEP(state[r] = LIVE);
#else
    STEP(state[r] = LIVE);
    STEP(exclusive[i] = false; owns = false); /* to shared: two steps in the kernel */
    STEP(shared[i]++; shares = true);
    STEP(old = slot; slot = WORD(r, g));
#endif
    STEP(key_lock = false; holds_key = false);
    STEP(unlock_record(r));
    atomic {
        let_go();
        if
        :: shares -> shared[i]--; shares = false
        :: else
        fi;
        if
        :: old == 0 -> goto done
        :: else
        fi;
        r = (old - 1) % RECORDS;
        g = (old - 1) / RECORDS
    }
    reclaim(r, LIVE, g, RECYCLE);
killed:
    atomic {
        let_go();
        if
        :: shares -> shared[i]--
        :: else
        fi;
        if
        :: holds_key -> key_lock = false
        :: else
        fi
    }
done:
    END
}

/* An eviction, or a delete, which takes the word out before it has any lock. */
proctype Remove() {
    byte r, g, i, old;
    bool owns, shares, referenced, holds_key;
    atomic {
        old = slot;
        if
        :: old == 0 -> goto done
        :: else
        fi;
        r = (old - 1) % RECORDS;
        g = (old - 1) / RECORDS
    }
    if
    :: reclaim(r, LIVE, g, EVICT)
    :: atomic {
           if
           :: slot == old -> slot = 0
           :: else -> goto done
           fi;
           MAY_DIE
       }
       reclaim(r, LIVE, g, RECYCLE)
    fi;
killed:
    atomic { let_go() }
done:
    END
}

/* Looks at one record from outside; the truth is looked at again under its lock. */
proctype Sweep() {
    byte r, g, i, old;
    mtype s;
    bool owns, shares, referenced, holds_key;
    if
    :: r = 0
    :: r = 1
    fi;
    atomic {
        s = state[r];
        g = generation[r];
        if
        :: s == WRITING || s == POOL || (s == LIVE && slot != WORD(r, g))
        :: else -> goto done
        fi
    }
    reclaim(r, s, g, SWEEP);
killed:
    atomic { let_go() }
done:
    atomic { s = 0; END }
}

proctype Read() {
    byte r, g, i, old;
    bool owns, shares, referenced, holds_key;
    atomic {
        old = slot;
        if
        :: old == 0 -> goto done
        :: else
        fi;
        r = (old - 1) % RECORDS;
        g = (old - 1) / RECORDS
    }
    atomic { /* open */
        i = manifest[r];
        if
        :: i == 0 -> goto done
        :: else
        fi
    }
    atomic { /* lease */
        if
        :: !exclusive[i] -> shared[i]++
        :: else -> goto done
        fi
    }
#ifdef NO_DEAD_MARK
    owns = committed[i] && inode_generation[i] == g;
#else
    owns = committed[i] && !dead[i] && inode_generation[i] == g;
#endif
    if
    :: owns ->
        assert(segments[r] == g);
        assert(segments[r] == g) /* and at any later time */
    :: else
    fi;
    shared[i]--;
done:
    END
}

/* In peace each left-over can be taken. */
inline sweep_all() {
    r = 0;
    do
    :: r < RECORDS ->
        assert(record_lock[r] == 0);
        if
        :: state[r] == WRITING ||
           (state[r] == LIVE && slot != WORD(r, generation[r])) ->
            assert(manifest[r] == 0 ||
                   (!exclusive[manifest[r]] && shared[manifest[r]] == 0));
            state[r] = FREE; generation[r]++;
            manifest[r] = 0; segments[r] = 0; charged[r] = 0
        :: else
        fi;
        r++
    :: else -> break
    od
}

init {
    byte r, i;
    atomic { /* record 0 holds the key's frame; record 1 is free, or in the pool */
        state[0] = LIVE; generation[0] = 1; segments[0] = 1; charged[0] = 1;
        manifest[0] = 1; committed[1] = true; inode_generation[1] = 1;
        slot = WORD(0, 1);
        next_inode = 2;
        if
        :: state[1] = FREE; generation[1] = 1
        :: state[1] = POOL; generation[1] = 2; segments[1] = 1; charged[1] = 1;
           manifest[1] = 2; committed[2] = true; dead[2] = true; inode_generation[2] = 1;
           next_inode = 3
        fi;
        running = 2 + READS + SWEEPS;
        run Put(); run Remove(); run Sweep();
#if READS
        run Read();
#endif
#if SWEEPS == 2
        run Sweep()
#endif
    }
    running == 0;
    atomic {
        sweep_all();
        r = 0;
        do
        :: r < RECORDS ->
            i = manifest[r];
            if
            :: state[r] == FREE -> assert(i == 0 && segments[r] == 0 && charged[r] == 0)
            :: state[r] == POOL -> 
                assert(i != 0 && dead[i] && segments[r] != 0 && charged[r] == 1)
            :: state[r] == LIVE ->
                assert(slot == WORD(r, generation[r]) && i != 0 && committed[i] &&
                       !dead[i] && inode_generation[i] == generation[r] &&
                       segments[r] == generation[r] && charged[r] == 1)
            fi;
            r++
        :: else -> break
        od;
        if
        :: slot != 0 ->
            r = (slot - 1) % RECORDS;
            assert(state[r] == LIVE && generation[r] == (slot - 1) / RECORDS)
        :: else
        fi
    }
}
