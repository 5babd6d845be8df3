/* api_faults.h - which faults the simulated API server still has to show, and to whom.
 *
 * Every kind has a number of times left. Whoever answers a request or writes an event asks, and
 * what it takes it shows. One thread. */
#ifndef FL_SIM_API_FAULTS_H
#define FL_SIM_API_FAULTS_H

#include "base/io.h"
#include "sim/api_request.h"
#include "sim/fault.h"

struct fl_api_faults {
    struct fl_io *io;
    unsigned left[FL_FAULT_KINDS];
    uint64_t shown[FL_FAULT_KINDS];
};

/* One fault of the kind is shown now, and logged; false: none is left. */
bool fl_api_faults_take(struct fl_api_faults *faults, enum fl_fault_kind kind);
/* The fault that this request is answered with; FL_FAULT_KINDS: none. */
enum fl_fault_kind fl_api_faults_take_for(struct fl_api_faults *faults,
                                          const struct fl_api_request *request);

#endif
