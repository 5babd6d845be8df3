/* soak.h - a long life under many events and all faults: does the heap grow? */
#ifndef FL_TEST_SOAK_H
#define FL_TEST_SOAK_H

#include <stdint.h>

struct soak_options {
    uint64_t seed;
    uint64_t minutes; /* virtual */
    uint64_t rate;    /* events a virtual second */
};

/* 0: the heap at the end is within 1 % of what it was after the first hour (5 % of what it was
 * after the first quarter, if that is shorter), and every subscriber knows the truth at both times;
 * 1: not so. */
int soak_run(const struct soak_options *options);

#endif
