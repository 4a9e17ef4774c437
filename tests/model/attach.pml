/* Attaching (src/control.c): the lock first exclusively, by try; whoever gets it is alone,
 * looks, makes `control` anew if it will not do, and downgrades; who does not get it takes it
 * shared and may use what it finds sound, or tries again. One process may be killed at any
 * step. In the beginning there is no control, a damaged one, or a sound one.
 *
 * Holds: what an attached process maps is complete, and never made anew under it; only one
 * process makes it at a time; in the end whoever was not killed has attached.
 *
 * Must fail, each with its own flag:
 *  MAGIC_FIRST    a kill while it is made leaves what looks sound
 *  SHARED_FIRST   the lock shared first, and made under it
 *  LOOK_BEFORE    judged before the lock is had, and not again under it */

#define PROCESSES 3

mtype = { NONE, DAMAGED, HALF, SOUND };

mtype control; /* what a look says of it: HALF has no magic */
bool complete; /* what is behind the magic */
byte maker = 0, exclusive = 0, shared = 0; /* exclusive: pid + 1 */
byte attached = 0;
bool killed = false;
byte running = PROCESSES;

#define MAY_DIE                                                                           \
    if                                                                                    \
    :: !killed -> killed = true; goto done                                                \
    :: true                                                                               \
    fi
#define STEP(action)                                                                      \
    atomic {                                                                              \
        action;                                                                           \
        MAY_DIE                                                                           \
    }

inline make() {
    atomic {
        assert(attached == 0); /* else: SIGBUS, or an emptied cache, for who uses it */
        assert(maker == 0);
        maker = _pid + 1;
        control = HALF; /* truncated */
        complete = false;
        MAY_DIE
    }
#ifdef MAGIC_FIRST
    STEP(control = SOUND);
    STEP(complete = true; maker = 0);
#else
    STEP(complete = true); /* old files unlinked, header filled */
    STEP(control = SOUND; maker = 0);
#endif
}

proctype Attach() {
    mtype found;
    bool mine = false, ours = false, uses = false;
again:
#ifdef LOOK_BEFORE
    found = control;
#endif
    atomic {
        if
#ifdef SHARED_FIRST
        :: exclusive == 0 -> shared++; ours = true
#else
        :: exclusive == 0 && shared == 0 -> exclusive = _pid + 1; mine = true
        :: exclusive == 0 && shared > 0 -> shared++; ours = true
#endif
        :: else -> goto wait
        fi;
        MAY_DIE
    }
#ifndef LOOK_BEFORE
    STEP(found = control);
#endif
    if
    :: mine ->
        if
        :: found != SOUND -> make()
        :: else
        fi;
        STEP(exclusive = 0; mine = false; shared++; ours = true) /* one step in the kernel */
    :: else ->
        if
        :: found == SOUND
#ifdef SHARED_FIRST
        :: found != SOUND -> make()
#else
        :: found != SOUND ->
            atomic { shared--; ours = false; goto wait }
#endif
        fi
    fi;
    STEP(uses = true; attached++);
    assert(complete && control == SOUND);
    goto done;
wait: /* a little; somebody is making it, or leaves it damaged while he dies */
    atomic {
        exclusive == 0 && (shared == 0 || control == SOUND) -> goto again
    }
done:
    atomic { /* detached or killed: `control` is unmapped before the lock goes */
        if
        :: uses -> attached--
        :: else
        fi;
        if
        :: mine -> exclusive = 0
        :: else
        fi;
        if
        :: ours -> shared--
        :: else
        fi;
        if
        :: maker == _pid + 1 -> maker = 0
        :: else
        fi;
        running--
    }
}

init {
    atomic {
        if
        :: control = NONE
        :: control = DAMAGED
        :: control = SOUND; complete = true
        fi;
        run Attach(); run Attach(); run Attach()
    }
    running == 0;
    assert(attached == 0 && shared == 0 && exclusive == 0 && control == SOUND)
}
