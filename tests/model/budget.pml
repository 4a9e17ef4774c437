/* Exact accounting (src/budget.c): one record is charged, one uncharged, two repairs add up
 * the records meanwhile, and one process may be killed at any step.
 *
 * Holds: `used` never stands below what the records charge, so the budget is never
 * exceeded; without a kill it stands exactly there in the end; and a sweep with a repair in
 * peace makes it exact after a kill.
 *
 * Must fail, each with its own flag:
 *  NO_SEQUENCE  a repair that compares the units only: they may have come back to the same
 *  NO_INTENT    a repair that does not ask whether a change is under way
 *  USED_FIRST   an uncharge that lowers `used` before the record: a kill leaves it too low */

#define RECORDS 3

short used;
byte sequence; /* one word with `used` */
short charged[RECORDS];
byte intent[RECORDS];
bool killed = false;
byte running = 0;

/* A kill; the record stays WRITING with its intent, for the sweep. */
#define STEP(action)                                                                      \
    atomic {                                                                              \
        action;                                                                           \
        if                                                                                \
        :: !killed -> killed = true; goto done                                            \
        :: true                                                                           \
        fi                                                                                \
    }

proctype Charge(byte i; short units) {
    STEP(intent[i] = units);
    STEP(used = used + units; sequence++);
    STEP(charged[i] = charged[i] + units);
    STEP(intent[i] = 0);
done:
    running--
}

proctype Uncharge(byte i; short units) {
    STEP(intent[i] = units);
#ifdef USED_FIRST
    STEP(used = used - units; sequence++);
    STEP(charged[i] = charged[i] - units);
#else
    STEP(charged[i] = charged[i] - units);
    STEP(used = used - units; sequence++);
#endif
    STEP(intent[i] = 0);
done:
    running--
}

inline repair() {
    d_step { seen = used; at = sequence; sum = 0; i = 0; busy = false }
    do
    :: i < RECORDS ->
        busy = busy || intent[i] != 0;
        sum = sum + charged[i];
        busy = busy || intent[i] != 0;
        i++
    :: else -> break
    od;
    atomic { /* the CAS of the whole word */
        if
#ifdef NO_INTENT
        :: used == seen && sequence == at -> used = sum; sequence++
#else
#ifdef NO_SEQUENCE
        :: !busy && used == seen -> used = sum
#else
        :: !busy && used == seen && sequence == at -> used = sum; sequence++
#endif
#endif
        :: else
        fi
    }
}

proctype Repair() {
    short seen, sum;
    byte at, i;
    bool busy;
    repair();
    running--
}

/* Whatever a kill left: the sweep clears the intent and uncharges the record (src/reclaim.c,
 * to_free), once the kernel has given back its lock. */
inline sweep() {
    i = 0;
    do
    :: i < RECORDS ->
        if
        :: intent[i] != 0 ->
            intent[i] = 0;
            seen = charged[i];
            charged[i] = 0;
            used = used - seen;
            sequence++
        :: else
        fi;
        i++
    :: else -> break
    od
}

init {
    short seen, sum;
    byte at, i;
    bool busy;
    atomic {
        charged[1] = 2; charged[2] = 1; used = 3;
        running = 4;
        run Charge(0, 2); run Uncharge(1, 2); run Repair(); run Repair()
    }
    do
    :: running > 0 -> /* at any time */
        d_step { assert(used >= charged[0] + charged[1] + charged[2]) }
    :: running == 0 -> break
    od;
    assert(killed || used == charged[0] + charged[1] + charged[2]);
    atomic { sweep() }
    assert(used >= charged[0] + charged[1] + charged[2]);
    repair();
    assert(used == charged[0] + charged[1] + charged[2])
}
