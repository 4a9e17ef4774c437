/* fc_wait and what wakes it (src/wait.c): keys share a futex word that each change moves, and
 * a flag by which a change knows whether anybody may sleep: it takes the flag, moves the
 * word, then wakes. A waiter reads the word, raises
 * the flag, looks, and sleeps only while the word is what it was. No kills and no time-outs
 * here: those are what the steps of 50 ms are for.
 *
 * Holds: nobody sleeps on when his key has changed (no end with a process asleep).
 *
 * Must fail, each with its own flag:
 *  WORD_LATE  the word is read after the look
 *  FLAG_ONCE  the flag is raised once, not before each sleep
 *  MOVE_FIRST a change moves the word before it takes the flag: of one who has read the
 *             moved word already, and will sleep on it with no flag up for the next change
 *  WAKE_ONE   one sleeper of all is woken: perhaps one of another key
 *  NO_MOVE    a change that sees no flag does not move the word, and the flag is raised
 *             after the look */

#define KEYS    2
#define WAITERS 3

byte word = 0;
bool waiting = false;
bool changed[KEYS];
bool asleep[WAITERS];

proctype Waiter(byte me; byte key) {
    byte seen;
    bool raised = false;
    do
    :: true ->
#ifndef WORD_LATE
        seen = word;
#endif
#ifndef NO_MOVE
#ifdef FLAG_ONCE
        if
        :: !raised -> waiting = true; raised = true
        :: else
        fi;
#else
        waiting = true;
#endif
#endif
        if
        :: changed[key] -> break
        :: else
        fi;
#ifdef WORD_LATE
        seen = word;
#endif
#ifdef NO_MOVE
        waiting = true;
#endif
        atomic { /* the kernel compares and sleeps in one */
            if
            :: word == seen -> asleep[me] = true
            :: else
            fi
        }
        !asleep[me]
    od
}

inline wake_one() {
    if
    :: asleep[0] -> asleep[0] = false
    :: asleep[1] -> asleep[1] = false
    :: asleep[2] -> asleep[2] = false
    :: else
    fi
}

proctype Change(byte key) {
    bool anybody;
    changed[key] = true; /* the CAS of the slot */
#ifdef MOVE_FIRST
    word++;
#endif
    atomic { anybody = waiting; waiting = false }
#ifdef NO_MOVE
    if
    :: anybody -> word++
    :: else
    fi;
#endif
#ifndef NO_MOVE
#ifndef MOVE_FIRST
    word++;
#endif
#endif
    if
    :: anybody ->
        d_step {
#ifdef WAKE_ONE
            wake_one()
#else
            asleep[0] = false; asleep[1] = false; asleep[2] = false
#endif
        }
    :: else
    fi
}

init {
    atomic {
        run Waiter(0, 0); run Waiter(1, 1); run Waiter(2, 0);
        run Change(0); run Change(1)
    }
}
