/* Demotion and promotion: a frame moves to a second record by one CAS of the exact word,
 * while one replaces it and one deletes or evicts it (or, by flags, READS or TOUCHES it, or
 * two move it at once), with up to KILLS of them killed at any step. One key, three records;
 * the names are those of src/cold.c, src/publish.c and src/reclaim.c.
 *
 * Holds (all interleavings):
 *  - the key never goes back to an older value: a move brings no replaced or deleted value
 *    back, and a put with `expect` meets the sequence it expects only if it is the newest;
 *  - a reader that has judged a manifest good, under its lease, finds that record's data;
 *  - what was told of the frame before the move (an expiry that a touch set) is still so
 *    after it;
 *  - a status is changed only by who found it so, under the record lock: no double free;
 *  - one sweep in peace leaves each record free with no file, or live and in the index, and
 *    the frame is not lost unless somebody deleted or evicted it.
 *
 * Must fail, each with its own flag (run.sh tries them):
 *  BLIND_CAS      the slot is set without comparing the word
 *  NO_LEASE       the first record is freed without the exclusive lease
 *  NO_RECORD_LOCK the first record's lock is not taken: a touch, or an evictor, is beside it
 *  SLOT_FIRST     the slot before LIVE: a kill leaves the index with a record to be swept
 *  COPY_EARLY     expiry is copied before the lock: a touch between is lost
 *  OWN_SEQUENCE   a move takes a new sequence, and a put that expects the old one fails */

#ifndef KILLS
#define KILLS 1
#endif

#define RECORDS 3

mtype = { FREE, WRITING, LIVE };

mtype state[RECORDS];
byte generation[RECORDS];
byte record_lock[RECORDS]; /* pid + 1, or 0 */
byte value[RECORDS];       /* that the data files hold; 0: none, or half written */
byte sequence[RECORDS];
bool touched[RECORDS];     /* the expiry that a touch has set */
byte shared[RECORDS];      /* leases of the manifest under the record's name */
bool exclusive[RECORDS], dead[RECORDS], charged[RECORDS];

byte slot = 0;   /* 0, or WORD(record, generation) */
byte newest = 1; /* the value that a get has to give, 0: none */
bool gone = false;    /* somebody deleted or evicted it */
bool told = false;    /* a touch of the newest value has returned */
bool key_lock = false;
byte kills = 0, running = 0;

#define WORD(r, g) ((g) * RECORDS + (r) + 1)
#define RECORD(w)  (((w) - 1) % RECORDS)
#define GENERATION(w) (((w) - 1) / RECORDS)

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

/* A free record, WRITING, locked, its manifest held exclusively; what a kill between these
 * leaves is the matter of lifecycle.pml. */
inline take_record(r) {
    atomic {
        if
        :: state[0] == FREE && record_lock[0] == 0 -> r = 0
        :: state[1] == FREE && record_lock[1] == 0 -> r = 1
        :: state[2] == FREE && record_lock[2] == 0 -> r = 2
        :: else -> goto done
        fi;
        record_lock[r] = _pid + 1;
        state[r] = WRITING;
        charged[r] = true;
        exclusive[r] = true;
        dead[r] = false;
        has = true; holds = true;
        MAY_DIE
    }
}

/* Of a writer that comes to nothing: it holds the lock and the lease. */
inline abandon(r) {
    STEP(value[r] = 0; charged[r] = false);
    d_step {
        assert(state[r] == WRITING || state[r] == LIVE);
        touched[r] = false; sequence[r] = 0;
        generation[r]++;
        state[r] = FREE
    }
}

/* Under the record lock and, unless NO_LEASE, the exclusive lease: `from` is out of the
 * index. */
inline finish(from) {
    STEP(dead[from] = true);
    STEP(value[from] = 0; charged[from] = false);
    d_step {
        assert(state[from] == LIVE && generation[from] == g);
        touched[from] = false; sequence[from] = 0;
        generation[from]++;
        state[from] = FREE
    }
}

proctype Move() {
    byte from, g, r, w;
    bool has, holds, shares, leases, locks, source_lock, source_lease, copied;
    atomic {
        w = slot;
        if
        :: w == 0 -> goto done
        :: else
        fi;
        from = RECORD(w);
        g = GENERATION(w)
    }
    atomic { /* lease the first record, and judge it */
        if
        :: !exclusive[from] -> shared[from]++; leases = true
        :: else -> goto done
        fi;
        if
        :: dead[from] || generation[from] != g || state[from] != LIVE -> goto killed
        :: else
        fi
    }
    take_record(r);
    STEP(assert(value[from] != 0); value[r] = value[from]);
    atomic { /* the key lock, by try */
        if
        :: !key_lock -> key_lock = true; locks = true
        :: else -> goto undo
        fi;
        MAY_DIE
    }
#ifdef OWN_SEQUENCE
    STEP(sequence[r] = sequence[from] + 1);
#else
    STEP(sequence[r] = sequence[from]);
#endif
#ifdef COPY_EARLY
    STEP(touched[r] = touched[from]; copied = true);
#endif
#ifdef SLOT_FIRST
    atomic {
        if
        :: slot == w -> slot = WORD(r, generation[r])
        :: else -> goto undo
        fi;
        MAY_DIE
    }
    w = slot;
#endif
    STEP(state[r] = LIVE);
    STEP(exclusive[r] = false; holds = false; shared[r]++; shares = true);
    /* take_place: the own lease goes, then everything of the first record by try */
    STEP(shared[from]--; leases = false);
    atomic {
        if
#ifdef NO_RECORD_LOCK
        :: true
#else
        :: record_lock[from] == 0 -> record_lock[from] = _pid + 1; source_lock = true
        :: else -> goto undo
#endif
        fi;
        MAY_DIE
    }
    atomic {
        if
        :: state[from] == LIVE && generation[from] == g
        :: else -> goto undo
        fi
    }
    atomic {
        if
#ifdef NO_LEASE
        :: true
#else
        :: shared[from] == 0 && !exclusive[from] ->
            exclusive[from] = true; source_lease = true
        :: else -> goto undo
#endif
        fi;
        MAY_DIE
    }
    if
    :: copied
    :: else -> STEP(touched[r] = touched[from])
    fi;
    atomic {
        if
#ifdef BLIND_CAS
        :: true -> slot = WORD(r, generation[r])
#else
        :: slot == w -> slot = WORD(r, generation[r])
        :: else -> goto undo
#endif
        fi;
        MAY_DIE
    }
    finish(from);
    goto killed;
undo:
    abandon(r);
killed:
    atomic {
        if
        :: leases -> shared[from]--
        :: else
        fi;
        if
        :: holds -> exclusive[r] = false
        :: shares -> shared[r]--
        :: else
        fi;
        if
        :: source_lease -> exclusive[from] = false
        :: else
        fi;
        if
        :: source_lock -> unlock_record(from)
        :: else
        fi;
        if
        :: locks -> key_lock = false
        :: else
        fi;
        if
        :: has -> unlock_record(r)
        :: else
        fi
    }
done:
    atomic {
        from = 0; g = 0; r = 0; w = 0; has = false; holds = false; shares = false;
        leases = false; locks = false; source_lock = false; source_lease = false; copied = false;
        running--
    }
}

/* Replaces by value 2, expecting the sequence it has seen, or whatever there is. */
proctype Put() {
    byte r, w, old, expect;
    bool has, holds, locks;
    if
    :: expect = 0
    :: expect = 1 /* the sequence of the first value */
    fi;
    take_record(r);
    STEP(value[r] = 2);
    STEP(!key_lock -> key_lock = true; locks = true);
    atomic {
        w = slot;
        if
        :: expect && w == 0 -> assert(gone); goto undo
        :: expect && w != 0 && sequence[RECORD(w)] != expect ->
            assert(false) /* nobody else puts: it has that sequence still */
        :: else
        fi
    }
    STEP(sequence[r] = 2);
    STEP(state[r] = LIVE);
    atomic {
        if
        :: expect && slot != w -> assert(gone); goto undo
        :: else
        fi;
        old = slot;
        slot = WORD(r, generation[r]);
        newest = 2;
        gone = false;
        told = false;
        MAY_DIE
    }
    goto killed; /* the old record is reclaimed by the sweep */
undo:
    abandon(r);
killed:
    atomic {
        if
        :: holds -> exclusive[r] = false
        :: else
        fi;
        if
        :: locks -> key_lock = false
        :: else
        fi;
        if
        :: has -> unlock_record(r)
        :: else
        fi
    }
done:
    atomic { r = 0; w = 0; old = 0; has = false; holds = false; locks = false; running-- }
}

/* An eviction under the locks, or a delete, which takes the word out before any. */
proctype Remove() {
    byte from, g, w;
    bool locks, leases;
    atomic {
        w = slot;
        if
        :: w == 0 -> goto done
        :: else
        fi;
        from = RECORD(w);
        g = GENERATION(w)
    }
    if
    :: atomic {
           if
           :: slot == w -> slot = 0; newest = 0; gone = true; told = false
           :: else -> goto done
           fi;
           MAY_DIE
       }
    :: true
    fi;
    atomic {
        if
        :: record_lock[from] == 0 -> record_lock[from] = _pid + 1; locks = true
        :: else -> goto done
        fi;
        MAY_DIE
    }
    atomic {
        if
        :: state[from] == LIVE && generation[from] == g && shared[from] == 0 &&
           !exclusive[from] ->
            exclusive[from] = true; leases = true
        :: else -> goto killed
        fi;
        MAY_DIE
    }
    atomic {
        if
        :: slot == w -> slot = 0; newest = 0; gone = true; told = false
        :: else
        fi;
        MAY_DIE
    }
    finish(from);
killed:
    atomic {
        if
        :: leases -> exclusive[from] = false
        :: else
        fi;
        if
        :: locks -> unlock_record(from)
        :: else
        fi
    }
done:
    atomic { from = 0; g = 0; w = 0; locks = false; leases = false; running-- }
}

/* fc_touch: under the record lock, if the word is in its slot still. */
proctype Touch() {
    byte r, w;
    atomic {
        w = slot;
        if
        :: w == 0 -> goto done
        :: else
        fi;
        r = RECORD(w)
    }
    atomic {
        if
        :: record_lock[r] == 0 -> record_lock[r] = _pid + 1
        :: else -> goto done /* tried again */
        fi
    }
    atomic {
        if
        :: slot == w && state[r] == LIVE && generation[r] == GENERATION(w)
        :: else -> unlock_record(r); goto done
        fi
    }
    touched[r] = true;
    atomic {
        unlock_record(r);
        if
        :: slot == w -> told = true
        :: slot != w && slot != 0 && newest == 1 -> told = true /* moved: it went along */
        :: else
        fi
    }
done:
    atomic { r = 0; w = 0; running-- }
}

proctype Read() {
    byte r, g, w, want;
    atomic {
        w = slot;
        want = newest;
        if
        :: w == 0 -> goto done
        :: else
        fi;
        r = RECORD(w);
        g = GENERATION(w)
    }
    atomic {
        if
        :: !exclusive[r] -> shared[r]++
        :: else -> goto done
        fi
    }
    atomic {
        if
        :: dead[r] || generation[r] != g || state[r] != LIVE -> shared[r]--; goto done
        :: else
        fi
    }
    assert(value[r] == want);
    assert(value[r] == want);
    shared[r]--;
done:
    atomic { r = 0; g = 0; w = 0; want = 0; running-- }
}

/* In peace each left-over can be taken. */
inline sweep_all() {
    r = 0;
    do
    :: r < RECORDS ->
        assert(record_lock[r] == 0 && shared[r] == 0 && !exclusive[r]);
        if
        :: state[r] == WRITING || (state[r] == LIVE && slot != WORD(r, generation[r])) ->
            state[r] = FREE; generation[r]++; value[r] = 0; charged[r] = false
        :: else
        fi;
        r++
    :: else -> break
    od
}

init {
    byte r;
    atomic {
        for (r : 0 .. RECORDS - 1) { state[r] = FREE; generation[r] = 1 }
        state[0] = LIVE; value[0] = 1; sequence[0] = 1; charged[0] = true;
        slot = WORD(0, 1);
        running = 3;
        run Move();
#ifdef TWO_MOVES
        run Move();
#else
        run Put();
#endif
#ifdef READS
        run Read()
#endif
#ifdef TOUCHES
        run Touch()
#endif
#if !defined(READS) && !defined(TOUCHES)
        run Remove()
#endif
    }
    running == 0;
    atomic {
        sweep_all();
        r = 0;
        do
        :: r < RECORDS ->
            if
            :: state[r] == FREE -> assert(value[r] == 0 && !charged[r])
            :: else ->
                assert(state[r] == LIVE && value[r] != 0 && slot == WORD(r, generation[r]) && !dead[r] &&
                       charged[r])
            fi;
            r++
        :: else -> break
        od;
        if
        :: slot == 0 -> assert(gone)
        :: else ->
            r = RECORD(slot);
            assert(!gone && state[r] == LIVE && value[r] == newest);
            assert(!told || touched[r])
        fi
    }
}
