/* Loops over integers of any width: the body is written once and compiled for each C
 * type, so that the compiler can vectorise it. */
#ifndef FC_INTEGERS_H
#define FC_INTEGERS_H

#include <stdint.h>
#include <string.h>

/* BODY(ctype) for the codes of a dictionary, by the first letter of their format. */
#define FC__EACH_CODE_TYPE(letter, BODY)                                                 \
    switch (letter) {                                                                    \
    case 'c':                                                                            \
        BODY(int8_t) break;                                                              \
    case 'C':                                                                            \
        BODY(uint8_t) break;                                                             \
    case 's':                                                                            \
        BODY(int16_t) break;                                                             \
    case 'S':                                                                            \
        BODY(uint16_t) break;                                                            \
    case 'i':                                                                            \
        BODY(int32_t) break;                                                             \
    case 'I':                                                                            \
        BODY(uint32_t) break;                                                            \
    case 'l':                                                                            \
        BODY(int64_t) break;                                                             \
    default:                                                                             \
        BODY(uint64_t) break;                                                            \
    }

#endif
